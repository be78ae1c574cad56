"""The easy-VQA proof from data to scores, with a small LLM drawn by chance and a few pictures of the real set."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.library
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "easy_vqa"


@pytest.fixture
def prove(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.setenv("MMAGENT_PATH", str(ROOT / "tests" / "training" / "shelf"))
    yield import_module("prove")
    for name in ("prove", "prepare", "rehearse"):
        sys.modules.pop(name, None)


def make_llm(folder: Path) -> Path:
    """A Llama of one layer that reads bytes, with a chat template."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={"<end>": 0} | {sign: at + 1 for at, sign in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    template = "{% for m in messages %}{{ m['role'] + m['content'] + '<end>' }}{% endfor %}"
    template += "{% if add_generation_prompt %}{{ 'assistant' }}{% endif %}"
    PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<end>", chat_template=template).save_pretrained(folder)
    shape: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = LlamaConfig(vocab_size=257, num_attention_heads=2, bos_token_id=None, eos_token_id=0, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def small(folder: Path, kinds: tuple[str, ...]) -> None:
    """The example's run files with a few steps, and its models around the small LLM."""
    llm = make_llm(folder / "llm")
    for name in ("align.yaml", "further.yaml", "instruct.yaml"):
        run = yaml.safe_load((EXAMPLE / name).read_text("utf-8"))
        run["recipe"] |= {"steps": 2, "warmup": 1}
        (folder / name).write_text(yaml.safe_dump(run | {"batch": 2, "size": 4}), "utf-8")
    for kind in kinds:
        model = yaml.safe_load((EXAMPLE / "models" / kind / "model.yaml").read_text("utf-8"))
        model["backbone"], model["inputs"]["image"]["encoder"] = {"path": str(llm)}, "small-eye"
        (folder / "models" / kind).mkdir(parents=True)
        (folder / "models" / kind / "model.yaml").write_text(yaml.safe_dump(model), "utf-8")


def test_a_line_is_a_picture_with_all_its_questions_as_they_were_published(prove: Any, tmp_path: Path) -> None:
    easy_vqa = import_module("easy_vqa")  # it comes without types
    import_module("prepare").prepare(tmp_path, 3)
    for split, questions in (("train", easy_vqa.get_train_questions()), ("test", easy_vqa.get_test_questions())):
        found = []
        for line in (tmp_path / f"{split}.jsonl").read_text("utf-8").splitlines():
            turns = json.loads(line)["turns"]
            shown = turns[0]["parts"].pop(0)["path"]
            assert (tmp_path / shown).is_file()
            texts = [turn["parts"][0]["text"] for turn in turns]
            found += [(asked, told, int(Path(shown).stem)) for asked, told in zip(texts[::2], texts[1::2])]
        assert found == [one for one in zip(*questions) if one[2] < 3]


@pytest.mark.timeout(600)
def test_from_data_to_scores(prove: Any, tmp_path: Path) -> None:
    small(tmp_path, ("linear", "mlp"))
    rows = prove.prove(tmp_path, ("linear", "mlp"), pictures=4)
    assert list(rows) == ["linear", "mlp", "frozen", "lora"]
    assert all(row["pictures"] == 4 and row["processor"] > 0 for row in rows.values())
    words = json.loads((tmp_path / "results.json").read_text("utf-8"))["text only"]
    questions = words["of"]
    assert 0 < words["right"] < questions == rows["lora"]["scores"]["own"]["of"]
    for name in ("frozen", "lora"):
        scores = rows[name]["scores"]
        assert {scores[what]["of"] for what in ("own", "exchanged")} == {questions}
        assert (scores["perplexity"]["ratio"] == 1.0) is (name == "frozen")  # LoRA alone touches plain text
    told = (tmp_path / "results.md").read_text("utf-8").splitlines()
    told, _, without = told[:-2], *told[-2:]
    assert without.endswith(f"of {questions:,}.")
    assert len(told) == 2 + len(rows) and len({line.count("|") for line in told}) == 1
    again = prove.prove(tmp_path, ("linear", "mlp"), pictures=4)  # nothing is done twice
    assert again == rows
