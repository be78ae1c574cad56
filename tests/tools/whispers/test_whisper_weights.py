"""Whisper on the real weights of tiny.en: in all three formats it understands what the synthesiser says."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest

from mmagent import Engine, GraphBuilder, Speech, Text, load_tool
from mmagent.fetch import fetch
from tests.tools.test_speech_tools import SENTENCES, errors
from tests.tools.whispers.conftest import part, saved

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

pytestmark = [
    pytest.mark.weights,
    # its classes are written in C, and say nothing of the module they are from
    pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning"),
    # OpenAI's library and tiktoken leave the files of vocabularies for the interpreter to close
    pytest.mark.filterwarnings("ignore:.*tiktoken:pytest.PytestUnraisableExceptionWarning"),
]

SAID = (
    *SENTENCES,
    "The children are playing in the garden behind the school.",
    "Could you tell me how to open this window?",
    "My brother wants to become a doctor.",
    "We watched the boats come into the harbour at sunset.",
    "There is a spoon missing from the kitchen drawer.",
    "Please write your name at the top of the page.",
    "The meeting was moved to the end of the week.",
    "A small brown bird sat on the fence and sang.",
    "He forgot to lock the door when he left the house.",
    "Winter mornings are cold and very quiet here.",
    "I would like a cup of tea with milk, please.",
    "The train to the city leaves from the other platform.",
    "They painted the kitchen walls yellow last summer.",
    "Nothing is more useful than a good map.",
)
LIMIT = 0.05
BACKENDS = [
    "faster-whisper",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("openai-whisper", "transformers")),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """tiny.en by the library that reads it: as it is fetched, and under the names of the two others."""
    torch, place = pytest.importorskip("torch"), tmp_path_factory.mktemp("tiny")
    folder = fetch("whisper-tiny-en-ct2")
    state = {name: torch.tensor(value.astype("f4")) for name, value in unfused(variables(folder / "model.bin"))}
    sizes = (80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4)
    torch.save({"dims": dict(zip(part("checkpoints").DIMS, sizes)), "model_state_dict": state}, place / "tiny.en.pt")
    return {
        "faster-whisper": folder,
        "openai-whisper": place / "tiny.en.pt",
        "transformers": saved(place / "tiny.en.pt", place / "saved"),
    }


def variables(file: Path) -> dict[str, Any]:
    """The weights in CTranslate2's file: for each a name, a shape, the number of a type, and its bytes."""
    data, at = file.read_bytes(), 0

    def take(form: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return value

    def text() -> str:
        return str(take(f"{take('H')}s").rstrip(b"\0").decode())

    take("I"), text(), take("I")
    found = {}
    for _ in range(take("I")):
        name, shape = text(), [take("I") for _ in range(take("B"))]
        kind, held = take("B"), take(f"{take('I')}s")
        if kind == 4:  # float16; the others are flags
            found[name] = np.frombuffer(held, "f2").reshape(shape)
    return found


def unfused(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The weights under OpenAI's names; queries, keys and values lie one below the other."""
    for side in ("encoder", "decoder"):
        yield f"{side}.positional_embedding", found[f"{side}/position_encodings/encodings"]
        yield from norm(found, f"{side}/layer_norm", f"{side}.ln_post" if side == "encoder" else f"{side}.ln")
        for layer in range(4):
            here, there = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            yield from attention(found, f"{here}/self_attention", f"{there}.attn", [["query", "key", "value"], ["out"]])
            yield from norm(found, f"{here}/ffn/layer_norm", f"{there}.mlp_ln")
            for number, name in ((0, "0"), (1, "2")):
                for kind in ("weight", "bias"):
                    yield f"{there}.mlp.{name}.{kind}", found[f"{here}/ffn/linear_{number}/{kind}"]
            if side == "decoder":
                split = [["query"], ["key", "value"], ["out"]]
                yield from attention(found, f"{here}/attention", f"{there}.cross_attn", split)
    yield "decoder.token_embedding.weight", found["decoder/embeddings/weight"]
    for name in ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"):
        yield f"encoder.{name}", found[f"encoder/{name.replace('.', '/')}"]


def norm(found: Mapping[str, Any], here: str, there: str) -> Iterator[tuple[str, Any]]:
    yield f"{there}.weight", found[f"{here}/gamma"]
    yield f"{there}.bias", found[f"{here}/beta"]


def attention(found: Mapping[str, Any], here: str, there: str, parts: list[list[str]]) -> Iterator[tuple[str, Any]]:
    yield from norm(found, f"{here}/layer_norm", f"{there}_ln")
    for number, names in enumerate(parts):
        for kind in ("weight", "bias"):
            for name, value in zip(names, np.split(found[f"{here}/linear_{number}/{kind}"], len(names))):
                if (name, kind) != ("key", "bias"):  # there it is all zeros
                    yield f"{there}.{name}.{kind}", value


@pytest.fixture(scope="module")
def spoken(load: Callable[[str], Any]) -> list[Speech]:
    """The sentences as the synthesiser says them, at 16 kHz."""
    from tests.tools.conftest import Listener

    said = (load("say.v1").run(Text(sentence), Listener()) for sentence in SAID)
    return [load("resample.v1").run(speech, rate=16_000, channels=1) for speech in said]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_said_is_written_down(
    models: Mapping[str, Path],
    spoken: list[Speech],
    ctx: Listener,
    capsys: pytest.CaptureFixture[str],
    backend: str,
) -> None:
    whisper: Any = load_tool("whisper.v1", model=str(models[backend]), backend=backend, pickle=True)
    heard = [whisper.run(speech, ctx).text for speech in spoken]
    wrong, words = map(sum, zip(*(errors(said, text.text) for said, text in zip(SAID, heard))))
    with capsys.disabled():
        click.echo(f"\nword error rate of tiny.en by {backend}: {wrong} of {words} words, {wrong / words:.3f}")
    assert len(SAID) > 20
    assert wrong / words <= LIMIT
    assert {text.describe()["lang"] for text in heard} == {"en"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_long_speech_is_written_down_with_the_times_of_its_words(
    models: Mapping[str, Path], spoken: list[Speech], listen: Callable[..., Listener], backend: str
) -> None:
    whisper: Any = load_tool("whisper.v1", model=str(models[backend]), backend=backend, pickle=True)
    gap, ctx = np.zeros((8_000, 1), "f4"), listen()
    parts = [item for speech in spoken[:16] for item in (speech.array, gap)]
    whole = Speech(np.concatenate(parts), 16_000)
    assert whole.seconds > 45
    heard = whisper.run(whole, ctx, timestamps="word")
    assert errors(" ".join(SAID[:16]), heard.text.text)[0] <= 8
    assert "".join(ctx.tokens) == heard.text.text
    assert len(ctx.tokens) > 1
    cues = [block.split("\n") for block in heard.subtitles.text.strip().split("\n\n")[1:]]
    assert [word for _, word in cues] == heard.text.text.split()
    starts = [times.split(" --> ")[0] for times, _ in cues]
    assert all(one <= other for one, other in pairwise(starts))
    begun = 0.0
    for index, speech in enumerate(spoken[:16]):
        first = SAID[index].split()[0].strip(",.").lower()
        near = [clock(start) for start, (_, word) in zip(starts, cues) if word.lower().strip(",.") == first]
        assert min(abs(start - begun) for start in near) < 1.0, SAID[index]
        begun += speech.seconds + 0.5


def clock(time: str) -> float:
    """Seconds of a time of WebVTT."""
    hours, minutes, seconds = map(float, time.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def test_a_prompt_teaches_a_name(models: Mapping[str, Path], load: Callable[[str], Any], ctx: Listener) -> None:
    said = load("say.v1").run(Text("I met Kathryn and Jon at the lake."), ctx)
    speech = load("resample.v1").run(said, rate=16_000, channels=1)
    whisper: Any = load_tool("whisper.v1", model=str(models["faster-whisper"]))
    assert "Kathryn and Jon" not in whisper.run(speech, ctx).text.text
    assert "Kathryn and Jon" in whisper.run(speech, ctx, prompt=Text("Kathryn and Jon went swimming.")).text.text


def test_in_a_graph_speech_of_any_rate_is_resampled_before_it(models: Mapping[str, Path]) -> None:
    builder = GraphBuilder("echo")
    text = builder.input("text", Text)
    speech = builder.add("say", "say", text=text)
    heard = builder.add("hear", "whisper", speech=speech, model=str(models["faster-whisper"]))
    builder.output("heard", heard.text)
    with Engine() as engine:
        assert engine.run(builder.checked(), {"text": Text(SAID[0])}).outputs["heard"] == Text(SAID[0], "en")
