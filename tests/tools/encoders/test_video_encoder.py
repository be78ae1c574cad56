"""Video encoders on small checkpoints: frames through image encoders in order of time, and VideoMAE."""

from __future__ import annotations

import functools
import itertools
import math
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


@pytest.mark.parametrize("pool", [2, 3])
def test_neighbouring_patches_become_their_mean(clip: Path, ctx: Any, pool: int) -> None:
    video, settings = movie(2), {"model": str(clip), "frames": 2, "pool": pool}
    whole = loaded(TOOL, model=str(clip), frames=2).run(video, ctx).array
    side = math.isqrt(len(whole) // 2)
    grid = whole.reshape(2, side, side, -1)
    wanted = [
        frame[row : row + pool, column : column + pool].mean(axis=(0, 1))
        for frame in grid for row in range(0, side, pool) for column in range(0, side, pool)
    ]  # fmt: skip
    assert np.allclose(loaded(TOOL, **settings).run(video, ctx).array, wanted, atol=1e-6)
    states = card_of(TOOL, **settings).outputs[0]
    assert states.constraints["tokens"] == len(wanted) < len(whole)


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
        ({"pool": 0}, "pool is 1 or more"),
        ({"pool": 2, "output": "pooled"}, "above 1 for patches alone; not 2 for pooled"),
        ({"pool": 2}, "sees whole videos, whose tubelets are not pooled"),
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Small encoders of whole videos of four frames, by family, as their own classes save them."""
    root = tmp_path_factory.mktemp("whole")
    flat = {name: value for name, value in SIGHT.items() if name != "patch_size"}
    deep = {name: SIGHT[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size")}

    @functools.cache
    def made(name: str) -> Path:
        torch.manual_seed(0)
        model, processor = {
            "vivit": lambda: (
                tf.VivitModel(tf.VivitConfig(**flat, num_frames=4, tubelet_size=[2, 8, 8])),
                tf.VivitImageProcessor(**CROP),
            ),
            "timesformer": lambda: (
                tf.TimesformerModel(tf.TimesformerConfig(**SIGHT, num_frames=4)),
                tf.VideoMAEImageProcessorPil(**CROP),
            ),
            "vjepa2": lambda: (
                tf.VJEPA2Model(
                    tf.VJEPA2Config(
                        **deep, crop_size=16, frames_per_clip=4, pred_hidden_size=8, pred_num_attention_heads=2,
                        pred_num_hidden_layers=1, mlp_ratio=1,
                    )
                ),
                tf.CLIPImageProcessorPil(**CROP),
            ),
        }[name]()  # fmt: skip
        with torch.no_grad():
            for item in model.parameters():
                item.add_(torch.randn_like(item) * 0.1)
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
        if name == "vjepa2":  # which is published with its own file; the class that writes it needs torchvision
            (root / name / "preprocessor_config.json").rename(root / name / "video_preprocessor_config.json")
        return root / name

    return made


def by_library(folder: Path, name: str, video: Video) -> Any:
    """All states `[1, L, D]` that the library gives of the middle frames of four shares."""
    frames = [Image(video.array[index]).pil() for index in (1, 3, 5, 7)]
    if name == "vjepa2":
        pixels = tf.CLIPImageProcessorPil(**CROP)(frames, return_tensors="pt").pixel_values[None]
        inputs = {"pixel_values_videos": pixels, "skip_predictor": True}
    else:
        inputs = tf.AutoImageProcessor.from_pretrained(folder)(frames, return_tensors="pt")
    with torch.no_grad():
        return tf.AutoModel.from_pretrained(folder).eval()(**inputs, output_hidden_states=True)


@pytest.mark.parametrize("name", ["vivit", "timesformer", "vjepa2"])
def test_whole_videos_are_encoded_as_the_library_does_it(whole: Callable[[str], Path], ctx: Any, name: str) -> None:
    folder, video, prefix = whole(name), movie(8), 0 if name == "vjepa2" else 1
    out = by_library(folder, name, video)
    for layer, states in ((-1, out.last_hidden_state[0]), (1, out.hidden_states[1][0])):
        tubelets = states[prefix:]
        if name == "timesformer":  # which keeps the frames of one place together: 4 places, 4 frames
            tubelets = torch.stack([tubelets[place * 4 + frame] for frame in range(4) for place in range(4)])
        made = {
            output: loaded(TOOL, model=str(folder), output=output, layer=layer).run(video, ctx)
            for output in ("patches", "all", *(["cls"] if prefix else []))
        }
        np.testing.assert_allclose(made["patches"].array, tubelets.numpy(), atol=1e-5)
        assert np.array_equal(made["all"].array[prefix:], made["patches"].array)
        if prefix:
            np.testing.assert_allclose(made["cls"].array, states[:1].numpy(), atol=1e-5)
            assert np.array_equal(made["all"].array[:1], made["cls"].array)
    pooled = loaded(TOOL, model=str(folder), output="pooled").run(video, ctx).array
    own = out.last_hidden_state[0]
    np.testing.assert_allclose(pooled, (own[:1] if prefix else own.mean(0, keepdim=True)).numpy(), atol=1e-5)
    for output in ("patches", "all", "pooled"):
        (port,) = card_of(TOOL, model=str(folder), output=output).outputs
        assert loaded(TOOL, model=str(folder), output=output).run(video, ctx).describe() == port.constraints


def test_v_jepa_takes_other_numbers_of_frames_in_whole_tubelets(whole: Callable[[str], Path], ctx: Any) -> None:
    folder = str(whole("vjepa2"))
    assert len(loaded(TOOL, model=folder, frames=6).run(movie(9), ctx).array) == 3 * 4
    with pytest.raises(ModelError, match="takes frames in groups of 2; 5 is no whole number of them"):
        card_of(TOOL, model=folder, frames=5)


@pytest.mark.parametrize("frames", [3, None])
def test_videos_together_give_what_each_gives_alone(
    clip: Path, videomae: Path, listen: Callable[..., Any], frames: int | None
) -> None:
    chosen: dict[str, object] = {"model": str(clip if frames else videomae), "frames": frames}
    videos, ctx = [movie(n, seed=n) for n in (9, 2, 14)], listen()
    made = loaded("video-batch-encoder.v1", **chosen).run(videos, ctx, batch=2)
    assert [note for _, _, note in ctx.notes] == ["video 1 of 3", "video 3 of 3"]
    for video, found in zip(videos, made, strict=True):
        alone = loaded(TOOL, **chosen).run(video, listen())
        np.testing.assert_allclose(found.array, alone.array, atol=1e-5)
        assert np.array_equal(found.mask, alone.mask)
