"""Training towards a generator: targets that are the pipeline's own, and a loss that is what its scheduler means."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent import Image, Text
from mmagent.diffusion import Conditioning, DenoisingTarget, Diffuser, ImageDiffuser, LatentColours, Trainable
from mmagent.diffusion.noise import noised, weights
from mmagent.errors import ModelError

Load = Callable[[str], ImageDiffuser]
TRAINED = ["stable-diffusion", "sdxl", "sd3", "flux", "pixart"]


def pictures(n: int = 2) -> list[Image]:
    draw = np.random.default_rng(0)
    return [Image(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(n)]


def batch(target: DenoisingTarget, *texts: str) -> torch.Tensor:
    return torch.stack([torch.from_numpy(found.array.copy()) for found in target.condition(texts)])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("family", TRAINED)
def test_a_condition_is_what_the_pipelines_own_encoder_gives(family: str, diffuser: Load, direct: Any) -> None:
    target = DenoisingTarget(diffuser(family))
    assert isinstance(target, Trainable)
    red, dog = target.condition(["a red cat", "a dog"])
    known = signature(direct(family).encode_prompt).parameters
    told = {"prompt_2": None, "prompt_3": None, "do_classifier_free_guidance": False}
    others = {name: value for name, value in told.items() if name in known}
    with torch.no_grad():
        theirs = direct(family).encode_prompt(prompt="a dog", device="cpu", num_images_per_prompt=1, **others)
    np.testing.assert_array_equal(dog.array, theirs[0][0].numpy())
    assert dog.space == f"{family}.text" and red != dog
    assert dog.mask.all() == (family != "pixart")  # of these, only PixArt looks away from padding


def test_no_prompt_is_what_the_pipeline_puts_in_its_place(diffuser: Load) -> None:
    plain = DenoisingTarget(diffuser("stable-diffusion"))
    assert plain.null() == plain.condition([""])[0]
    zeros = DenoisingTarget(diffuser("sdxl"))  # its config says so
    assert not zeros.null().array.any() and zeros.condition([""])[0].array.any()


@pytest.mark.parametrize("family", ["sdxl", "sd3"])
def test_the_same_seed_gives_the_same_loss(family: str, diffuser: Load) -> None:
    target = DenoisingTarget(diffuser(family))
    states = batch(target, "a red cat", "a dog")
    losses = [target.loss(states, pictures(), generator=seeded(seed)).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_pooled_embeddings_count_and_are_those_of_no_prompt_unless_given(diffuser: Load) -> None:
    target = DenoisingTarget(diffuser("sdxl"))
    states = batch(target, "a red cat", "a dog")
    pooled = torch.cat([torch.from_numpy(found.array.copy()) for found in target.pooled(["a red cat", "a dog"])])
    assert pooled.shape == (2, 16)
    plain = target.loss(states, pictures(), generator=seeded())
    assert plain == target.loss(states, pictures(), generator=seeded(), pooled=torch.zeros(2, 16))
    leaf = pooled.requires_grad_()
    told = target.loss(states, pictures(), generator=seeded(), pooled=leaf)
    assert told != plain
    torch.autograd.backward(told)
    assert leaf.grad is not None and leaf.grad.abs().sum() > 0


def test_masked_states_do_not_count_where_the_pipeline_looks_away(diffuser: Load) -> None:
    target = DenoisingTarget(diffuser("pixart"))
    (found,) = target.condition(["a red cat"])
    mask, states = torch.from_numpy(found.mask.copy())[None], batch(target, "a red cat")
    other = states + (~mask)[..., None] * 1.0
    one, two = (target.loss(item, pictures(1), generator=seeded(), mask=mask) for item in (states, other))
    assert one == two
    assert target.loss(other, pictures(1), generator=seeded()) != one


def test_pixart_of_1024_is_told_the_size_as_its_pipeline_tells_it(tmp_path: Path, listen: Any) -> None:
    from mmagent.diffusion.small import image

    with torch.random.fork_rng(devices=[]):
        image.pixart(side=128).save_pretrained(tmp_path)
    large = ImageDiffuser(str(tmp_path), owner="test.v1")
    large.load()
    told = list[Any]()
    large.pipe.transformer.register_forward_pre_hook(
        lambda _, __, options: told.append(options["added_cond_kwargs"]), with_kwargs=True
    )
    large.run(listen(), Conditioning(prompt=Text("a dog")), steps=1, guidance=1.0, use_resolution_binning=False)
    target = DenoisingTarget(large)
    loss = target.loss(batch(target, "a dog", "a cat"), pictures(), generator=seeded())
    assert torch.isfinite(loss)
    theirs, ours = told
    assert theirs["resolution"].tolist() == [[256, 256]] and ours["resolution"].tolist() == [[256, 256]] * 2
    assert theirs["aspect_ratio"].flatten().tolist() == [1] and ours["aspect_ratio"].flatten().tolist() == [1, 1]


@pytest.mark.parametrize("family", ["flux", "z-image"])
def test_sizes_leave_latents_that_networks_take_by_fours(family: str, tmp_path: Path) -> None:
    from mmagent.diffusion.small import image, parts

    blocks = {
        f"{way}_block_types": (f"{kind}Block2D",) * 4 for way, kind in (("down", "DownEncoder"), ("up", "UpDecoder"))
    }
    with torch.random.fork_rng(devices=[]):
        small = image.FAMILIES[family]()
        vae = type(small.vae).from_config({**parts.vae().config, "block_out_channels": (8,) * 4, **blocks})
        type(small)(**{**small.components, "vae": vae}).save_pretrained(tmp_path)  # of 8 × 8 pixels a latent
    mine = ImageDiffuser(str(tmp_path), owner="test.v1")
    mine.load()
    with pytest.raises(ValueError, match=r"width is a multiple of 16 pixels for \w+, not 72"):
        mine.layout.check_size(64, 72)
    target = DenoisingTarget(mine)
    truth = [Image(np.zeros((64, 72, 3), np.uint8))]
    assert torch.isfinite(target.loss(batch(target, "a dog"), truth, generator=seeded()))


def test_a_vae_that_overflows_in_half_precision_works_in_float32(folder: Any, listen: Any) -> None:
    half = ImageDiffuser(str(folder("sdxl")), owner="test.v1", dtype="float16")
    half.load()
    vae, seen = half.pipe.vae, list[torch.dtype]()
    for layer in (vae.encoder.conv_in, vae.decoder.conv_in):
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    target = DenoisingTarget(half)
    assert torch.isfinite(target.loss(batch(target, "a dog"), pictures(1), generator=seeded()))
    assert LatentColours(vae)(torch.zeros(1, 4, 16, 16)) is not None
    assert seen == [torch.float32] * 2 and vae.dtype == torch.float16


def test_what_cannot_be_trained_towards_says_so(diffuser: Load, encoderless: Any) -> None:
    with pytest.raises(ModelError, match="knows no media; train towards an Image-, Video- or AudioDiffuser"):
        Diffuser("nobody/has-this", owner="test.v1").latents(pictures(), seeded())
    bare = ImageDiffuser(str(encoderless), owner="test.v1")
    bare.load()
    with pytest.raises(ModelError, match="loaded without a text encoder"):
        DenoisingTarget(bare).condition(["a dog"])
    with pytest.raises(ModelError, match=r"null\.npz"):
        DenoisingTarget(bare).null()
    plain = DenoisingTarget(diffuser("stable-diffusion"))
    with pytest.raises(ModelError, match="takes no pooled embeddings"):
        plain.pooled(["a dog"])
    with pytest.raises(ValueError, match="2 embeddings and 1 media"):
        plain.loss(batch(plain, "a", "b"), pictures(1), generator=seeded())
    with pytest.raises(ValueError, match="there are no media to denoise"):
        plain.loss(torch.zeros(0, 16, 16), [], generator=seeded())


KINDS = ["epsilon", "v_prediction", "sample", "flow", "edm"]


def scheduler(kind: str) -> Any:
    import diffusers

    if kind == "flow":
        return diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    if kind == "edm":
        return diffusers.EDMEulerScheduler(sigma_data=0.5)
    return diffusers.DDPMScheduler(prediction_type=kind)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whoever_predicts_the_target_can_tell_the_picture(kind: str, seed: int) -> None:
    pattern = scheduler(kind)
    clean = torch.randn(3, 4, 2, 2, generator=seeded(seed), dtype=torch.float64)
    found = noised(pattern, clean, seeded(seed))
    noisy, target = found.latents, found.target
    if kind == "flow":
        sigma = (found.times / 1000)[:, None, None, None]
        told = noisy - sigma * target
        expected = ((1 - sigma) / sigma).flatten().square()
    elif kind == "edm":  # c_noise, c_in, c_skip and c_out of Karras et al., table 1
        sigma, data = (4 * found.times).exp()[:, None, None, None], 0.5
        whole = (sigma**2 + data**2).sqrt()
        told = data**2 / whole**2 * (noisy * whole) + sigma * data / whole * target
        expected = (data / sigma).flatten().square()
    else:
        alpha = pattern.alphas_cumprod[found.times].double()[:, None, None, None]
        root, rest = alpha.sqrt(), (1 - alpha).sqrt()
        told = {
            "epsilon": (noisy - rest * target) / root,
            "v_prediction": root * noisy - rest * target,
            "sample": target,
        }[kind]
        expected = (alpha / (1 - alpha)).flatten()
        theirs = pattern.add_noise(clean, (noisy - root * clean) / rest, found.times)
        torch.testing.assert_close(noisy, theirs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(told, clean, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(found.snr.double(), expected.double(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_min_snr_weighs_every_prediction_as_one_of_the_picture(kind: str) -> None:
    """With weights, an error in the target costs min(SNR, γ) times the error in the picture that it stands for."""
    pattern, gamma = scheduler(kind), 5.0
    found = noised(pattern, torch.zeros(64, 1, 1, 1, dtype=torch.float64), seeded())
    snr, times = found.snr.double(), found.times
    if kind == "flow":
        per_unit = (times.double() / 1000).square()  # picture error² for a target error of 1
    elif kind == "edm":
        per_unit = 1 / (1 + snr)  # of a picture whose deviation is 1
    else:
        alpha = pattern.alphas_cumprod[times].double()
        per_unit = {"epsilon": (1 - alpha) / alpha, "v_prediction": 1 - alpha, "sample": torch.ones(64)}[kind]
    expected = snr.clamp(max=gamma) * per_unit
    torch.testing.assert_close(weights(pattern, snr, gamma).double(), expected.double(), rtol=1e-3, atol=1e-6)


def test_the_loss_weighs_times_as_asked(diffuser: Load) -> None:
    target = DenoisingTarget(diffuser("sdxl"))
    states, truth = batch(target, "a dog"), pictures(1)
    plain, weighed = (target.loss(states, truth, generator=seeded(), snr_gamma=gamma) for gamma in (None, 1e-3))
    assert 0 < weighed < plain


def test_nothing_but_noise_weighs_as_much_as_any_other_noise() -> None:
    assert weights(scheduler("epsilon"), torch.tensor([0.0, 1e-9, 1.0, 10.0]), 5.0).tolist() == [1, 1, 1, 0.5]


def test_both_kinds_of_flow_schedulers_draw_shifted_times() -> None:
    import diffusers

    unipc = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000
    )
    clean = torch.zeros(64, 1, 1, 1)
    one, other = (noised(item, clean, seeded()).times for item in (unipc, scheduler("flow")))
    torch.testing.assert_close(one, other)


def test_the_running_scheduler_is_not_touched(diffuser: Load) -> None:
    pattern = diffuser("sdxl").pipe.scheduler
    before = dict(vars(pattern))
    target = DenoisingTarget(diffuser("sdxl"))
    target.loss(batch(target, "a dog"), pictures(1), generator=seeded())
    assert vars(pattern).keys() == before.keys()
    assert all(vars(pattern)[name] is before[name] for name in before)
