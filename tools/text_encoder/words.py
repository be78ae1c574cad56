"""Text to ids, of which no text can make one that controls the model."""

from __future__ import annotations

import threading
from typing import Any

from mmagent.errors import MediaError, ModelError

SPLITS, PASSES = 2, 8
"""How often pieces that control are broken up by a space, and, with dropping their characters, how often at most."""


class Words:
    """A tokenizer of our own: no text becomes a control token, and nothing of it changes between calls.

    The switch for splitting control tokens lies on the library's shared object, where another caller could turn it.
    """

    def __init__(self, tokenizer: Any) -> None:
        added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        ends = {getattr(tokenizer, f"{role}_token_id", None) for role in ("bos", "eos", "cls", "sep", "pad", "mask")}
        # What a vocabulary lacks becomes its unknown token, which is no control token unless it is an end as well.
        controls = (added | set(tokenizer.all_special_ids)) - ({tokenizer.unk_token_id} - ends)
        self._pieces = (_Fast if getattr(tokenizer, "is_fast", False) else _Slow)(tokenizer, controls)
        self._cut_left, self._fill_left = (
            getattr(tokenizer, f"{what}_side") == "left" for what in ("truncation", "padding")
        )
        self._pad = tokenizer.pad_token_id
        self.pad = 0 if self._pad is None else int(self._pad)  # for what a mask leaves out any id will do
        self.n_added = len(self._pieces.around(self._pieces.body(""), 0, False))  # some make a piece of no text

    def ids(self, text: str, limit: int | None) -> tuple[list[int], int]:
        """The ids of a text with the control tokens that the model puts around it, and how many tokens were cut off."""
        body = self._pieces.body(text)
        n_cut = 0 if limit is None else max(0, len(body) - (limit - self.n_added))
        return self._pieces.around(body, len(body) - n_cut, self._cut_left), n_cut

    def fill(self, ids: list[int], limit: int) -> tuple[list[int], list[bool]]:
        """The ids filled up to the limit on the tokenizer's side, and which of them are the text's."""
        n_missing = limit - len(ids)
        if n_missing and self._pad is None:
            raise ModelError("the tokenizer has no padding token; leave padded off")
        pads, gaps = [self._pad] * n_missing, [False] * n_missing
        mask = [True] * len(ids)
        return (pads + ids, gaps + mask) if self._fill_left else (ids + pads, mask + gaps)


class _Fast:
    """A tokenizer of the library `tokenizers`, which tells the characters of each token."""

    def __init__(self, tokenizer: Any, controls: set[int]) -> None:
        import tokenizers

        self._controls = controls
        self._backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True

    def body(self, text: str) -> Any:
        """The tokens of a text, none of which is a control token.

        Some vocabularies hold a control token as an ordinary piece too: a space breaks it up, or replaces a single
        character, and where that makes another, the characters are dropped.
        """
        for n_pass in range(PASSES):
            found = self._backend.encode(text, add_special_tokens=False)
            leaks = [span for number, span in zip(found.ids, found.offsets) if number in self._controls]
            if not leaks:
                return found
            kept, last = list[str](), 0
            for start, end in leaks:
                middle = (start + end) // 2 if end - start > 1 and n_pass < SPLITS else start
                kept += [text[last:middle], " " if n_pass < SPLITS else ""]
                last = middle if middle > start else end
            text = "".join([*kept, text[last:]])
        raise MediaError("the text is full of pieces that control the model, one within the other; write it otherwise")

    def around(self, body: Any, room: int, cut_left: bool) -> list[int]:
        body.truncate(room, direction="left" if cut_left else "right")
        return list(self._backend.post_process(body, None, True).ids)


class _Slow:
    """A tokenizer written in Python, SigLIP's and Marian's over SentencePiece: control tokens are left out by id."""

    def __init__(self, tokenizer: Any, controls: set[int]) -> None:
        self._tokenizer, self._controls = tokenizer, controls
        self._one = threading.Lock()  # of what lies below not everything stands two threads

    def body(self, text: str) -> list[int]:
        with self._one:
            pieces = self._tokenizer.tokenize(text, split_special_tokens=True)
            found: list[int] = self._tokenizer.convert_tokens_to_ids(pieces)
        return [number for number in found if number not in self._controls]

    def around(self, body: list[int], room: int, cut_left: bool) -> list[int]:
        kept = body[len(body) - room :] if cut_left else body[:room]
        return list(self._tokenizer.build_inputs_with_special_tokens(kept))
