"""Pictures by diffusers checkpoints: as tools, presets, in graphs and agents, from pictures and into them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from mmagent import (
    Agent,
    Constraint,
    Embedding,
    Engine,
    GraphBuilder,
    Image,
    Policy,
    Preset,
    Signal,
    Text,
    load_tool,
    tool,
)
from mmagent.diffusion import Trainable, save_small
from mmagent.errors import GraphError, ModelError, RouteError, RunError
from mmagent.model import ScriptedReasoner
from mmagent.registry import Registry, forget, registry
from mmagent.router import route

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

# Said inside diffusers' Euler scheduler, which hands tensors to numpy in a way that numpy 2 frowns on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Folder = Callable[[str], Path]
CAT, DOG = Text("a red cat"), Text("a dog")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("pipelines")
    return cache(lambda family: save_small(family, root / family))


@pytest.fixture(scope="module")
def painter(folder: Folder) -> Callable[[str], Any]:
    return cache(lambda family: load_tool("image-diffusion", model=str(folder(family))))


@pytest.fixture(scope="module")
def direct(folder: Folder) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        named = {"StableDiffusionXL": "sdxl", "StableDiffusion3": "sd3", "Flux": "flux"}
        family = next((family for start, family in named.items() if name.startswith(start)), "stable-diffusion")
        lacking = {
            "stable-diffusion": {"safety_checker": None},
            "sd3": {"text_encoder_3": None, "tokenizer_3": None},
        }.get(family, {})
        pipe = getattr(diffusers, name).from_pretrained(folder(family), **lacking)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return cache(load)


def scene(seed: int = 0, side: int = 32) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def generator(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def half(side: int = 32) -> Image:
    mask = np.zeros((side, side), np.uint8)
    mask[:, side // 2 :] = 255
    return Image(mask)


def quietly(pipe: Any, **arguments: Any) -> Image:
    return Image(pipe("a red cat", num_inference_steps=4, generator=generator(), **arguments).images[0])


def test_it_paints_what_the_library_paints(painter: Any, direct: Any, ctx: Any) -> None:
    made = painter("stable-diffusion").run(ctx, prompt=CAT, steps=4)
    assert made == quietly(direct("StableDiffusionPipeline"))
    assert made.describe() == {"width": 32, "height": 32, "channels": 3, "bits": 8}


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("stable-diffusion", "StableDiffusion"),
        ("sdxl", "StableDiffusionXL"),
        ("sd3", "StableDiffusion3"),
        ("flux", "Flux"),
    ],
)
def test_with_a_picture_it_paints_over_it_and_with_a_mask_into_it(
    family: str, name: str, painter: Any, direct: Any, listen: Any
) -> None:
    mine, picture, mask = painter(family), scene(), half()
    size = {} if family in ("stable-diffusion", "sdxl") else {"height": 32, "width": 32}
    over = mine.run(listen(), prompt=CAT, steps=4, image=picture, strength=0.6)
    assert over == quietly(direct(f"{name}Img2ImgPipeline"), image=picture.pil(), strength=0.6, **size)
    into = mine.run(listen(), prompt=CAT, steps=4, image=picture, mask=mask, strength=0.9)
    inpaint = direct(f"{name}InpaintPipeline")
    arguments = {"image": picture.pil(), "mask_image": mask.pil("L"), "height": 32, "width": 32, "strength": 0.9}
    assert into == quietly(inpaint, **arguments)
    assert len({over, into, mine.run(listen(), prompt=CAT, steps=4, width=32, height=32)}) == 3


def test_one_copy_of_the_weights_serves_every_task(painter: Any, ctx: Any) -> None:
    mine = painter("stable-diffusion")
    mine.run(ctx, prompt=CAT, steps=2, image=scene(), mask=half())
    own, other = mine._diffuser.pipe, mine._diffuser.task("inpaint")
    assert type(own) is not type(other)
    assert all(getattr(own, name) is getattr(other, name) for name in ("unet", "vae", "text_encoder", "tokenizer"))


def test_a_picture_keeps_its_size_as_far_as_the_pipeline_can(painter: Any, ctx: Any) -> None:
    mine = painter("stable-diffusion")
    odd = Image(np.zeros((45, 27, 4), np.uint8))
    made = mine.run(ctx, prompt=CAT, steps=2, image=odd)
    assert (made.height, made.width) == (40, 24)
    made = mine.run(ctx, prompt=CAT, steps=2, image=odd, mask=half(), width=32, height=16)
    assert (made.height, made.width) == (16, 32)


def test_sizes_are_given_in_what_the_pipeline_can_make(painter: Any, ctx: Any) -> None:
    made = painter("pixart").run(ctx, prompt=CAT, steps=2, width=48, height=16)
    assert (made.width, made.height) == (48, 16)
    with pytest.raises(ValueError, match="width is a multiple of 8 pixels for PixArtAlphaPipeline, not 50"):
        painter("pixart").run(ctx, prompt=CAT, width=50)


def test_what_a_picture_is_needed_for_is_told(painter: Any, ctx: Any) -> None:
    mine = painter("stable-diffusion")
    for options in ({"strength": 0.5}, {"mask": half()}):
        with pytest.raises(ValueError, match="give it too"):
            mine.run(ctx, prompt=CAT, **options)
    with pytest.raises(ValueError, match=r"strength is above 0 and at most 1, not 1\.5"):
        mine.run(ctx, prompt=CAT, image=scene(), strength=1.5)
    with pytest.raises(ValueError, match=r"of 4 steps, strength 0\.2 leaves none"):
        mine.run(ctx, prompt=CAT, image=scene(), strength=0.2, steps=4)
    with pytest.raises(ValueError, match=r"of 50 steps, strength 0\.01 leaves none"):
        mine.run(ctx, prompt=CAT, image=scene(), strength=0.01)
    with pytest.raises(ModelError, match="no pipeline like PixArtAlphaPipeline that starts from a picture"):
        painter("pixart").run(ctx, prompt=CAT, image=scene())


def test_progress_from_a_picture_counts_the_steps_that_are_taken(painter: Any, ctx: Any) -> None:
    painter("stable-diffusion").run(ctx, prompt=CAT, image=scene(), steps=10, strength=0.3)
    assert [note[:2] for note in ctx.notes] == [(1, 3), (2, 3), (3, 3)]
    assert len(ctx.previews) == 2


def test_its_card_tells_what_the_checkpoint_takes(folder: Folder) -> None:
    base = registry.find("image-diffusion")
    card = Preset("tiny-xl", base, {"model": str(folder("sdxl")), "space": "tiny.text", "steps": 4}).card
    ports = {port.name: port.constraints for port in card.inputs}
    assert (
        ports["prompt_embeds"] == ports["negative_prompt_embeds"] == {"tokens": 16, "width": 32, "space": "tiny.text"}
    )
    assert ports["pooled_prompt_embeds"] == {"tokens": 1, "width": 16, "space": "tiny.text.pooled"}
    stored = sum(path.stat().st_size for path in folder("sdxl").rglob("*.safetensors"))
    assert 0.8 * stored < card.memory < stored, "which has headers, too"
    assert (len(card.weights), card.either) == (64, ("prompt", "prompt_embeds"))
    assert 0 < card.cost < 60
    assert Preset("plain", base, {"model": str(folder("sdxl"))}).card.inputs[1].constraints["space"] == "sdxl.text"
    unknown = Preset("later", base, {"model": "nobody/has-this"}).card
    assert unknown.weights == "" and unknown.inputs[1].constraints == {"space": "has-this.text"}


def test_its_card_tells_results_apart_by_all_that_they_depend_on(folder: Folder, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(folder("stable-diffusion"), tmp_path / "mine"))

    def weights(**settings: str) -> str:
        return Preset("mine", registry.find("image-diffusion"), {"model": str(mine), **settings}).card.weights

    before = weights()
    assert before == weights() == Preset("m", registry.find("image-diffusion"), {"model": str(mine)}).card.weights
    Embedding(np.zeros((16, 16)), "mine.text").save(mine / "null.npz")
    stored = weights()
    (mine / "scheduler" / "scheduler_config.json").write_text("{}")
    assert len({before, stored, weights(), weights(config=str(folder("stable-diffusion")))}) == 4


def test_a_picture_that_the_checkpoints_safety_checker_withholds_is_an_error(tmp_path: Path, ctx: Any) -> None:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    from mmagent.diffusion.loading import quiet
    from mmagent.diffusion.small import image

    tower = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    seeing = {**tower, "image_size": 32, "patch_size": 16}
    for strictness, withheld in ((2.0, False), (-2.0, True)):
        with quiet():
            checker = StableDiffusionSafetyChecker(
                CLIPConfig(vision_config=seeing, text_config=tower, projection_dim=8)
            )
            for limit in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
                limit.data.fill_(strictness)  # the cosine above which a picture is withheld
            size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
            parts = {"safety_checker": checker, "feature_extractor": CLIPImageProcessor(**size)}
            diffusers.StableDiffusionPipeline(**{**image.stable_diffusion().components, **parts}).save_pretrained(
                tmp_path
            )
        mine: Any = load_tool("image-diffusion", model=str(tmp_path))
        if withheld:
            with pytest.raises(RunError, match="safety checker withholds this picture"):
                mine.run(ctx, prompt=CAT, steps=1)
        else:
            assert mine.run(ctx, prompt=CAT, steps=1).width == 32


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Folder) -> Iterator[Registry]:
    """A shelf of the user's with a preset and, beside it, the checkpoint."""
    (tmp_path / "tools").mkdir()
    shutil.copytree(folder("stable-diffusion"), tmp_path / "tools" / "tiny-sd")
    line = "painter: {tool: image-diffusion, model: ./tiny-sd, steps: 2, cost: 0.01}"
    (tmp_path / "tools" / "mine.yaml").write_text(line)
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))
    yield Registry()
    forget("image_diffusion")


@tool(name="to-tiny.v1")
def to_tiny(
    states: Annotated[Embedding, Constraint(space="llm")],
) -> Annotated[Embedding, Constraint(tokens=16, width=16, space="tiny-sd.text")]:
    """Project a model's states into the generator's space, as a trained projector would."""
    return Embedding(np.resize(states.array, (16, 16)), "tiny-sd.text")


@tool
def elsewhere(text: Text) -> Annotated[Embedding, Constraint(tokens=16, width=16, space="other.text")]:
    """Something of the right size in a space that is not the generator's."""
    return Embedding(np.zeros((16, 16)), "other.text")


def test_one_line_of_yaml_lets_an_agent_paint_its_captions(shelf: Registry, painter: Any, listen: Any) -> None:
    reasoner = ScriptedReasoner(["Here: ", Signal("image", "a red cat")])
    agent = Agent(reasoner, engine=Engine())
    reply = agent("Paint a cat.")
    reply.check()
    (chosen,) = reply.trace.routes
    assert (chosen.wire, chosen.path) == ("text", ("painter.v1",))
    (call,) = [call for call in reply.trace.calls if call.tool == "painter.v1"]
    assert reply.parts[1] == painter("stable-diffusion").run(listen(seed=call.seed), prompt=CAT, steps=2)


def test_an_embedding_of_its_space_reaches_it_from_a_projector(shelf: Registry, painter: Any, listen: Any) -> None:
    states = Embedding(np.linspace(-1, 1, 32).reshape(4, 8), "llm")
    reasoner = ScriptedReasoner([Signal("image", "a cat", states)], projectors=[to_tiny.card])
    reply = Agent(reasoner, tools=[to_tiny], engine=Engine())("Paint a cat.")
    reply.check()
    (chosen,) = reply.trace.routes
    assert (chosen.wire, chosen.path) == ("embedding", ("to-tiny.v1", "painter.v1"))
    (call,) = [call for call in reply.trace.calls if call.tool == "painter.v1"]
    again = painter("stable-diffusion").run(listen(seed=call.seed), prompt_embeds=to_tiny(states), steps=2)
    assert reply.parts[0] == again


def test_embeddings_of_another_space_are_refused_before_anything_runs(shelf: Registry) -> None:
    builder = GraphBuilder("wrong")
    node = builder.add("e", elsewhere, text=builder.input("text", Text))
    builder.output("image", builder.add("n", "painter", prompt_embeds=node))
    with pytest.raises(GraphError, match=r"space=tiny-sd\.text"):
        builder.checked()


def test_an_encoderless_checkpoint_is_asked_with_embeddings_alone(folder: Folder, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(folder("stable-diffusion"), tmp_path / "bare"))
    shutil.rmtree(bare / "text_encoder")
    card = Preset("bare", registry.find("image-diffusion"), {"model": str(bare)}).card
    assert card.either == () and [port.name for port in card.inputs if not port.optional] == ["prompt_embeds"]
    with pytest.raises(RouteError):
        route(Signal("image", "a cat"), Policy(), [card])


def test_the_engine_lets_two_threads_paint_one_after_another(folder: Folder) -> None:
    preset = Preset("tiny-xl", registry.find("image-diffusion"), {"model": str(folder("sdxl")), "steps": 3})
    builder = GraphBuilder("paint")
    builder.output("image", builder.add("n", preset, prompt=builder.input("words", Text)))
    checked = builder.checked()

    def paint(engine: Engine, words: Text) -> Any:
        return engine.run(checked, {"words": words}, seed=1, registry=builder.registry).outputs["image"]

    alone = [paint(Engine(), words) for words in (CAT, DOG)]
    engine, together = Engine(), dict[Text, Any]()
    start = threading.Barrier(2)

    def request(words: Text) -> None:
        start.wait()
        together[words] = paint(engine, words)

    threads = [threading.Thread(target=request, args=(words,)) for words in (CAT, DOG)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[CAT], together[DOG]] == alone
    assert alone[0] != alone[1]


def test_a_checkpoint_that_takes_a_pooled_embedding_tells_it_as_its_card_does(painter: Any, folder: Folder) -> None:
    preset = Preset("mine", registry.find("image-diffusion"), {"model": str(folder("sdxl"))})
    port = preset.card.input("pooled_prompt_embeds")
    (pooled,) = painter("sdxl").pooled(["a red cat"])
    assert port is not None
    assert pooled.describe().items() >= port.constraints.items()
    with pytest.raises(ModelError, match="takes no pooled embeddings"):
        painter("stable-diffusion").pooled(["a red cat"])


def test_it_can_be_trained_towards(painter: Any) -> None:
    mine = painter("stable-diffusion")
    assert isinstance(mine, Trainable)
    (target,) = mine.condition(["a red cat"])
    states = torch.from_numpy(target.array.copy())[None].requires_grad_()
    (slope,) = torch.autograd.grad(mine.loss(states, [scene()], generator=generator()), states)
    assert slope.abs().sum() > 0
    assert mine.null().space == target.space == "stable-diffusion.text"
