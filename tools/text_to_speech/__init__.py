"""Text to speech by checkpoints of transformers: SpeechT5 with its vocoder, VITS and MMS, Bark.

Each call draws its random numbers from a generator of its own, so that calls at once give what calls in turn give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, cast

from mmagent import Card, Constraint, Context, Embedding, Speech, Text, Tool
from mmagent.checkpoint import Dtype, array, config, described, locate
from mmagent.errors import MediaError
from mmagent.tool import Scalar

from .draws import Watch
from .families import FAMILIES, Asked, kind_of, rate_of
from .pieces import pieces
from .voices import voice_files

SPEAKERS = "speecht5.speaker"
"""The space of SpeechT5's speaker vectors, of which the network that made them (an x-vector) has no name here."""


class TextToSpeech(
    Tool, name="text-to-speech.v1", kind="generator", cost=5.0, memory=1_000_000_000, needs=("extra:local",)
):
    """Read a text aloud with a checkpoint of transformers, sentence by sentence with a preview of each.

    `model` is a folder or hub id of SpeechT5, VITS (MMS) or Bark; SpeechT5 also needs its `vocoder`, and a voice: a
    vector at `speaker`, or a file of one in `voice`. For VITS `voice` is the speaker's number, for Bark the name of
    a preset beside the weights or an `.npz` file of one. `speed` 1 is the voice's own pace; VITS alone can change it.
    What is random comes from the seed. `pickle` allows weights that have to be unpickled; `device` and `dtype` are
    where the model runs, and in which precision.
    """

    def __init__(
        self,
        model: str,
        vocoder: str | None = None,
        voice: str = "",
        pickle: bool = False,
        revision: str = "",
        device: str = "cpu",
        dtype: Dtype = "auto",
    ) -> None:
        self.asked = Asked(model, vocoder, voice, pickle, revision, device, dtype)

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        asked = cast("TextToSpeech", cls.make(settings)).asked
        inputs, rate = cls.card.inputs, None
        shape = config(asked.model, revision=asked.revision)
        if shape is not None:
            kind = kind_of(shape, asked)
            rate = rate_of(kind, shape, config(asked.vocoder) if asked.vocoder else None)
            if kind == "speecht5":
                text, speaker = inputs
                wanted = {**speaker.constraints, "width": int(shape.get("speaker_embedding_dim", 512))}
                inputs = (text, replace(speaker, constraints=wanted))
        beside = [asked.vocoder] if asked.vocoder else []
        beside += [str(path) for path in voice_files(asked.voice, asked.model, asked.revision)]
        card = replace(cls.card, inputs=inputs)
        return described(card, (asked.model, asked.revision), *((path, "") for path in beside), made={"rate": rate})

    def load(self) -> None:
        asked = self.asked
        locate(asked.model, revision=asked.revision)  # downloads it, so that its config tells what it is
        kind = kind_of(config(asked.model, revision=asked.revision) or {}, asked)
        self._voice = FAMILIES[kind](asked)
        self._watch = Watch(self._voice.watched, self._voice.device)

    def unload(self) -> None:
        del self._voice, self._watch

    def run(
        self,
        text: Text,
        ctx: Context,
        speaker: Annotated[Embedding, Constraint(tokens=1, space=SPEAKERS)] | None = None,
        speed: float = 1.0,
    ) -> Annotated[Speech, Constraint(channels=1)]:
        import numpy as np
        import torch

        self._voice.check(speaker, speed)
        parts = list(pieces(text.text, self._voice))
        if not parts:
            raise MediaError(f"{self.card.name}: {self.asked.model} finds nothing in the text that it could say")
        said = []
        with self._watch.call(ctx, len(parts)) as call:
            for call.index, ids in enumerate(parts):
                call.tell()
                with torch.inference_mode(), call.draws:
                    samples = self._voice.say(torch.tensor([ids], device=self._voice.device), speaker, speed)  # [T]
                said.append(array(samples.reshape(-1)))
                ctx.preview(Speech(said[-1], self._voice.rate))
        return Speech(np.concatenate(said), self._voice.rate)
