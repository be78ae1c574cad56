"""docs/langchain.md tells the truth: its snippets run, and its tables are what LangChain's suites give."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "langchain.md"

SUITES = {
    "TestChatModelUnit": "chat model, unit",
    "TestChatModelIntegration": "chat model, integration",
    "TestCallingChatModelUnit": "chat model over a chat model that calls tools, unit",
    "TestCallingChatModelIntegration": "chat model over a chat model that calls tools, integration",
    "TestToolUnit": "a tool that makes a picture, unit",
    "TestToolIntegration": "a tool that makes a picture, integration",
    "TestReadingToolUnit": "a tool that reads a picture, unit",
    "TestReadingToolIntegration": "a tool that reads a picture, integration",
    "TestGraphUnit": "a graph with two outputs, unit",
    "TestGraphIntegration": "a graph with two outputs, integration",
}

FILES = ("test_langchain_suites.py", "test_langchain_foreign.py")
CALLING = {"TestCallingChatModelUnit", "TestCallingChatModelIntegration"}

FOREIGN = "only an agent that a chat model speaks for calls LangChain's tools"
REASONS = {
    "init_from_env_params not specified.": "an agent takes nothing from the environment",
    "Model is not serializable.": "an agent holds an engine and tools, which are no JSON",
    "model_override_value not specified.": "an agent has one model; another model is another agent",
    "Test requires tool calling.": FOREIGN,
    "Test requires tool calling support.": FOREIGN,
    "Test requires tool choice.": FOREIGN,
    "Test requires structured output.": "it goes by calls of tools",
    "Test requires json mode support.": "an agent has no JSON mode",
    "Model does not support PDF inputs.": "no modality reads PDF; a user's own may",
    "Model does not support image tool message.": FOREIGN,
    "Model does not support PDF tool message.": "no modality reads PDF; a user's own may",
    "Model does not explicitly support Anthropic inputs.": FOREIGN,
    "VCR not set up.": "no request goes over a network, so there is none to record",
}
"""Why a test that a suite skips does not apply, by what it says when it skips."""

RETURNS_AT_ONCE = {"test_bind_tool_pydantic": FOREIGN, "test_with_structured_output": REASONS["Test requires structured output."]}  # fmt: skip
"""Tests of the unit suite that look whether tools can be bound, and pass without a check if not."""


@dataclass(frozen=True)
class Outcome:
    """One test of a suite: why it does not apply, or nothing if it passed."""

    suite: str
    test: str
    reason: str


def outcomes(report: Path) -> Iterator[Outcome]:
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        suite, test = case.attrib["classname"].rsplit(".", 1)[-1], case.attrib["name"].split("[")[0]
        if suite not in SUITES:
            continue
        assert case.find("failure") is None and case.find("error") is None, case.attrib
        skipped = case.find("skipped")
        if skipped is not None:
            yield Outcome(suite, test, REASONS[skipped.attrib["message"]])
        else:
            yield Outcome(suite, test, "" if suite in CALLING else RETURNS_AT_ONCE.get(test, ""))


def tables(found: Sequence[Outcome]) -> str:
    """The page's two tables: how many tests of each suite passed, and which do not apply and why."""
    rows = ["| suite | passed | not applicable |", "| --- | --- | --- |"]
    for suite, words in SUITES.items():
        mine = [item for item in found if item.suite == suite]
        rows.append(
            f"| {words} | {sum(not item.reason for item in mine)} | {sum(bool(item.reason) for item in mine)} |"
        )
    rows += ["", "| not applicable | why |", "| --- | --- |"]
    for reason in sorted({item.reason for item in found if item.reason}):
        tests = sorted({item.test.removeprefix("test_") for item in found if item.reason == reason})
        rows.append(f"| {', '.join(tests)} | {reason} |")
    return "\n".join(rows)


@pytest.mark.slow
def test_the_tables_are_what_the_suites_give(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not weights", "--benchmark-disable", "-p", "no:cacheprovider",
         f"--junitxml={report}", *(HERE / name for name in FILES)],
        capture_output=True, text=True, cwd=PAGE.parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found = list(outcomes(report))
    assert {item.suite for item in found} == set(SUITES)
    assert tables(found) in PAGE.read_text("utf-8"), f"put these tables into {PAGE}:\n\n{tables(found)}"


def test_every_suite_that_runs_offline_is_in_the_tables() -> None:
    source = "".join((HERE / name).read_text("utf-8") for name in FILES)
    classes = re.findall(r"^class (Test\w+)", source, flags=re.MULTILINE)
    assert set(classes) - set(SUITES) == {"TestPocketChatModelIntegration"}


def test_the_snippets_of_the_page_run(tmp_path: Path) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    script = tmp_path / "snippets.py"
    script.write_text("\n".join(snippets), "utf-8")
    done = subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "image media:" in done.stdout and "text image" in done.stdout
