"""Small Whisper checkpoints of all three formats, built from their configs, and the tool loaded with them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mmagent import load_tool

Tool = Callable[[str, str], Any]


def part(name: str) -> Any:
    """A file of the tool, whose parts are looked at."""
    return importlib.import_module(f"mmagent.tools.whisper.{name}")


def dims(n_vocab: int) -> dict[str, int]:
    return dict(zip(part("checkpoints").DIMS, (80, 1500, 32, 2, 2, n_vocab, 448, 32, 2, 2)))


def made(place: Path, n_vocab: int) -> Path:
    """A checkpoint of OpenAI's library with random weights, inclined to come to an end."""
    torch, whisper = pytest.importorskip("torch"), pytest.importorskip("whisper")
    torch.manual_seed(0)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**dims(n_vocab)))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 1.2 / (3 * weight.shape[1] if "conv" in name else weight.shape[-1]) ** 0.5)
        # The end grows likelier with every token.
        model.decoder.token_embedding.weight[50257 if n_vocab > 51864 else 50256, 0] += 3.0
        model.decoder.positional_embedding[:, 0] += torch.arange(448) * 0.02
    torch.save({"dims": dims(n_vocab), "model_state_dict": model.state_dict()}, place)
    return place


def saved(file: Path, folder: Path) -> Path:
    """The same weights as transformers saves them, with the tokenizer of OpenAI's library."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    naming, tokenizer = part("naming"), pytest.importorskip("whisper").tokenizer
    held = torch.load(file, weights_only=True)
    model = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(**naming.config_fields(held["dims"]))
    )
    named = naming.to_transformers(held["model_state_dict"])
    model.load_state_dict({**named, "proj_out.weight": named["model.decoder.embed_tokens.weight"]})
    model.generation_config = transformers.GenerationConfig(**naming.generation_fields(held["dims"]))
    model.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    own = tokenizer.get_tokenizer(held["dims"]["n_vocab"] > 51864)
    tokens = part("by_transformers")._tokens(part("checkpoints").look(file))
    tokens.add_special_tokens([name for name, _ in sorted(own.special_tokens.items(), key=lambda item: item[1])])
    transformers.WhisperTokenizer(tokenizer_object=tokens).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One multilingual model in every format, and an English-only one in OpenAI's."""
    place = tmp_path_factory.mktemp("whisper")
    file = made(place / "model.pt", 51865)
    folder = saved(file, place / "saved")
    converters = pytest.importorskip("ctranslate2.converters")
    converters.TransformersConverter(str(folder), copy_files=["tokenizer.json"]).convert(str(place / "converted"))
    english = made(place / "english.pt", 51864)
    return {"OpenAI": file, "transformers": folder, "CTranslate2": place / "converted", "English": english}


@pytest.fixture(scope="session")
def tool(small: Mapping[str, Path]) -> Tool:
    """The loaded tool for a format and a library, each loaded once."""
    loaded: dict[tuple[str, str], Any] = {}

    def get(format_: str, backend: str) -> Any:
        if (format_, backend) not in loaded:
            model = str(small[format_])
            loaded[format_, backend] = load_tool("whisper.v1", model=model, backend=backend, pickle=True)
        return loaded[format_, backend]

    return get
