"""Each check passes an honest tool and fails one that is broken in just that way."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pytest

from mmagent.conformance import CHECKS, Finding, check, load_file
from mmagent.errors import BrokenTool, CardError
from mmagent.media import Audio, Embedding, Image, Text
from mmagent.tool import Constraint, Context, Tool, ToolType, tool

INSIDE = tuple(name for name in CHECKS if name != "constructor")


def found(kind: ToolType, name: str, **options: Any) -> Finding:
    """The finding of one check on one tool."""
    (finding,) = check(kind, only=[name], **options)
    return finding


def louder(audio: Audio, gain: float = 0.5) -> Audio:
    """The same sound at another volume."""
    return Audio(audio.array * np.float32(gain), audio.rate)


# -- honest tools


def test_an_honest_function_passes_every_check_that_applies() -> None:
    findings = list(check(tool(louder), only=INSIDE))
    assert [finding.status for finding in findings] == ["ok", "skip", "ok", "ok", "ok", "skip"], findings


class Counted(Tool, name="counted.v1"):
    """Says how many pixels a picture has, in its own words."""

    def __init__(self, style: Literal["short", "long"] = "short") -> None:
        self.style, self.words = style, ""

    def load(self) -> None:
        self.words = "pixels" if self.style == "short" else "little coloured squares"

    def run(self, image: Image, ctx: Context, loud: bool = False) -> Text:
        for row in range(image.height):
            ctx.progress(row, image.height)
        text = f"{image.width * image.height} {self.words} {random.Random(ctx.seed).random()}"
        return Text(text.upper() if loud else text)

    def unload(self) -> None:
        self.words = ""


def test_an_honest_class_passes_every_check() -> None:
    findings = list(check(Counted, only=INSIDE))
    assert {finding.status for finding in findings} == {"ok"}, findings


class Halves(NamedTuple):
    left: Image
    right: Image | None


def test_named_outputs_lists_and_optional_ports_pass() -> None:
    @tool
    def halve(images: list[Image], mask: Image | None = None) -> Halves:
        """The first picture's halves."""
        middle = images[0].width // 2
        return Halves(Image(images[0].array[:, :middle]), None if mask is None else Image(images[1].array[:, middle:]))

    assert {finding.status for finding in check(halve, only=INSIDE)} == {"ok", "skip"}


def test_tools_that_yield_and_async_tools_pass() -> None:
    @tool
    def spell(text: Text) -> Iterator[Text]:
        """The letters one by one."""
        for letter in text.text:
            yield Text(letter)

    @tool
    async def shout(text: Text) -> Text:
        """In capitals."""
        return Text(text.text.upper())

    @tool
    async def drip(text: Text) -> AsyncIterator[Text]:
        """The words one by one."""
        for word in text.text.split():
            yield Text(word)

    for kind in (spell, shout, drip):
        assert {finding.status for finding in check(kind, only=INSIDE)} == {"ok", "skip"}


# -- tools broken in one way each


def test_another_modality_than_promised_fails_types() -> None:
    @tool
    def lies(text: Text) -> Audio:
        """Says audio, gives text."""
        return text  # type: ignore[return-value]  # the lie under test

    finding = found(lies, "types")
    assert finding.status == "fail"
    assert "port audio: expected audio, got text" in finding.detail


def test_an_unmet_constraint_fails_types() -> None:
    @tool
    def slow(
        audio: Annotated[Audio, Constraint(rate=8000)], rate: int = 22050
    ) -> Annotated[Audio, Constraint(rate="$rate")]:
        """Promises a rate and keeps the old one."""
        return audio

    finding = found(slow, "types")
    assert finding.status == "fail"
    assert "expected audio(rate=22050), got audio with rate=8000" in finding.detail


def test_a_missing_optional_input_that_crashes_fails_types() -> None:
    @tool
    def needs_both(text: Text, image: Image | None = None) -> Text:
        """Claims that the picture may be left out."""
        return Text(f"{text.text} {image.width}")  # type: ignore[union-attr]  # the fault under test

    finding = found(needs_both, "types")
    assert finding.status == "fail"
    assert "NoneType" in finding.detail


def test_a_single_value_for_a_list_and_nothing_for_a_value_fail_types() -> None:
    @tool
    def one(text: Text) -> list[Text]:
        """Gives one."""
        return text  # type: ignore[return-value]  # the fault under test

    @tool
    def none(text: Text) -> Text:
        """Gives nothing."""
        return None  # type: ignore[return-value]  # the fault under test

    assert "expected list[text], got text" in found(one, "types").detail
    assert "got nothing" in found(none, "types").detail


def test_a_choice_that_does_not_work_fails_settings() -> None:
    @tool
    def paint(text: Text, style: Literal["flat", "deep"] = "flat") -> Text:
        """Knows one style of two."""
        return Text({"flat": "a"}[style])

    finding = found(paint, "settings")
    assert finding.status == "fail"
    assert "style='deep' raised KeyError" in finding.detail


def test_a_constructor_choice_that_does_not_work_fails_settings() -> None:
    class Picky(Tool, name="picky.v1"):
        """Refuses what it declares."""

        def __init__(self, size: Literal["small", "large"] = "small") -> None:
            if size == "large":
                raise ValueError("too large")

        def run(self, text: Text) -> Text:
            return text

    assert "size='large' raised ValueError: too large" in found(Picky, "settings").detail


def test_unseeded_randomness_fails_determinism() -> None:
    @tool
    def dice(text: Text) -> Text:
        """Throws dice without the seed."""
        return Text(str(random.random()))

    finding = found(dice, "determinism")
    assert finding.status == "fail"
    assert "ctx.seed" in finding.detail


def test_a_load_that_varies_fails_determinism() -> None:
    class Moody(Tool, name="moody.v1"):
        """Loads something else each time."""

        def load(self) -> None:
            self.mood = random.random()

        def run(self, text: Text) -> Text:
            return Text(f"{text.text} {self.mood}")

    finding = found(Moody, "determinism")
    assert finding.status == "fail"
    assert "fresh instance" in finding.detail


def test_a_result_that_depends_on_the_process_fails_determinism(tmp_path: Path) -> None:
    file = tmp_path / "hashed.py"
    file.write_text(
        "from mmagent import Text, tool\n\n\n@tool\ndef hashed(text: Text) -> Text:\n"
        "    return Text(str(hash(text.text)))\n"
    )
    finding = found(load_file(file)[0], "determinism", file=file)
    assert finding.status == "fail"
    assert "another process" in finding.detail


def test_inputs_travel_to_the_fresh_process(tmp_path: Path) -> None:
    file = tmp_path / "echoes.py"
    file.write_text(
        "from mmagent import Image, Speech, Text, tool\n\n\n@tool\n"
        "def echoes(images: list[Image], speech: Speech, note: Text | None = None) -> list[Image]:\n"
        "    return images\n"
    )
    finding = found(load_file(file)[0], "determinism", file=file)
    assert finding.status == "ok"
    assert "in a fresh process" in finding.detail


def test_a_tool_in_no_file_is_not_asked_for_a_cheap_constructor() -> None:
    assert found(tool(louder), "constructor").status == "skip"


def test_a_tool_that_says_it_varies_is_not_asked_for_determinism() -> None:
    @tool(cacheable=False)
    def dice(text: Text) -> Text:
        """Throws dice and says so."""
        return Text(str(random.random()))

    assert found(dice, "determinism").status == "skip"
    assert found(dice, "concurrency").status == "ok"


def test_state_kept_on_self_fails_concurrency() -> None:
    class Shared(Tool, name="shared.v1"):
        """Keeps its input where other threads overwrite it."""

        def run(self, text: Text) -> Text:
            self.text = text.text
            time.sleep(0.05)
            return Text(self.text)

    finding = found(Shared, "concurrency")
    assert finding.status == "fail"
    assert "exclusive" in finding.detail


def test_an_exclusive_tool_is_not_called_from_two_threads() -> None:
    class Alone(Tool, name="alone.v1", concurrency="exclusive"):
        """Would fail if two threads came in."""

        def run(self, text: Text) -> Text:
            return text

    assert found(Alone, "concurrency").status == "skip"


def test_an_instance_that_cannot_be_loaded_again_fails_unload() -> None:
    class Once(Tool, name="once.v1"):
        """Breaks itself on unloading."""

        def __init__(self) -> None:
            self.words: list[str] | None = ["hello"]

        def load(self) -> None:
            assert self.words

        def run(self, text: Text) -> Text:
            assert self.words
            return Text(self.words[0])

        def unload(self) -> None:
            self.words = None

    finding = found(Once, "unload")
    assert finding.status == "fail"
    assert "second" in finding.detail


def test_an_unload_that_changes_the_result_fails_unload() -> None:
    class Older(Tool, name="older.v1"):
        """Counts how often it was loaded."""

        def __init__(self) -> None:
            self.age = 0

        def load(self) -> None:
            self.age += 1

        def run(self, text: Text) -> Text:
            return Text(str(self.age))

    assert "the result differs" in found(Older, "unload").detail


def test_a_tool_that_hangs_once_cancelled_fails_cancel() -> None:
    release = threading.Event()

    @tool
    def hangs(text: Text, ctx: Context) -> Text:
        """Sees that it is cancelled and stays."""
        for _ in range(4):
            if ctx.cancelled:
                release.wait(60)
        return text

    finding = found(hangs, "cancel", bound=0.2)
    release.set()
    assert finding.status == "fail"
    assert "still ran" in finding.detail


def test_a_tool_that_swallows_cancelled_fails_cancel() -> None:
    @tool
    def deaf(text: Text, ctx: Context) -> Text:
        """Goes on to the end."""
        for step in range(8):
            try:
                ctx.progress(step, 8)
            except Exception:  # noqa: S112 - the fault under test
                continue
        return text

    finding = found(deaf, "cancel")
    assert finding.status == "fail"
    assert "went on to its end" in finding.detail


def test_a_tool_that_turns_cancelled_into_something_else_fails_cancel() -> None:
    @tool
    def wraps(text: Text, ctx: Context) -> Text:
        """Hides why it stopped."""
        try:
            for step in range(8):
                ctx.progress(step, 8)
        except Exception as error:
            raise RuntimeError("no") from error
        return text

    assert "raised RuntimeError when cancelled" in found(wraps, "cancel").detail


def test_a_long_tool_that_never_looks_fails_cancel() -> None:
    @tool
    def blind(text: Text, ctx: Context) -> Text:
        """Takes a context for nothing."""
        time.sleep(0.05)
        return text

    assert "never looked at ctx" in found(blind, "cancel", bound=0.01).detail


def test_a_heavy_import_at_the_top_of_the_file_fails_constructor(tmp_path: Path) -> None:
    body = "from mmagent import Text, tool\n\n\n@tool\ndef echo(text: Text) -> Text:\n    return text\n"
    light, heavy = tmp_path / "light.py", tmp_path / "heavy.py"
    light.write_text(body)
    heavy.write_text(f"import onnxruntime\n{body}")
    assert found(load_file(light)[0], "constructor", file=light).status == "ok"
    finding = found(load_file(heavy)[0], "constructor", file=heavy)
    assert finding.status == "fail"
    assert "imports onnxruntime before load()" in finding.detail


def test_a_heavy_import_in_the_constructor_fails_constructor(tmp_path: Path) -> None:
    file = tmp_path / "eager.py"
    file.write_text(
        "from mmagent import Text, Tool\n\n\nclass Eager(Tool):\n    def __init__(self) -> None:\n"
        "        import onnxruntime\n\n    def run(self, text: Text) -> Text:\n        return text\n"
    )
    assert "imports onnxruntime" in found(load_file(file)[0], "constructor", file=file).detail


# -- what is asked for, and what is refused


def test_settings_are_validated_before_the_tool_is_called() -> None:
    with pytest.raises(CardError, match="gain takes float"):
        list(check(tool(louder), settings={"gain": "much"}))
    with pytest.raises(CardError, match="no setting 'volume'"):
        list(check(tool(louder), settings={"volume": 1.0}))


def test_an_unknown_port_is_refused() -> None:
    with pytest.raises(CardError, match="no input port 'picture'; it has audio"):
        list(check(tool(louder), inputs={"picture": [Text("")]}))


def test_given_inputs_replace_samples() -> None:
    @tool
    def only_hello(text: Text) -> Text:
        """Accepts one word."""
        if text.text != "hello":
            raise ValueError(text.text)
        return text

    assert found(only_hello, "types").status == "fail"
    assert found(only_hello, "types", inputs={"text": [Text("hello")]}).status == "ok"


def test_embeddings_in_another_space_fail_types() -> None:
    @tool
    def encode(text: Text) -> Annotated[Embedding, Constraint(space="mine", width=4)]:
        """Puts its states into a space that it does not promise."""
        return Embedding(np.zeros((2, 4)), "yours")

    assert "got embedding with space='yours'" in found(encode, "types").detail


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("absent.py", None, "is not a file"),
        ("two words.py", "x = 1\n", "named like a module"),
        ("broken.py", "import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("empty.py", "x = 1\n", "defines no tool"),
        ("leaves.py", "raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_file_without_a_tool_is_broken_and_says_why(
    tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(BrokenTool, match=reason):
        load_file(tmp_path / name)
