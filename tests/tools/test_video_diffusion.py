"""Videos by diffusers' own pipelines, built small, saved in their folder format and loaded as a user's checkpoint."""

from __future__ import annotations

import gc
import shutil
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mmagent import Card, Embedding, Image, Text, Video
from mmagent.diffusion import Trainable
from mmagent.diffusion.video import rate_of
from mmagent.errors import Cancelled, CardError, ModelError
from mmagent.registry import registry

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

Listen = Callable[..., "Listener"]
Load = Callable[[str], Any]

FAMILIES = ("wan", "ltx", "cogvideox", "animatediff", "latte", "text-to-video-sd")
SETTINGS: dict[str, dict[str, Any]] = {
    "wan": {"width": 16, "height": 16, "frames": 5, "guidance": 400.0},  # its fresh network hardly hears the prompt
    "wan-from-picture": {"width": 32, "height": 32, "frames": 5, "guidance": 400.0},
    "ltx": {"width": 32, "height": 32, "frames": 9},
    "cogvideox": {"width": 16, "height": 16, "frames": 9},
    "animatediff": {"frames": 3},
    "latte": {"width": 16, "height": 16},
    "text-to-video-sd": {"frames": 3},
}
NAMES = {"guidance": "guidance_scale", "frames": "num_frames"}
RED, BLUE = Text("a red balloon"), Text("a blue dog and a house")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a small checkpoint by family, made once."""
    from mmagent.diffusion import save_small

    root = tmp_path_factory.mktemp("clips")
    return cache(lambda family: str(save_small(family, root / family)))


@pytest.fixture(scope="module")
def tool(folder: Callable[[str], str]) -> Load:
    """The loaded tool by family."""

    def load(family: str) -> Any:
        made = registry.find("video-diffusion.v1").make({"model": folder(family)})
        made.load()
        return made

    return cache(load)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def card(model: str, **settings: Any) -> Card:
    kind = registry.find("video-diffusion.v1")
    return kind.card_for(kind.card.check_settings({"model": model, **settings}))


def direct(folder: str, family: str, seed: int, steps: int, **words: str) -> Any:
    """The frames that diffusers makes by itself."""
    import diffusers

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    options = {NAMES.get(name, name): value for name, value in SETTINGS[family].items()}
    if family == "latte":
        options["clean_caption"] = False  # without the two libraries that it needs, diffusers logs a note and says so
    made = pipe(
        **words, **options, num_inference_steps=steps, generator=torch.Generator().manual_seed(seed), output_type="np"
    )
    return (np.asarray(made.frames[0]) * 255).round().astype("uint8")


@pytest.mark.parametrize("family", FAMILIES)
def test_it_makes_what_diffusers_makes(family: str, tool: Load, folder: Callable[[str], str], listen: Listen) -> None:
    made = tool(family).run(listen(seed=5), prompt=RED, negative_prompt=BLUE, steps=2, **SETTINGS[family])
    alone = direct(folder(family), family, 5, 2, prompt=RED.text, negative_prompt=BLUE.text)
    np.testing.assert_array_equal(made.array, alone)
    assert made.array.std() > 10, "there is something to compare"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedding_of_words_makes_what_the_words_make(family: str, tool: Load, listen: Listen) -> None:
    video, told = tool(family), {"steps": 2, **SETTINGS[family]}
    words = video.run(listen(), prompt=RED, **told)
    red, blue = video.condition([RED.text, BLUE.text])
    assert red.space == f"{family}.text"
    _almost(video.run(listen(), prompt_embeds=red, **told), words)
    other = video.run(listen(), prompt_embeds=blue, **told)
    assert not np.array_equal(other.array, words.array), "another embedding makes another video"


@pytest.mark.parametrize("family", FAMILIES)
def test_words_and_embeddings_go_together(family: str, tool: Load, listen: Listen) -> None:
    video, told = tool(family), {"steps": 2, **SETTINGS[family]}
    red, blue = video.condition([RED.text, BLUE.text])
    words = video.run(listen(), prompt=RED, negative_prompt=BLUE, **told)
    _almost(video.run(listen(), prompt_embeds=red, negative_prompt=BLUE, **told), words)
    if family == "latte":  # which takes the states that count, of both as many
        with pytest.raises(ModelError, match="only in one length"):
            video.run(listen(), prompt=RED, negative_prompt_embeds=blue, **told)
    else:
        _almost(video.run(listen(), prompt=RED, negative_prompt_embeds=blue, **told), words)


def _almost(one: Video, other: Video) -> None:
    """A batch of another size may be summed in another order."""
    assert np.abs(one.array.astype(int) - other.array).max() <= 1


def test_wan_takes_any_number_of_states_and_fills_up_as_its_pipeline_does(tool: Load, listen: Listen) -> None:
    told = {"steps": 2, **SETTINGS["wan"]}
    (red,) = tool("wan").condition([RED.text])
    words = tool("wan").run(listen(), prompt=RED, **told)
    few = Embedding(red.array[red.mask], red.space)
    assert len(few.array) < 10 < len(red.array)
    _almost(tool("wan").run(listen(), prompt_embeds=few, **told), words)
    loud = Embedding(np.where(red.mask[:, None], red.array, 9.0), red.space, red.mask)
    _almost(tool("wan").run(listen(), prompt_embeds=loud, **told), words)


def test_without_a_text_encoder_wan_fills_up_what_is_stored_for_no_prompt(
    tool: Load, folder: Callable[[str], str], tmp_path: Path, listen: Listen
) -> None:
    bare = Path(shutil.copytree(folder("wan"), tmp_path / "wan"))
    for part in ("text_encoder", "tokenizer"):
        shutil.rmtree(bare / part)
    red, empty = tool("wan").condition([RED.text])[0], tool("wan").null()
    Embedding(empty.array[empty.mask], empty.space).save(bare / "null.npz")
    deaf: Any = registry.find("video-diffusion.v1").make({"model": str(bare)})
    deaf.load()
    told = {"steps": 2, **SETTINGS["wan"]}
    _almost(deaf.run(listen(), prompt_embeds=red, **told), tool("wan").run(listen(), prompt=RED, **told))
    np.testing.assert_array_equal(deaf.null().array, empty.array[empty.mask])


@pytest.mark.parametrize("family", ["wan", "cogvideox", "text-to-video-sd"])
def test_each_step_tells_progress_and_shows_the_middle_frame(family: str, tool: Load, listen: Listen) -> None:
    ctx = listen()
    tool(family).run(ctx, prompt=RED, steps=3, **SETTINGS[family])
    assert ctx.notes == [(1, 3, "step 1 of 3"), (2, 3, "step 2 of 3"), (3, 3, "step 3 of 3")]
    assert [type(item) for item in ctx.previews] == [Image, Image]


@pytest.mark.parametrize("family", ["text-to-video-sd"])
def test_a_cancelled_call_ends_with_the_step_and_harms_nothing(family: str, tool: Load, listen: Listen) -> None:
    video, told = tool(family), SETTINGS[family]
    before = video.run(listen(), prompt=RED, steps=3, **told)
    ctx = listen(cancel_at=3)  # the look before the first step, then one after each
    with pytest.raises(Cancelled):
        video.run(ctx, prompt=RED, steps=9, **told)
    assert len(ctx.notes) == 1
    assert video.run(listen(), prompt=RED, steps=3, **told) == before


def test_the_card_says_what_the_configs_say(folder: Callable[[str], str]) -> None:
    made = card(folder("wan"), fps=12.0)
    assert made.input("prompt_embeds").constraints == {"width": 32, "space": "wan.text"}  # type: ignore[union-attr]  # it is there
    assert made.output("video").constraints == {"fps": 12.0}  # type: ignore[union-attr]
    assert made.memory > 100_000 and len(made.weights) == 64
    clip = card(folder("text-to-video-sd"), space="sd.text").input("prompt_embeds")
    assert clip is not None and clip.constraints == {"tokens": 16, "width": 16, "space": "sd.text"}
    clip = card(folder("cogvideox")).input("prompt_embeds")
    assert clip is not None and clip.constraints == {"tokens": 226, "width": 32, "space": "cogvideox.text"}
    assert card(folder("wan"), frames=81).cost > card(folder("wan"), frames=5).cost
    assert card("nobody/nothing").input("prompt_embeds").constraints == {"space": "nothing.text"}  # type: ignore[union-attr]
    with pytest.raises(CardError):
        card(folder("wan"), frames="many")


def test_frames_a_second_are_those_that_the_family_was_trained_on(tool: Load, listen: Listen) -> None:
    rates = {"WanPipeline": 16, "LTXPipeline": 25, "CogVideoXPipeline": 8, "AnimateDiffPipeline": 8, "Unheard": 8}
    assert {name: rate_of(name, {}) for name in rates} == rates
    assert rate_of("WanPipeline", {}, True) == 24
    assert rate_of("CogVideoXPipeline", {"patch_size_t": 2}) == 16
    told = SETTINGS["ltx"]
    slow, own = (tool("ltx").run(listen(), prompt=RED, steps=1, fps=fps, **told) for fps in (5.0, None))
    assert (slow.fps, own.fps) == (5, 25)
    assert not np.array_equal(slow.array, own.array), "LTX is told the rate, and moves accordingly"


@pytest.mark.parametrize("family", ["ltx", "wan-from-picture"])
def test_a_picture_is_set_in_motion(family: str, tool: Load, listen: Listen) -> None:
    told = {"steps": 2, "prompt": RED, **SETTINGS[family]}
    black, white = (
        tool(family).run(listen(), image=Image(np.full((40, 40, 3), shade, "uint8")), **told) for shade in (0, 255)
    )
    assert black.array.shape == white.array.shape == (told["frames"], 32, 32, 3)
    assert not np.array_equal(black.array, white.array)


def test_a_picture_in_motion_leaves_the_weights_as_they_are(folder: Callable[[str], str], listen: Listen) -> None:
    wan: Any = registry.find("video-diffusion.v1").make({"model": folder("wan-from-picture"), "dtype": "bfloat16"})
    wan.load()
    network = wan._diffuser.pipe.transformer
    before = {name: value.dtype for name, value in network.named_parameters()}
    assert set(before.values()) == {torch.float32, torch.bfloat16}, "Wan keeps a few in float32"
    wan.run(listen(), prompt=RED, image=Image(np.zeros((32, 32, 3), "uint8")), steps=1, width=32, height=32, frames=5)
    assert {name: value.dtype for name, value in network.named_parameters()} == before
    assert wan._diffuser.task("image").transformer is network


def test_what_cannot_be_made_is_said(tool: Load, folder: Callable[[str], str], listen: Listen) -> None:
    with pytest.raises(ModelError, match="no pipeline like WanPipeline that starts from a picture"):
        tool("wan").run(listen(), prompt=RED, image=Image(np.zeros((8, 8, 3), "uint8")), **SETTINGS["wan"])
    with pytest.raises(ModelError, match=r"512 states at most, and 513 were given"):
        tool("wan").run(listen(), prompt_embeds=Embedding(np.zeros((513, 32)), "wan.text"), **SETTINGS["wan"])
    with pytest.raises(ModelError, match=r"only in one length"):
        short, long = (Embedding(np.zeros((n, 16)), "s") for n in (3, 4))
        tool("animatediff").run(listen(), prompt_embeds=short, negative_prompt_embeds=long, frames=3)
    with pytest.raises(ModelError, match="226 states of prompt_embeds, not 5; fill them up"):
        tool("cogvideox").run(listen(), prompt_embeds=Embedding(np.zeros((5, 32)), "s"), **SETTINGS["cogvideox"])
    for told, reason in (({"fps": 0.0}, "fps is a number above 0"), ({"frames": 0}, "frames is 1 or more, not 0")):
        with pytest.raises(ValueError, match=reason):
            tool("wan").run(listen(), prompt=RED, **{**SETTINGS["wan"], **told})
    with pytest.raises(ValueError, match=r"told whole frames a second, 1 or more, not 0\.3"):
        tool("ltx").run(listen(), prompt=RED, fps=0.3, **SETTINGS["ltx"])
    with pytest.raises(ValueError, match="divisible by 16"):
        tool("wan").run(listen(), prompt=RED, width=10, height=16)


def test_motion_modules_make_as_many_frames_as_they_have_places_for(tmp_path: Path, listen: Listen) -> None:
    from mmagent.diffusion.small.video import animatediff

    animatediff(places=4).save_pretrained(tmp_path)
    film: Any = registry.find("video-diffusion.v1").make({"model": str(tmp_path)})
    film.load()
    assert len(film.run(listen(), prompt=RED, steps=1).array) == 4  # the pipeline would take 16
    with pytest.raises(ModelError, match="has places for 4 frames, not for 5; ask for fewer"):
        film.run(listen(), prompt=RED, steps=1, frames=5)


def test_unloaded_it_holds_no_weights(folder: Callable[[str], str]) -> None:
    film: Any = registry.find("video-diffusion.v1").make({"model": folder("text-to-video-sd")})
    film.load()
    parts = [weakref.ref(part) for part in (film._diffuser.pipe.vae, film._diffuser.pipe.unet)]
    film.unload()
    gc.collect()
    assert [part() for part in parts] == [None, None]


def test_a_pipeline_for_pictures_is_refused(tmp_path: Path) -> None:
    from mmagent.diffusion import save_small

    made = registry.find("video-diffusion.v1").make({"model": str(save_small("stable-diffusion", tmp_path / "sd"))})
    with pytest.raises(ModelError, match="StableDiffusionPipeline, which makes no video"):
        made.load()


def test_it_can_be_trained_towards(tool: Load) -> None:
    assert isinstance(tool("wan"), Trainable)
    states = torch.from_numpy(np.stack([tool("wan").null().array]))
    clip = Video(np.zeros((5, 16, 16, 3), "uint8"), fps=8)
    assert tool("wan").loss(states, [clip], generator=torch.Generator().manual_seed(0)) > 0


def test_one_line_of_yaml_makes_a_video_file(
    tmp_path: Path, folder: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from mmagent.cli import main

    pytest.importorskip("av")
    shelf = tmp_path / "shelf" / "tools"
    shelf.mkdir(parents=True)
    told = f"width: 16, height: 16, frames: 5, steps: 2, model: {folder('wan')}"
    (shelf / "mine.yaml").write_text(f"my-wan: {{tool: video-diffusion, {told}}}\n")
    graph = tmp_path / "film.yaml"
    graph.write_text(
        "graph: film\ninputs: {text: text}\nnodes:\n  film: {tool: my-wan, in: {prompt: text}}\n"
        "outputs: {video: film}\n"
    )
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path / "shelf"))
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["graph", "run", str(graph), "text=a red balloon", "--out", str(out)])
    assert done.exit_code == 0, done.output
    (made,) = out.glob("video.*")
    video = Video(made)
    assert (video.array.shape, video.fps) == ((5, 16, 16, 3), 16)
    video.save(tmp_path / "film.mp4")
    assert Video(tmp_path / "film.mp4").array.shape == (5, 16, 16, 3)
