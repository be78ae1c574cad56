"""Text to ids, of which no text can make one that controls the model."""

from __future__ import annotations

from typing import Any

from mmagent.errors import ModelError


class Words:
    """A tokenizer of our own: no text becomes a control token, and nothing of it changes between calls.

    The switch for splitting control tokens lies on the library's shared object, where another caller could turn it.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"{type(tokenizer).__name__} has no fast form; convert it to a tokenizer.json first")
        import tokenizers

        self._backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True
        self._cut_side, self._fill_left = tokenizer.truncation_side, tokenizer.padding_side == "left"
        self._pad = tokenizer.pad_token_id
        added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        ends = {getattr(tokenizer, f"{role}_token_id", None) for role in ("bos", "eos", "cls", "sep", "pad", "mask")}
        # What a vocabulary lacks becomes its unknown token, which is no control token unless it is an end as well.
        self._controls = (added | set(tokenizer.all_special_ids)) - ({tokenizer.unk_token_id} - ends)
        self.n_added = int(self._backend.num_special_tokens_to_add(False))

    def ids(self, text: str, limit: int | None) -> tuple[list[int], int]:
        """The ids of a text with the control tokens that the model puts around it, and how many tokens were cut off."""
        body = self._body(text)
        room = len(body) if limit is None else limit - self.n_added
        n_cut = max(0, len(body) - room)
        body.truncate(room, direction=self._cut_side)
        return list(self._backend.post_process(body, None, True).ids), n_cut

    def _body(self, text: str) -> Any:
        """The tokens of a text, none of which is a control token."""
        while True:
            found = self._backend.encode(text, add_special_tokens=False)
            spans = (span for number, span in zip(found.ids, found.offsets) if number in self._controls)
            leak = next(spans, None)
            if leak is None:
                return found
            # Some vocabularies hold a control token as an ordinary piece too: a space breaks it up, or replaces
            # a single character.
            start, end = leak
            middle = (start + end) // 2
            text = f"{text[:middle]} {text[middle if end - start > 1 else start + 1 :]}"

    def fill(self, ids: list[int], limit: int) -> tuple[list[int], list[bool]]:
        """The ids filled up to the limit on the tokenizer's side, and which of them are the text's."""
        n_missing = limit - len(ids)
        if n_missing and self._pad is None:
            raise ModelError("the tokenizer has no padding token; leave padded off")
        pads, gaps = [self._pad] * n_missing, [False] * n_missing
        mask = [True] * len(ids)
        return (pads + ids, gaps + mask) if self._fill_left else (ids + pads, mask + gaps)
