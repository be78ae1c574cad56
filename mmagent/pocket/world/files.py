"""What is in the world as media, in files, and as records to train on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mmagent.errors import MediaError
from mmagent.media import Audio, Image, Media, Points, Video
from mmagent.pocket.world import scenes, solids, sounds, splits, videos, words
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.solids import Cloud
from mmagent.pocket.world.sounds import Noise
from mmagent.pocket.world.videos import Clip
from mmagent.pocket.world.words import Spec

Allowed = Callable[[Any], bool] | None


@dataclass(frozen=True, slots=True)
class Kind:
    """A modality of the world: how its facts are drawn, and the format of its files."""

    draw: Callable[[Random, Allowed], Spec]
    suffix: str


KINDS: Mapping[str, Kind] = {
    "image": Kind(lambda random, allowed: scenes.draw(random, None, allowed), ".png"),
    "video": Kind(videos.draw, ".gif"),
    "audio": Kind(sounds.draw, ".flac"),
    "points": Kind(lambda random, allowed: solids.draw(random), ".npy"),
}
"""By the modality that they are in mmagent."""
SPLITS: Mapping[str, Allowed] = {"trained": splits.trained, "tested": splits.tested}


def medium(spec: Spec, random: Random) -> Media:
    """The facts as a medium, arranged by chance as far as they leave anything to it."""
    if isinstance(spec, Scene):
        return Image(scenes.render(spec if spec.placed else scenes.arranged(spec, random)))
    if isinstance(spec, Clip):
        return Video(videos.render_clip(spec if spec.frames else videos.arranged(spec, random)), fps=videos.FPS)
    return Audio(sounds.render(spec), sounds.RATE) if isinstance(spec, Noise) else Points(solids.render(spec))


def modality(spec: Spec) -> str:
    """What the facts are facts of: `image`, `video`, `audio`, `points`."""
    return {Scene: "image", Clip: "video", Noise: "audio", Cloud: "points"}[type(spec)]


def write(folder: Path, name: str, n: int, seeds: str, split: str = "trained") -> Path:
    """`n` media of a modality in `folder/NAME`, and beside it `NAME.jsonl`, gold pairs with captions.

    A pure function of the arguments: other `seeds`, any word, are other media. `tested` are compositions that are held
    out, in wordings that are, too. MediaError if `NAME.jsonl` is there already.
    """
    path = folder / f"{name}.jsonl"
    if path.exists():
        raise MediaError(f"{path} is there already; write to another folder, or delete it")
    random = Random(f"world\0{seeds}\0{split}\0{name}")  # noqa: S311  # chance, not secrets
    (folder / name).mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(n):
        spec = KINDS[name].draw(random, SPLITS[split])
        file = f"{name}/{number:06d}{KINDS[name].suffix}"
        medium(spec, random).save(folder / file)
        caption = words.said(spec, random, tested=split == "tested")
        asked = {"role": "user", "parts": [{"media": name, "path": file}]}
        told = {"role": "assistant", "parts": [{"text": caption}]}
        lines.append(json.dumps({"kind": "gold-pair", "turns": [asked, told]}))
    part = path.with_suffix(".part")
    part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    part.replace(path)
    return path
