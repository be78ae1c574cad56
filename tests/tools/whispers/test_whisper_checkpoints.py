"""What a Whisper checkpoint is, what its card says, what is refused, and where the tool stands among the others."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mmagent import Preset, Speech, Text, load_tool
from mmagent.card import Port
from mmagent.errors import MediaError, ModelError, RegistryError
from mmagent.graph.routes import routes
from mmagent.registry import registry
from mmagent.step.compile import _to_words

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

Listen = Callable[..., "Listener"]
Tool = Callable[[str, str], Any]

pytestmark = [
    # its classes are written in C, and say nothing of the module they are from
    pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning"),
    # OpenAI's library and tiktoken leave the files of vocabularies for the interpreter to close
    pytest.mark.filterwarnings("ignore:.*tiktoken:pytest.PytestUnraisableExceptionWarning"),
]


def part(name: str) -> Any:
    """A file of the tool, whose parts are looked at."""
    return importlib.import_module(f"mmagent.tools.whisper.{name}")


HUM = Speech((0.3 * np.sin(np.arange(16_000) / 6)).astype("f4"), 16_000)


def card(model: Path, **settings: Any) -> Any:
    """The card of the tool with these settings."""
    kind = registry.find("whisper.v1")
    return kind.card_for(kind.card.check_settings({"model": str(model), **settings}))


# -- what a checkpoint is


def test_each_format_is_told_from_its_small_files(small: Mapping[str, Path]) -> None:
    look = part("checkpoints").look
    for name in ("OpenAI", "transformers", "CTranslate2"):
        found = look(small[name])
        assert (found.format, len(found.languages), found.multilingual) == (name, 99, True)
    assert look(small["English"]).languages == ("en",)
    torch = pytest.importorskip("torch")
    exact = sum(map(torch.numel, torch.load(small["OpenAI"], weights_only=True)["model_state_dict"].values()))
    for name in ("OpenAI", "transformers"):
        assert look(small[name]).n_parameters == pytest.approx(exact, rel=0.01)


def test_a_card_tells_of_the_checkpoint_and_imports_nothing_heavy(small: Mapping[str, Path]) -> None:
    program = (
        "import sys; from mmagent.registry import registry; kind = registry.find('whisper.v1')\n"
        "for model in sys.argv[1:]:\n"
        "    found = kind.card_for(kind.card.check_settings({'model': model}))\n"
        "    print(found.concurrency, found.needs, found.memory > 0, len(found.weights))\n"
        "print(sorted({'torch', 'transformers', 'whisper', 'faster_whisper'} & set(sys.modules)))"
    )
    models = [str(small[name]) for name in ("OpenAI", "transformers", "CTranslate2")]
    shown = subprocess.run([sys.executable, "-c", program, *models], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == [
        "exclusive () True 64",
        "exclusive ('extra:local',) True 64",
        "reentrant ('extra:whisper',) True 64",
        "[]",
    ]


def test_what_is_not_in_the_cache_yet_leaves_the_card_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert card(Path("openai/whisper-tiny")) == registry.card("whisper.v1")


def test_other_models_are_refused(tmp_path: Path, small: Mapping[str, Path]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "moonshine"}')
    (tmp_path / "model.bin").write_bytes(b"\x06\0\0\0\x10\0TransformerSpec\0")
    (tmp_path / "weights.pt").write_bytes(b"PK no archive")
    for path in (tmp_path, tmp_path / "weights.pt"):
        with pytest.raises(ModelError, match="is no Whisper checkpoint"):
            card(path)
    with pytest.raises(ModelError, match="there is no folder or file"):
        card(tmp_path / "missing.pt")


def test_the_sizes_are_read_off_a_pickle_that_is_not_run(tmp_path: Path, small: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(small["OpenAI"]) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in held if name.endswith("data.pkl"))
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data.removesuffix(b".") + shell("touch pwned") if name == pickled else data)
    assert card(bomb).memory == card(small["OpenAI"]).memory
    for backend in ("openai-whisper", "transformers"):
        with pytest.raises(ModelError, match="cannot be read as tensors"):
            load_tool("whisper.v1", model=str(bomb), backend=backend, pickle=True)
    assert not Path("pwned").exists()


def shell(command: str) -> bytes:
    """The end of a pickle that runs a command."""
    return b"0cos\nsystem\n(V" + command.encode() + b"\ntR."


def test_pickled_weights_are_refused_unless_asked_for(small: Mapping[str, Path]) -> None:
    for backend in ("openai-whisper", "transformers"):
        with pytest.raises(ModelError, match=r"unpickling can run code.*pickle: true"):
            load_tool("whisper.v1", model=str(small["OpenAI"]), backend=backend)


# -- what cannot be


@pytest.mark.parametrize(
    ("format_", "settings", "message"),
    [
        ("English", {"language": "de"}, "does not know the language 'de'; it knows en$"),
        ("English", {"task": "translate"}, "knows English alone"),
        ("OpenAI", {"language": "German"}, "does not know the language 'German'; it knows en, zh, de"),
        ("OpenAI", {"language": "yue"}, "does not know the language 'yue'"),
        ("OpenAI", {"vad": True}, "openai-whisper has no detector"),
        ("OpenAI", {"beam_size": 0}, "beam_size 1 or more, not 0.0 and 0"),
        ("OpenAI", {"temperature": 2.0}, r"temperature is 0 … 1"),
        ("OpenAI", {"temperature": 0.5, "beam_size": 2}, "without beams"),
        ("CTranslate2", {"temperature": 0.5}, "no seed reaches"),
        ("OpenAI", {"backend": "faster-whisper"}, "OpenAI's format, which faster-whisper does not read"),
        ("CTranslate2", {"backend": "transformers"}, "set backend to faster-whisper, or leave it out"),
    ],
)
def test_what_a_checkpoint_cannot_is_refused_before_it_runs(
    small: Mapping[str, Path], format_: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        card(small[format_], **settings)


def test_what_a_checkpoint_cannot_is_refused_in_a_call_too(tool: Tool, ctx: Listener) -> None:
    with pytest.raises(ModelError, match="no seed reaches"):
        tool("CTranslate2", "faster-whisper").run(HUM, ctx, temperature=0.5)


def test_speech_at_another_rate_and_torn_weights_are_refused(
    small: Mapping[str, Path], tmp_path: Path, tool: Tool, ctx: Listener
) -> None:
    with pytest.raises(MediaError, match="hears speech at 16000 Hz, not 8000; put resample before it"):
        tool("CTranslate2", "faster-whisper").run(Speech(HUM.array, 8_000), ctx)
    torch = pytest.importorskip("torch")
    held = torch.load(small["OpenAI"], weights_only=True)
    del held["model_state_dict"]["encoder.conv1.weight"]
    torch.save(held, tmp_path / "torn.pt")
    for backend in ("openai-whisper", "transformers"):
        with pytest.raises(ModelError, match=r"is no whole Whisper: .*conv1\.weight.*; download or save it again"):
            load_tool("whisper.v1", model=str(tmp_path / "torn.pt"), backend=backend, pickle=True)
    folder = Path(shutil.copytree(small["CTranslate2"], tmp_path / "torn"))
    (folder / "model.bin").write_bytes((small["CTranslate2"] / "model.bin").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cannot be loaded by faster-whisper: .*; download or convert it again"):
        load_tool("whisper.v1", model=str(folder))


def test_javanese_is_called_as_in_bcp_47(tool: Tool, ctx: Listener) -> None:
    assert tool("CTranslate2", "faster-whisper").run(HUM, ctx, language="jv").text.describe()["lang"] == "jv"


def test_a_library_that_is_not_there_is_named_with_its_command(
    small: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    backends = part("backends")
    missing = dict.fromkeys(backends._MODULES, "no_such_module")
    for format_, absent, command in (
        ("CTranslate2", missing, r"pip install 'mmagent\[whisper\]'"),
        ("transformers", missing, r"pip install 'mmagent\[local\]'"),
        ("OpenAI", missing, "pip install openai-whisper"),
    ):
        monkeypatch.setattr(backends, "_MODULES", absent)
        with pytest.raises(RegistryError, match=command):
            load_tool("whisper.v1", model=str(small[format_]), pickle=True)
    only = {**missing, "transformers": "transformers"}
    monkeypatch.setattr(backends, "_MODULES", only)
    assert card(small["OpenAI"]).needs == ("extra:local",)


def test_without_openais_library_the_tokenizer_lies_beside_the_weights(
    small: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: Tool
) -> None:
    alone = Path(shutil.copy(small["OpenAI"], tmp_path / "tiny.pt"))
    own = tool("OpenAI", "transformers")._listener._tokens
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tokens = part("by_transformers")._tokens
    with pytest.raises(ModelError, match=r"hf download openai/whisper-tiny tokenizer\.json"):
        tokens(part("checkpoints").look(alone))
    shutil.copy(small["transformers"] / "tokenizer.json", tmp_path)
    assert tokens(part("checkpoints").look(alone)).decode([440, 1000]) == own.decode([440, 1000])


def test_a_folder_of_ctranslate2_without_a_tokenizer_is_refused(small: Mapping[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small["CTranslate2"], tmp_path / "bare"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"holds no tokenizer\.json; copy that of the model"):
        load_tool("whisper.v1", model=str(folder))


# -- among the other tools


def test_without_a_model_it_is_on_no_route_and_a_preset_is_on_the_cheapest(
    small: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = Port("speech", "speech", constraints={"rate": 16_000, "channels": 1})

    def best() -> list[tuple[str, str]]:
        found = routes(registry.cards(), ready, "text")
        assert all(hop.card.name != "whisper.v1" for route in found for hop in route.hops)
        return [(hop.card.name, hop.output) for hop in found[0].hops]

    assert best() == [("speech-recognition.v1", "text")]
    (tmp_path / "tools").mkdir()
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))
    for cost, wins in ((9.0, "speech-recognition.v1"), (0.05, "my-whisper.v1")):
        line = {"tool": "whisper", "model": str(small["CTranslate2"]), "language": "de", "cost": cost}
        (tmp_path / "tools" / "mine.yaml").write_text(json.dumps({"my-whisper": line}))
        assert best() == [(wins, "text")]
    assert registry.card("my-whisper.v1").concurrency == "reentrant"


def test_undeclared_sound_is_written_down_by_a_preset_that_is_cheaper(small: Mapping[str, Path], ctx: Listener) -> None:
    settings = {"model": str(small["CTranslate2"]), "language": "de"}
    mine = Preset("my-whisper", registry.find("whisper.v1"), settings, cost=0.01).card
    nodes = _to_words(1, HUM, [*registry.cards(), mine])
    assert [node.tool for node in nodes.values()] == ["my-whisper.v1", "turn-words.v1"]


@pytest.mark.slow  # a processor takes its time over bfloat16
def test_it_runs_in_the_precision_asked_for(small: Mapping[str, Path], ctx: Listener) -> None:
    asked: dict[str, Any] = {"backend": "transformers", "pickle": True, "dtype": "bfloat16"}
    for name in ("OpenAI", "transformers"):
        tool: Any = load_tool("whisper.v1", model=str(small[name]), **asked)
        assert str(tool._listener._model.dtype) == "torch.bfloat16"
    assert isinstance(tool.run(HUM, ctx).text, Text)
    assert card(small["transformers"], dtype="float16").memory < card(small["transformers"]).memory


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("OpenAI", "bfloat16", "computes in float32 or float16"),
        ("OpenAI", "float16", "computes in float32 on a processor; set dtype to float32, or to auto"),
        ("CTranslate2", "bfloat16", "computes in no bfloat16 on cpu; set dtype to auto or float32, or another device"),
    ],
)
def test_a_precision_that_a_library_has_not_is_refused(
    small: Mapping[str, Path], name: str, dtype: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load_tool("whisper.v1", model=str(small[name]), pickle=True, dtype=dtype)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_openais_library_keeps_its_weights_in_float32_in_any_precision(small: Mapping[str, Path], device: str) -> None:
    full = card(small["OpenAI"], backend="openai-whisper", dtype="float32").memory
    for dtype in ("auto", "float16"):
        assert card(small["OpenAI"], backend="openai-whisper", device=device, dtype=dtype).memory == full


@pytest.mark.parametrize(
    ("name", "backend"),
    [("transformers", "transformers"), ("OpenAI", "openai-whisper"), ("CTranslate2", "faster-whisper")],
)
def test_a_device_that_is_not_here_is_an_error_of_the_model(small: Mapping[str, Path], name: str, backend: str) -> None:
    with pytest.raises(ModelError, match=r"no device toaster here .*; set device to cpu, or to auto"):
        load_tool("whisper.v1", model=str(small[name]), backend=backend, pickle=True, device="toaster")
