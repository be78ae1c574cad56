"""The example from data to scores, with an LLM and a pipeline so small that nothing is learnt but how it goes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.library
EXAMPLE = Path(__file__).parents[2] / "examples" / "align_generator"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Runs a script of the example with arguments; its module."""

    def run(name: str, *arguments: Any) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"align_{name}", EXAMPLE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        spec.loader.exec_module(module)
        module.main()
        return module

    return run


def make_llm(folder: Path) -> Path:
    """A Llama of one layer that reads bytes, with a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={"<end>": 0} | {sign: at + 1 for at, sign in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    template = "{% for m in messages %}{{ m['role'] + m['content'] + '<end>' }}{% endfor %}"
    template += "{% if add_generation_prompt %}{{ 'assistant' }}{% endif %}"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<end>", chat_template=template)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=None, **shape)
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, run: Callable[..., ModuleType]) -> Path:
    """What `prepare.py` writes, for the small LLM and the small pipeline."""
    from mmagent.diffusion.small.image import stable_diffusion

    run("prepare", tmp_path, "--captions", 24, "--requests", 16, "--tested", 8)
    stable_diffusion().save_pretrained(tmp_path / "pictures")
    model = yaml.safe_load((tmp_path / "model.yaml").read_text())
    model["backbone"] = {"path": str(make_llm(tmp_path / "llm"))}
    model["outputs"]["image"]["projector"] |= {"queries": 16, "dim": 16, "feedforward": 16}
    model["outputs"]["image"]["generator"]["settings"] = {"model": "./pictures", "steps": 2}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(model))
    return tmp_path


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.filterwarnings("ignore:.*`clean_up_tokenization_spaces`.*")
def test_the_recipe_goes_from_data_to_scores(
    folder: Path, run: Callable[..., ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    from mmagent.model import saved
    from mmagent.training.run.spec import read_run
    from mmagent.training.run.train import train

    for stage, wanted in (
        ("align", {"outputs.image", "signals.image"}),
        ("instruct", {"outputs.image", "signals.image", "lora"}),
    ):
        made = train(
            read_run(folder / f"{stage}.yaml", ["recipe.steps=40", "recipe.rate=0.01"]), folder, folder / stage
        )
        assert made == folder / stage / "model" and saved.load(made).trained == wanted
    run("score", folder, "--tested", 8, "--sheet", 2)
    told = capsys.readouterr().out
    assert "captions nearest to their own of 51: " in told and "asked for words, and no picture is made: " in told
    assert "nearest to the caption of the request: None" not in told  # the small model does ask
    assert (folder / "sheet.png").is_file()


def test_what_is_scored_was_never_learnt(folder: Path) -> None:
    learnt = {turn["parts"][0]["text"] for item in lines(folder / "data/requests.jsonl") for turn in item["turns"][:1]}
    tested = lines(folder / "data/tested-requests.jsonl")
    assert len(tested) == 16 and sum("caption" in item for item in tested) == 8
    assert not learnt & {item["request"] for item in tested}
    wordings = yaml.safe_load((EXAMPLE / "wordings.yaml").read_text("utf-8"))
    sides = [
        {*side["asked"], *(one if isinstance(one, str) else one[0] for one in side["plain"])}
        for side in (wordings["trained"], wordings["tested"])
    ]
    assert not sides[0] & sides[1] and not {*wordings["trained"]["slots"]["draw"]} & {
        *wordings["tested"]["slots"]["draw"]
    }


def test_nearness_is_counted_by_distance(run: Callable[..., ModuleType], folder: Path) -> None:
    import torch

    spec = importlib.util.spec_from_file_location("align_score", EXAMPLE / "score.py")
    assert spec is not None and spec.loader is not None
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    wanted = torch.arange(60.0)[:, None, None].expand(60, 2, 3)
    assert score.nearest(wanted + 0.4, wanted) == (60, 60)
    assert score.nearest(wanted + 30.0, wanted)[0] < 15
    assert score.nearest(wanted.roll(1, 0), wanted)[0] < 5
