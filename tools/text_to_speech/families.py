"""The families of synthesisers, each loaded and asked in its own way, behind one shape.

Shapes: L tokens, T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from mmagent import Embedding
from mmagent.checkpoint import Dtype, given, load_part, load_pretrained
from mmagent.errors import MediaError, ModelError

from .voices import preset, vector


@dataclass(frozen=True, slots=True)
class Asked:
    """Which checkpoint and voice the user chose."""

    model: str
    vocoder: str | None = None
    voice: str = ""
    pickle: bool = False
    revision: str = ""
    device: str = "cpu"
    dtype: Dtype = "auto"


class Voice(Protocol):
    """A loaded family: how it reads a text as ids, how it says them on its device, and what draws no random numbers."""

    rate: int
    longest: int
    device: Any
    watched: Sequence[Any]

    def check(self, speaker: Embedding | None, speed: float) -> None: ...
    def ids(self, text: str) -> list[int]: ...
    def say(self, ids: Any, speaker: Embedding | None, speed: float) -> Any: ...


class SpeechT5:
    """Ao et al. 2022, arXiv:2110.07205: frames of a mel spectrum one after another, then HiFi-GAN."""

    def __init__(self, asked: Asked) -> None:
        self._network = _network("SpeechT5ForTextToSpeech", asked)
        self._vocoder = _network("SpeechT5HifiGan", replace(asked, model=str(asked.vocoder), revision=""))
        self._tokens, self.device = _tokenizer(asked), self._network.device
        shape = self._network.config
        self.rate = int(self._vocoder.config.sampling_rate)
        # A text may take 20 frames a token, and neither its places nor those of the frames may run out.
        self.longest = min(shape.max_text_positions, shape.max_speech_positions // 20) - 1
        self._own = vector(asked.voice, shape.speaker_embedding_dim) if asked.voice else None
        self._width, self._model = shape.speaker_embedding_dim, asked.model
        layers = self._network.speecht5
        self.watched: Sequence[Any] = [layers.encoder, layers.decoder.wrapped_decoder, *self._vocoder.resblocks]

    def check(self, speaker: Embedding | None, speed: float) -> None:
        if speed != 1:
            raise MediaError(f"{self._model} has one pace; leave speed at 1")
        if speaker is None and self._own is None:
            raise MediaError(f"{self._model} needs a voice: give speaker, or set voice to an .npy file of its vector")
        if speaker is not None and speaker.array.shape != (1, self._width):
            raise MediaError(f"{self._model} takes a speaker of [1, {self._width}], not {list(speaker.array.shape)}")

    def ids(self, text: str) -> list[int]:
        return list(self._tokens(text).input_ids)

    def say(self, ids: Any, speaker: Embedding | None, speed: float) -> Any:
        import torch

        chosen: Any = self._own if speaker is None else torch.tensor(speaker.array)
        vector = given({"speaker": chosen}, self._network)["speaker"]
        return self._network.generate_speech(ids, vector, attention_mask=torch.ones_like(ids), vocoder=self._vocoder)


class Vits:
    """Kim et al. 2021, arXiv:2106.06103; MMS speaks over a thousand languages, a checkpoint each."""

    longest = 1000  # nothing limits it but memory

    def __init__(self, asked: Asked) -> None:
        self._network = _network("VitsModel", asked)
        self._tokens, self.device = _tokenizer(asked), self._network.device
        for needed, library in (("is_uroman", "uroman"), ("phonemize", "phonemizer")):
            if getattr(self._tokens, needed, False) and not _installed(library):
                raise ModelError(f"{asked.model} reads its text through {library}: pip install {library}")
        self.rate, self._model = int(self._network.config.sampling_rate), asked.model
        self._speaker = self._number(asked.voice, self._network.config.num_speakers)
        self.watched: Sequence[Any] = [
            self._network.text_encoder,
            *self._network.flow.flows,
            *self._network.decoder.resblocks,
        ]

    def _number(self, voice: str, n_speakers: int) -> int | None:
        if not voice:
            return None
        if not voice.isdecimal() or int(voice) >= n_speakers or n_speakers < 2:
            allowed = f"0 … {n_speakers - 1}" if n_speakers > 1 else "left out, it has one speaker"
            raise ModelError(f"voice of {self._model} is {allowed}, not {voice!r}")
        return int(voice)

    def check(self, speaker: Embedding | None, speed: float) -> None:
        if speaker is not None:
            raise MediaError(f"{self._model} takes no speaker; set voice to the number of one")
        if not 0.25 <= speed <= 4:
            raise MediaError(f"speed is 0.25 … 4, not {speed}")

    def ids(self, text: str) -> list[int]:
        ids = list(self._tokens(text).input_ids)
        blank = getattr(self._tokens, "add_blank", False)
        return ids if len(ids) > blank else []  # a blank alone is what is left of a text in letters it does not know

    def say(self, ids: Any, speaker: Embedding | None, speed: float) -> Any:
        pace = self._network.speaking_rate * speed
        return self._network(ids, speaker_id=self._speaker, speaking_rate=pace).waveform[0]


class Bark:
    """Suno's Bark: tokens of meaning, then of coarse and of fine sound, then EnCodec."""

    longest = 60  # it can speak for about 15 s at once

    def __init__(self, asked: Asked) -> None:
        self._network = _network("BarkModel", asked)
        self._tokens, self.device = _tokenizer(asked), self._network.device
        stages = self._network.generation_config
        if not isinstance(getattr(stages, "semantic_config", None), dict):
            raise ModelError(f"{asked.model} holds no generation_config.json of Bark; download it beside the weights")
        self.rate, self._model = int(stages.sample_rate), asked.model
        self._places = int(stages.semantic_config.get("max_input_semantic_length", 256))
        self.longest = min(self.longest, self._places)
        found = preset(asked.voice, asked.model, asked.revision)
        self._preset = None if found is None else given(found, self._network)
        parts = self._network.semantic, self._network.coarse_acoustics, self._network.fine_acoustics
        self.watched: Sequence[Any] = [
            *(layer for part in parts for layer in part.layers),
            *self._network.codec_model.decoder.layers,
        ]

    def check(self, speaker: Embedding | None, speed: float) -> None:
        if speed != 1:
            raise MediaError(f"{self._model} has one pace; leave speed at 1")
        if speaker is not None:
            raise MediaError(f"{self._model} takes no speaker; set voice to the name of a preset")

    def ids(self, text: str) -> list[int]:
        return list(self._tokens(text, add_special_tokens=False).input_ids)

    def say(self, ids: Any, speaker: Embedding | None, speed: float) -> Any:
        import torch

        n_missing = self._places - ids.shape[1]
        mask = torch.nn.functional.pad(torch.ones_like(ids), (0, n_missing))
        filled = torch.nn.functional.pad(ids, (0, n_missing))
        return self._network.generate(filled, attention_mask=mask, history_prompt=self._preset)[0]


FAMILIES: Mapping[str, Callable[[Asked], Voice]] = {"speecht5": SpeechT5, "vits": Vits, "bark": Bark}


def _network(kind: str, asked: Asked) -> Any:
    return load_pretrained(
        kind, asked.model, pickle=asked.pickle, revision=asked.revision, device=asked.device, dtype=asked.dtype
    )


def _tokenizer(asked: Asked) -> Any:
    """The tokenizer, which for good reads no control token in a text."""
    return load_part("AutoTokenizer", asked.model, revision=asked.revision, split_special_tokens=True)


def kind_of(shape: Mapping[str, Any], asked: Asked) -> str:
    """The family of a checkpoint; ModelError if it is none, or the vocoder does not belong to it."""
    kind = str(shape.get("model_type"))
    if kind not in FAMILIES:
        raise ModelError(f"{asked.model} is of type {kind}; text-to-speech takes {', '.join(FAMILIES)}")
    if kind == "speecht5" and not asked.vocoder:
        raise ModelError(
            f"{asked.model} makes a spectrum; set vocoder to its HiFi-GAN, for instance microsoft/speecht5_hifigan"
        )
    if kind != "speecht5" and asked.vocoder:
        raise ModelError(f"{asked.model} makes sound itself; leave vocoder out")
    return kind


def rate_of(kind: str, shape: Mapping[str, Any], vocoder: Mapping[str, Any] | None) -> int | None:
    """Samples a second, from the configs; None while they are not here."""
    if kind == "speecht5":
        return None if vocoder is None else int(vocoder.get("sampling_rate", 16_000))
    if kind == "bark":
        return int((shape.get("codec_config") or {}).get("sampling_rate", 24_000))
    return int(shape.get("sampling_rate", 16_000))


def _installed(library: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(library) is not None
