"""Text to speech by checkpoints of transformers: SpeechT5 with its vocoder, VITS and MMS, Bark.

Their random numbers come from torch's generator of the whole process. Here each call draws from one of its own, so
that calls at once give what calls in turn give. Shapes: L tokens, T samples.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Protocol

from mmagent import Card, Constraint, Context, Embedding, Speech, Text, Tool
from mmagent.checkpoint import config, digest, load_part, load_pretrained, locate
from mmagent.errors import MediaError, ModelError

Scalar = str | int | float | bool | None
SPEAKERS = "speecht5.speaker"
"""The space of SpeechT5's speaker vectors, of which the network that made them (an x-vector) has no name here."""


class TextToSpeech(
    Tool, name="text-to-speech.v1", kind="generator", cost=5.0, memory=1_000_000_000, needs=("extra:local",)
):
    """Read a text aloud with a checkpoint of transformers, sentence by sentence with a preview of each.

    `model` is a folder or hub id of SpeechT5, VITS (MMS) or Bark; SpeechT5 also needs its `vocoder`, and a voice: a
    vector at `speaker`, or a file of one in `voice`. For VITS `voice` is the speaker's number, for Bark the name of
    a preset beside the weights or an `.npz` file of one. `speed` 1 is the voice's own pace; VITS alone can change it.
    What is random comes from the seed. `pickle` allows weights that have to be unpickled.
    """

    def __init__(
        self, model: str, vocoder: str | None = None, voice: str = "", pickle: bool = False, revision: str = ""
    ) -> None:
        self.model, self.vocoder, self.voice = model, vocoder, voice
        self.pickle, self.revision = pickle, revision

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        model, revision, vocoder = str(settings["model"]), str(settings["revision"]), settings["vocoder"]
        inputs, made = cls.card.inputs, dict(cls.card.outputs[0].constraints)
        shape = config(model, revision=revision)
        if shape is not None:
            kind = _kind(shape, model, vocoder)
            rate = _rate(kind, shape, config(str(vocoder)) if vocoder else None)
            made |= {"rate": rate} if rate else {}
            if kind == "speecht5":
                text, speaker = inputs
                wanted = {**speaker.constraints, "width": int(shape.get("speaker_embedding_dim", 512))}
                inputs = (text, replace(speaker, constraints=wanted))
        parts = [digest(model, revision=revision)]
        parts += [digest(str(vocoder))] if vocoder else []
        parts += [digest(str(path)) for path in _voice_files(str(settings["voice"]), model, revision)]
        weights = _joined(parts)
        return replace(
            cls.card,
            inputs=inputs,
            outputs=(replace(cls.card.outputs[0], constraints=made),),
            weights=weights,
            cacheable=bool(weights),  # a hub id that is not here yet may turn out to be anything
        )

    def load(self) -> None:
        locate(self.model, revision=self.revision)
        kind = _kind(config(self.model, revision=self.revision) or {}, self.model, self.vocoder)
        self._voice = FAMILIES[kind](self)
        for module in self._voice.watched:
            module.register_forward_pre_hook(_before)
            module.register_forward_hook(_after, always_call=True)

    def unload(self) -> None:
        del self._voice

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
        pieces = list(_pieces(text.text, self._voice))
        if not pieces:
            raise MediaError(f"{self.card.name}: {self.model} finds nothing in the text that it could say")
        call = _Call(ctx, _mode()(torch.Generator().manual_seed(ctx.seed)), len(pieces))
        said = []
        token = _CALL.set(call)
        try:
            for call.index, ids in enumerate(pieces):
                call.tell()
                with torch.inference_mode(), call.draws:
                    samples = self._voice.say(torch.tensor([ids]), speaker, speed)  # [T]
                said.append(samples.reshape(-1).float().numpy())
                ctx.preview(Speech(said[-1], self._voice.rate))
        finally:
            _CALL.reset(token)
        return Speech(np.concatenate(said), self._voice.rate)


class _Voice(Protocol):
    """A loaded family: how it reads a text as ids, how it says them, and which of its modules draw no random numbers."""

    rate: int
    longest: int
    watched: Sequence[Any]

    def check(self, speaker: Embedding | None, speed: float) -> None: ...
    def ids(self, text: str) -> list[int]: ...
    def say(self, ids: Any, speaker: Embedding | None, speed: float) -> Any: ...


class _SpeechT5:
    """Ao et al. 2022, arXiv:2110.07205: frames of a mel spectrum one after another, then HiFi-GAN."""

    def __init__(self, tool: TextToSpeech) -> None:
        self._network = load_pretrained(
            "SpeechT5ForTextToSpeech", tool.model, pickle=tool.pickle, revision=tool.revision
        )
        self._vocoder = load_pretrained("SpeechT5HifiGan", str(tool.vocoder), pickle=tool.pickle)
        self._tokens = _tokenizer(tool)
        shape = self._network.config
        self.rate = int(self._vocoder.config.sampling_rate)
        # A text may take 20 frames a token, and neither its places nor those of the frames may run out.
        self.longest = min(shape.max_text_positions, shape.max_speech_positions // 20) - 1
        self._own = _vector(tool.voice, shape.speaker_embedding_dim) if tool.voice else None
        self._width, self._model = shape.speaker_embedding_dim, tool.model
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

        vector = self._own if speaker is None else torch.tensor(speaker.array)
        return self._network.generate_speech(ids, vector, attention_mask=torch.ones_like(ids), vocoder=self._vocoder)


class _Vits:
    """Kim et al. 2021, arXiv:2106.06103; MMS speaks over a thousand languages, a checkpoint each."""

    longest = 1000  # nothing limits it but memory

    def __init__(self, tool: TextToSpeech) -> None:
        self._network = load_pretrained("VitsModel", tool.model, pickle=tool.pickle, revision=tool.revision)
        self._tokens = _tokenizer(tool)
        for needed, library in (("is_uroman", "uroman"), ("phonemize", "phonemizer")):
            if getattr(self._tokens, needed, False) and not _installed(library):
                raise ModelError(f"{tool.model} reads its text through {library}: pip install {library}")
        self.rate, self._model = int(self._network.config.sampling_rate), tool.model
        self._speaker = self._number(tool.voice, self._network.config.num_speakers)
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


class _Bark:
    """Suno's Bark: tokens of meaning, then of coarse and of fine sound, then EnCodec."""

    longest = 60  # it can speak for about 15 s at once

    def __init__(self, tool: TextToSpeech) -> None:
        self._network = load_pretrained("BarkModel", tool.model, pickle=tool.pickle, revision=tool.revision)
        self._tokens = _tokenizer(tool)
        stages = self._network.generation_config
        if not isinstance(getattr(stages, "semantic_config", None), dict):
            raise ModelError(f"{tool.model} holds no generation_config.json of Bark; download it beside the weights")
        self.rate, self._model = int(stages.sample_rate), tool.model
        self._places = int(stages.semantic_config.get("max_input_semantic_length", 256))
        self.longest = min(self.longest, self._places)
        self._preset = _preset(tool.voice, tool.model, tool.revision)
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


FAMILIES: Mapping[str, Callable[[TextToSpeech], _Voice]] = {"speecht5": _SpeechT5, "vits": _Vits, "bark": _Bark}


# -- random numbers and cancelling


@dataclass(slots=True)
class _Call:
    """A call that is running: whom to tell of it, and where its random numbers come from."""

    ctx: Context
    draws: Any
    n_pieces: int
    index: int = 0
    steps: int = 0
    paused: bool = field(default=False)

    def tell(self) -> None:
        self.ctx.progress(self.index, self.n_pieces, f"sentence {self.index + 1} of {self.n_pieces}")


_CALL: ContextVar[_Call | None] = ContextVar("call", default=None)


def _before(module: Any, inputs: Any) -> None:
    """Stop here if the call was cancelled, and spare what the module does the detour that drawing takes."""
    call = _CALL.get()
    if call is None:
        return
    call.steps += 1
    call.tell() if call.steps % 20 == 0 else call.ctx.check()
    call.draws.__exit__(None, None, None)
    call.paused = True


def _after(module: Any, inputs: Any, output: Any) -> None:
    call = _CALL.get()
    if call is not None and call.paused:
        call.paused = False
        call.draws.__enter__()


@functools.cache
def _mode() -> Any:
    """A mode of torch, for one thread, in which random numbers come from a given generator."""
    import torch
    from torch.overrides import TorchFunctionMode

    whole = {torch.randn, torch.rand, torch.bernoulli, torch.multinomial, torch.normal}
    own = {getattr(torch.Tensor, name) for name in ("bernoulli", "bernoulli_", "multinomial", "normal_", "uniform_")}
    # These took no generator in every release; what they are is written out, so that the order in memory is kept.
    like = {torch.randn_like: torch.Tensor.normal_, torch.rand_like: torch.Tensor.uniform_}
    drawing = whole | own

    class Draws(TorchFunctionMode):
        def __init__(self, generator: torch.Generator) -> None:
            super().__init__()
            self.generator = generator

        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            given = kwargs or {}
            if function in drawing:
                return function(*args, **{"generator": self.generator, **given})
            if function in like:
                return like[function](torch.empty_like(*args, **given), generator=self.generator)
            return function(*args, **given)

    return Draws


# -- texts


def _pieces(text: str, voice: _Voice) -> Iterator[list[int]]:
    """The ids of each sentence, and of each part of one that is too long to be said at once."""
    for sentence in re.split(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+", text):
        if any(letter.isalnum() for letter in sentence):
            yield from _fitting(sentence.strip(), voice)


def _fitting(text: str, voice: _Voice) -> Iterator[list[int]]:
    """The ids of a text, in halves of halves, cut between words where there are any, until each can be said."""
    ids = voice.ids(text)
    if len(ids) <= voice.longest or len(text) < 2:
        if ids:
            yield ids[: voice.longest]
        return
    middle = len(text) // 2
    gaps = [match.start() for match in re.finditer(r"\s", text)]
    cut = min(gaps, key=lambda place: abs(place - middle)) if gaps else middle
    for part in (text[:cut].strip(), text[cut:].strip()):
        if any(letter.isalnum() for letter in part):
            yield from _fitting(part, voice)


def _tokenizer(tool: TextToSpeech) -> Any:
    """The tokenizer, which for good reads no control token in a text."""
    return load_part("AutoTokenizer", tool.model, revision=tool.revision, split_special_tokens=True)


# -- checkpoints and voices


def _kind(shape: Mapping[str, Any], model: str, vocoder: object) -> str:
    kind = str(shape.get("model_type"))
    if kind not in FAMILIES:
        raise ModelError(f"{model} is of type {kind}; text-to-speech takes {', '.join(FAMILIES)}")
    if kind == "speecht5" and not vocoder:
        raise ModelError(
            f"{model} makes a spectrum; set vocoder to its HiFi-GAN, for instance microsoft/speecht5_hifigan"
        )
    if kind != "speecht5" and vocoder:
        raise ModelError(f"{model} makes sound itself; leave vocoder out")
    return kind


def _rate(kind: str, shape: Mapping[str, Any], vocoder: Mapping[str, Any] | None) -> int | None:
    """Samples a second, from the configs; None while they are not here."""
    if kind == "speecht5":
        return None if vocoder is None else int(vocoder.get("sampling_rate", 16_000))
    if kind == "bark":
        return int((shape.get("codec_config") or {}).get("sampling_rate", 24_000))
    return int(shape.get("sampling_rate", 16_000))


def _joined(digests: Sequence[str]) -> str:
    if not all(digests):
        return ""  # something is not here yet
    return digests[0] if len(digests) == 1 else hashlib.sha256("\0".join(digests).encode()).hexdigest()


def _voice_files(voice: str, model: str, revision: str) -> list[Path]:
    """The files that hold a voice: one of the user's, or a preset's in the checkpoint; none for a speaker's number."""
    if not voice or voice.isdecimal():
        return []
    if Path(voice).expanduser().is_file():
        return [Path(voice).expanduser()]
    presets = config(model, "speaker_embeddings_path.json", revision=revision, optional=True) or {}
    named = presets.get(voice)
    if not isinstance(named, dict):
        some = ", ".join(sorted(name for name, entry in presets.items() if isinstance(entry, dict))[:5])
        raise ModelError(f"voice {voice} is neither a file nor a preset of {model}; its presets: {some or 'none here'}")
    folder = locate(model, revision=revision, download=False)
    paths = [folder / str(named.get(part)) for part in PROMPTS]
    for path in paths:
        if ".." in path.parts or folder not in path.parents:
            raise ModelError(f"{model} names files outside of itself as voice {voice}; do not use it")
        if not path.is_file():
            raise ModelError(f"{path} of voice {voice} is not there; download it into the folder of the model")
    return paths


PROMPTS = {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}
"""What a preset of Bark holds, and of how many dimensions each part is."""


def _preset(voice: str, model: str, revision: str) -> dict[str, Any] | None:
    """The tensors of a preset of Bark; ModelError if the files hold something else."""
    import numpy as np
    import torch

    files = _voice_files(voice, model, revision)
    if not files:
        return None
    try:
        loaded = [np.load(path, allow_pickle=False) for path in files]
        arrays = dict(loaded[0]) if len(files) == 1 else dict(zip(PROMPTS, loaded, strict=True))
        tensors = {part: torch.from_numpy(np.asarray(arrays[part], dtype="int64")) for part in PROMPTS}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ModelError(f"voice {voice} holds no preset of Bark ({error}); it needs {', '.join(PROMPTS)}") from None
    for part, n_dims in PROMPTS.items():
        if tensors[part].ndim != n_dims:
            raise ModelError(f"voice {voice}: {part} has {tensors[part].ndim} dimensions, not {n_dims}")
    return tensors


def _vector(voice: str, width: int) -> Any:
    """A speaker's vector `[1, D]` from an `.npy` file, or from a saved Embedding."""
    import numpy as np
    import torch

    path = Path(voice).expanduser()
    if not path.is_file():
        raise ModelError(f"there is no file {voice}; set voice to an .npy file of a speaker's vector")
    try:
        found = np.load(path, allow_pickle=False) if path.suffix == ".npy" else Embedding.open(path).array
    except (ValueError, OSError) as error:
        raise ModelError(f"voice {voice} holds no array: {error}") from None
    if found.size != width:
        raise ModelError(f"voice {voice} holds {found.size} numbers, not {width}")
    return torch.tensor(np.asarray(found, dtype="float32").reshape(1, width))


def _installed(library: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(library) is not None
