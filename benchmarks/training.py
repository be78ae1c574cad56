"""What a training step costs: ours against a plain loop written as public repositories have it.

    python benchmarks/training.py [--quick] [family ...]

The plain loop reads the media and runs the encoder in every step, pads what comes to the longest, makes logits at all
positions and, towards a generator, asks its text encoder in every step. Both train the same projectors of the same
model on the same records in one process and one thread, with batches of one size, and take turns step by step. They
have to have the same loss. The model has the proportions of SmolVLM-256M (an encoder of two thirds of the LLM; a head
of a fifth of it), at a sixteenth of its size, weights by chance. Ends with 1 if a bar is missed.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mmagent import Image, Video

OUTSIDE = 0.15
"""The share of a step that may be spent outside the LLM's forward and backward."""
BATCH, RECORDS = 8, 48
POOL = 2
"""Patches of a frame of a video that become one, either way, as LLaVA-NeXT pools them."""
WORDS = [
    "a",
    "the",
    "small",
    "red",
    "blue",
    "green",
    "large",
    "cat",
    "dog",
    "house",
    "tree",
    "stands",
    "runs",
    "lies",
    "under",
    "behind",
    "near",
    "old",
    "bright",
    "quiet",
]
SYSTEM = (
    "You are a helpful assistant. What pictures, recordings and videos show is given in square brackets. "
    "Answer in one or two short sentences."
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """What is trained, how many times as fast ours has to be, and whether the LLM takes part in our steps."""

    stage: str
    shown: str
    bar: float
    reads: bool = True


FAMILIES = {
    "image-pairs": Family("align-inputs", "image", 1.6),
    "video-pairs": Family("align-inputs", "video", 4.0),
    "towards-images": Family("align-outputs", "", 5.0, reads=False),
}


def caption(draw: np.random.Generator) -> str:
    """Five to twenty-five words."""
    return " ".join(draw.choice(WORDS, draw.integers(5, 26)))


def make_llm(folder: Path) -> None:
    """A Llama of 8 layers and 256 dimensions over 8,192 tokens, and a tokenizer for it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=["<|im_start|>", "<|im_end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bare.train_from_iterator(
        [f"{SYSTEM} Describe it. Draw {' '.join(WORDS)} [picture video 1: ] assistant user"] * 3, trainer
    )
    PreTrainedTokenizerFast(
        tokenizer_object=bare,
        eos_token="<|im_end|>",  # noqa: S106  # a token
        pad_token="<|im_end|>",  # noqa: S106  # a token
        chat_template=CHATML,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192, hidden_size=256, intermediate_size=688, num_hidden_layers=8, num_attention_heads=4,
        num_key_value_heads=2, bos_token_id=None, eos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def make_encoder(folder: Path) -> None:
    """ViT-Ti/16."""
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    config = ViTConfig(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768)
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessorPil().save_pretrained(folder)


def make_data(folder: Path, shown: str) -> None:
    """Records of media by chance and captions, either way round."""
    draw, lines = np.random.default_rng(0), []
    for number in range(RECORDS):
        words = caption(draw)
        if shown == "image":
            Image(draw.integers(0, 256, (256, 256, 3), "uint8")).save(folder / f"{number}.png")
        elif shown == "video":
            Video(draw.integers(0, 256, (8, 128, 128, 3), "uint8"), fps=4).save(folder / f"{number}.mp4")
        path = f"{number}.{'png' if shown == 'image' else 'mp4'}"
        asked = [{"media": shown, "path": path}, {"text": "Describe it."}] if shown else [{"text": f"Draw {words}."}]
        told: dict[str, Any] = {"text": f"{words}."} if shown else {"make": "image", "caption": words}
        turns = [{"role": "user", "parts": asked}, {"role": "assistant", "parts": [told]}]
        lines.append({"kind": "instruction", "turns": turns})
    (folder / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def make_model(folder: Path) -> None:
    """The model's folder, with everything that it names beside it."""
    from mmagent.diffusion.small import save_small

    make_llm(folder / "llm")
    make_encoder(folder / "vit")
    brush = save_small("stable-diffusion", folder / "sd")
    eye = {"model": str(folder / "vit")}
    spec = {
        "name": "bench", "system": SYSTEM, "backbone": {"path": str(folder / "llm")},
        "inputs": {
            "image": {"encoder": {"tool": "image-encoder", "settings": eye}, "projector": {"kind": "mlp", "fold": 4}},
            "video": {
                "encoder": {"tool": "video-encoder", "settings": {**eye, "frames": 8, "pool": POOL}},
                "projector": {"kind": "perceiver", "queries": 32, "layers": 2, "heads": 2, "head_dim": 32},
            },
        },
        "outputs": {"image": {
            "k": 4, "generator": {"tool": "image-diffusion", "settings": {"model": str(brush)}},
            "projector": {"kind": "query-transformer", "queries": 16, "dim": 128, "layers": 2},
        }},
    }  # fmt: skip
    (folder / "model.yaml").write_text(yaml.safe_dump(spec))


class Plain:
    """The plain loop on the parts of a room. `batches` are lessons with what they show, in the order of the records."""

    def __init__(self, room: Any, family: Family, folder: Path) -> None:
        import torch
        from transformers import AutoImageProcessor, ViTModel

        self._room, self._family = room, family
        self._vit = ViTModel.from_pretrained(folder / "vit", add_pooling_layer=False).eval()
        self._see = AutoImageProcessor.from_pretrained(folder / "vit", backend="pil")
        trained = [value for value in room.parts.parameters() if value.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=1e-4)
        self._batches = self._endless()

    def _endless(self) -> Iterator[list[Any]]:
        source, draw = self._room.school.mix.sources[0], np.random.default_rng(1)
        lessons = [self._room.course.order._prepare(source[number]) for number in range(len(source))]
        media = [next(source[number].media, None) for number in range(len(source))]
        while True:
            yield [(lessons[at], media[at]) for at in draw.choice(len(lessons), BATCH, replace=False)]

    def step(self) -> None:
        """One step."""
        loss = self.loss(next(self._batches))
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def loss(self, batch: list[Any]) -> Any:
        """The loss of a batch as such a loop has it."""
        import torch
        from torch.nn import functional

        from mmagent.training.reading import starts

        parts = self._room.parts
        lessons = self._encoded([lesson for lesson, _ in batch], [medium for _, medium in batch])
        rows = parts.embed([lesson.pieces for lesson in lessons])
        inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # [B, T, E]
        mask = torch.zeros(inputs.shape[:2], dtype=torch.long)
        labels = torch.full(inputs.shape[:2], -100)
        for at, (row, lesson) in enumerate(zip(rows, lessons)):
            mask[at, : len(row)] = 1
            begins = starts(parts, lesson)
            for place in lesson.supervised:
                labels[at, begins[place]] = lesson.id_at(place)
        out = parts.backbone.model(
            inputs_embeds=inputs, attention_mask=mask, output_hidden_states=True, use_cache=False
        )
        states = out.hidden_states[-1]
        logits = parts.rows.logits(out.logits, states)  # [B, T, V + n]
        words = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        if self._family.reads:
            return words
        asked = [(at, span) for at, lesson in enumerate(lessons) for span in lesson.spans]
        found = [[starts(parts, lessons[at])[span.signals + n] for n in range(span.k)] for at, span in asked]
        spans = torch.stack([states[at, torch.tensor(places)] for (at, _), places in zip(asked, found)])  # [S, k, D]
        made, _ = parts.condition("image", spans)
        wanted = self._room.school.maker("image").loaded.condition([span.caption for _, span in asked])
        target = torch.stack([torch.tensor(one.array) for one in wanted])
        return 0.5 * words + functional.mse_loss(made, target)

    def _encoded(self, lessons: list[Any], media: list[Any]) -> list[Any]:
        """The lessons with what the encoder makes of the media, now."""
        import torch

        from mmagent.model.pieces import Seen

        if not self._family.shown:
            return lessons
        opened = [medium.open() for medium in media]
        stills = [
            [Image(frame).pil() for frame in one.array] if isinstance(one, Video) else [one.pil()] for one in opened
        ]
        with torch.no_grad():
            pixels = self._see(images=[still for each in stills for still in each], return_tensors="pt")
            states = self._vit(**pixels).last_hidden_state[:, 1:]  # [B · frames, L, D]
            if self._family.shown == "video":
                grid = states.mT.unflatten(-1, (14, 14))  # [B · frames, D, 14, 14]
                states = torch.nn.functional.avg_pool2d(grid, POOL).flatten(2).mT
        whole = states.reshape(len(lessons), -1, states.shape[-1]).numpy()
        return [
            replace(
                lesson,
                pieces=tuple(
                    Seen(piece.modality, seen) if isinstance(piece, Seen) else piece for piece in lesson.pieces
                ),
            )
            for lesson, seen in zip(lessons, whole)
        ]


class Clock:
    """Seconds spent in the LLM: in reading forward, and in going back until the gradient of what it read is there.

    The LLM is frozen, so what comes after that is the projectors' part.
    """

    def __init__(self, stack: ExitStack, room: Any) -> None:
        import torch

        self.seconds, self._reached = 0.0, 0.0
        read, backward = room.parts.backbone.at, torch.Tensor.backward

        def timed_read(inputs: Any, *given: Any, **named: Any) -> Any:
            begin = time.process_time()
            found = read(inputs, *given, **named)
            self.seconds += time.process_time() - begin
            if inputs.requires_grad:
                inputs.register_hook(self._reach)
            return found

        def timed_backward(*given: Any, **named: Any) -> None:
            begin = time.process_time()
            backward(*given, **named)
            self.seconds += max(0.0, self._reached - begin)  # the plain loop goes back through no `at`

        room.parts.backbone.at = timed_read
        torch.Tensor.backward = timed_backward  # type: ignore[method-assign]  # for as long as it is measured
        stack.callback(setattr, torch.Tensor, "backward", backward)

    def _reach(self, gradient: Any) -> None:
        self._reached = time.process_time()


def measure(family: Family, model: Path, turns: int) -> tuple[float, float, float, float]:
    """Median seconds of a step of ours and of the plain loop, the median of their ratio turn by turn, and the share of
    ours that is spent outside the LLM. Processor time, so that what other programs take does not count."""
    import torch

    from mmagent.training.loop import fit
    from mmagent.training.run.room import open_room
    from mmagent.training.run.spec import RunSpec

    ours, plain, outside = list[float](), list[float](), list[float]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_data(folder, family.shown)
        stage = {"kind": family.stage} | ({} if family.reads else {"null": 0.0})
        spec = RunSpec.model_validate(
            {
                "model": str(model), "stage": stage, "batch": BATCH,
                "data": [{"kind": "jsonl", "path": "data.jsonl"}],
                "recipe": {"steps": 10**6, "rate": 1e-4, "keep_every": 10**6, "sample_every": 10**6},
            }
        )  # fmt: skip
        room = open_room(spec, folder, folder / "out", stack)
        room.pack()
        other = Plain(room, family, model)
        same(room, other)
        clock = Clock(stack, room)
        began = [0.0]

        def turn() -> bool:
            """Called between our steps: a step of the plain loop is taken here."""
            if began[0]:
                ours.append(time.process_time() - began[0])
                outside.append(1 - clock.seconds / ours[-1])
            begin = time.process_time()
            other.step()
            plain.append(time.process_time() - begin)
            clock.seconds, began[0] = 0.0, time.process_time()
            return len(ours) >= turns

        torch.set_num_threads(1)
        fit(room.course, spec.recipe, folder / "out", stop=turn)
    ratio = statistics.median(theirs / mine for mine, theirs in zip(ours[1:], plain[1:]))
    return statistics.median(ours), statistics.median(plain), ratio, statistics.median(outside)


def same(room: Any, other: Plain) -> None:
    """AssertionError unless both have the same loss for one batch of records."""
    source = room.school.mix.sources[0]
    course, batch = room.course, room.course.at(0, 0)
    room.parts.eval()
    mine = sum(float(course.losses(batch)[name].detach()) * weight for name, weight in course.terms.items())
    lessons = course.order.at(0)
    by_place = {source[number].place: next(source[number].media, None) for number in range(len(source))}
    theirs = float(other.loss([(lesson, by_place[lesson.place]) for lesson in lessons]).detach())
    assert math.isclose(mine, theirs, rel_tol=1e-3), f"{mine} is not {theirs}"


def main() -> int:
    """Measure what is asked for; 0 if every bar is kept."""
    parser = argparse.ArgumentParser(description="Training steps against a plain loop.")
    parser.add_argument("--quick", action="store_true", help="fewer turns: a look, not a measurement")
    parser.add_argument("families", nargs="*", metavar="family", help=f"of {', '.join(FAMILIES)} (default: all)")
    given = parser.parse_args()
    unknown = sorted(set(given.families) - set(FAMILIES))
    if unknown:
        parser.error(f"no family {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    import torch
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    diffusers_logging.set_verbosity_error()  # the small text encoder cuts captions, for both
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder))
        print(f"{'':16} {'ours, ms':>10} {'plain, ms':>10} {'faster':>8} {'outside':>9}")
        for name in given.families or FAMILIES:
            family = FAMILIES[name]
            mine, theirs, ratio, outside = measure(family, Path(folder), 3 if given.quick else 11)
            kept = ratio >= family.bar and (outside <= OUTSIDE or not family.reads)
            missed |= not kept
            share = f"{outside:9.1%}" if family.reads else f"{'':>9}"
            bar = f"≥ {family.bar}" + (f", ≤ {OUTSIDE:.0%}" if family.reads else "")
            print(
                f"{name:16} {mine * 1e3:10.1f} {theirs * 1e3:10.1f} {ratio:8.2f} {share}   {bar}: {'kept' if kept else 'MISSED'}"
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
