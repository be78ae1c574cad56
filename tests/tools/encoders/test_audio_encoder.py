"""Audio encoders of each family, built small by their own classes, saved in their own format, loaded as a user's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent import Audio, Embedding, Engine, GraphBuilder
from mmagent.errors import Cancelled, MediaError, ModelError
from tests.tools.encoders.checkpoints import Folders, card_of, loaded
from tests.tools.encoders.families import (
    HEARING,
    tf,
    torch,
)

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

TOOL = "audio-encoder.v1"


RATES = {name: 48_000 if name.startswith("clap") else 16_000 for name in HEARING}


def sound(seconds: float, rate: int = 16_000, seed: int = 0) -> Audio:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * rate)).astype("f4")
    return Audio(noise * 0.1, rate)


def direct(folder: Path, audio: Audio) -> Any:
    """What a user of the library gets from the same folder."""
    model = tf.AutoModel.from_pretrained(folder).eval()
    inputs = tf.AutoFeatureExtractor.from_pretrained(folder)(
        audio.mono(), sampling_rate=audio.rate, return_tensors="pt"
    )
    model = {"whisper": lambda: model.encoder, "clap": lambda: model.audio_model}.get(
        model.config.model_type, lambda: model
    )()
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True)


@pytest.mark.parametrize("name", sorted(HEARING))
def test_the_states_are_those_that_the_library_gives(folders: Folders, ctx: Listener, name: str) -> None:
    audio = sound(0.6, RATES[name])
    out = direct(folders(name), audio)
    states = out.last_hidden_state
    if states.ndim == 4:
        states = states.flatten(2).transpose(1, 2)
    made = loaded(TOOL, model=str(folders(name))).run(audio, ctx)
    assert np.array_equal(made.array, states[0].numpy())
    if not name.startswith("clap"):
        first = loaded(TOOL, model=str(folders(name)), layer=1).run(audio, ctx)
        assert np.array_equal(first.array, out.hidden_states[1][0].numpy())


@pytest.mark.parametrize("name", ["ast", "clap", "clap-fused"])
def test_the_pooled_vector_is_the_models_own(folders: Folders, ctx: Listener, name: str) -> None:
    audio = sound(0.6, RATES[name])
    made = loaded(TOOL, model=str(folders(name)), output="pooled").run(audio, ctx)
    assert np.array_equal(made.array, direct(folders(name), audio).pooler_output.numpy())


@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_without_one_it_is_the_mean_of_the_states_that_count(folders: Folders, ctx: Listener, name: str) -> None:
    audio = sound(1.5)
    states = loaded(TOOL, model=str(folders(name))).run(audio, ctx)
    made = loaded(TOOL, model=str(folders(name)), output="pooled").run(audio, ctx)
    np.testing.assert_allclose(made.array[0], states.array[states.mask].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("name", ["clap", "clap-fused"])
def test_the_projected_vector_is_the_one_that_is_compared_with_texts(
    folders: Folders, ctx: Listener, name: str
) -> None:
    tool = loaded(TOOL, model=str(folders(name)), output="projected")
    audio = sound(0.6, 48_000)
    model = tf.ClapModel.from_pretrained(folders(name)).eval()
    hear = tf.AutoFeatureExtractor.from_pretrained(folders(name))
    with torch.no_grad():
        expected = model.get_audio_features(**hear(audio.mono(), sampling_rate=48_000, return_tensors="pt"))
    assert np.array_equal(tool.run(audio, ctx).array, expected.pooler_output.numpy())
    assert np.linalg.norm(tool.run(sound(2.5, 48_000), ctx).array) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", sorted(HEARING))
def test_what_comes_out_is_what_the_card_declares(folders: Folders, ctx: Listener, name: str) -> None:
    kept = 0
    for chosen in ({}, {"layer": 0}, {"windows": 3}, {"output": "pooled"}, {"output": "projected"}):
        asked = {"model": str(folders(name)), **chosen}
        try:
            card = card_of(TOOL, **asked)
        except ModelError:
            continue
        (heard,), (port,) = card.inputs, card.outputs
        assert heard.constraints == {"rate": RATES[name], "channels": 1}
        for seconds in (0.01, 1.9):
            facts = loaded(TOOL, **asked).run(sound(seconds, RATES[name]), ctx).describe()
            assert {key: facts[key] for key in port.constraints} == dict(port.constraints)
        assert {"width", "space"} <= set(port.constraints)
        assert ("tokens" in port.constraints) is (
            "output" in chosen or ("windows" in chosen and name in ("whisper", "ast", "clap", "clap-fused"))
        )
        kept += 1
    assert kept >= 3


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(1, 40_000))
def test_the_mask_counts_the_sound_and_padding_changes_nothing(
    folders: Folders, whisper: Any, listen: Callable[[], Listener], n_samples: int
) -> None:
    made = whisper.run(sound(n_samples / 16_000), listen())
    n_windows = -(-n_samples // 16_000)
    assert len(made.array) == 50 * n_windows
    assert made.mask.sum() == -(-n_samples // 320)
    assert not (np.diff(made.mask.astype(int)) > 0).any()  # what counts comes first
    filled = np.pad(sound(n_samples / 16_000).mono(), (0, n_windows * 16_000 - n_samples))
    assert np.array_equal(whisper.run(Audio(filled, 16_000), listen()).array, made.array)


@pytest.fixture(scope="module")
def whisper(folders: Folders) -> Any:
    return loaded(TOOL, model=str(folders("whisper")))


@pytest.fixture(scope="module")
def listen() -> Callable[[], Listener]:
    from tests.tools.conftest import Listener

    return Listener


def test_a_fixed_number_of_windows_adds_only_what_does_not_count(folders: Folders, ctx: Listener, whisper: Any) -> None:
    free = whisper.run(sound(1.4), ctx)
    fixed = loaded(TOOL, model=str(folders("whisper")), windows=4).run(sound(1.4), ctx)
    assert len(fixed.array) == 200
    assert np.array_equal(fixed.array[fixed.mask], free.array[free.mask])


def test_patches_of_the_silence_that_fills_up_are_masked(folders: Folders, ctx: Listener) -> None:
    made = loaded(TOOL, model=str(folders("ast"))).run(sound(0.3), ctx)
    # 28 frames begin within the sound; patches begin at each tenth of them, so three times in each of two bands.
    assert made.mask.tolist() == [True] * 2 + [True, True, True, False, False] * 2


@pytest.mark.parametrize("name", ["clap", "whisper"])
def test_long_sound_is_its_windows_one_after_another(folders: Folders, ctx: Listener, name: str) -> None:
    tool, rate = loaded(TOOL, model=str(folders(name))), RATES[name]
    whole = sound(2.3, rate)
    parts = [tool.run(Audio(whole.array[start : start + rate], rate), ctx) for start in range(0, 2 * rate + 1, rate)]
    made = tool.run(whole, ctx)
    assert np.array_equal(made.array, np.concatenate([part.array for part in parts]))
    assert np.array_equal(made.mask, np.concatenate([part.mask for part in parts]))


def test_sound_without_a_window_is_cut_into_equal_parts(folders: Folders, ctx: Listener) -> None:
    tool = loaded(TOOL, model=str(folders("hubert")))
    whole = sound(61)
    made = tool.run(whole, ctx)
    third = tool.run(Audio(whole.array[: len(whole.array) // 3 + 1], 16_000), ctx)
    assert len(ctx.notes) == 3 + 1
    assert np.array_equal(made.array[: len(third.array)], third.array)
    assert made.mask.all()


def test_it_stops_between_windows(folders: Folders, whisper: Any) -> None:
    from tests.tools.conftest import Listener

    ctx = Listener(cancel_at=2)
    with pytest.raises(Cancelled):
        whisper.run(sound(3), ctx)
    assert ctx.looks == 2


def test_what_cannot_be_heard_is_refused(folders: Folders, ctx: Listener, whisper: Any) -> None:
    with pytest.raises(MediaError, match="hears sound at 16000 Hz, not 8000; put resample before it"):
        whisper.run(sound(1, 8_000), ctx)
    with pytest.raises(MediaError, match="holds no samples"):
        whisper.run(Audio(np.zeros((0, 1), "f4"), 16_000), ctx)
    with pytest.raises(MediaError, match=r"sound of 2\.5 s takes 3 windows of 1\.0 s, and windows is 2"):
        loaded(TOOL, model=str(folders("whisper")), windows=2).run(sound(2.5), ctx)


def test_what_a_checkpoint_does_not_have_is_refused_before_loading(folders: Folders) -> None:
    with pytest.raises(ModelError, match="has 2 layers; layer is -3 … 2, not 3"):
        card_of(TOOL, model=str(folders("whisper")), layer=3)
    with pytest.raises(ModelError, match="states of several widths"):
        card_of(TOOL, model=str(folders("clap")), layer=0)
    with pytest.raises(ModelError, match="shares no space with a text encoder"):
        card_of(TOOL, model=str(folders("hubert")), output="projected")
    with pytest.raises(ModelError, match="windows is at least 1, not 0"):
        card_of(TOOL, model=str(folders("hubert")), windows=0)


def test_what_only_training_needs_may_be_missing(folders: Folders, tmp_path: Path, ctx: Listener) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(folders("wav2vec2"), tmp_path / "wav2vec2"))
    state = load_file(folder / "model.safetensors")
    del state["masked_spec_embed"]  # as in checkpoints that were trained to write down speech
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(TOOL, model=str(folder)).run(sound(0.5), ctx) == (
        loaded(TOOL, model=str(folders("wav2vec2"))).run(sound(0.5), ctx)
    )


def test_only_the_sound_tower_is_kept(folders: Folders) -> None:
    for name in ("clap", "whisper"):
        kept = loaded(TOOL, model=str(folders(name)))._network
        assert not any("text" in key or "decoder" in key for key, _ in kept.named_parameters())


def test_a_graph_puts_resample_before_a_preset(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ctx: Listener
) -> None:
    shelf = tmp_path / "tools"
    shelf.mkdir()
    (shelf / "mine.yaml").write_text(f"ears: {{tool: audio-encoder, model: {folders('whisper')}}}\n")
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))
    builder = GraphBuilder("hear")
    audio = builder.input("audio", Audio)
    builder.output("states", builder.add("encode", "ears", audio=audio))
    checked = builder.checked()
    assert any(node.card.name == "resample.v1" for node in checked.nodes)
    with Engine() as engine:
        made = engine.run(checked, {"audio": sound(0.5, 44_100)}).outputs["states"]
    assert isinstance(made, Embedding)
    assert made.space == "whisper.states"
    assert made.mask.sum() == 25
