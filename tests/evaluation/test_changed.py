"""Records changed on their way: samples, examples, controls, perturbations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.errors import IntakeError
from mmagent.evaluation.runs import Blind, Change, Exchanged, Perturbed, Question, Sample, Shots, questions
from mmagent.evaluation.runs.changes import BLUR, CHANGES, NOISE, PARAPHRASE, TYPOS
from mmagent.evaluation.runs.changes.words import mistyped, reworded
from mmagent.intake import Limits
from mmagent.media import Audio, Image, Media, Points, Speech, Video
from mmagent.training.data import BadRecord, Jsonl, Made, Record, Shown, Turn, Words
from mmagent.training.data.reference import InFile


class Several:
    """Records at hand as a source."""

    name = "several"

    def __init__(self, *records: Record) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]


def asked(media: Path | None, words: str = "What is it?", kind: str = "image", place: str = "") -> Record:
    shown = () if media is None else (Shown(InFile(kind, media)),)
    turns = (Turn("user", (*shown, Words(words))), Turn("assistant", (Words("a cat", True),)))
    return Record("instruction", turns, place=place or words)


def answers(question: Question) -> list[str]:
    """What the assistant said before."""
    said = (part for turn in question.history if turn.role == "assistant" for part in turn.parts)
    return [part.text for part in said if isinstance(part, Words)]


def picture(record: Record) -> Media:
    return next(record.media).open()


def test_a_sample_is_drawn_once_for_all_and_grows_with_its_size(source: Jsonl) -> None:
    places = [record.place for record in map(Sample(source, 4, seed=1).__getitem__, range(4))]
    assert len(set(places)) == 4
    assert [Sample(source, 6, seed=1)[index].place for index in range(4)] == places
    assert [Sample(source, 4, seed=2)[index].place for index in range(4)] != places
    assert len(Sample(source, 100)) == 6


@pytest.mark.parametrize("index", range(6))
def test_shots_come_before_and_are_not_asked(source: Jsonl, index: int) -> None:
    record = Shots(source, 2, seed=3)[index]
    (question,) = questions(record, record.place)
    assert question.turn == source[index].turns[0] and question.references == (f"shade {index}",)
    assert [turn.role for turn in question.history] == ["user", "assistant"] * 2
    said = answers(question)
    assert len(set(said)) == 2 and f"shade {index}" not in said
    assert Shots(source, 2, seed=3)[index] == record
    assert len(record.conversation()) == 6


def test_shots_of_a_pool_leave_the_record_out_even_in_a_sample(source: Jsonl) -> None:
    shots = Shots(Sample(source, 3, seed=5), 5, source)
    for index in range(3):
        (question,) = questions(shots[index], "x")
        assert len(answers(question)) == 5 and question.references[0] not in answers(question)


class Holed(Several):
    """The same, of which one cannot be read."""

    def __getitem__(self, index: int) -> Record:
        if index == 1:
            raise BadRecord("hole", "it is torn")
        return super().__getitem__(index)


def test_a_bad_record_is_no_example_and_its_media_are_not_exchanged(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        Image(np.full((2, 2, 3), number, "uint8")).save(path)
    source = Holed(*(asked(path, place=path.name) for path in paths))
    for index in (0, 2, 3):
        (question,) = questions(Shots(source, 2)[index], "shot")
        assert len(answers(question)) == 2
        assert picture(Exchanged(source)[index]) != picture(source[index])


def test_fewer_examples_than_were_asked_for_are_no_examples(tmp_path: Path) -> None:
    path = Image(np.zeros((2, 2, 3), "uint8")).save(tmp_path / "0.png")
    source = Holed(*(asked(path, place=str(number)) for number in range(4)))
    with pytest.raises(BadRecord, match="3 examples are asked for, and 2 records can be used"):
        Shots(source, 3)[0]


def test_more_shots_than_there_are_records_are_refused(source: Jsonl) -> None:
    with pytest.raises(IntakeError, match="6 examples cannot be drawn from 6 records"):
        Shots(source, 6)


@pytest.mark.parametrize("seed", range(4))
def test_exchanged_media_are_never_the_records_own_and_each_is_used_once(source: Jsonl, seed: int) -> None:
    changed = Exchanged(source, seed)
    shown = [next(changed[index].media).place for index in range(6)]
    assert sorted(shown) == sorted(next(source[index].media).place for index in range(6))
    assert all(next(source[index].media).place != shown[index] for index in range(6))
    assert changed[0].turns[1] == source[0].turns[1]


def test_media_are_exchanged_for_others_of_the_same_modality_alone(tmp_path: Path) -> None:
    one, other, sound = tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.wav"
    changed = Exchanged(Several(asked(one), asked(sound, kind="audio"), asked(other), asked(None)))
    assert next(changed[0].media).place == str(other)
    for index, reason in ((1, "no other record"), (3, "shows no media")):
        with pytest.raises(BadRecord, match=reason):
            changed[index]


def test_a_blind_record_has_its_words_alone(source: Jsonl, tmp_path: Path) -> None:
    assert Blind(source)[0].turns[0].parts == (Words("What is its shade?"),)
    with pytest.raises(BadRecord, match="media alone"):
        alone = (Turn("user", (Shown(InFile("image", tmp_path / "a.png")),)), Turn("assistant", (Words("a", True),)))
        Blind(Several(Record("gold-pair", alone, place="x")))[0]


def test_what_should_be_made_stays_when_media_are_left_out(tmp_path: Path) -> None:
    target = InFile("image", tmp_path / "b.png")
    turns = (
        Turn("user", (Shown(InFile("image", tmp_path / "a.png")), Words("Redraw."))),
        Turn("assistant", (Made("image", "a cat", target),)),
    )
    assert list(Blind(Several(Record("instruction", turns, place="x")))[0].media) == [target]


RANDOM = np.random.default_rng
SAMPLES: dict[str, Media] = {
    "image": Image(np.random.default_rng(0).integers(0, 255, (24, 32, 3), "uint8")),
    "video": Video(np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3), "uint8"), fps=4),
    "audio": Audio(0.3 * np.sin(np.arange(800) / 5).astype("float32"), 8000),
    "points": Points(np.random.default_rng(0).normal(size=(50, 6)).astype("float32")),
}
APPLIED = [(change, name) for change in (NOISE, BLUR) for name in change.media]


@pytest.mark.parametrize(("change", "name"), APPLIED, ids=lambda item: getattr(item, "name", item))
def test_the_stronger_a_change_the_further_from_what_it_was(change: Change, name: str) -> None:
    medium = SAMPLES[name]
    apart = []
    for strength in (0.0, *change.strengths):
        worse = change.media[name](medium, strength, RANDOM(0))
        assert type(worse) is type(medium) and worse.describe() == medium.describe()
        apart.append(float(np.abs(worse.view(*medium._arrays) - medium.view(*medium._arrays).astype(float)).mean()))
    assert apart[0] < 1 and sorted(apart) == apart and len(set(apart)) == len(apart)


def test_noise_is_as_strong_as_it_says() -> None:
    grey = Image(np.full((64, 64, 4), 128, np.uint8))
    noisy = NOISE.media["image"](grey, 0.1, RANDOM(0)).view("pixels")
    assert noisy[:, :, :3].astype(float).std() == pytest.approx(25.5, rel=0.05)
    assert (noisy[:, :, 3] == 128).all(), "transparency stays"
    sound = SAMPLES["audio"]
    apart = NOISE.media["audio"](sound, 0.5, RANDOM(0)).view("samples") - sound.view("samples")
    assert float(np.sqrt(np.square(apart).mean())) == pytest.approx(0.5 * 0.3 / np.sqrt(2), rel=0.1)


def test_wide_and_grey_pictures_stay_what_they_are() -> None:
    wide = Image(np.full((8, 8, 1), 30000, np.uint16))
    assert NOISE.media["image"](wide, 0.1, RANDOM(0)).view("pixels").dtype == "uint16"
    grey = Image(np.full((8, 8, 1), 30, np.uint8))
    assert BLUR.media["image"](grey, 0.1, RANDOM(0)) == grey


def test_a_perturbed_record_is_changed_when_it_is_opened_and_the_same_every_time(source: Jsonl) -> None:
    noisy = Perturbed(source, "noise", 0.2, seed=1)
    assert picture(noisy[0]) == picture(noisy[0]) != picture(source[0])
    assert picture(Perturbed(source, "noise", 0.2, seed=2)[0]) != picture(noisy[0])
    reference = next(noisy[0].media)
    assert (reference.modality, reference.mark()) == ("image", "")
    assert Image.decode(reference.read(Limits())) == picture(noisy[0])
    assert noisy[0].turns[0].parts[1] == source[0].turns[0].parts[1]


def test_speech_is_changed_as_the_audio_that_it_is_too(tmp_path: Path) -> None:
    Speech(SAMPLES["audio"].view("samples"), 8000).save(tmp_path / "a.wav")
    changed = Perturbed(Several(asked(tmp_path / "a.wav", kind="speech")), "noise", 0.2)
    assert isinstance(picture(changed[0]), Speech)


def test_a_change_that_applies_to_nothing_is_told(source: Jsonl) -> None:
    with pytest.raises(BadRecord, match="nothing that blur changes"):
        Perturbed(Several(asked(None)), "blur", 0.1)[0]
    with pytest.raises(IntakeError, match="there are noise, blur, typos, paraphrase"):
        Perturbed(source, "fog", 0.1)


def test_words_of_the_user_alone_are_changed(source: Jsonl) -> None:
    changed = Perturbed(source, TYPOS, 1.0)[0]
    assert changed.turns[0].parts[0] == source[0].turns[0].parts[0] and changed.turns[1] == source[0].turns[1]
    (words,) = (part for part in changed.turns[0].parts if isinstance(part, Words))
    assert words.text != "What is its shade?" and words.text.endswith("?")


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(0, 1000))
def test_no_strength_changes_nothing_and_words_stay_words(text: str, seed: int) -> None:
    for change in (mistyped, reworded):
        assert change(text, 0.0, RANDOM(seed)) == text or not text.strip()
        if text.strip():
            assert change(text, 1.0, RANDOM(seed)) == change(text, 1.0, RANDOM(seed))
    assert len(mistyped(text, 1.0, RANDOM(seed)).split()) == len(text.split())


def test_slips_are_as_many_as_the_strength_says() -> None:
    words = ["window"] * 400
    for less, more in ((0.1, 0.25), (0.25, 0.5)):
        pairs = zip(
            mistyped(" ".join(words), less, RANDOM(0)).split(), mistyped(" ".join(words), more, RANDOM(0)).split()
        )
        assert all(one in ("window", other) for one, other in pairs)
    slips = sum(word != "window" for word in mistyped(" ".join(words), 0.25, RANDOM(0)).split())
    assert 70 < slips < 130
    assert all(word[0] == "w" for word in mistyped(" ".join(words), 1.0, RANDOM(0)).split())


def test_a_paraphrase_turns_the_opening_or_puts_a_frame_around_and_keeps_the_rest() -> None:
    found = {reworded("\nWhat is the shade of X?\n", 1.0, RANDOM(seed)) for seed in range(60)}
    assert len(found) > 6 and all("the shade of X?" in item for item in found)
    assert all(item.startswith("\n") and item.endswith("\n") for item in found)
    assert "\nCan you tell what is the shade of X?\n" in found
    assert "\nWhat is the shade of X? Thank you.\n" in found


def test_every_change_has_its_name_and_growing_strengths() -> None:
    assert [change.name for change in CHANGES.values()] == list(CHANGES)
    for change in (NOISE, BLUR, TYPOS, PARAPHRASE):
        assert list(change.strengths) == sorted(change.strengths) and change.strengths[0] > 0
