"""Audio encoders of transformers as one tool: Whisper, CLAP, Wav2Vec2, HuBERT, AST and any like them.

Sound longer than the encoder takes at once is encoded window by window. Shapes: T samples, N windows, L states of
width D a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Annotated, Any, Literal, cast

from mmagent import Audio, Card, Constraint, Context, Embedding, Tool, checkpoint
from mmagent.errors import MediaError, ModelError
from mmagent.tool import Scalar

LONGEST = 30.0
"""Seconds given at once to encoders without a window of their own: attention costs the square of the length."""
SHORTEST = 0.1
"""Seconds below which silence is added: the first layers need 25 ms."""
USUAL = 500
"""States of the sound that expected costs reckon with, where the encoder has no window: ten seconds for most."""
Output = Literal["states", "pooled", "projected"]


class AudioEncoder(Tool, name="audio-encoder.v1", kind="encoder", cost=1.0, memory=500_000_000, needs=("extra:local",)):
    """Encode sound with a checkpoint of transformers.

    `model` is a folder or a hub id with a feature extractor in it. `output`: `states`, with a mask over those that
    stand for no sound; `pooled`, the model's own vector where it has one (CLAP, AST), else the mean of the states
    that count; `projected`, CLAP's vector of unit length in the space shared with its text encoder. `layer`: -1 the
    result, 0 what enters the first layer, n what leaves the n-th. Long sound makes several windows; with `windows`
    there are exactly so many, shorter sound is filled up with states that the mask leaves out, and longer is
    refused. `space` names the space of the states; `pickle` allows weights that have to be unpickled.
    """

    def __init__(
        self,
        model: str,
        output: Output = "states",
        layer: int = -1,
        windows: int | None = None,
        space: str = "",
        pickle: bool = False,
        revision: str = "",
    ) -> None:
        if windows is not None and windows < 1:
            raise ModelError(f"audio-encoder: windows is at least 1, not {windows}")
        self.model, self.revision, self.pickle = model, revision, pickle
        self.output, self.layer, self.windows = output, layer, windows
        own = output if output != "pooled" else "audio.pooled"  # a model may pool text too, into another space
        self.space = space or checkpoint.space_name(model, own, layer, revision)

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        asked = cast("AudioEncoder", cls.make(settings))
        shape = checkpoint.config(asked.model, revision=asked.revision) or {}
        hearing = checkpoint.processor_config(asked.model, "feature_extractor", revision=asked.revision)
        if shape:
            asked._check(shape)
        tokens, windows = _tokens(shape), asked.windows
        size = checkpoint.layers_size(_width(shape, "states", 0), _n_layers(shape))
        return checkpoint.described(
            cls.card,
            (asked.model, asked.revision),
            heard={"rate": hearing.get("sampling_rate")},
            made={
                "tokens": (tokens and windows and tokens * windows) if asked.output == "states" else 1,
                "width": _width(shape, asked.output, asked.layer),
                "space": asked.space,
            },
            memory=4 * size,
            cost=checkpoint.seconds(size, (tokens or USUAL) * (windows or 1)),
        )

    def load(self) -> None:
        self._hear = checkpoint.load_part("AutoFeatureExtractor", self.model, revision=self.revision)
        # What stands in training for sound that was masked is left out of many checkpoints, and is of no use here.
        loaded = checkpoint.load_pretrained(
            "AutoModel", self.model, pickle=self.pickle, revision=self.revision, optional=("masked_spec_embed",)
        )
        self._shape = loaded.config
        self._check(self._shape.to_dict())
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
        if self.output != "states":
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

        rate = self._hear.sampling_rate
        filled = np.pad(samples, (0, max(0, ceil(SHORTEST * rate) - len(samples))))
        inputs = self._hear(filled, sampling_rate=rate, return_tensors="pt")
        last = self.layer == -1
        with checkpoint.forward(self.model):
            if self._shape.model_type == "clap":
                tower = self._encode.get_audio_features if self.output == "projected" else self._encode.audio_model
                out = tower(**inputs)
            else:
                out = self._encode(**inputs, output_hidden_states=not last)
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
        return mean / np.linalg.norm(mean) if self.output == "projected" else mean

    def _check(self, shape: Mapping[str, Any]) -> None:
        """ModelError if the checkpoint has no such layer or vector."""
        clap, n = shape.get("model_type") == "clap", _n_layers(shape)
        if self.output == "projected" and not clap:
            raise ModelError(f"{self.model} shares no space with a text encoder; take pooled")
        if self.layer == -1:
            return
        if clap or self.output == "projected":
            raise ModelError(f"{self.model}: the layers of CLAP have states of several widths; leave layer at -1")
        checkpoint.check_layer(self.model, self.layer, n)


def _n_layers(shape: Mapping[str, Any]) -> int | None:
    found = shape.get("encoder_layers", shape.get("num_hidden_layers"))
    return found if isinstance(found, int) else None


def _width(shape: Mapping[str, Any], output: Output, layer: int) -> int | None:
    if shape.get("model_type") == "clap":  # what its config leaves out is as the library has it
        audio = shape.get("audio_config") or {}
        return int(shape.get("projection_dim", 512) if output == "projected" else audio.get("hidden_size", 768))
    adapted = shape.get("add_adapter") and layer == -1  # an adapter follows the last layer
    width = shape.get("output_hidden_size") if adapted else None
    return width or shape.get("d_model") or shape.get("hidden_size")


def _tokens(shape: Mapping[str, Any]) -> int | None:
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
