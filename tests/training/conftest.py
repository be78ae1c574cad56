"""Small real media files, and records that refer to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent.media import Audio, Image, Video

Write = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Write:
    """Writes a picture of one colour, which the name decides, below the test's folder."""

    def write(name: str, shade: int = 100) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Image(np.full((6, 4, 3), shade, np.uint8)).save(path)

    return write


@pytest.fixture
def sound(tmp_path: Path) -> Write:
    """Writes a tenth of a second of a sine."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Audio(0.3 * np.sin(np.arange(800) / 5).astype("float32"), 8000).save(path)

    return write


@pytest.fixture
def film(tmp_path: Path) -> Write:
    """Writes three frames."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Video(np.full((3, 16, 16, 3), 90, np.uint8), fps=4).save(path)

    return write


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30), "grey": (120, 120, 120)}
WORDS = "the cat sat on the mat. A dog is in the picture! What colour is it? Draw a red blue green square.\n"


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level tokenizer of some 320 tokens with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|im_start|>", "<|im_end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bare.train_from_iterator([WORDS] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>",
        chat_template=CHATML,
    )  # fmt: skip


@pytest.fixture(scope="session")
def llm(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Llama of two layers and 32 dimensions that can name a colour of which it reads."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=512, bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip
    said = [
        [("system", "Be brief."), ("user", f"[picture 1: {name}]\nWhat colour is it?"), ("assistant", f"It is {name}.")]
        for name in COLOURS
    ]
    texts = ["".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) for turns in said]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("llm")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _shelf(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small tools are found by name."""
    if "model_of" in request.fixturenames:
        monkeypatch.setenv("MMAGENT_PATH", str(Path(__file__).parent / "shelf"))


@pytest.fixture(scope="session")
def model_of(llm: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the folder of a model that sees through `small-eye` and paints by `small-brush`; nothing is trained."""
    import yaml

    def make(**changes: Any) -> Path:
        spec = {
            "name": "small",
            "backbone": {"path": str(llm)},
            "system": "Be brief.",
            "inputs": {"image": {"encoder": "small-eye", "projector": {"kind": "mlp"}}},
            "outputs": {
                "image": {
                    "k": 2,
                    "projector": {"kind": "query-transformer", "queries": 3, "dim": 16, "layers": 1, "heads": 2},
                    "generator": "small-brush",
                }
            },
            "lora": {"rank": 4, "targets": ["q_proj", "v_proj"]},
        }
        folder = tmp_path_factory.mktemp("model")
        (folder / "model.yaml").write_text(yaml.safe_dump(spec | changes))
        return folder

    return make


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of squares in four colours: `seen.jsonl` says what they are, `drawn.jsonl` asks for them,
    `both.jsonl` does both, `liked.jsonl` prefers the right answer."""
    folder = tmp_path_factory.mktemp("data")
    files: dict[str, list[dict[str, Any]]] = {"seen": [], "drawn": [], "both": [], "liked": []}
    names = list(COLOURS)
    for number, (name, colour) in enumerate(COLOURS.items()):
        Image(np.full((8, 8, 3), colour, np.uint8)).save(folder / f"{name}.png")
        question = "What colour is it?" if number else "Now tell me: What colour is it?"
        asked = {"role": "user", "parts": [{"media": "image", "path": f"{name}.png"}, {"text": question}]}
        told = {"role": "assistant", "parts": [{"text": f"It is {name}."}]}
        wrong = {"role": "assistant", "parts": [{"text": f"It is {names[number - 1]}."}]}
        wish = {"role": "user", "parts": [{"text": f"Draw a {name} square."}]}
        made = {"make": "image", "caption": f"a {name} square", "path": f"{name}.png"}
        files["seen"].append({"kind": "gold-pair", "turns": [asked, told]})
        files["drawn"].append({"kind": "gold-pair", "turns": [wish, {"role": "assistant", "parts": [made]}]})
        answer = {"role": "assistant", "parts": [{"text": f"It is {name}. "}, made]}
        files["both"].append({"kind": "instruction", "turns": [asked, answer]})
        files["liked"].append({"kind": "preference", "turns": [asked], "chosen": [told], "rejected": [wrong]})
    for name, records in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records * 2))
    return folder
