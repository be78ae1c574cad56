"""Speech to text with any Whisper checkpoint, by whichever of three libraries is there.

The format of a checkpoint decides which libraries can: faster-whisper reads CTranslate2's folders, transformers and
OpenAI's library read each other's. Model: Radford et al. 2022, arXiv:2212.04356.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from mmagent import Card, Constraint, Context, Speech, Text, Tool
from mmagent.checkpoint import Dtype, described, itemsize, locate
from mmagent.errors import MediaError, Offline
from mmagent.tool import Scalar

from .account import RATE, Account, Ask, How, hint, subtitles
from .backends import NEEDS, check, chosen, listener
from .checkpoints import code_of, look, tag_of

SECONDS = 1e-8  # a parameter, for up to 30 s of speech on two cores
SILENT = 1e-3  # the loudest sample of what holds no speech: -60 dB of full scale


class Transcript(NamedTuple):
    """What was said, and, where times were asked for, the same as WebVTT."""

    text: Text
    subtitles: Text | None


class Whisper(
    Tool,
    name="whisper.v1",
    kind="converter",
    cost=2.5,
    memory=1_100_000_000,
    concurrency="exclusive",
    lossy=True,
):
    """Write down speech in any language that a Whisper checkpoint knows, or translate it into English.

    `model` is a folder or hub id of transformers or CTranslate2, or a file of OpenAI's (`.pt`, a pickle, so only with
    `pickle`). `backend` chooses among the libraries that read it. `language` is Whisper's code of the language spoken,
    empty to have it detected. `timestamps` gives subtitles too, in WebVTT: a cue a segment, or a word. `beam_size` 1
    and `temperature` 0 decode greedily; a higher temperature draws from the call's seed, which faster-whisper cannot.
    `vad` passes over what is no speech; only faster-whisper can. `prompt` is text that might have come before: names
    and spellings to expect. Silence gives an empty text. `device` and `dtype` are
    where the model runs, and in which precision; by faster-whisper `auto` is the one that it was converted to.
    """

    def __init__(
        self,
        model: str,
        backend: Literal["auto", "faster-whisper", "openai-whisper", "transformers"] = "auto",
        pickle: bool = False,
        revision: str = "",
        device: str = "cpu",
        dtype: Dtype = "auto",
    ) -> None:
        self.model, self.backend, self.pickle, self.revision = model, backend, pickle, revision
        self.device, self.dtype = device, dtype

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        model, revision = str(settings["model"]), str(settings["revision"])
        try:
            found = look(locate(model, revision=revision, download=False))
        except Offline:
            return cls.card  # known once it is downloaded
        backend = chosen(found, str(settings["backend"]))
        check(found, backend, settings)
        # OpenAI's library keeps float32 in any precision, and converts as it computes.
        size = 4 if backend == "openai-whisper" else itemsize(str(settings["device"]), str(settings["dtype"]))
        card = described(
            cls.card,
            (model, revision),
            made={},
            cost=found.n_parameters * SECONDS,
            memory=size * found.n_parameters + 200_000_000,
        )
        return replace(
            card,
            needs=NEEDS[backend],
            concurrency="reentrant" if backend == "faster-whisper" else "exclusive",
        )

    def load(self) -> None:
        self._found = look(locate(self.model, revision=self.revision))
        self._backend = chosen(self._found, self.backend)
        how = How(self.pickle, self.device, self.dtype)
        self._listener = listener(self._found, self._backend, how, self.card.name)

    def unload(self) -> None:
        del self._found, self._backend, self._listener

    def run(
        self,
        speech: Annotated[Speech, Constraint(rate=RATE, channels=1)],
        ctx: Context,
        prompt: Text | None = None,
        language: str = "",
        task: Literal["transcribe", "translate"] = "transcribe",
        timestamps: Literal["none", "segment", "word"] = "none",
        beam_size: int = 1,
        temperature: float = 0.0,
        vad: bool = False,
    ) -> Transcript:
        asked = {"language": language, "task": task, "beam_size": beam_size, "temperature": temperature, "vad": vad}
        check(self._found, self._backend, asked)
        if speech.rate != RATE:
            raise MediaError(f"{self.card.name} hears speech at {RATE} Hz, not {speech.rate}; put resample before it")
        code = code_of(language) or ("" if self._found.multilingual else "en")
        before = hint(prompt.text) if prompt is not None else ""
        ask = Ask(code or None, task, timestamps == "word", beam_size, temperature, vad, before or None, ctx.seed)
        account = Account(ctx, speech.seconds, code)
        account.again()
        samples = speech.mono()
        if len(samples) and abs(samples).max() >= SILENT:
            self._listener.hear(samples, ask, account)
        account.reach(speech.seconds)
        spoken = "en" if task == "translate" else tag_of(account.language)
        timed = None if timestamps == "none" else Text(subtitles(account.pieces, words=ask.words), spoken)
        return Transcript(Text(account.text, spoken), timed)
