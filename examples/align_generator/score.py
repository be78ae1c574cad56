"""Score a model that was aligned with a generator: whether captions find their conditioning, and whether it asks.

    python examples/align_generator/score.py FOLDER [--model FOLDER/instruct/model] [--tested N] [--sheet N]

FOLDER is what prepare.py wrote. Of each held-out caption, what the projector makes of its span is compared by
distance with what the generator's text encoder makes of that caption and of 50 other ones. `sheet.png` shows pictures
made on the text wire, and beside them those made on the embedding wire.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mmagent import Agent, Image, Policy
from mmagent.conversation import Conversation, Signal, message
from mmagent.evaluation.score import share
from mmagent.model import load_model
from mmagent.model.decode import Processor, Sampler, decode
from mmagent.model.mmlm import MMLM
from mmagent.model.repeats import RepeatPenalty
from mmagent.model.spans import Rules, SpanGrammar
from mmagent.model.speaker import Reply, Speaker
from mmagent.training.making import Maker
from mmagent.training.run.room import open_room
from mmagent.training.run.spec import read_run

if TYPE_CHECKING:
    import torch

    from mmagent.model.parts import Parts

OTHERS = 50
BATCH = 20
"""Replies that are decoded side by side."""
SIDE = 128
"""Pixels to a picture of the sheet."""


def nearest(made: torch.Tensor, wanted: torch.Tensor) -> tuple[int, int]:
    """How many of `made` `[N, L, D]` are nearer to their own of `wanted` than to any of 50 others, drawn by chance."""
    import torch

    away = torch.cdist(made.flatten(1), wanted.flatten(1)).numpy()  # [N, N]
    draw, n = np.random.default_rng(0), len(away)
    hits = 0
    for at in range(n):
        others = draw.choice(np.delete(np.arange(n), at), min(OTHERS, n - 1), replace=False)
        hits += bool((away[at, at] < away[at, others]).all())
    return hits, n


def captions(folder: Path, model: Path, n: int) -> tuple[int, int]:
    """The held-out captions, written by us: of how many the projected conditioning is nearest to its own target."""
    import torch

    run = read_run(
        folder / "align.yaml",
        [f"model={model.resolve()}", "data=[{kind: jsonl, path: data/tested-captions.jsonl}]", f"batch={n}"],
    )  # fmt: skip
    with ExitStack() as stack, torch.no_grad():
        room = open_room(run, folder, folder / "score", stack)
        batch = room.course.at(0, 0)
        made, _ = room.parts.eval().condition("image", batch.spans["image"])  # [N, L, D]
        wanted, _ = room.school.maker("image").condition([one.caption for one in batch.asked], made.shape[1])
        return nearest(made, wanted)


def ask(parts: Parts, requests: Sequence[str]) -> list[list[Signal]]:
    """What replies to requests ask for: each is what it would be alone, but many are decoded side by side."""
    speaker, policy = Speaker(parts), Policy(max_tokens=48)
    tokens, table = parts.backbone.tokens, parts.rows.table
    processors: list[Processor] = [
        RepeatPenalty(table),
        SpanGrammar(table, speaker.vocabulary, Rules.of(policy, table, ["image"])),
    ]
    found: list[list[Signal]] = [[] for _ in requests]
    for at in range(0, len(requests), BATCH):
        asked = [Conversation([message("user", request)]) for request in requests[at : at + BATCH]]
        prompts = parts.embed([speaker.prompter.pieces(one, policy.max_tokens) for one in asked], speaker.rows)
        replies = [Reply(parts.spec.name, table, tokens, ()) for _ in asked]
        for step in decode(speaker.rows, prompts, processors, Sampler(), tokens.ends):
            for row, number in enumerate(step.ids):
                if number is not None:
                    said = replies[row].hear(step.hidden[row], None if number in tokens.ends else number)
                    found[at + row] += [piece for piece in said if isinstance(piece, Signal)]
    return found


def sheet(model: MMLM, requests: Sequence[str], path: Path) -> None:
    """Draw what is made of requests, on the text wire and on the embedding wire: a row of pictures each."""
    from PIL import Image as pil

    made = pil.new("RGB", (SIDE * len(requests), SIDE * 2))
    wires: tuple[Literal["text", "embedding"], ...] = ("text", "embedding")
    for row, wire in enumerate(wires):
        for column, request in enumerate(requests):
            reply = Agent(model, policy=Policy(wire=wire, max_tokens=48))(request)
            for picture in [part for part in reply.parts if isinstance(part, Image)][:1]:
                assert all(route.wire == wire for route in reply.trace.routes)
                made.paste(picture.pil().resize((SIDE, SIDE)), (column * SIDE, row * SIDE))
    made.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Score an aligned model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="its folder (default: that of stage 3)")
    parser.add_argument("--tested", type=int, default=300, help="held-out captions, and requests of either side")
    parser.add_argument("--sheet", type=int, default=8, metavar="N", help="draw so many requests")
    given = parser.parse_args()
    folder: Path = given.folder
    place: Path = given.model or folder / "instruct" / "model"
    print(f"captions nearest to their own of {OTHERS + 1}: {share(*captions(folder, place, given.tested))}", flush=True)

    lines = (folder / "data" / "tested-requests.jsonl").read_text("utf-8").splitlines()
    requests = [json.loads(line) for line in lines]
    asked = [item for item in requests if "caption" in item][: given.tested]
    plain = [item for item in requests if "caption" not in item][: given.tested]
    model = load_model(str(place))
    assert isinstance(model, MMLM)
    parts = model.parts()
    found = ask(parts, [item["request"] for item in asked])
    one = sum(len(signals) == 1 for signals in found)
    print(f"asked for a picture, and one is made: {share(one, len(asked))}", flush=True)
    hits = [(signals[0], item["caption"]) for signals, item in zip(found, asked) if signals]
    same = sum(signal.caption == caption for signal, caption in hits)
    print(f"of these with the caption of the request: {share(same, len(hits))}")
    print(f"of these nearest to the caption of the request: {share(*decoded(parts, folder, hits))}", flush=True)
    silent = sum(not signals for signals in ask(parts, [item["request"] for item in plain]))
    print(f"asked for words, and no picture is made: {share(silent, len(plain))}", flush=True)
    if given.sheet:
        sheet(model, [item["request"] for item in asked[: given.sheet]], folder / "sheet.png")
        print(f"pictures: {folder / 'sheet.png'}")


def decoded(parts: Parts, folder: Path, hits: Sequence[tuple[Signal, str]]) -> tuple[int, int]:
    """As `captions`, of spans that the model wrote itself, against the captions that were asked for."""
    import torch

    if not hits:
        return 0, 0
    generator = parts.spec.outputs["image"].generator
    assert generator is not None
    maker = Maker(generator, folder / "kept")
    states = torch.stack([torch.tensor(signal.states.array) for signal, _ in hits if signal.states is not None])
    with torch.no_grad():
        made, _ = parts.condition("image", states)
    try:
        return nearest(made, maker.condition([caption for _, caption in hits], made.shape[1])[0])
    finally:
        maker.close()


if __name__ == "__main__":
    main()
