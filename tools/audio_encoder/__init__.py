"""Audio encoders of transformers as one tool: Whisper, CLAP, Wav2Vec2, HuBERT, AST and any like them.

Sound longer than the encoder takes at once is encoded window by window. Shapes: T samples, N windows, B of them at
once, L states of width D a window.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Annotated, Any, NamedTuple, cast

from mmagent import Audio, Card, Constraint, Context, Embedding, Tool, checkpoint
from mmagent.errors import MediaError, ModelError
from mmagent.tool import Scalar

from . import facts

LONGEST = 30.0
"""Seconds given at once to encoders without a window of their own: attention costs the square of the length."""
SHORTEST = 0.1
"""Seconds below which silence is added: the first layers need 25 ms."""
USUAL = 500
"""States of the sound that expected costs reckon with, where the encoder has no window: ten seconds for most."""


class Heard(NamedTuple):
    """What is heard in a window: states `[L, D]`, which of them stand for its sound, `[L]`, and the model's vector."""

    states: Any
    mask: Any
    vector: Any


class _Encoder(Tool, kind="encoder", cost=1.0, memory=500_000_000, needs=("extra:local",)):
    """What both tools have in common: the settings, the card that follows from them, and the loaded encoder."""

    def __init__(
        self,
        model: str,
        output: facts.Output = "states",
        layer: int = -1,
        windows: int | None = None,
        space: str = "",
        pickle: bool = False,
        revision: str = "",
        device: str = "cpu",
        dtype: checkpoint.Dtype = "auto",
    ) -> None:
        if windows is not None and windows < 1:
            raise ModelError(f"audio-encoder: windows is at least 1, not {windows}")
        self.model, self.revision, self.pickle = model, revision, pickle
        self.output, self.layer, self.windows = output, layer, windows
        self.device, self.dtype = device, dtype
        own = output if output != "pooled" else "audio.pooled"  # a model may pool text too, into another space
        self.space = space or checkpoint.space_name(model, own, layer, revision)

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        asked = cast("_Encoder", cls.make(settings))
        shape = checkpoint.config(asked.model, revision=asked.revision) or {}
        hearing = checkpoint.processor_config(asked.model, "feature_extractor", revision=asked.revision)
        if shape:
            asked._check(shape)
        n_tokens, windows = facts.tokens(shape), asked.windows
        size = checkpoint.layers_size(facts.width(shape, "states", 0), facts.n_layers(shape))
        return checkpoint.described(
            cls.card,
            (asked.model, asked.revision),
            heard={"rate": hearing.get("sampling_rate")},
            made={
                "tokens": (n_tokens and windows and n_tokens * windows) if asked.output == "states" else 1,
                "width": facts.width(shape, asked.output, asked.layer),
                "space": asked.space,
            },
            memory=checkpoint.itemsize(asked.device, asked.dtype) * size,
            cost=checkpoint.seconds(size, (n_tokens or USUAL) * (windows or 1)),
        )

    def load(self) -> None:
        self._hear = checkpoint.load_part("AutoFeatureExtractor", self.model, revision=self.revision)
        # What stands in training for sound that was masked is left out of many checkpoints, and is of no use here.
        loaded = checkpoint.load_pretrained(
            "AutoModel", self.model, pickle=self.pickle, revision=self.revision, optional=("masked_spec_embed",),
            device=self.device, dtype=self.dtype,
        )  # fmt: skip
        self._shape = loaded.config
        self._check(self._shape.to_dict())
        if self._shape.model_type == "clap":
            del loaded.text_model, loaded.text_projection
        self._network = loaded.get_encoder() if self._shape.is_encoder_decoder else loaded
        self._window = facts.window(self._hear)

    def unload(self) -> None:
        del self._hear, self._network, self._shape

    def _encode(self, sounds: Sequence[Audio], ctx: Context, batch: int) -> list[Embedding]:
        """The embeddings of sounds, of whose windows up to `batch` go through the network together."""
        cut = [list(self._cut(self._samples(audio))) for audio in sounds]
        windows = [window for parts in cut for window in parts]
        alike = not self._window and not facts.masks(self._shape)
        heard = iter(checkpoint.in_batches(windows, batch, self._listen, ctx, "window", size=len, alike=alike))
        return [self._joined(parts, list(itertools.islice(heard, len(parts)))) for parts in cut]

    def _joined(self, parts: list[Any], heard: list[Heard]) -> Embedding:
        """The embedding of one sound, from its windows and what was heard in them."""
        import numpy as np

        states, masks = [window.states for window in heard], [window.mask for window in heard]
        if self.output != "states":
            vectors, lengths = [window.vector for window in heard], [len(part) for part in parts]
            return Embedding(self._pool(states, masks, vectors, lengths)[None], self.space)  # [1, D]
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

    def _listen(self, windows: Sequence[Any]) -> list[Heard]:
        """What is heard in windows that go through the network together."""
        inputs = self._prepared(windows)
        last = self.layer == -1
        with checkpoint.forward(self.model):
            moved = checkpoint.given(inputs, self._network)
            if self._shape.model_type == "clap":
                tower = self._network.get_audio_features if self.output == "projected" else self._network.audio_model
                out = tower(**moved)
            else:
                out = self._network(**moved, output_hidden_states=not last)
            states = out.last_hidden_state if last else out.hidden_states[self.layer]
            if states.ndim == 4:  # CLAP's [B, D, F, T']: frequencies by times
                states = states.flatten(2).transpose(1, 2)
            found = checkpoint.array(states)  # [B, L, D]
            vectors = getattr(out, "pooler_output", None) if last else None
            own = [None] * len(windows) if vectors is None else checkpoint.array(vectors)
        lengths = [max(len(samples), self._shortest) for samples in windows]
        filled = not self._window and len(set(lengths)) > 1
        heard = []
        for place, (samples, vector) in enumerate(zip(windows, own)):
            n_states, mask = found.shape[1], inputs.get("attention_mask")
            if filled:  # what stands for the filling alone is left out
                n_states = int(self._network._get_feat_extract_output_lengths(lengths[place]))
            mask = self._heard(n_states, len(samples), None if mask is None else mask[place])
            heard.append(Heard(found[place, :n_states], mask, vector))
        return heard

    @property
    def _shortest(self) -> int:
        return ceil(SHORTEST * float(self._hear.sampling_rate))

    def _prepared(self, windows: Sequence[Any]) -> dict[str, Any]:
        """What the network is given of windows; those of unlike lengths are filled up, and the mask says so."""
        import numpy as np
        import torch

        rate, least = self._hear.sampling_rate, self._shortest
        sounds = [np.pad(samples, (0, max(0, least - len(samples)))) for samples in windows]
        each = [self._hear(samples, sampling_rate=rate, return_tensors="pt") for samples in sounds]
        if self._window or len({len(samples) for samples in sounds}) == 1:
            return {name: torch.cat([one[name] for one in each]) for name in each[0]}
        rows = torch.nn.utils.rnn.pad_sequence([one["input_values"][0] for one in each], batch_first=True)  # [B, T]
        mask = torch.arange(rows.shape[1])[None] < torch.tensor([[len(samples)] for samples in sounds])
        return {"input_values": rows, "attention_mask": mask.long()}

    def _heard(self, n_states: int, n_samples: int, mask: Any) -> Any:
        """Which states of a window stand for its sound, not for the silence that fills it up: bool `[L]`."""
        import numpy as np

        if self._shape.model_type == "audio-spectrogram-transformer":
            n_frames = max(1, (n_samples - 400) // 160 + 1)
            times = np.arange(facts.patches(self._shape.max_length, self._shape.patch_size, self._shape.time_stride))
            begun = times * self._shape.time_stride < n_frames
            # Two tokens for the whole, then the patches row by row: all times of the lowest band first.
            return np.concatenate([np.ones(2, bool), np.tile(begun, (n_states - 2) // len(times))])
        if self._shape.model_type == "whisper" and self._window:
            return np.arange(n_states) * self._window < n_samples * n_states
        if mask is not None and len(mask) == n_states:
            return mask.numpy().astype(bool)
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
        clap, n = shape.get("model_type") == "clap", facts.n_layers(shape)
        if self.output == "projected" and not clap:
            raise ModelError(f"{self.model} shares no space with a text encoder; take pooled")
        if self.layer == -1:
            return
        if clap or self.output == "projected":
            raise ModelError(f"{self.model}: the layers of CLAP have states of several widths; leave layer at -1")
        checkpoint.check_layer(self.model, self.layer, n)


class AudioEncoder(_Encoder, name="audio-encoder.v1"):
    """Encode sound with a checkpoint of transformers.

    `model` is a folder or a hub id with a feature extractor in it. `output`: `states`, with a mask over those that
    stand for no sound; `pooled`, the model's own vector where it has one (CLAP, AST), else the mean of the states
    that count; `projected`, CLAP's vector of unit length in the space shared with its text encoder. `layer`: -1 the
    result, 0 what enters the first layer, n what leaves the n-th. Long sound makes several windows; with `windows`
    there are exactly so many, shorter sound is filled up with states that the mask leaves out, and longer is
    refused. `space` names the space of the states; `pickle` allows weights that have to be unpickled;
    `device` and `dtype` are where the model runs, and in which precision.
    """

    def run(self, audio: Annotated[Audio, Constraint(channels=1)], ctx: Context) -> Embedding:
        (made,) = self._encode([audio], ctx, batch=1)
        return made


class AudioBatchEncoder(_Encoder, name="audio-batch-encoder.v1", cost=4.0):
    """Encode sounds with a checkpoint as `audio-encoder` does, up to `batch` windows going through it together.

    The embeddings are in the order of the sounds. Encoders without a window of their own are given sounds of unlike
    lengths together where a mask leaves nothing of what fills up the shorter, else those of one length. It differs
    from one sound at a time by rounding alone.
    """

    def run(
        self, audios: list[Annotated[Audio, Constraint(channels=1)]], ctx: Context, batch: int = 8
    ) -> list[Embedding]:
        return self._encode(audios, ctx, batch)
