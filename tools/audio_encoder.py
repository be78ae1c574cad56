"""Audio encoders of transformers as one tool: Whisper, CLAP, Wav2Vec2, HuBERT, AST and any like them.

Sound longer than the encoder takes at once is encoded window by window. Shapes: T samples, N windows, L states of
width D a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil
from typing import Annotated, Any

from mmagent import Audio, Card, Constraint, Context, Embedding, Tool
from mmagent.checkpoint import config, digest, load_part, load_pretrained, slug
from mmagent.errors import MediaError, ModelError

LONGEST = 30.0
"""Seconds given at once to encoders without a window of their own: attention costs the square of the length."""
SHORTEST = 0.1
"""Seconds below which silence is added: the first layers need 25 ms."""
Scalar = str | int | float | bool | None


class AudioEncoder(Tool, name="audio-encoder.v1", kind="encoder", cost=1.0, memory=500_000_000, needs=("extra:local",)):
    """Encode sound with a checkpoint of transformers: states over time with a mask, or one vector with `pooled`.

    `model` is a folder or a hub id with a feature extractor in it. `layer` chooses the states: -1 the encoder's
    result, 0 what enters its first layer. `pooled` gives the model's own vector where it has one (CLAP's projected
    one, of unit length; AST's), else the mean of the states that count. Long sound makes several windows; with
    `windows` there are exactly so many, shorter sound is filled up with states that the mask leaves out, and longer
    is refused. `space` names the space of the states. `pickle` allows weights that have to be unpickled.
    """

    def __init__(
        self,
        model: str,
        pooled: bool = False,
        layer: int = -1,
        windows: int | None = None,
        space: str | None = None,
        pickle: bool = False,
        revision: str = "",
    ) -> None:
        self.model, self.revision, self.pickle = model, revision, pickle
        self.pooled, self.layer, self.windows = pooled, layer, windows
        self.space = _space(model, pooled, layer, space)

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        model, revision = str(settings["model"]), str(settings["revision"])
        pooled, layer, windows = bool(settings["pooled"]), int(settings["layer"] or 0), settings["windows"]
        if isinstance(windows, int) and windows < 1:
            raise ModelError(f"{cls.card.name}: windows is 1 or more, not {windows}")
        given = settings["space"]
        known: dict[str, Scalar] = {"space": _space(model, pooled, layer, None if given is None else str(given))}
        heard: dict[str, Scalar] = {"channels": 1}
        shape = config(model, revision=revision)
        if shape is not None:
            _check(shape, model, pooled, layer)
            hearing = _hearing(model, revision)
            heard["rate"] = hearing.get("sampling_rate")
            known["width"] = _width(shape, pooled)
            tokens = _tokens(shape, hearing)
            known["tokens"] = 1 if pooled else tokens * windows if tokens and isinstance(windows, int) else None
        (audio,), (states,) = cls.card.inputs, cls.card.outputs
        return replace(
            cls.card,
            inputs=(replace(audio, constraints=_told(heard)),),
            outputs=(replace(states, constraints=_told(known)),),
            weights=digest(model, revision=revision),
        )

    def load(self) -> None:
        self._hear = load_part("AutoFeatureExtractor", self.model, revision=self.revision)
        loaded = load_pretrained("AutoModel", self.model, pickle=self.pickle, revision=self.revision)
        self._shape = loaded.config
        _check(self._shape.to_dict(), self.model, self.pooled, self.layer)
        if self._shape.model_type == "clap":
            del loaded.text_model, loaded.text_projection
        self._encode = loaded.get_encoder() if self._shape.is_encoder_decoder else loaded
        self._window = _window(self._hear)

    def unload(self) -> None:
        del self._hear, self._encode, self._shape

    def run(self, audio: Annotated[Audio, Constraint(channels=1)], ctx: Context) -> Embedding:
        import numpy as np

        parts = list(self._cut(self._samples(audio)))
        vectors, states, masks = [], [], []
        for index, part in enumerate(parts):
            ctx.progress(index, len(parts), f"window {index + 1} of {len(parts)}")
            found, mask, vector = self._listen(part)  # [L, D], [L], [D] or None
            vectors.append(vector)
            states.append(found)
            masks.append(mask)
        if self.pooled:
            return Embedding(
                self._pool(states, masks, vectors, [len(part) for part in parts])[None], self.space
            )  # [1, D]
        if self._window and self.windows:
            missing = self.windows - len(parts)
            states += [np.zeros_like(states[0])] * missing
            masks += [np.zeros_like(masks[0])] * missing
        return Embedding(np.concatenate(states), self.space, np.concatenate(masks))  # [N * L, D]

    def _samples(self, audio: Audio) -> Any:
        """The sound as mono `[T]`; MediaError if there is none, or it has another rate than the encoder's."""
        rate = self._hear.sampling_rate
        if audio.rate != rate:
            raise MediaError(f"{self.model} hears sound at {rate} Hz, not {audio.rate}; put resample before it")
        samples = audio.mono()
        if not len(samples):
            raise MediaError(f"{self.card.name}: the sound holds no samples; there is nothing to encode")
        return samples

    def _cut(self, samples: Any) -> Iterator[Any]:
        """The sound as windows: of the encoder's own length, or, where it has none, equal ones of up to LONGEST."""
        import numpy as np

        longest = self._window or int(LONGEST * self._hear.sampling_rate)
        n_windows = ceil(len(samples) / longest)
        if self.windows and n_windows > self.windows:
            raise MediaError(
                f"{self.card.name}: sound of {len(samples) / self._hear.sampling_rate:.1f} s takes {n_windows} windows of "
                f"{longest / self._hear.sampling_rate:.1f} s, and windows is {self.windows}; cut it, or raise windows"
            )
        if self._window:
            yield from (samples[start : start + longest] for start in range(0, len(samples), longest))
        else:
            yield from np.array_split(samples, n_windows)

    def _listen(self, samples: Any) -> tuple[Any, Any, Any]:
        """The states `[L, D]` of one window, which of them stand for its sound, and its own vector if it has one."""
        import numpy as np
        import torch

        rate = self._hear.sampling_rate
        filled = np.pad(samples, (0, max(0, ceil(SHORTEST * rate) - len(samples))))
        inputs = self._hear(filled, sampling_rate=rate, return_tensors="pt")
        clap = self._shape.model_type == "clap"
        with torch.inference_mode():
            if clap:
                out = self._encode.get_audio_features(**inputs)
            else:
                out = self._encode(**inputs, output_hidden_states=self.layer != -1)
        last = self.layer == -1
        states = out.last_hidden_state if last else out.hidden_states[self.layer]
        if states.ndim == 4:  # CLAP's [1, D, F, T']: frequencies by times
            states = states.flatten(2).transpose(1, 2)
        vector = getattr(out, "pooler_output", None) if last else None
        mask = self._heard(states.shape[1], len(samples), inputs.get("attention_mask"))
        return states[0].numpy(), mask, None if vector is None else vector[0].numpy()

    def _heard(self, n_states: int, n_samples: int, mask: Any) -> Any:
        """Which states of a window stand for its sound, not for the silence that fills it up: bool `[L]`."""
        import numpy as np

        if self._shape.model_type == "audio-spectrogram-transformer":
            n_frames = max(1, (n_samples - 400) // 160 + 1)
            times = np.arange(_patches(self._shape.max_length, self._shape.patch_size, self._shape.time_stride))
            begun = times * self._shape.time_stride < n_frames
            # Two tokens for the whole, then the patches row by row: all times of the lowest band first.
            return np.concatenate([np.ones(2, bool), np.tile(begun, (n_states - 2) // len(times))])
        if self._shape.model_type == "whisper" and self._window:
            return np.arange(n_states) * self._window < n_samples * n_states
        if mask is not None and mask.shape[1] == n_states:
            return mask[0].numpy().astype(bool)
        return np.ones(n_states, bool)  # CLAP repeats a short sound; the others are given no more than the sound

    def _pool(self, states: list[Any], masks: list[Any], vectors: list[Any], lengths: list[int]) -> Any:
        """One vector `[D]`: the mean of the windows' own, by their lengths, or of all states that count."""
        import numpy as np

        if vectors[0] is None:
            return np.concatenate(states)[np.concatenate(masks)].mean(axis=0)
        if len(vectors) == 1:
            return vectors[0]
        mean = np.average(vectors, axis=0, weights=lengths)
        return mean / np.linalg.norm(mean) if self._shape.model_type == "clap" else mean


def _space(model: str, pooled: bool, layer: int, given: str | None) -> str:
    return given or f"{slug(model)}.{'pooled' if pooled else 'states'}{'' if layer == -1 else layer}"


def _told(constraints: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {name: value for name, value in constraints.items() if value is not None}


def _hearing(model: str, revision: str) -> dict[str, Any]:
    """The fields of the feature extractor's config, in the file of its own or in the processor's."""
    own = config(model, "preprocessor_config.json", revision=revision, optional=True)
    if own is not None:
        return own
    shared = config(model, "processor_config.json", revision=revision, optional=True) or {}
    return dict(shared.get("feature_extractor") or {})


def _check(shape: Mapping[str, Any], model: str, pooled: bool, layer: int) -> None:
    """ModelError if the encoder has no such layer."""
    if layer == -1:
        return
    if shape.get("model_type") == "clap":
        raise ModelError(f"{model}: the layers of CLAP have states of several widths; leave layer at -1")
    n_layers = shape.get("encoder_layers", shape.get("num_hidden_layers"))
    if isinstance(n_layers, int) and not -n_layers - 1 <= layer <= n_layers:
        raise ModelError(f"{model} has {n_layers} layers; layer is {-n_layers - 1} … {n_layers}, not {layer}")


def _width(shape: Mapping[str, Any], pooled: bool) -> int | None:
    if shape.get("model_type") == "clap":  # what its config leaves out is as the library has it
        return int(
            shape.get("projection_dim", 512) if pooled else (shape.get("audio_config") or {}).get("hidden_size", 768)
        )
    width = shape.get("output_hidden_size") if shape.get("add_adapter") else None
    return width or shape.get("d_model") or shape.get("hidden_size")


def _tokens(shape: Mapping[str, Any], hearing: Mapping[str, Any]) -> int | None:
    """States of a window, where the encoder has a window of its own."""
    kind = shape.get("model_type")
    if kind == "whisper":
        return int(shape.get("max_source_positions", 1500))
    if kind == "clap":
        audio = shape.get("audio_config") or {}
        side = audio.get("spec_size", 256) // 2 ** (len(audio.get("depths", (2, 2, 6, 2))) - 1)
        across, along = audio.get("patch_stride", (4, 4))
        return int(side // across * (side // along))
    if kind == "audio-spectrogram-transformer":
        patch = shape.get("patch_size", 16)
        times = _patches(shape.get("max_length", 1024), patch, shape.get("time_stride", 10))
        return 2 + times * _patches(shape.get("num_mel_bins", 128), patch, shape.get("frequency_stride", 10))
    return None


def _patches(length: int, patch: int, stride: int) -> int:
    return (length - patch) // stride + 1


def _window(hear: Any) -> int | None:
    """Samples to which the feature extractor fills up, or cuts, every sound; None if it takes any length."""
    if type(hear).__name__ == "ASTFeatureExtractor":
        return int(hear.max_length - 1) * 160 + 400  # frames of 25 ms each 10 ms at 16 kHz
    found = getattr(hear, "n_samples", None) or getattr(hear, "nb_max_samples", None)
    return int(found) if found else None
