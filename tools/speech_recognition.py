"""English speech to text, by Moonshine tiny on onnxruntime.

Greedy decoding with a cache of our own around the vendor's two graphs. Shapes: T samples, S encoder states.
Model: Jeffries et al. 2024, arXiv:2410.15608.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from mmagent import Constraint, Context, MissingExtra, Speech, Text, Tool
from mmagent.fetch import fetch, weights

RATE = 16_000
START, END = 1, 2
LAYERS, HEADS, HEAD_DIM = 6, 8, 36
PARTS = ("decoder.key", "decoder.value", "encoder.key", "encoder.value")
SHORTEST, LONGEST = 1.0, 25.0  # seconds that the encoder is given at once
TOKENS_A_SECOND = 6.5  # as published: more than anybody speaks, so that a loop of repeats ends
SILENT = 1e-3  # RMS of the loudest 20 ms below which a piece holds no speech: -60 dB of full scale


class SpeechRecognition(
    Tool,
    name="speech-recognition.v1",
    kind="converter",
    cost=0.15,
    memory=120_000_000,
    needs=("extra:pocket", "weights:moonshine-tiny-en"),
    weights=weights("moonshine-tiny-en").digest,
    lossy=True,
):
    """Write down English speech, word by word as it is recognised; silence gives an empty text.

    Speech of more than 25 s is cut where it is quietest.
    """

    def load(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtra("onnxruntime", "pocket", self.card.name) from error
        folder = fetch("moonshine-tiny-en")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
            for name in ("encoder_model.ort", "decoder_model_merged.ort")
        )
        self._vocabulary = _vocabulary(folder / "tokenizer.bin")

    def unload(self) -> None:
        del self._encoder, self._decoder, self._vocabulary

    def run(self, speech: Annotated[Speech, Constraint(rate=RATE, channels=1)], ctx: Context) -> Text:
        pieces = list(_pieces(speech.mono()))
        said: list[str] = []
        for index, piece in enumerate(pieces):
            ctx.progress(index, len(pieces), f"piece {index + 1} of {len(pieces)}")
            words = "".join(self._listen(piece, ctx, " " if said else ""))
            if words.strip():
                said.append(words.strip())
        return Text(" ".join(said), "en")

    def _listen(self, samples: Any, ctx: Context, gap: str) -> Iterator[str]:
        """The text of a piece `[T]`, as it is decoded and published; `gap` parts it from the piece before."""
        import numpy as np

        if _loudest(samples) < SILENT:
            return
        limit = round(len(samples) / RATE * TOKENS_A_SECOND) + 2
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        begun = False
        for token in self._tokens(np.pad(samples, (0, max(0, int(SHORTEST * RATE) - len(samples)))), limit):
            ctx.check()
            text = decode(self._vocabulary[token]).replace("\N{LOWER ONE EIGHTH BLOCK}", " ")
            text = text if begun else text.lstrip()
            if text:
                ctx.token(text if begun else gap + text)
                begun = True
                yield text

    def _tokens(self, samples: Any, limit: int) -> Iterator[int]:
        """Greedy token ids of a piece `[T]`, at most `limit`.

        The decoder graph holds both branches: the first step reads the encoder states and fills both caches,
        the later ones take the caches back and leave the encoder's part alone.
        """
        import numpy as np

        heard = np.ones((1, len(samples)), np.int64)
        (states,) = self._encoder.run(None, {"input_values": samples[None], "attention_mask": heard})  # [1, S, 288]
        names = [f"{layer}.{part}" for layer in range(LAYERS) for part in PARTS]
        cache = {name: np.zeros((1, HEADS, 0, HEAD_DIM), np.float32) for name in names}
        token = START
        for step in range(limit):
            feeds = {f"past_key_values.{name}": value for name, value in cache.items()}
            logits, *present = self._decoder.run(
                None,
                {
                    "input_ids": np.asarray([[token]], np.int64),
                    "encoder_hidden_states": states,
                    "encoder_attention_mask": heard,  # by samples: the graph itself takes every 384th
                    "use_cache_branch": np.asarray([step > 0]),
                    **feeds,
                },
            )
            made = zip(names, present, strict=True)
            cache |= {name: value for name, value in made if step == 0 or "decoder" in name}
            token = int(logits[0, -1].argmax())
            if token == END:
                return
            yield token


def _vocabulary(path: Path) -> list[bytes]:
    """The pieces of the vendor's tokenizer file: each a length in one byte, or in two from 128 on, and its bytes."""
    data, pieces, at = path.read_bytes(), [], 0
    while at < len(data):
        length, at = data[at], at + 1
        if length >= 128:
            length, at = data[at] * 128 + length - 128, at + 1
        pieces.append(data[at : at + length])
        at += length
    return pieces


def _pieces(samples: Any) -> Iterator[Any]:
    """Pieces of at most LONGEST seconds, each cut in its second half, at the middle of its quietest 0.2 s."""
    import numpy as np

    frame = RATE // 50
    while len(samples) > LONGEST * RATE:
        window = samples[int(LONGEST / 2 * RATE) : int(LONGEST * RATE)]
        power = (window[: len(window) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1)
        quiet = np.convolve(power, np.ones(10), "valid").argmin() + 5
        cut = int(LONGEST / 2 * RATE) + int(quiet) * frame
        yield samples[:cut]
        samples = samples[cut:]
    yield samples


def _loudest(samples: Any) -> float:
    """The RMS of the loudest 20 ms, 0 for no samples."""
    frame = RATE // 50
    n_frames = len(samples) // frame
    if not n_frames:
        return 0.0
    return float((samples[: n_frames * frame].reshape(n_frames, frame) ** 2).mean(axis=1).max() ** 0.5)
