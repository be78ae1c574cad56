"""What a call of a tool over one of the pocket world's generators costs, and how much of it is the networks' own work.

    python benchmarks/generators.py [--quick] [picture | clip | sound ...]

The pipelines have the generators' own shapes, the text encoder is the real one, the other weights are by chance: speed
knows none. Each tool is loaded as a user loads it and called with the steps and the guidance that the generators
have, in as many threads as it takes by itself; a previewing listener is there. `share` is the processor time inside
denoiser, decoder and vocoder over that of the call, which what else the machine does moves little; `seconds` are those
of the clock. Figures are medians over calls. Ends with 1 if a share is below the bar.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmagent import Text, load_tool

LEAST = 0.85
"""The share of a call that is to be spent in the networks."""
PROMPT = Text("a small cat to the left of a red car on a blue background")


class Listening:
    """A context that hears all and keeps nothing."""

    seed = 0
    cancelled = False

    def check(self) -> None:
        pass

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        pass

    def token(self, text: str) -> None:
        pass

    def preview(self, media: object) -> None:
        pass


@dataclass(frozen=True)
class Family:
    """A tool, its settings for a call, and what writes its checkpoint into an empty folder."""

    tool: str
    settings: dict[str, Any]
    save: Callable[[Path], None]


def picture(folder: Path) -> None:
    from mmagent.pocket.generators import autoencoder, pictures

    pictures.pipeline(pictures.denoiser(), autoencoder.autoencoder()).save_pretrained(folder)


def clip(folder: Path) -> None:
    from mmagent.pocket.generators import autoencoder, clips, pictures

    clips.pipeline(clips.denoiser(pictures.denoiser()), autoencoder.autoencoder()).save_pretrained(folder)


def sound(folder: Path) -> None:
    from mmagent.pocket.generators import sound_autoencoder, sounds, vocoder

    sounds.assemble(sounds.denoiser(), sound_autoencoder.autoencoder(), vocoder.vocoder(), folder)


def families() -> dict[str, Family]:
    """By name."""
    from mmagent.pocket.generators import clips, pictures, sounds

    return {
        "picture": Family("image-diffusion.v1", {"steps": pictures.STEPS, "guidance": pictures.GUIDANCE}, picture),
        "clip": Family("video-diffusion.v1", {"steps": clips.STEPS, "guidance": clips.GUIDANCE}, clip),
        "sound": Family("audio-diffusion.v1", {"steps": sounds.STEPS, "guidance": sounds.GUIDANCE}, sound),
    }


_PARTS = ("denoiser", "decoder", "vocoder", "text")


class Clock:
    """Processor time inside networks, by part."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self.seconds: Counter[str] = Counter()
        self._begun: dict[str, float] = {}
        for name, network in parts.items():
            network.register_forward_pre_hook(lambda module, given, name=name: self._begin(name))
            network.register_forward_hook(lambda module, given, made, name=name: self._end(name))

    def _begin(self, name: str) -> None:
        self._begun[name] = time.process_time()

    def _end(self, name: str) -> None:
        self.seconds[name] += time.process_time() - self._begun[name]


@dataclass(frozen=True)
class Call:
    """Seconds of a call by the clock; processor time of it, and in each part of it."""

    seconds: float
    whole: float
    parts: dict[str, float]

    @property
    def share(self) -> float:
        """Of the networks that denoise and decode."""
        return sum(self.parts[name] for name in ("denoiser", "decoder", "vocoder")) / self.whole


def measure(family: Family, folder: Path, turns: int) -> list[Call]:
    """So many calls, after one that is not counted."""
    from mmagent.diffusion.loading import quiet

    with quiet():
        family.save(folder)
    tool: Any = load_tool(family.tool, model=str(folder))
    made = tool._diffuser
    parts = {"denoiser": made.pipe.unet, "decoder": made.pipe.vae.decoder, "text": made.pipe.text_encoder}
    voice = getattr(made, "vocoder", None)
    clock = Clock(parts | ({} if voice is None else {"vocoder": voice}))
    calls = []
    for _ in range(turns + 1):
        clock.seconds.clear()
        begun, worked = time.perf_counter(), time.process_time()
        tool.run(Listening(), prompt=PROMPT, **family.settings)
        seconds, whole = time.perf_counter() - begun, time.process_time() - worked
        calls.append(Call(seconds, whole, {name: clock.seconds[name] for name in _PARTS}))
    return calls[1:]


def main() -> int:
    """Measure what is asked for; 0 if every share keeps to the bar."""
    known = families()
    parser = argparse.ArgumentParser(description="Calls of the pocket world's generators.")
    parser.add_argument("--quick", action="store_true", help="fewer calls: a look, not a measurement")
    parser.add_argument("families", nargs="*", metavar="family", help=f"of {', '.join(known)} (default: all)")
    given = parser.parse_args()
    unknown = sorted(set(given.families) - set(known))
    if unknown:
        parser.error(f"no family {', '.join(unknown)}; there are {', '.join(known)}")
    import torch

    from mmagent.checkpoint.threads import modest, usable

    with modest():
        print(f"{usable()} processors, {torch.get_num_threads()} threads; bar for the share ≥ {LEAST}")
    print(f"{'':8} {'seconds':>8} {'processor':>10} {'share':>6}  " + "  ".join(f"{name:>8}" for name in _PARTS))
    missed = False
    for name in given.families or known:
        with tempfile.TemporaryDirectory() as folder:
            calls = measure(known[name], Path(folder), 3 if given.quick else 15)
        share = statistics.median(call.share for call in calls)
        missed |= share < LEAST
        parts = "  ".join(f"{statistics.median(call.parts[part] for call in calls):8.3f}" for part in _PARTS)
        taken, worked = (statistics.median(getattr(call, key) for call in calls) for key in ("seconds", "whole"))
        print(f"{name:8} {taken:8.3f} {worked:10.3f} {share:6.3f}  {parts}   {'MISSED' if share < LEAST else 'kept'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
