"""Train an any-to-any model of your own: your encoder, your LLM and your generator, from data to chat.

    python examples/train_your_own.py FOLDER

Everything is so small that it takes a minute or two: an encoder of four states, an LLM of two layers that is made here,
a generator that paints one colour. With your own, `quarters` and `painter` are other tools' names, `llm` is a folder or
a hub id, the data are your records, and the rest stays as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml

from mmagent import Agent, Constraint, Embedding, Image, Text, Tool, tool
from mmagent.model import load_model
from mmagent.registry import registry
from mmagent.training.run.check import check
from mmagent.training.run.spec import read_run
from mmagent.training.run.train import train

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30), "grey": (120, 120, 120)}
SYSTEM = "Be brief."


@tool(kind="encoder", weights="none")
def quarters(image: Image) -> Annotated[Embedding, Constraint(tokens=4, width=3, space="quarters")]:
    """Your encoder: the mean colour of each quarter of a picture."""
    pixels = image.rgb().astype("float32") / 255
    parts = [part for half in np.array_split(pixels, 2) for part in np.array_split(half, 2, axis=1)]
    return Embedding(np.stack([part.mean(axis=(0, 1)) for part in parts]), "quarters")


Paint = Annotated[Embedding, Constraint(tokens=1, width=3, space="paint")]


class Painter(Tool, kind="generator", either=("prompt", "paint"), weights="none"):
    """Your generator: it paints the colours that a prompt names. Since it says what it would be given for a prompt,
    and how well it does under an embedding, it can be trained towards."""

    def run(self, prompt: Text | None = None, paint: Paint | None = None) -> Image:
        given = paint or self.condition([prompt.text if prompt else ""])[0]
        return Image(np.broadcast_to(given.array[0].clip(0, 1) * 255, (64, 64, 3)).astype("uint8"))

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        named = [[colour for name, colour in COLOURS.items() if name in text] or [(255, 255, 255)] for text in texts]
        return [Embedding(np.mean(colours, axis=0, keepdims=True) / 255, "paint") for colours in named]

    def null(self) -> Embedding:
        return self.condition([""])[0]

    def loss(self, states: Any, media: Sequence[Image], **options: Any) -> Any:
        wanted = np.stack([picture.rgb().mean(axis=(0, 1)) / 255 for picture in media])
        return (states[:, 0] - states.new_tensor(wanted)).square().mean()


def make_llm(folder: Path) -> None:
    """Your LLM: here one of two layers, which has read some dialogues about colours in words."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    dialogues = [
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n[picture 1: {' '.join([name] * n)}]\n{asked}"
        f"<|im_end|>\n<|im_start|>assistant\n{told.format(name)}<|im_end|>\n"
        for name in COLOURS
        for n in (1, 2, 4)
        for asked, told in (("What colour is it?", "It is {0}."), ("Draw it again.", "It is {0}. a {0} square"))
    ]
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    controls = ["<|im_start|>", "<|im_end|>"]
    bare.train_from_iterator(
        dialogues, trainers.BpeTrainer(special_tokens=controls, initial_alphabet=alphabet, show_progress=False)
    )
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token=controls[1], pad_token=controls[1], chat_template=template
    )
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=None, **shape))
    batch = tokenizer(dialogues, return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(150):
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_data(folder: Path) -> None:
    """Your data: `seen` says what pictures show, `drawn` asks for pictures, `both` does both."""
    folder.mkdir(exist_ok=True)
    files: dict[str, list[Any]] = {"seen": [], "drawn": [], "both": []}
    for name, colour in COLOURS.items():
        for number in range(4):
            shade = np.clip(np.array(colour) + 8 * number, 0, 255).astype("uint8")
            file = Image(np.broadcast_to(shade, (16, 16, 3)).copy()).save(folder / f"{name}-{number}.png").name
            shown: dict[str, Any] = {"media": "image", "path": file}
            told, made = {"text": f"It is {name}."}, {"make": "image", "caption": f"a {name} square", "path": file}
            files["seen"].append(([shown, {"text": "What colour is it?"}], [told]))
            files["drawn"].append(([{"text": f"Draw a {name} square."}], [made]))
            files["both"].append(([shown, {"text": "Draw it again."}], [told, made]))
            files["both"].append(([shown, {"text": "What colour is it?"}], [told]))
    for name, pairs in files.items():
        turns = [[{"role": "user", "parts": asked}, {"role": "assistant", "parts": said}] for asked, said in pairs]
        lines = [json.dumps({"kind": "instruction", "turns": one}) for one in turns]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def main(folder: Path) -> None:
    registry.add(quarters, Painter)
    make_llm(folder / "llm")
    make_data(folder / "data")
    own = {
        "name": "my-own",
        "backbone": {"path": str(folder / "llm")},
        "system": SYSTEM,
        "inputs": {"image": {"encoder": "quarters", "projector": {"kind": "mlp"}}},
        "outputs": {
            "image": {
                "k": 2,
                "projector": {"kind": "query-transformer", "queries": 1, "dim": 32, "layers": 1, "heads": 2},
                "generator": "painter",
            }
        },
        "lora": {"rank": 8},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(own), "utf-8")

    started = folder
    for stage, data in (("align-inputs", "seen"), ("align-outputs", "drawn"), ("instruct", "both")):
        run = {
            "model": str(started),
            "stage": {"kind": stage},
            "data": [{"kind": "jsonl", "path": f"data/{data}.jsonl"}],
            "recipe": {"steps": 300, "rate": 3.0e-3, "warmup": 10, "average": 0.0},
            "batch": 8,
        }
        file = folder / f"{stage}.yaml"
        file.write_text(yaml.safe_dump(run), "utf-8")
        spec = read_run(file)
        found = check(spec, folder)
        print(f"{stage}: {', '.join(found.trained or ())}; loss {found.before:.2f} to {found.after:.2f}; {found.works}")
        trained = train(spec, folder, folder / stage)
        assert trained is not None
        started = trained

    model = load_model(str(started))
    for name in ("red", "blue"):
        reply = Agent(model)(Image(folder / "data" / f"{name}-0.png"), "Draw it again.")
        words, picture = reply.parts
        colour = picture.rgb().mean(axis=(0, 1)) if isinstance(picture, Image) else None
        print(
            f"{name}:",
            words,
            "and a picture of colour",
            None if colour is None else colour.round().astype(int).tolist(),
        )
        print("  by", " → ".join(reply.trace.routes[0].path), "on the", reply.trace.routes[0].wire, "wire")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "my-own"))
