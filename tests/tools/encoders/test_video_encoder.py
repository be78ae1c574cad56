"""Video encoders on small checkpoints: frames through image encoders in order of time, and VideoMAE."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent import Embedding, Engine, GraphBuilder, Image, Video
from mmagent.errors import ModelError
from mmagent.registry import registry
from tests.tools.encoders.checkpoints import Folders, card_of, fresh, loaded, threads
from tests.tools.encoders.families import (
    SIGHT,
    tf,
    torch,
)

TOOL = "video-encoder.v1"


CROP = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}


@pytest.fixture(scope="module")
def clip(folders: Folders) -> Path:
    return folders("clip")


@pytest.fixture(scope="module")
def videomae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small VideoMAE of four frames, two a tubelet, as it is published: with the decoder that trained it."""
    folder = tmp_path_factory.mktemp("video") / "videomae"
    torch.manual_seed(0)
    decoder = {"decoder_hidden_size": 8, "decoder_num_attention_heads": 2, "decoder_intermediate_size": 8}
    config = tf.VideoMAEConfig(**SIGHT, num_frames=4, tubelet_size=2, decoder_num_hidden_layers=1, **decoder)
    tf.VideoMAEForPreTraining(config).save_pretrained(folder)
    tf.VideoMAEImageProcessorPil(**CROP).save_pretrained(folder)
    return folder


def movie(n_frames: int, seed: int = 0) -> Video:
    frames = np.random.default_rng(seed).integers(0, 256, (n_frames, 20, 30, 3), "uint8")
    return Video(frames, fps=8)


@pytest.mark.parametrize("output", ["patches", "cls", "projected"])
def test_frames_are_encoded_one_after_the_other_in_time(clip: Path, ctx: Any, output: str) -> None:
    video = movie(9)
    made = loaded(TOOL, model=str(clip), output=output, frames=3).run(video, ctx).array
    still = loaded("image-encoder.v1", model=str(clip), output=output)
    each = [still.run(Image(video.array[index])).array for index in (1, 4, 7)]  # the middle ones of three shares
    assert np.allclose(made, np.concatenate(each), atol=1e-5)


def test_a_short_video_gives_frames_twice_and_a_long_one_the_same_number(clip: Path, ctx: Any) -> None:
    tool = loaded(TOOL, model=str(clip), output="pooled")
    short = tool.run(movie(2), ctx).array
    assert short.shape == (8, 16)
    assert np.array_equal(short[:4], np.repeat(short[:1], 4, axis=0))
    assert not np.allclose(short[0], short[4])
    assert tool.run(movie(100), ctx).array.shape == (8, 16)


def test_many_frames_go_in_parts_and_can_be_cancelled(clip: Path, listen: Callable[..., Any]) -> None:
    from mmagent.errors import Cancelled

    tool, ctx = loaded(TOOL, model=str(clip), output="pooled", frames=40), listen()
    whole = tool.run(movie(40), ctx).array
    assert [done for done, _, _ in ctx.notes] == [0, 16, 32]
    assert len(whole) == 40
    with pytest.raises(Cancelled):
        tool.run(movie(40), listen(cancel_at=2))


@pytest.mark.parametrize("layer", [-1, 1])
def test_tubelets_are_those_that_the_library_gives(videomae: Path, ctx: Any, layer: int) -> None:
    video = movie(8)
    model = tf.VideoMAEModel.from_pretrained(videomae).eval()
    processor = tf.VideoMAEImageProcessorPil.from_pretrained(videomae)
    frames = [Image(video.array[index]).pil() for index in (1, 3, 5, 7)]
    with torch.no_grad():
        out = model(**processor(frames, return_tensors="pt"), output_hidden_states=True)
    states = out.last_hidden_state if layer == -1 else out.hidden_states[layer]
    made = loaded(TOOL, model=str(videomae), layer=layer).run(video, ctx)
    assert np.array_equal(made.array, states[0].numpy())
    if layer == -1:
        tool = loaded(TOOL, model=str(videomae))
        assert threads(tool._tower.model, lambda: tool.run(video, ctx)) == {2}  # one of three processors is left free
        pooled = loaded(TOOL, model=str(videomae), output="pooled").run(video, ctx)
        assert np.allclose(pooled.array, states.mean(1).numpy(), atol=1e-6)


def test_what_comes_out_is_what_the_card_declares(clip: Path, videomae: Path, ctx: Any) -> None:
    kept = 0
    for folder, output, frames in itertools.product(
        (clip, videomae), ("patches", "all", "cls", "pooled", "projected"), (None, 3, 4)
    ):
        settings: dict[str, object] = {"model": str(folder), "output": output, "frames": frames}
        try:
            (port,) = card_of(TOOL, **settings).outputs
        except ModelError:
            continue
        assert loaded(TOOL, **settings).run(movie(5), ctx).describe() == port.constraints
        kept += 1
    assert kept == 5 * 3 + 3 * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 8}, "takes 4 frames, not 8; leave frames out"),
        ({"output": "cls"}, "has no cls state; take patches or pooled"),
        ({"layer": 3}, "has 2 layers; layer is -3 … 2, not 3"),
        ({"frames": 0}, "frames is at least 1, not 0"),
    ],
)
def test_what_videomae_does_not_have_is_refused_before_loading(
    videomae: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        card_of(TOOL, model=str(videomae), **settings)


def test_an_image_encoder_refuses_videomae(videomae: Path) -> None:
    kind = registry.find("image-encoder.v1")
    with pytest.raises(ModelError, match="it is a video encoder; use video-encoder"):
        kind.card_for(kind.card.check_settings({"model": str(videomae)}))


def test_a_graph_knows_the_space_before_anything_is_loaded(clip: Path) -> None:
    builder = GraphBuilder("watch")
    states = builder.add("watch", "video-encoder", video=builder.input("video", Video), model=str(clip), output="cls")
    builder.output("states", states)
    (node,) = builder.checked().nodes
    assert node.card.outputs[0].constraints == {"tokens": 8, "width": 16, "space": "clip.cls"}
    with Engine() as engine:
        made = engine.run(builder.checked(), {"video": movie(9)}).outputs["states"]
    assert isinstance(made, Embedding)
    assert made.describe() == node.card.outputs[0].constraints


def test_unloading_gives_the_weights_back(clip: Path, videomae: Path) -> None:
    for folder in (clip, videomae):
        tool = fresh(TOOL, model=str(folder))
        tool.unload()
        assert not hasattr(tool, "_tower")
