"""The presence probe: balanced questions out of a catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmagent.errors import IntakeError
from mmagent.evaluation.runs import Presence, catalogue, questions
from mmagent.evaluation.runs.presence import STRATEGIES, Strategy
from mmagent.media import Image
from mmagent.training.data import Words

THINGS = [["cat", "sofa", "lamp"], ["cat", "sofa"], ["cat", "sofa", "apple"], ["dog", "lawn"], ["dog", "apple"]]


@pytest.fixture
def entries_file(tmp_path: Path) -> Path:
    import numpy as np

    for number in range(len(THINGS)):
        Image(np.full((4, 4, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    lines = [{"media": "image", "path": f"{number}.png", "things": things} for number, things in enumerate(THINGS)]
    path = tmp_path / "things.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def asked(probe: Presence) -> list[tuple[int, str, str]]:
    """Number of the picture, thing, right answer, of every question."""
    found = []
    for index in range(len(probe)):
        (question,) = questions(probe[index], "x")
        words = next(part.text for part in question.turn.parts if isinstance(part, Words))
        thing = words.removeprefix("Is there ").removesuffix(" in the image? Answer yes or no.").split(" ", 1)[1]
        found.append((int(Path(next(probe[index].media).place).stem), thing, question.references[0]))
    return found


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_half_of_the_answers_are_yes_and_all_are_true(entries_file: Path, strategy: Strategy) -> None:
    found = asked(Presence(catalogue(entries_file), strategy, k=2, seed=1))
    assert len(found) == 2 * 2 * len(THINGS) and len(set(found)) == len(found)
    assert sum(answer == "yes" for *_, answer in found) == len(found) / 2
    assert all((thing in THINGS[number]) == (answer == "yes") for number, thing, answer in found)


def test_popular_asks_for_the_most_frequent_and_adversarial_for_the_most_usual_company(entries_file: Path) -> None:
    entries = catalogue(entries_file)
    popular = {number: thing for number, thing, answer in asked(Presence(entries, "popular", k=1)) if answer == "no"}
    assert popular[3] in ("cat", "sofa") and popular[4] in ("cat", "sofa")
    near = {number: thing for number, thing, answer in asked(Presence(entries, "adversarial", k=1)) if answer == "no"}
    # An apple was seen with cat and sofa, and with a dog: with the apple go cat, sofa; with the dog the lawn.
    assert near[1] in ("lamp", "apple") and near[3] == "apple"


def test_the_seed_decides_what_is_asked(entries_file: Path) -> None:
    one, same, other = (asked(Presence(catalogue(entries_file), k=1, seed=seed)) for seed in (0, 0, 1))
    assert one == same != other


def test_the_words_of_a_question_are_english(entries_file: Path) -> None:
    probe = Presence(catalogue(entries_file), k=3)
    words = {
        part.text for index in range(len(probe)) for part in probe[index].turns[0].parts if isinstance(part, Words)
    }
    assert "Is there an apple in the image? Answer yes or no." in words
    assert "Is there a cat in the image? Answer yes or no." in words


def test_a_catalogue_line_that_is_wrong_is_named(entries_file: Path) -> None:
    entries_file.write_text(entries_file.read_text() + '{"media": "image", "path": "9.png", "things": []}\n')
    with pytest.raises(IntakeError, match=r"things.jsonl: line 6: there is no media file"):
        catalogue(entries_file)
    with pytest.raises(IntakeError, match="random, popular, adversarial"):
        Presence([], "hard")  # type: ignore[arg-type]  # what a command line may give
