"""Stop sequences: where one begins, a model's words end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmagent.conversation import Said, TextDelta


class Stop:
    """Cuts a reply off at the first of some sequences; `found` is the one that was found."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = tuple(filter(None, sequences))
        self.found = ""

    def cut(self, said: Iterator[Said]) -> Iterator[Said]:
        """The pieces before the first stop sequence, and no more is asked for; what may yet become one is held back."""
        held = ""
        for piece in said:
            if not isinstance(piece, TextDelta):
                if held:
                    yield TextDelta(held)
                held = ""
                yield piece
                continue
            held += piece.text
            at = self._first(held)
            free = len(held) - self._beginning(held) if at is None else at
            if free:
                yield TextDelta(held[:free])
            if at is not None:
                return
            held = held[free:]
        if held:
            yield TextDelta(held)

    def _first(self, text: str) -> int | None:
        """Where the first stop sequence begins, which is noted as found."""
        hits = [(at, sequence) for sequence in self._sequences if (at := text.find(sequence)) >= 0]
        if not hits:
            return None
        at, self.found = min(hits)
        return at

    def _beginning(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a stop sequence.

        With the sequence `you`, "thank y" gives 1.
        """
        longest = max((len(sequence) for sequence in self._sequences), default=1) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(sequence.startswith(text[-size:]) for sequence in self._sequences):
                return size
        return 0
