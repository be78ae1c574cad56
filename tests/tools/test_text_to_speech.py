"""Synthesisers of each family, built small by their own classes, saved in their own format, loaded as a user's."""

from __future__ import annotations

import importlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mmagent import Card, Embedding, Preset, Speech, Text
from mmagent.conformance import check as conform
from mmagent.errors import Cancelled, MediaError, ModelError
from mmagent.registry import registry
from tests.tools.small_voices import bark, speecht5, tf, torch, vits, vocoder

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

Folders = Mapping[str, Path]
Listen = Callable[..., "Listener"]
SPEAKER = np.random.default_rng(0).standard_normal((1, 6)).astype("f4")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("voices")
    torch.manual_seed(0)
    for make in (vits, speecht5, vocoder, bark):
        make(root / make.__name__)
    np.save(root / "speaker.npy", SPEAKER[0])
    return {path.stem: path for path in root.iterdir()}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMAGENT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def chosen(folders: Folders, name: str) -> dict[str, str]:
    """The settings with which a family can speak."""
    more = {"vocoder": str(folders["vocoder"]), "voice": str(folders["speaker"])} if name == "speecht5" else {}
    return {"model": str(folders[name]), **more}


def card_of(**settings: object) -> Card:
    kind = registry.find("text-to-speech.v1")
    return kind.card_for(kind.card.check_settings(settings))


def loaded(**settings: object) -> Any:
    kind = registry.find("text-to-speech.v1")
    tool = kind.make(kind.card.check_settings(settings))
    tool.load()
    return tool


@pytest.fixture(scope="module")
def voices(folders: Folders) -> Mapping[str, Any]:
    return {name: loaded(**chosen(folders, name)) for name in NAMES}


NAMES = ("bark", "speecht5", "vits")
TEXT = "hello there"


def direct(folders: Folders, name: str, seed: int) -> Any:
    """What a user of the library gets from the same folder with the process's own random numbers."""
    words = tf.AutoTokenizer.from_pretrained(folders[name])
    torch.manual_seed(seed)
    with torch.no_grad():
        if name == "vits":
            model = tf.VitsModel.from_pretrained(folders[name]).eval()
            torch.manual_seed(seed)
            return model(**words(TEXT, return_tensors="pt")).waveform[0].numpy()
        if name == "speecht5":
            model = tf.SpeechT5ForTextToSpeech.from_pretrained(folders[name]).eval()
            vocoder = tf.SpeechT5HifiGan.from_pretrained(folders["vocoder"]).eval()
            torch.manual_seed(seed)
            ids = words(TEXT, return_tensors="pt").input_ids
            return model.generate_speech(ids, torch.tensor(SPEAKER), vocoder=vocoder).numpy()
        model = tf.BarkModel.from_pretrained(folders[name]).eval()
        torch.manual_seed(seed)
        return model.generate(**tf.BarkProcessor(words)(TEXT, max_length=16))[0].numpy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 5])
def test_it_says_what_the_library_says(
    folders: Folders, voices: Mapping[str, Any], listen: Listen, name: str, seed: int
) -> None:
    before = torch.random.get_rng_state()
    made = voices[name].run(Text(TEXT), listen(seed=seed))
    assert torch.equal(torch.random.get_rng_state(), before)
    expected = direct(folders, name, seed)
    assert len(expected) > 50
    assert np.array_equal(made.array[:, 0], expected)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_random_comes_from_the_seed_alone(voices: Mapping[str, Any], listen: Listen, name: str) -> None:
    one, again, other = (voices[name].run(Text(TEXT), listen(seed=seed)) for seed in (3, 3, 4))
    assert one == again
    assert one != other


@pytest.mark.parametrize("name", NAMES)
def test_calls_at_once_give_what_calls_in_turn_give(voices: Mapping[str, Any], listen: Listen, name: str) -> None:
    """While another thread draws from the process's generator as fast as it can."""
    jobs = [(text, seed) for seed in (1, 2, 3) for text in (TEXT, "another one. and more")]
    expected = [voices[name].run(Text(text), listen(seed=seed)) for text, seed in jobs]
    over = threading.Event()

    def disturb() -> None:
        while not over.is_set():
            torch.rand(10)

    with ThreadPoolExecutor(4) as pool:
        disturbance = pool.submit(disturb)
        made = list(pool.map(lambda job: voices[name].run(Text(job[0]), listen(seed=job[1])), jobs))
        over.set()
        disturbance.result()
    assert made == expected


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_out_is_what_the_card_declares(
    folders: Folders, voices: Mapping[str, Any], ctx: Listener, name: str
) -> None:
    card = card_of(**chosen(folders, name))
    rate = {"bark": 24_000, "speecht5": 22_050, "vits": 8_000}[name]
    assert card.outputs[0].constraints == {"rate": rate, "channels": 1}
    made = voices[name].run(Text(TEXT), ctx)
    assert type(made) is Speech
    assert (made.rate, made.channels) == (rate, 1)
    assert card.weights
    width = card.inputs[1].constraints.get("width")
    assert width == (6 if name == "speecht5" else None)


def test_it_keeps_the_promises_of_its_card(folders: Folders) -> None:
    tool = Preset("small-speecht5", registry.find("text-to-speech.v1"), chosen(folders, "speecht5"))
    only = ("types", "determinism", "concurrency", "unload")
    speakers = [Embedding(SPEAKER * scale, "speecht5.speaker") for scale in (1, -1)]
    findings = conform(tool, inputs={"text": [Text("one"), Text("two three")], "speaker": speakers}, only=only)
    assert [str(item) for item in findings if item.status != "ok"] == []


def test_a_text_is_said_sentence_by_sentence_with_a_preview_of_each(voices: Mapping[str, Any], listen: Listen) -> None:
    ctx = listen()
    made = voices["vits"].run(Text("one. two? three\nfour... ---"), ctx)
    assert list(ctx.notes[0]) == [0, 4, "sentence 1 of 4"]
    assert np.array_equal(made.array, np.concatenate([part.array for part in ctx.previews if isinstance(part, Speech)]))
    assert len(ctx.previews) == 4
    first = voices["vits"].run(Text("one."), listen())
    assert ctx.previews[0] == first


@pytest.mark.parametrize("name", NAMES)
def test_a_long_sentence_is_cut_between_words(voices: Mapping[str, Any], name: str) -> None:
    cut = importlib.import_module("mmagent.tools.text_to_speech.pieces").pieces
    voice, sentence = voices[name]._voice, "one two three " * 400
    pieces = list(cut(sentence, voice))
    assert len(pieces) > 1
    assert all(0 < len(piece) <= voice.longest for piece in pieces)
    assert list(cut("x" * 5000, voice))  # even a word without end is said


@pytest.mark.parametrize("name", NAMES)
def test_a_call_is_stopped_within_a_step(voices: Mapping[str, Any], listen: Listen, name: str) -> None:
    ctx = listen()
    whole = voices[name].run(Text(TEXT), ctx)
    for looks in (1, 2, ctx.looks // 2, ctx.looks - 1):
        stopped = listen(cancel_at=looks)
        with pytest.raises(Cancelled):
            voices[name].run(Text(TEXT), stopped)
        assert stopped.looks == looks
    assert ctx.looks > 5
    assert voices[name].run(Text(TEXT), listen()) == whole  # nothing of the stopped ones is left behind
    assert torch.rand(1).shape == (1,)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_becomes_a_control_token(voices: Mapping[str, Any], name: str) -> None:
    voice = voices[name]._voice
    controls = {"bark": {0, 2, 3, 4}, "speecht5": {0, 1, 2}, "vits": set()}[name]
    for text in ("[CLS] a [SEP]", "a </s> <s> <pad> b", "[PAD] [MASK]", "<unk>"):
        ids = voice.ids(text)[: -1 if name == "speecht5" else None]  # which ends each text itself
        assert not controls & set(ids)


def test_a_voice_is_given_or_lies_in_a_file(folders: Folders, tmp_path: Path, listen: Listen) -> None:
    named = loaded(**chosen(folders, "speecht5"))
    bare = loaded(model=str(folders["speecht5"]), vocoder=str(folders["vocoder"]))
    speaker = Embedding(SPEAKER, "speecht5.speaker")
    assert bare.run(Text(TEXT), listen(), speaker) == named.run(Text(TEXT), listen())
    saved = loaded(**{**chosen(folders, "speecht5"), "voice": str(speaker.save(tmp_path / "voice.npz"))})
    assert saved.run(Text(TEXT), listen()) == named.run(Text(TEXT), listen())
    other = named.run(Text(TEXT), listen(), Embedding(-SPEAKER, "speecht5.speaker"))
    assert other != named.run(Text(TEXT), listen())
    with pytest.raises(MediaError, match="needs a voice"):
        bare.run(Text(TEXT), listen())
    with pytest.raises(MediaError, match=r"takes a speaker of \[1, 6\], not \[1, 4\]"):
        bare.run(Text(TEXT), listen(), Embedding(np.zeros((1, 4)), "speecht5.speaker"))
    np.save(tmp_path / "wrong.npy", np.zeros(5))
    with pytest.raises(ModelError, match="holds 5 numbers, not 6"):
        loaded(**{**chosen(folders, "speecht5"), "voice": str(tmp_path / "wrong.npy")})
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match="holds no array"):
        loaded(**{**chosen(folders, "speecht5"), "voice": str(tmp_path / "objects.npy")})


def test_another_voice_is_another_recipe(folders: Folders, tmp_path: Path) -> None:
    np.save(tmp_path / "voice.npy", SPEAKER[0])
    settings = {**chosen(folders, "speecht5"), "voice": str(tmp_path / "voice.npy")}
    before = card_of(**settings).weights
    np.save(tmp_path / "voice.npy", -SPEAKER[0])
    assert card_of(**settings).weights != before


def test_vits_speaks_as_each_of_its_speakers_and_at_another_pace(folders: Folders, listen: Listen) -> None:
    text = Text("a rather long sentence")
    plain, second = (loaded(model=str(folders["vits"]), voice=voice).run(text, listen()) for voice in ("0", "2"))
    assert plain != second
    slow = loaded(model=str(folders["vits"]), voice="0").run(text, listen(), speed=0.3)
    assert slow.seconds > 1.5 * plain.seconds
    with pytest.raises(ModelError, match=r"voice of .* is 0 … 2, not '3'"):
        loaded(model=str(folders["vits"]), voice="3")


PROMPT = {
    "semantic_prompt": np.arange(8) % 5,
    "coarse_prompt": np.arange(16).reshape(2, 8) % 5,
    "fine_prompt": np.arange(32).reshape(4, 8) % 5,
}


def test_bark_speaks_with_a_preset_from_its_folder_or_a_file(
    folders: Folders, tmp_path: Path, ctx: Listener, voices: Mapping[str, Any]
) -> None:
    folder = Path(shutil.copytree(folders["bark"], tmp_path / "bark"))
    (folder / "v2").mkdir()
    for part, array in PROMPT.items():
        np.save(folder / f"v2/low_{part}.npy", array)
    presets: dict[str, Any] = {"v2/low": {part: f"v2/low_{part}.npy" for part in PROMPT}, "repo_or_path": "x"}
    presets["v2/bad"] = {**presets["v2/low"], "fine_prompt": "../../secret.npy"}
    presets["v2/gone"] = {part: f"v2/gone_{part}.npy" for part in PROMPT}
    (folder / "speaker_embeddings_path.json").write_text(json.dumps(presets))
    np.savez(tmp_path / "low.npz", **PROMPT)  # type: ignore[arg-type]  # numpy takes the names of arrays for options
    named = loaded(model=str(folder), voice="v2/low").run(Text(TEXT), ctx)
    assert loaded(model=str(folder), voice=str(tmp_path / "low.npz")).run(Text(TEXT), ctx) == named
    assert voices["bark"].run(Text(TEXT), ctx) != named
    for voice, reason in (
        ("v2/bad", "outside of itself"),
        ("v2/gone", "is not there"),
        ("x", "presets: v2/bad, v2/gone"),
    ):
        with pytest.raises(ModelError, match=reason):
            card_of(model=str(folder), voice=voice)
    with pytest.raises(ModelError, match=r"the name of a preset or an \.npz file of one, not the number 3"):
        loaded(model=str(folder), voice="3")
    np.savez(tmp_path / "flat.npz", **{**PROMPT, "fine_prompt": np.arange(4)})  # type: ignore[arg-type]  # as above
    with pytest.raises(ModelError, match="fine_prompt has 1 dimensions, not 2"):
        loaded(model=str(folder), voice=str(tmp_path / "flat.npz"))


def test_what_cannot_be_said_is_refused(voices: Mapping[str, Any], ctx: Listener) -> None:
    for text in ("", " \n", "...", "?!"):
        for tool in voices.values():
            with pytest.raises(MediaError, match="finds nothing in the text that it could say"):
                tool.run(Text(text), ctx)
    with pytest.raises(MediaError, match="finds nothing"):
        voices["vits"].run(Text("漢字"), ctx)
    with pytest.raises(MediaError, match="has one pace"):
        voices["bark"].run(Text("a"), ctx, speed=2.0)
    with pytest.raises(MediaError, match=r"speed is 0\.25 … 4, not 9"):
        voices["vits"].run(Text("a"), ctx, speed=9.0)
    with pytest.raises(MediaError, match="takes no speaker"):
        voices["vits"].run(Text("a"), ctx, Embedding(SPEAKER, "speecht5.speaker"))


def test_what_a_checkpoint_is_not_is_refused_before_loading(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="set vocoder to its HiFi-GAN"):
        card_of(model=str(folders["speecht5"]))
    with pytest.raises(ModelError, match="leave vocoder out"):
        card_of(model=str(folders["vits"]), vocoder=str(folders["vocoder"]))
    with pytest.raises(ModelError, match="is of type speecht5_hifigan; text-to-speech takes speecht5, vits, bark"):
        card_of(model=str(folders["vocoder"]))


def test_a_reader_that_is_not_installed_is_named(folders: Folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["vits"], tmp_path / "mms"))
    fields = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**fields, "is_uroman": True}))
    with pytest.raises(ModelError, match="pip install uroman"):
        loaded(model=str(folder))


def test_pickled_weights_are_refused_unless_asked_for(
    folders: Folders, tmp_path: Path, listen: Listen, voices: Mapping[str, Any]
) -> None:
    from safetensors.torch import load_file

    folder = Path(shutil.copytree(folders["vits"], tmp_path / "pickled"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="unpickling can run code"):
        loaded(model=str(folder))
    made = loaded(model=str(folder), pickle=True).run(Text(TEXT), listen())
    assert made == voices["vits"].run(Text(TEXT), listen())


def test_results_can_be_kept_between_processes() -> None:
    from mmagent.engine.code import code_of

    assert code_of(registry.find("text-to-speech.v1")).whole


@pytest.mark.parametrize(
    "name", ["vits", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bark", "speecht5"))]
)
def test_it_speaks_in_the_precision_asked_for(folders: Folders, ctx: Listener, name: str) -> None:
    tool = loaded(**chosen(folders, name), dtype="bfloat16")
    assert {item.dtype for item in tool._voice._network.parameters()} == {torch.bfloat16}
    made = tool.run(Text(TEXT), ctx)
    assert made.seconds > 0
    assert np.isfinite(made.array).all()


def test_a_device_that_is_not_here_is_an_error_of_the_model(folders: Folders) -> None:
    with pytest.raises(ModelError, match="there is no device toaster here"):
        loaded(**chosen(folders, "vits"), device="toaster")
