"""Sounds by diffusers' own pipelines, built small, saved in their folder format and loaded as a user's checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mmagent import Audio, Card, Embedding, Text
from mmagent.diffusion import Trainable
from mmagent.errors import Cancelled, MediaError, ModelError
from mmagent.registry import registry

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

Listen = Callable[..., "Listener"]
Load = Callable[[str], Any]

# diffusers' AutoencoderOobleck is built with what torch has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")

FAMILIES = ("audioldm2", "audioldm", "stable-audio", "spectrogram")
RATES = {"stable-audio": 1000}
RED, BLUE = Text("a red balloon"), Text("a blue dog barks twice")
SECONDS = 0.02
LOUD = {"guidance": 50.0}  # fresh networks hardly hear the prompt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a small checkpoint by family, made once."""
    from mmagent.diffusion import save_small

    root = tmp_path_factory.mktemp("sounds")
    return cache(lambda family: str(save_small(family, root / family)))


@pytest.fixture(scope="module")
def tool(folder: Callable[[str], str]) -> Load:
    """The loaded tool by family."""
    return cache(lambda family: loaded(folder(family)))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def loaded(model: str) -> Any:
    made: Any = registry.find("audio-diffusion.v1").make({"model": model})
    made.load()
    return made


def card(model: str, **settings: Any) -> Card:
    kind = registry.find("audio-diffusion.v1")
    return kind.card_for(kind.card.check_settings({"model": model, **settings}))


def direct(folder: str, family: str, **words: str) -> Any:
    """The samples `[N, C]` that diffusers makes by itself."""
    import diffusers

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    told = {**words, "num_inference_steps": 2, "guidance_scale": 50.0, "generator": torch.Generator().manual_seed(5)}
    if family == "stable-audio":
        return pipe(**told, audio_end_in_s=SECONDS, output_type="np").audios[0].T.clip(-1, 1)
    if family != "spectrogram":
        return pipe(**told, audio_length_in_s=SECONDS).audios[0][:, None]
    from transformers import SpeechT5HifiGan

    vocoder = SpeechT5HifiGan.from_pretrained(f"{folder}/vocoder")
    latents = pipe(**told, height=80, width=16, output_type="latent").images
    with torch.no_grad():
        mel = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
        return vocoder(mel[:, 0])[0, :320, None].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_it_makes_what_diffusers_makes(family: str, tool: Load, folder: Callable[[str], str], listen: Listen) -> None:
    made = tool(family).run(listen(seed=5), prompt=RED, negative_prompt=BLUE, steps=2, seconds=SECONDS, **LOUD)
    alone = direct(folder(family), family, prompt=RED.text, negative_prompt=BLUE.text)
    np.testing.assert_array_equal(made.array, alone)
    assert made.array.std() > 1e-3, "there is something to compare"
    assert (made.rate, len(made.array)) == (RATES.get(family, 16_000), round(SECONDS * made.rate))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedding_of_words_makes_what_the_words_make(family: str, tool: Load, listen: Listen) -> None:
    sound, told = tool(family), {"steps": 2, "seconds": SECONDS, **LOUD}
    words = sound.run(listen(), prompt=RED, **told)
    red, blue = sound.condition([RED.text, BLUE.text])
    assert red.space == f"{family}.text"
    given = {"prompt_embeds": red}
    if family == "audioldm2":
        given["generated_prompt_embeds"] = generated(sound, RED.text)
    same = sound.run(listen(), **given, **told)
    np.testing.assert_allclose(same.array, words.array, atol=1e-5)
    other = sound.run(listen(), prompt_embeds=blue, **told)
    assert np.abs(other.array - words.array).max() > 1e-4, "another embedding makes another sound"


def generated(sound: Any, text: str) -> Embedding:
    """AudioLDM 2's second embedding of a text."""
    with torch.no_grad():
        states = sound._diffuser.pipe.encode_prompt(text, "cpu", 1, False)[2]
    return Embedding(states[0].numpy(), "audioldm2.text.generated")


@pytest.mark.parametrize("family", FAMILIES)
def test_words_and_embeddings_go_together(family: str, tool: Load, listen: Listen) -> None:
    sound, told = tool(family), {"steps": 2, "seconds": SECONDS, **LOUD}
    red, blue = sound.condition([RED.text, BLUE.text])
    second: tuple[dict[str, Embedding], ...] = ({}, {})
    if family == "audioldm2":
        second = (
            {"generated_prompt_embeds": generated(sound, RED.text)},
            {"negative_generated_prompt_embeds": generated(sound, BLUE.text)},
        )
    words = sound.run(listen(), prompt=RED, negative_prompt=BLUE, **told)
    plain = sound.run(listen(), prompt=RED, **told)
    mixed = (
        sound.run(listen(), prompt_embeds=red, negative_prompt=BLUE, **second[0], **told),
        sound.run(listen(), prompt=RED, negative_prompt_embeds=blue, **second[1], **told),
    )
    np.testing.assert_allclose(mixed[0].array, mixed[1].array, atol=1e-5)
    assert np.abs(mixed[0].array - plain.array).max() > 1e-4, "what is to be avoided is heard"
    if family != "audioldm2":  # whose pipeline cuts what is to be avoided to the prompt's length, where both are words
        np.testing.assert_allclose(mixed[0].array, words.array, atol=1e-5)


def test_audioldm_2_makes_the_second_embedding_of_the_first(tool: Load, listen: Listen) -> None:
    sound, told = tool("audioldm2"), {"steps": 2, "seconds": SECONDS, **LOUD}
    (empty,) = sound.condition([""])
    own = sound.run(listen(), prompt_embeds=empty, **told)
    given = sound.run(listen(), prompt_embeds=empty, generated_prompt_embeds=generated(sound, ""), **told)
    np.testing.assert_allclose(own.array, given.array, atol=1e-6, err_msg="of the empty text it is the pipeline's own")
    other = sound.run(listen(), prompt_embeds=empty, generated_prompt_embeds=generated(sound, RED.text), **told)
    assert np.abs(other.array - own.array).max() > 1e-4
    with pytest.raises(ModelError, match="beside prompt_embeds, not beside words"):
        sound.run(listen(), prompt=RED, generated_prompt_embeds=generated(sound, RED.text))
    for more in ({}, {"negative_prompt": BLUE}):
        with pytest.raises(ModelError, match="negative_generated_prompt_embeds comes beside negative_prompt_embeds"):
            given = {"prompt_embeds": empty, "negative_generated_prompt_embeds": generated(sound, ""), **more}
            sound.run(listen(), **given, **told)
    with pytest.raises(ModelError, match="takes no generated_prompt_embeds"):
        tool("spectrogram").run(listen(), prompt=RED, generated_prompt_embeds=generated(sound, RED.text))


@pytest.mark.parametrize("family", ["audioldm2", "audioldm", "stable-audio"])
def test_embeddings_of_another_width_are_refused(family: str, tool: Load, listen: Listen) -> None:
    narrow = Embedding(np.zeros((1, 7)), "other.text")
    for given in ({"prompt_embeds": narrow}, {"prompt": RED, "negative_prompt_embeds": narrow}):
        with pytest.raises(ModelError, match=r"prompt_embeds 32 wide, not 7 \(other\.text\)"):
            tool(family).run(listen(), **given)
    if family == "audioldm2":
        (red,) = tool(family).condition([RED.text])
        with pytest.raises(ModelError, match="generated_prompt_embeds 16 wide, not 7"):
            tool(family).run(listen(), prompt_embeds=red, generated_prompt_embeds=narrow)


def test_states_that_do_not_count_change_nothing(tool: Load, listen: Listen) -> None:
    sound = tool("audioldm2")
    (red,) = sound.condition([RED.text])
    longer = Embedding(np.pad(red.array, ((0, 9), (0, 0)), constant_values=7.0), red.space, np.pad(red.mask, (0, 9)))
    told = {"steps": 2, "seconds": SECONDS, "generated_prompt_embeds": generated(sound, RED.text), **LOUD}
    made = [sound.run(listen(), prompt_embeds=given, negative_prompt=BLUE, **told) for given in (red, longer)]
    np.testing.assert_allclose(made[0].array, made[1].array, atol=1e-5)


def test_a_checkpoint_that_names_the_language_model_without_its_head_runs_too(
    tool: Load, folder: Callable[[str], str], tmp_path: Path, listen: Listen
) -> None:
    from transformers import GPT2Model

    old = Path(shutil.copytree(folder("audioldm2"), tmp_path / "audioldm2"))
    shutil.rmtree(old / "language_model")
    tool("audioldm2")._diffuser.pipe.language_model.transformer.save_pretrained(old / "language_model")
    index = json.loads((old / "model_index.json").read_text())
    index["language_model"] = ["transformers", GPT2Model.__name__]
    (old / "model_index.json").write_text(json.dumps(index))
    told = {"prompt": RED, "steps": 2, "seconds": SECONDS, **LOUD}
    assert loaded(str(old)).run(listen(), **told) == tool("audioldm2").run(listen(), **told)


@pytest.mark.parametrize("family", ["audioldm2", "spectrogram"])
def test_each_step_tells_progress_and_a_cancelled_call_ends_with_it(family: str, tool: Load, listen: Listen) -> None:
    sound, ctx = tool(family), listen()
    before = sound.run(ctx, prompt=RED, steps=3, seconds=SECONDS)
    assert [done for done, total, _ in ctx.notes] == [1, 2, 3] and {total for _, total, _ in ctx.notes} == {3}
    ctx = listen(cancel_at=3)  # the look before the first step, then one after each
    with pytest.raises(Cancelled):
        sound.run(ctx, prompt=RED, steps=9, seconds=SECONDS)
    assert len(ctx.notes) == 1
    assert sound.run(listen(), prompt=RED, steps=3, seconds=SECONDS) == before


def test_two_requests_at_once_make_what_they_make_one_after_another(tool: Load, listen: Listen) -> None:
    def hear(seed: int) -> Audio:
        made: Audio = tool("audioldm2").run(listen(seed=seed), prompt=RED, steps=2, seconds=SECONDS)
        return made

    alone = [hear(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(hear, range(3))) == alone
    assert len({item.digest for item in alone}) == 3, "another seed, another sound"


def test_the_card_says_what_the_configs_say(folder: Callable[[str], str]) -> None:
    def ports(family: str) -> list[Any]:
        made = card(folder(family))
        names = ("prompt_embeds", "generated_prompt_embeds")
        found = [made.input(name) for name in names] + [made.output("audio")]
        return [dict(port.constraints) for port in found if port is not None]

    voice = {"rate": 16_000, "channels": 1}
    space, second = {"space": "audioldm2.text"}, {"space": "audioldm2.text.generated"}
    assert ports("audioldm2") == [{"width": 32, **space}, {"tokens": 8, "width": 16, **second}, voice]
    assert ports("audioldm")[0] == {"tokens": 1, "width": 32, "space": "audioldm.text"}
    stable = ports("stable-audio")
    assert (stable[0], stable[2]) == ({"width": 32, "space": "stable-audio.text"}, {"rate": 1000, "channels": 2})
    painted = ports("spectrogram")
    assert (painted[0], painted[2]) == ({"tokens": 16, "width": 16, "space": "spectrogram.text"}, voice)
    assert card(folder("spectrogram")).memory > card(folder("audioldm")).memory > 500_000
    assert card("nobody/nothing").output("audio").constraints == {}  # type: ignore[union-attr]  # it is there


def test_without_a_length_a_sound_is_as_long_as_the_checkpoint_is_made_for(tool: Load, listen: Listen) -> None:
    lengths = {family: len(tool(family).run(listen(), prompt=RED, steps=1).array) for family in FAMILIES}
    assert lengths == {"audioldm2": 256, "audioldm": 256, "stable-audio": 127, "spectrogram": 256}
    with pytest.raises(ValueError, match="seconds is a number above 0, not -1"):
        tool("spectrogram").run(listen(), prompt=RED, seconds=-1.0)


def test_a_pipeline_for_pictures_without_a_vocoder_is_refused(folder: Callable[[str], str], tmp_path: Path) -> None:
    mute = Path(shutil.copytree(folder("spectrogram"), tmp_path / "mute"))
    shutil.rmtree(mute / "vocoder")
    with pytest.raises(ModelError, match="makes no sound; name a sound pipeline, or put"):
        card(str(mute))
    with pytest.raises(ModelError, match="makes no sound; name a sound pipeline, or put"):
        loaded(str(mute))


def test_a_pickled_vocoder_is_refused_unless_asked_for(folder: Callable[[str], str], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    old = Path(shutil.copytree(folder("spectrogram"), tmp_path / "old"))
    safe = old / "vocoder/model.safetensors"
    torch.save(load_file(safe), old / "vocoder/pytorch_model.bin")
    safe.unlink()
    with pytest.raises(ModelError, match="unpickling can run code"):
        loaded(str(old))


def test_it_can_be_trained_towards(tool: Load) -> None:
    sound = tool("spectrogram")
    assert isinstance(sound, Trainable)
    states = torch.from_numpy(np.stack([sound.null().array]))
    noise = torch.Generator().manual_seed(0)
    assert sound.loss(states, [Audio(np.zeros(400), 16_000)], generator=noise) > 0
    with pytest.raises(MediaError, match="makes sounds at 16000 Hz, and one of 8000 was given"):
        sound.loss(states, [Audio(np.zeros(400), 8000)], generator=noise)
    with pytest.raises(MediaError, match="has 32 samples or more"):
        sound.loss(states, [Audio(np.zeros(8), 16_000)], generator=noise)


def test_the_spectrogram_trained_towards_is_the_one_that_vocoders_read() -> None:
    from transformers import SpeechT5HifiGanConfig

    from mmagent.diffusion.log_mel import log_mel

    voice = SpeechT5HifiGanConfig(model_in_dim=64, upsample_rates=[5, 4, 2, 2, 2])  # AudioLDM's
    wave = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    quiet, loud = (log_mel(Audio((level * wave).astype("f4"), 16_000), voice) for level in (0.2, 0.4))
    assert quiet.shape == (100, 64), "a frame for each 160 samples"
    mels = 3 * 440 / 200, 15 + 27 * np.log(8) / np.log(6.4)  # of 440 and 8000 Hz on Slaney's scale
    assert quiet[50].argmax() == round(mels[0] / mels[1] * 65) - 1
    np.testing.assert_allclose((loud - quiet)[:, 5:12], np.log(2), atol=1e-3, err_msg="magnitudes, not powers")
    silence = log_mel(Audio(np.zeros(1600, "f4"), 16_000), voice)
    np.testing.assert_allclose(silence, np.log(1e-5), atol=1e-5)


def test_one_line_of_yaml_makes_a_sound_of_words_and_of_an_embedding(
    tmp_path: Path, folder: Callable[[str], str], tool: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmagent import Graph
    from mmagent.errors import GraphError

    shelf = tmp_path / "tools"
    shelf.mkdir()
    told = f"seconds: {SECONDS}, steps: 2, model: {folder('spectrogram')}"
    (shelf / "mine.yaml").write_text(f"my-sounds: {{tool: audio-diffusion, {told}}}\n")
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))

    def graph(port: str, kind: str) -> Graph:
        path = tmp_path / "hear.yaml"
        path.write_text(
            f"graph: hear\ninputs: {{it: '{kind}'}}\nnodes:\n  hear: {{tool: my-sounds, in: {{{port}: it}}}}\n"
            "outputs: {sound: hear}\n"
        )
        return Graph(path)

    words = graph("prompt", "text").run(it=RED)["sound"]
    assert (words.rate, len(words.array)) == (16_000, 320)
    (red,) = tool("spectrogram").condition([RED.text])
    fits = "embedding(tokens=16, width=16, space=spectrogram.text)"
    assert graph("prompt_embeds", fits).run(it=red)["sound"] == words
    with pytest.raises(GraphError, match="prompt_embeds"):
        graph("prompt_embeds", "embedding(tokens=16, width=16, space=sd15.text)")
    words.save(tmp_path / "red.flac")
    assert Audio(tmp_path / "red.flac").rate == 16_000
