"""Write what the two stages learn from, and what they are scored on: captions of the pocket world, and requests.

    python examples/align_generator/prepare.py FOLDER [--captions N] [--requests N] [--tested N]

The model and the run files are copied to FOLDER. Held-out captions are of compositions and in wordings that are never
trained on (`mmagent.pocket.world.splits`); held-out requests have wordings of their own too, see wordings.yaml.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import yaml

from mmagent.pocket.world import scenes, splits, words

HERE = Path(__file__).parent
T = TypeVar("T")


class Wordings:
    """Requests drawn by chance: from the `trained` side of wordings.yaml, or the `tested`."""

    def __init__(self, side: str, random: Random) -> None:
        self._said = yaml.safe_load((HERE / "wordings.yaml").read_text("utf-8"))[side]
        self._tested, self._random = side == "tested", random

    def asked(self) -> tuple[str, str, str]:
        """A request for a picture, the words of its reply, and the picture's caption."""
        holes = self._holes()
        replies = self._said.get("replies", [""])
        return (
            self._fill(self._random.choice(self._said["asked"]), holes),
            self._random.choice(replies),
            holes["caption"],
        )

    def plain(self) -> tuple[str, str]:
        """A request for words alone, and its reply."""
        holes = self._holes()
        found = self._random.choice(self._said["plain"])
        request, reply = found if isinstance(found, list) else (found, "")
        return self._fill(request, holes), self._fill(reply, holes)

    def caption(self) -> str:
        """A caption."""
        return self._holes()["caption"]

    def _holes(self) -> dict[str, str]:
        scene = scenes.draw(self._random, allowed=splits.tested if self._tested else splits.trained)
        about = {
            "caption": words.said(scene, self._random, tested=self._tested), "background": scene.background,
            "a_thing": words.article(scene.things[0]), "things": words.plural(scene.things[0]),
        }  # fmt: skip
        drawn = {name: self._random.choice(options) for name, options in self._said["slots"].items()}
        return about | drawn | {"a_picture": words.article(drawn["picture"])}

    def _fill(self, template: str, holes: dict[str, str]) -> str:
        """The text, each sentence with a capital."""
        return re.sub(r"(^|[.!?] )(\w)", lambda found: found[1] + found[2].upper(), template.format(**holes))


def distinct(draw: Callable[[], T], n: int) -> list[T]:
    """The first `n` that differ."""
    found: dict[T, None] = {}
    while len(found) < n:
        found[draw()] = None
    return list(found)


def record(request: str, *reply: dict[str, Any]) -> dict[str, Any]:
    """A request and its reply, as `mmagent.training.data` reads them."""
    turns = [{"role": "user", "parts": [{"text": request}]}, {"role": "assistant", "parts": list(reply)}]
    return {"kind": "instruction", "turns": turns}


def span(caption: str) -> dict[str, Any]:
    """That a picture is asked for."""
    return {"make": "image", "caption": caption}


def described(caption: str) -> dict[str, Any]:
    """A record of stage 2: the request tells nothing of what is to be seen."""
    return record("Draw a picture.", span(caption))


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """JSON, a line each."""
    path.write_text("".join(f"{json.dumps(item)}\n" for item in records), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the data of both stages.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--captions", type=int, default=2400, help="captions that stage 2 learns from")
    parser.add_argument(
        "--requests", type=int, default=6000, help="requests that stage 3 learns from, half for pictures"
    )
    parser.add_argument("--tested", type=int, default=300, help="held-out captions, and requests of either side")
    given = parser.parse_args()
    data: Path = given.folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name in ("model.yaml", "align.yaml", "instruct.yaml"):
        shutil.copy(HERE / name, given.folder / name)
    trained, tested = Wordings("trained", Random(0)), Wordings("tested", Random(1))  # noqa: S311  # no secrets

    write(data / "captions.jsonl", map(described, distinct(trained.caption, given.captions)))
    half = given.requests // 2
    asked = (record(said, {"text": reply}, span(one)) for said, reply, one in distinct(trained.asked, half))
    plain = (record(said, {"text": reply}) for said, reply in (trained.plain() for _ in range(half)))
    write(data / "requests.jsonl", [*asked, *plain])

    write(data / "tested-captions.jsonl", map(described, distinct(tested.caption, given.tested)))
    asked = ({"request": said, "caption": one} for said, _, one in distinct(tested.asked, given.tested))
    plain = ({"request": said} for said, _ in distinct(tested.plain, given.tested))
    write(data / "tested-requests.jsonl", [*asked, *plain])
    print(f"{given.captions} captions, {given.requests} requests and {given.tested} of each held out, in {data}")


if __name__ == "__main__":
    main()
