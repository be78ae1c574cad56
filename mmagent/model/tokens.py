"""The one place where text becomes ids: content never yields a control id, only the chat template's pieces do.

Two tokenizers are kept apart for good, since the switch between reading and splitting control tokens lies on
the shared Rust object: flipped per call it leaks from one thread to another.
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmagent.errors import ModelError
from mmagent.model.template import ChatTemplate

if TYPE_CHECKING:
    import tokenizers

    from mmagent.model.pieces import Piece


class Tokens:
    """A tokenizer that keeps what people wrote apart from what controls the model.

    `controls` are the ids of all added tokens (whitespace runs excepted) and of every special role;
    `content` never yields one of them, whatever the text holds. `ends` are the ids that end a reply; `end` is the one
    with which the template closes what the assistant says, or the tokenizer's own.
    """

    def __init__(self, tokenizer: Any, ends: Iterable[int] = ()) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"{type(tokenizer).__name__} has no fast form; convert it to a tokenizer.json first")
        self._pieces = _copy(tokenizer.backend_tokenizer, split=False)
        self._content = _copy(tokenizer.backend_tokenizer, split=True)
        added = tokenizer.added_tokens_decoder
        whitespace = {number for number, token in added.items() if not token.content.strip() and not token.special}
        self.controls = frozenset({*added, *tokenizer.all_special_ids} - whitespace)
        self.n_ids = max(self._pieces.get_vocab(with_added_tokens=True).values()) + 1
        start = tokenizer.bos_token if tokenizer.bos_token_id is not None else ""
        self.template = ChatTemplate(tokenizer, start=start)
        closing = self._after_assistant()
        own = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
        known = [number for number in (*closing, *own, *ends) if number in self.controls]
        if not known:
            raise ModelError("the tokenizer names no end-of-text token; set its eos_token")
        self.ends, self.end = frozenset(known), known[0]

    def content(self, text: str) -> list[int]:
        """The ids of what somebody wrote; none of them is in `controls`.

        A lone surrogate becomes U+FFFD, and a byte for which the vocabulary has no piece is left out, as the
        tokenizer itself does.
        """
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        found = self._content.encode(text, add_special_tokens=False)
        for number, (start, end) in zip(found.ids, found.offsets):
            if number in self.controls:
                # Some vocabularies hold a control token as an ordinary piece too; a cut inside it breaks it up.
                middle = start + max(1, (end - start) // 2)
                if not 0 < middle < len(text):
                    return self._bytewise(text)
                return self.content(text[:middle]) + self.content(text[middle:])
        return list(found.ids)

    def _bytewise(self, text: str) -> list[int]:
        """The character's bytes as byte-fallback pieces, where one character alone is a control token; else nothing."""
        pieces = [self._content.token_to_id(f"<0x{byte:02X}>") for byte in text.encode()]
        return [number for number in pieces if number is not None and number not in self.controls]

    def piece(self, text: str) -> list[int]:
        """The ids of a piece of the chat template, control tokens read as such. Never give it anybody's words."""
        return list(self._pieces.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, exactly: control tokens are written out and nothing is tidied up."""
        return str(self._pieces.decode(list(ids), skip_special_tokens=False))

    def prompt(self, turns: Sequence[Turn], generate: bool = True) -> list[Piece]:
        """The pieces of a conversation by the model's chat template, up to where the assistant speaks if `generate`.

        Every turn's content comes as pieces already and goes in where the template puts it.
        """
        return [piece for _, run in self.runs(turns, generate) for piece in run]

    def runs(self, turns: Sequence[Turn], generate: bool = True) -> list[tuple[int | None, Sequence[Piece]]]:
        """As `prompt`, run by run: the number of the turn whose content it is, or None for the template's own."""
        marks = [f"Q{secrets.token_hex(16)}Q" for _ in turns]
        rendered = self.template.render([(turn.role, mark) for turn, mark in zip(turns, marks)], generate)
        places = {mark: at for at, mark in enumerate(marks)}
        parts = re.split(f"({'|'.join(marks)})", rendered) if marks else [rendered]
        return [
            (places[part], turns[places[part]].pieces) if part in places else (None, self.piece(part))
            for part in parts
            if part
        ]

    def _after_assistant(self) -> list[int]:
        """The control token with which the template closes what the assistant said, if it has one."""
        mark = f"Q{secrets.token_hex(16)}Q"
        rendered = self.template.render([("user", "x"), ("assistant", mark)], generate=False)
        found = self.piece(rendered.partition(mark)[2])
        return found[:1] if found and found[0] in self.controls else []

    @functools.cached_property
    def texts(self) -> Mapping[int, str]:
        """What each ordinary token says by itself; U+FFFD stands for part of a character."""
        return {number: self.decode([number]) for number in range(self.n_ids) if number not in self.controls}

    def matching(self, pattern: str) -> frozenset[int]:
        """The ordinary ids whose own text holds the pattern."""
        wanted = re.compile(pattern)
        return frozenset(number for number, text in self.texts.items() if wanted.search(text))

    @functools.cached_property
    def lines(self) -> frozenset[int]:
        """The ids that hold a line break."""
        return self.matching(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")

    @functools.cached_property
    def words(self) -> frozenset[int]:
        """The ids of whole characters, a letter or digit among them, without a line break."""
        return self.matching(r"^[^\ufffd]*[^\W_][^\ufffd]*$") - self.lines

    @functools.cached_property
    def sentences(self) -> frozenset[int]:
        """The ids that end a sentence."""
        return self.matching(r"[.!?。！？][\"')”’]?$")


@dataclass(frozen=True, slots=True)
class Turn:
    """A message as the chat template takes it: whose, and its content as pieces."""

    role: str
    pieces: tuple[Piece, ...]


class TextStream:
    """Ids in, whole characters out: a character split over several tokens is held back until it is complete."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._ids: list[int] = []
        self._said = 0

    def push(self, number: int) -> str:
        """The text that `number` completes, maybe none."""
        self._ids.append(number)
        whole = self._tokens.decode(self._ids)
        ready = whole.rstrip("\ufffd")  # what ends in U+FFFD may be half a character; the next token tells
        new, self._said = ready[self._said :], max(self._said, len(ready))
        return new


def _copy(backend: tokenizers.Tokenizer, split: bool) -> tokenizers.Tokenizer:
    """A tokenizer of our own: no truncation, no padding, and its mind made up about control tokens."""
    import tokenizers

    copy: tokenizers.Tokenizer = tokenizers.Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = split
    return copy
