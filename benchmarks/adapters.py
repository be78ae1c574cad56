"""What an adapter costs: a call of a loaded tool against the same call of the library that it wraps.

    python benchmarks/adapters.py [--quick] [family ...]

Each family is a model of realistic size with random weights, saved in its own format and loaded twice, by the tool
and by the library. The two take turns in one process and one thread, and have to give the same. Ends with 1 if a
ratio is above the bar. A family is a function below that is decorated with `@family`.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmagent import Image, load_tool

LIMIT = 1.02
"""How much a tool's call may cost, in calls of the library."""


@dataclass(frozen=True)
class Pair:
    """The same work twice; each call gives an array, and the two are equal."""

    tool: Callable[[], Any]
    library: Callable[[], Any]


Family = Callable[[Path], Pair]
FAMILIES: dict[str, Family] = {}


def family(make: Family) -> Family:
    """Have a family measured under its function's name; it is given an empty folder for its checkpoint."""
    FAMILIES[make.__name__.replace("_", "-")] = make
    return make


@family
def image_encoder(folder: Path) -> Pair:
    """ViT-B/16 on a photograph of 640 × 480: the patches of the last layer."""
    import torch
    from transformers import AutoImageProcessor, ViTConfig, ViTImageProcessorPil, ViTModel

    ViTModel(ViTConfig(), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessorPil().save_pretrained(folder)
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), "uint8")
    tool: Any = load_tool("image-encoder.v1", model=str(folder))
    model = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    image, photograph = Image(picture), Image(picture).pil()

    def library() -> Any:
        with torch.inference_mode():
            out = model(**processor(images=photograph, return_tensors="pt"))
        return out.last_hidden_state[0, 1:].numpy()

    return Pair(lambda: tool.run(image).array, library)


@family
def video_encoder(folder: Path) -> Pair:
    """VideoMAE-B on 16 frames of 320 × 240, half as deep as it is published."""
    import torch
    from transformers import VideoMAEConfig, VideoMAEImageProcessorPil, VideoMAEModel

    from mmagent import Video

    VideoMAEModel(VideoMAEConfig(num_hidden_layers=6)).save_pretrained(folder)
    VideoMAEImageProcessorPil().save_pretrained(folder)
    frames = np.random.default_rng(0).integers(0, 256, (16, 240, 320, 3), "uint8")
    tool: Any = load_tool("video-encoder.v1", model=str(folder))
    model = VideoMAEModel.from_pretrained(folder).eval()
    processor = VideoMAEImageProcessorPil.from_pretrained(folder)
    video, stills = Video(frames, fps=8), [Image(frame).pil() for frame in frames]

    class Unheard:
        """Progress that goes nowhere."""

        def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
            pass

    def library() -> Any:
        with torch.inference_mode():
            return model(**processor(stills, return_tensors="pt")).last_hidden_state[0].numpy()

    return Pair(lambda: tool.run(video, Unheard()).array, library)


def seconds(call: Callable[[], Any]) -> float:
    """Processor time of a call in all threads: what other programs take of the machine does not count."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def measure(pair: Pair, turns: int) -> tuple[float, float, float]:
    """Median seconds of a call of the tool and of the library, and the median of their ratio turn by turn.

    Who begins alternates. Both are computed: a ratio of neighbours is not moved by what else the machine does.
    """
    if not np.array_equal(pair.tool(), pair.library()):
        raise AssertionError("the tool and the library give different results")
    ours, theirs = list[float](), list[float]()
    for turn in range(turns):
        for mine in (True, False) if turn % 2 else (False, True):
            (ours if mine else theirs).append(seconds(pair.tool if mine else pair.library))
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs))
    return statistics.median(ours), statistics.median(theirs), ratio


def main() -> int:
    """Measure what is asked for; 0 if every ratio keeps to the bar."""
    parser = argparse.ArgumentParser(description="Adapters against the libraries that they wrap.")
    parser.add_argument("--quick", action="store_true", help="fewer turns: a look, not a measurement")
    parser.add_argument("families", nargs="*", metavar="family", help=f"of {', '.join(FAMILIES)} (default: all)")
    given = parser.parse_args()
    unknown = sorted(set(given.families) - set(FAMILIES))
    if unknown:
        parser.error(f"no family {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    print(f"{'':20} {'tool, ms':>10} {'library, ms':>12} {'ratio':>8}   bar ≤ {LIMIT}")
    missed = False
    for name in given.families or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            mine, theirs, ratio = measure(FAMILIES[name](Path(folder)), 5 if given.quick else 31)
        missed |= ratio > LIMIT
        print(
            f"{name:20} {mine * 1e3:10.2f} {theirs * 1e3:12.2f} {ratio:8.4f}   {'MISSED' if ratio > LIMIT else 'kept'}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
