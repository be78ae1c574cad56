"""The blind page: what it shows and hides, how its votes are read back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmagent.errors import IntakeError
from mmagent.evaluation.prediction import Journal, Part, Prediction, Setting
from mmagent.evaluation.raters import Key, Pair, Votes, pair, tally, write
from mmagent.media import Audio, Image, Media, Points

NOISE = np.random.default_rng(0).integers(0, 255, (256, 256, 3), "uint8")


def answered(folder: Path, system: str, *parts: Media | str, n: int = 6) -> list[Prediction]:
    """The answers of a system to n questions about a picture, kept in its folder."""
    with Journal(folder) as journal:
        for number in range(n):
            prompt = (
                journal.keep(Image(np.full((8, 8, 3), number, np.uint8))),
                Part(modality="text", text=f"What <b>{number}</b>?"),
            )
            said = tuple(
                Part(modality="text", text=item) if isinstance(item, str) else journal.keep(item) for item in parts
            )
            settings: dict[str, Setting] = {"system": system, "shots": 0}
            journal.add(
                Prediction(key=f"{system}{number}", id=f"q{number}", settings=settings, prompt=prompt, parts=said)
            )
        return list(journal)


@pytest.fixture
def two(tmp_path: Path) -> tuple[list[Prediction], list[Prediction]]:
    one = answered(tmp_path / "one", "secret-one", "first <script>alert(1)</script>", Image(NOISE))
    other = answered(
        tmp_path / "other",
        "secret-other",
        "second",
        Audio(np.zeros(80, "float32"), 8000),
        Points(np.zeros((4, 3), "float32")),
    )
    return one, other


def written(two: tuple[list[Prediction], list[Prediction]], folder: Path, seed: int = 0) -> tuple[str, list[Pair], Key]:
    pairs = pair(*two, seed=seed)
    key = Key.of(pairs, ("secret-one", "secret-other"))
    page = write(pairs, key, (folder / "one", folder / "other"), folder / "page")
    return page.read_text(), pairs, key


def test_pairs_are_shuffled_and_each_system_is_on_the_left_as_often(
    two: tuple[list[Prediction], list[Prediction]],
) -> None:
    pairs = pair(*two, seed=1)
    assert sorted(item.left for item in pairs) == [0, 0, 0, 1, 1, 1]
    assert len({tuple(item.left for item in pair(*two, seed=seed)) for seed in range(8)}) > 2
    assert [item.answers[0].id for item in pairs] != [item.id for item in two[0]]
    assert all(one.id == other.id for one, other in (item.answers for item in pairs))
    assert pair(*two, seed=1) == pairs != pair(*two, seed=2)
    assert pair(*two, seed=1, limit=2)[0].answers == pairs[0].answers


def test_runs_under_other_settings_pair_by_question_alone(two: tuple[list[Prediction], list[Prediction]]) -> None:
    shots = [item.model_copy(update={"settings": {**item.settings, "shots": 4}}) for item in two[1]]
    assert len(pair(two[0], shots)) == 6
    with pytest.raises(IntakeError, match="answered several times"):
        pair(two[0], [*shots, *(item.model_copy(update={"settings": {"shots": 8}}) for item in shots)])
    with pytest.raises(IntakeError, match="no question in common"):
        pair(two[0], [item.model_copy(update={"id": f"other {item.id}"}) for item in shots])


def test_the_page_tells_nothing_of_whose_answers_they_are(
    two: tuple[list[Prediction], list[Prediction]], tmp_path: Path
) -> None:
    text, _, key = written(two, tmp_path)
    assert "secret" not in text and "q0" not in text and "8000" not in text
    assert key.page in text and "What &lt;b&gt;0&lt;/b&gt;?" in text
    assert sorted(path.name for path in (tmp_path / "page").iterdir()) == ["index.html", "media"], (
        "the key is elsewhere"
    )


def test_what_was_said_is_text_and_runs_nothing(two: tuple[list[Prediction], list[Prediction]], tmp_path: Path) -> None:
    text, _, _ = written(two, tmp_path)
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert len(re.findall("<script", text)) == 1 and "default-src &#39;none&#39;" in text


def test_small_media_are_in_the_page_and_large_ones_beside_it(
    two: tuple[list[Prediction], list[Prediction]], tmp_path: Path
) -> None:
    text, _, _ = written(two, tmp_path)
    assert text.count('src="data:image/png') >= 6 and text.count('src="data:audio/wav') == 6
    (file,) = (tmp_path / "page" / "media").iterdir()
    assert text.count(f'data-src="media/{file.name}"') == 6 and Image.open(file) == Image(NOISE)


def test_each_answer_is_on_the_side_that_the_key_says(
    two: tuple[list[Prediction], list[Prediction]], tmp_path: Path
) -> None:
    text, pairs, key = written(two, tmp_path)
    sections = re.findall(r"<section hidden data-pair=.*?</section>", text, flags=re.DOTALL)
    assert len(sections) == len(pairs) == 6
    for number, section in enumerate(sections, 1):
        first_is_left = section.index("first ") < section.index("second")
        assert key.pairs[str(number)].left == (0 if first_is_left else 1)


def test_an_answer_that_failed_or_was_not_kept_says_no_reason(tmp_path: Path) -> None:
    failed = Part(modality="image", text="a cat", error="sdxl.v1 ran out of memory")
    prompt = (Part(modality="text", text="Draw."),)
    one = Prediction(key="1", id="q", settings={}, prompt=prompt, parts=(failed,))
    other = Prediction(key="2", id="q", settings={}, prompt=prompt, error="sdxl.v1 is gone")
    pairs = pair([one], [other])
    text = write(pairs, Key.of(pairs, ("a", "b")), (tmp_path, tmp_path), tmp_path / "page").read_text()
    assert "sdxl" not in text and "The image cannot be shown." in text and "No answer came." in text


def votes(key: Key, rater: str, *choices: str) -> Votes:
    return Votes.model_validate(
        {"page": key.page, "rater": rater, "votes": {str(at): item for at, item in enumerate(choices, 1)}}
    )


def test_votes_are_counted_for_the_system_that_was_on_that_side(two: tuple[list[Prediction], list[Prediction]]) -> None:
    pairs = pair(*two)
    key = Key.of(pairs, ("a", "b"))
    for_first = ["left" if item.left == 0 else "right" for item in pairs]
    verdict = tally(key, [votes(key, "x", *for_first), votes(key, "y", *for_first[:4], "equal")])
    assert (verdict.counts, verdict.ties, verdict.raters, verdict.pairs) == ((10, 0), 1, 2, 6)
    assert verdict.wins[0] is not None and (verdict.wins[0].value, verdict.wins[0].n) == (1.0, 10)
    assert verdict.p == pytest.approx(2 / 2**10)
    assert verdict.agreement is not None and (verdict.agreement.value, verdict.agreement.n) == (0.8, 5)
    assert verdict.left is not None and verdict.left.value == (3 + for_first[:4].count("left")) / 10


def test_votes_of_another_page_are_refused(two: tuple[list[Prediction], list[Prediction]], tmp_path: Path) -> None:
    key, other = (Key.of(pair(*two, seed=seed), ("a", "b")) for seed in (0, 1))
    with pytest.raises(IntakeError, match="give the key that was written with their page"):
        tally(key, [votes(other, "x", "left")])
    with pytest.raises(IntakeError, match="no votes"):
        tally(key, [])
    (tmp_path / "votes.json").write_text(json.dumps({"page": "x", "votes": {"1": "best"}}))
    with pytest.raises(IntakeError, match="holds no votes"):
        Votes.load(tmp_path / "votes.json")
