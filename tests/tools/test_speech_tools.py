"""The speech tools: how they cut, level and decode, and on real weights that they understand each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent import Audio, Speech, Text
from mmagent.errors import Cancelled, DigestMismatch
from mmagent.registry import registry

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

Load = Callable[[str], Any]
Listen = Callable[..., "Listener"]

SENTENCES = (
    "What animal is in this picture?",
    "Please draw two red balloons above a small house.",
    "The quick brown fox jumps over the lazy dog.",
    "It is raining today, so I shall stay at home and read a book.",
    "Where is the nearest train station?",
    "She bought seven apples and a loaf of bread on Monday.",
    "Nobody knows what the old machine was made for.",
)


def module(name: str) -> Any:
    """The file of a tool, whose parts are looked at."""
    import importlib

    return importlib.import_module(f"mmagent.tools.{name}")


@given(st.lists(st.floats(0.5, 40), min_size=1, max_size=4))
def test_long_speech_is_cut_in_the_pauses_and_nothing_is_lost(phrases: list[float]) -> None:
    rate, voice = 16_000, np.random.default_rng(0)
    parts = []
    for seconds in phrases:
        parts += [voice.standard_normal(round(seconds * rate)).astype("f4") * 0.1, np.zeros(rate // 2, "f4")]
    samples = np.concatenate(parts)
    pieces = list(module("speech_recognition")._pieces(samples))
    np.testing.assert_array_equal(np.concatenate(pieces), samples)
    assert all(len(piece) <= 25 * rate for piece in pieces)
    assert all(len(piece) >= 12.5 * rate for piece in pieces[:-1])


def test_the_cut_lies_in_the_silence() -> None:
    rate = 16_000
    samples = np.full(30 * rate, 0.1, "f4")
    samples[20 * rate : round(20.5 * rate)] = 0
    first, _ = module("speech_recognition")._pieces(samples)
    assert 20 < len(first) / rate < 20.5


def test_the_vendors_vocabulary_is_read_with_both_kinds_of_length(tmp_path: Path) -> None:
    long = b"x" * 300
    # 300 = 2 * 128 + 172 - 128
    (tmp_path / "v").write_bytes(b"\x03abc" + b"\x00" + bytes([172, 2]) + long + b"\x01d")
    assert module("speech_recognition")._vocabulary(tmp_path / "v") == [b"abc", b"", long, b"d"]


@given(st.floats(0.01, 1), st.sampled_from([8000, 16000, 44100]))
def test_the_detector_hears_every_level_alike_but_silence_as_it_is(gain: float, rate: int) -> None:
    wave = np.sin(np.arange(rate // 2) / 7).astype("f4")
    level = module("speech_detector")._level
    assert np.abs(level(Audio(wave * gain, rate))).max() == pytest.approx(0.5, abs=1e-3)
    assert np.abs(level(Audio(wave * 1e-4, rate))).max() < 2e-4
    assert len(level(Audio(np.zeros((0, 1), "f4"), rate))) == 0


def test_the_detector_leaves_by_exactly_one_of_two_optional_ports() -> None:
    card = registry.card("speech-detector.v1")
    assert [(port.name, port.modality, port.optional) for port in card.outputs] == [
        ("speech", "speech", True),
        ("sound", "audio", True),
    ]


def test_another_voice_than_the_cards_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hibari.onnx").write_bytes(b"another")
    with pytest.raises(DigestMismatch, match=r"hibari-tts 0\.2\.1"):
        module("say").Say()._check(tmp_path / "hibari.onnx")


# -- real weights


def errors(said: str, heard: str) -> tuple[int, int]:
    """Word errors (edits) and words of what was said."""
    a, b = (re.sub(r"[^a-z' ]", " ", text.lower()).split() for text in (said, heard))
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1], len(a)


def test_word_errors_are_counted_as_edits() -> None:
    assert errors("the cat sat", "The cat sat.") == (0, 3)
    assert errors("the cat sat", "a cat sat down") == (2, 3)
    assert errors("the cat", "") == (2, 2)


def speak(load: Load, ctx: Listener, text: str, **settings: float) -> Speech:
    speech: Speech = load("say.v1").run(Text(text), ctx, **settings)
    return speech


def hear(load: Load, ctx: Listener, speech: Audio) -> str:
    ready = load("resample.v1").run(speech, rate=16_000, channels=1)
    text: Text = load("speech-recognition.v1").run(ready, ctx)
    return text.text


@pytest.mark.weights
def test_what_is_said_is_recognised(load: Load, ctx: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = words = 0
    for sentence in SENTENCES:
        for settings in ({}, {"pitch": 0.8}, {"pitch": 1.25}, {"speed": 1.2}):
            found = errors(sentence, hear(load, ctx, speak(load, ctx, sentence, **settings)))
            wrong, words = wrong + found[0], words + found[1]
    with capsys.disabled():
        click.echo(f"\nword error rate, synthesis to recognition: {wrong} of {words} words, {wrong / words:.3f}")
    assert words > 200
    assert wrong / words <= 0.05


@pytest.mark.weights
def test_the_same_seed_says_the_same_and_another_one_nearly(load: Load, listen: Listen) -> None:
    text = SENTENCES[0]
    one, again, other = (speak(load, listen(seed=seed), text) for seed in (3, 3, 4))
    assert one == again
    assert one != other
    assert (one.rate, one.channels) == (24_000, 1)


@pytest.mark.weights
def test_settings_of_the_voice_are_heard(load: Load, ctx: Listener) -> None:
    plain, fast, low = (speak(load, ctx, SENTENCES[3], **s) for s in ({}, {"speed": 1.5}, {"pitch": 0.7}))
    assert fast.seconds < 0.8 * plain.seconds
    assert low.seconds == pytest.approx(plain.seconds, rel=0.1)
    assert fundamental(low) == pytest.approx(0.7 * fundamental(plain), rel=0.12)
    with pytest.raises(ValueError, match="speed is"):
        speak(load, ctx, "Hello.", speed=9.0)


def fundamental(speech: Speech) -> float:
    """The median pitch in Hz of the louder 60 ms frames, by autocorrelation without bias to short lags."""
    size, samples = round(speech.rate * 0.06), speech.array[:, 0]
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    loud = frames[(frames**2).mean(axis=1) > 0.2 * (frames**2).mean(axis=1).max()]
    shortest, longest = speech.rate // 400, speech.rate // 90
    pitches = []
    for frame in loud:
        match = np.correlate(frame, frame, "full")[size - 1 :] / np.arange(size, 0, -1)
        best = shortest + int(match[shortest:longest].argmax())
        if match[best] > match[0] / 2:
            pitches.append(speech.rate / best)
    return float(np.median(pitches))


@pytest.mark.weights
def test_long_text_is_spoken_and_heard_piece_by_piece(load: Load, listen: Listen) -> None:
    text = " ".join(SENTENCES * 2)
    speaking, hearing = listen(), listen()
    speech = speak(load, speaking, text)
    assert speech.seconds > 30
    assert len(speaking.previews) == len(speaking.notes) == 2 * len(SENTENCES)
    assert all(before[0] < after[0] for before, after in pairwise(speaking.notes))
    heard = hear(load, hearing, speech)
    assert [note[:2] for note in hearing.notes] == [(0, 2), (1, 2)]
    assert "".join(hearing.tokens).strip() == heard
    assert errors(text, heard)[0] <= 5
    with pytest.raises(Cancelled):
        speak(load, listen(cancel_at=3), text)
    with pytest.raises(Cancelled):
        hear(load, listen(cancel_at=9), speech)


@pytest.mark.weights
def test_nothing_to_say_is_silence_and_silence_is_an_empty_text(load: Load, ctx: Listener) -> None:
    silence = speak(load, ctx, "")
    assert np.abs(silence.array).max() == 0
    assert silence.seconds == pytest.approx(0.2)
    assert hear(load, ctx, silence) == ""
    assert hear(load, ctx, Speech(np.zeros((0, 1), "f4"), 16_000)) == ""
    assert ctx.tokens == []


@pytest.mark.weights
def test_speech_is_told_from_other_sound(load: Load, ctx: Listener) -> None:
    detect = load("speech-detector.v1").run
    noise = np.random.default_rng(0)
    for sentence in (*SENTENCES, "Yes.", "Stop.", "Good morning!"):
        clean = load("resample.v1").run(speak(load, ctx, sentence), rate=16_000).array
        hiss = noise.standard_normal(clean.shape) * np.sqrt((clean**2).mean() / 10)
        for samples in (clean, clean * 0.03, clean + hiss):
            heard = detect(Audio(samples, 16_000), ctx)
            assert type(heard.speech) is Speech
            assert heard.sound is None
            np.testing.assert_array_equal(heard.speech.array, samples.astype("f4"))
    for sound in sounds():
        heard = detect(sound, ctx)
        assert heard.speech is None
        assert heard.sound is sound


def sounds() -> list[Audio]:
    """Two seconds each of tones, sweeps, chords, beats, clicks and noises."""
    rate = 22_050
    t, noise = np.arange(2 * rate) / rate, np.random.default_rng(1)
    waves = [
        0.3 * np.sin(2 * np.pi * f * t + depth * np.sin(10 * np.pi * t)) for f in (110, 440, 990) for depth in (0, 5)
    ]
    waves += [0.3 * ((f * t) % 1 * 2 - 1) for f in (110, 440)]
    waves.append(sum((np.sin(2 * np.pi * f * t) for f in (262, 330, 392)), np.zeros_like(t)) * 0.1 * np.exp(-2 * t))
    waves.append(0.3 * np.sin(2 * np.pi * (200 + 400 * t) * t))
    waves.append(noise.standard_normal(len(t)) * 0.1)
    waves.append(np.cumsum(noise.standard_normal(len(t))) / 400)
    waves.append(noise.standard_normal(len(t)) * 0.3 * np.exp(-20 * (t % 0.5)))
    waves.append((noise.random(len(t)) < 1e-3).astype(float))
    waves.append(np.zeros_like(t))
    return [Audio(wave.clip(-1, 1), rate) for wave in waves]


@pytest.mark.weights
def test_declared_speech_is_not_doubted(load: Load, ctx: Listener) -> None:
    hum = Speech(np.sin(np.arange(16_000) / 20) * 0.1, 16_000)
    assert load("speech-detector.v1").run(hum, ctx).speech is hum


@pytest.mark.weights
def test_calls_at_once_give_what_calls_in_turn_give(load: Load, listen: Listen) -> None:
    """The cards say `reentrant`."""

    def both(sentence: str) -> tuple[Speech, str]:
        speech = speak(load, listen(), sentence)
        return speech, hear(load, listen(), speech)

    jobs = SENTENCES * 3
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(both, jobs)) == [both(sentence) for sentence in jobs]
