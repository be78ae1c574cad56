"""What one call asks for, and the account of what was heard so far. It knows no library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from mmagent import Context
from mmagent.checkpoint import Dtype

RATE = 16_000
SHORTEST = 0.001  # seconds: WebVTT has no cue that ends where it begins, and words may


@dataclass(frozen=True, slots=True)
class How:
    """How a checkpoint is loaded: whether it may be unpickled, where it runs, and in which precision."""

    pickle: bool
    device: str
    dtype: Dtype


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call asks for. `language` is one of Whisper's codes, None if it is to be detected."""

    language: str | None
    task: Literal["transcribe", "translate"]
    words: bool
    beam_size: int
    temperature: float
    vad: bool
    prompt: str | None
    seed: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of speech in words, or one word of it, with the seconds between which it was heard."""

    start: float
    end: float
    text: str
    words: tuple[Piece, ...] = ()


@dataclass(slots=True)
class Account:
    """What was heard so far, told to the context as it grows."""

    ctx: Context
    seconds: float
    language: str = ""
    pieces: list[Piece] = field(default_factory=list)
    _at: float = 0.0
    _said: str = ""

    def reach(self, seconds: float) -> None:
        """Say how far the speech was heard; raises Cancelled if the call should stop."""
        self._at = max(self._at, min(float(seconds), self.seconds))
        self.ctx.progress(self._at, self.seconds, f"{self._at:.0f} of {self.seconds:.0f} s")

    def again(self) -> None:
        """Say that the call is still at work."""
        self.reach(self._at)

    def publish(self, text: str) -> None:
        """Publish what is new in `text`, all that was heard so far."""
        text = text.strip()
        if len(text) > len(self._said) and text.startswith(self._said):
            self.ctx.token(text[len(self._said) :])
            self._said = text

    def hear(self, piece: Piece) -> None:
        """Take in and publish the next piece."""
        self.pieces.append(piece)
        self.publish(self.text)
        self.reach(piece.end)

    @property
    def text(self) -> str:
        """All that was heard."""
        return "".join(piece.text for piece in self.pieces).strip()


class Listener(Protocol):
    """A loaded checkpoint in one of the libraries."""

    def hear(self, samples: Any, ask: Ask, account: Account) -> None:
        """Put into the account what is said in `samples`, float32 `[T]` at 16 kHz, and in which language."""
        ...


def hint(prompt: str) -> str:
    """A prompt in which what looks like one of Whisper's own tokens is plain text.

    >>> hint(" Tea <|endoftext|> ")
    'Tea < |endoftext|>'
    """
    return prompt.strip().replace("<|", "< |")


def subtitles(pieces: Sequence[Piece], *, words: bool) -> str:
    """The pieces as WebVTT, a cue each, or a cue each word.

    >>> print(subtitles([Piece(0, 1.5, " R & B")], words=False), end="")
    WEBVTT
    <BLANKLINE>
    00:00:00.000 --> 00:00:01.500
    R &amp; B

    Source: https://www.w3.org/TR/webvtt1/
    """
    cues = [item for piece in pieces for item in (piece.words if words else (piece,))]
    return "WEBVTT\n" + "".join(
        f"\n{_clock(cue.start)} --> {_clock(max(cue.end, cue.start + SHORTEST))}\n{_escaped(cue.text)}\n"
        for cue in cues
        if cue.text.strip()
    )


def _clock(seconds: float) -> str:
    """
    >>> _clock(3725.5)
    '01:02:05.500'
    """
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _escaped(text: str) -> str:
    """In one line, since an empty one ends a cue, and without what WebVTT takes for tags and arrows."""
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
