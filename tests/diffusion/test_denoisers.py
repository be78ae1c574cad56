"""Every family that can be trained towards: its network is asked as its pipeline asks it, and its target is the right one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmagent import Embedding, Image, Video
from mmagent.diffusion import Conditioning, DenoisingTarget, Diffuser, ImageDiffuser, Trainable, VideoDiffuser
from mmagent.diffusion.denoisers import Batch, check, predicted
from mmagent.diffusion.noise import is_edm, is_flow, noised
from mmagent.diffusion.small import parts
from mmagent.diffusion.small.image import stable_diffusion
from mmagent.diffusion.small.video import cogvideox
from mmagent.errors import MediaError, ModelError
from tests.diffusion.diffusion_families import KINDS, SIZES, made, media

# diffusers' AutoencoderOobleck is built with what torch has deprecated, and its Euler scheduler talks to numpy in an old way
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

Load = Callable[[str], Diffuser]
FAMILIES = sorted(KINDS)
UNGUIDED = {"z-image": 0.0}  # the others look at the prompt alone with 1


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(embeddings: list[Embedding]) -> tuple[torch.Tensor, torch.Tensor]:
    """States `[B, L, D]` and mask `[B, L]` of embeddings of unlike lengths."""
    states = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(item.array.copy()) for item in embeddings], True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(item.mask.copy()) for item in embeddings], True)
    return states, mask


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_says_to_us_what_it_says_to_its_pipeline(
    family: str, diffuser: Load, listen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, seen = diffuser(family), list[Any]()
    kind = type(mine.pipe.scheduler)
    plain = kind.step

    @functools.wraps(plain)
    def step(self: Any, said: Any, time: Any, sample: Any, *args: Any, **options: Any) -> Any:
        given = self.scale_model_input(sample, time) if hasattr(self, "scale_model_input") else sample
        seen.append((as_latents(mine, said), as_latents(mine, given), time))
        return plain(self, said, time, sample, *args, **options)

    monkeypatch.setattr(kind, "step", step)
    target = DenoisingTarget(mine)
    (red,) = target.condition(["a red cat"])
    pooled = target.pooled(["a red cat"])[0] if mine.takes("pooled_prompt_embeds") else None
    asked = Conditioning(prompt_embeds=red, pooled_prompt_embeds=pooled)
    result = made(mine, listen(), asked, steps=2, guidance=UNGUIDED.get(family, 1.0))
    theirs, latents, time = seen[0]
    assert red.array.shape[1] == mine.layout.width or isinstance(mine, KINDS["audioldm"])  # type: ignore[arg-type]  # a class
    states, mask = batch([red])
    short = None if pooled is None else torch.from_numpy(pooled.array.copy())
    with torch.no_grad():
        ours = predicted(mine.pipe, Batch(latents, torch.as_tensor(time).reshape(1), states, mask, short, [result]))
    torch.testing.assert_close(ours[:, : latents.shape[1]], theirs, rtol=1e-4, atol=1e-5)
    assert theirs.std() > 1e-3, "there is something to compare"


def as_latents(mine: Diffuser, packed: Any) -> Any:
    """Latents `[B, C, …]` of what a pipeline hands to its scheduler."""
    pipe, name, size = mine.pipe, type(mine.pipe).__name__, SIZES[mine.model.rsplit("/")[-1]]
    if name == "FluxPipeline":
        return pipe._unpack_latents(packed, size["height"], size["width"], pipe.vae_scale_factor)
    if name == "LTXPipeline":
        height, width = (size[side] // pipe.vae_spatial_compression_ratio for side in ("height", "width"))
        return pipe._unpack_latents(
            packed, (size["frames"] - 1) // pipe.vae_temporal_compression_ratio + 1, height, width
        )
    if name == "CogVideoXPipeline":
        return packed.transpose(1, 2)
    return packed.transpose(0, 1)[None] if name == "TextToVideoSDPipeline" else packed


@pytest.mark.parametrize("family", FAMILIES)
def test_whoever_predicts_the_target_is_led_to_the_clean_latents_by_the_pipelines_own_scheduler(
    family: str, diffuser: Load
) -> None:
    mine = diffuser(family)
    clean = mine.latents(media(mine), seeded())
    led_back(mine.pipe.scheduler, clean)


def led_back(pattern: Any, clean: torch.Tensor) -> None:
    """Noise latents, and take one step of the scheduler, with the target as prediction, to where there is no noise."""
    for index, item in enumerate(clean.double()[:, None]):
        found = noised(pattern, item, seeded(index))
        scheduler = type(pattern).from_config(pattern.config)
        sample = found.latents
        if is_flow(scheduler):
            scheduler.set_timesteps(1)
            sigma = found.times / pattern.config.num_train_timesteps
            scheduler.sigmas, scheduler.timesteps = torch.cat([sigma, torch.zeros(1)]), found.times
        elif is_edm(scheduler):
            scheduler.set_timesteps(1)
            angles = torch.linspace(1e-4, torch.pi / 2 - 1e-4, 200_001).tan()
            sigma = angles[(scheduler.precondition_noise(angles) - found.times).abs().argmin()][None]
            scheduler.sigmas, scheduler.timesteps = torch.cat([sigma, torch.zeros(1)]), found.times
            sample = sample * (sigma**2 + pattern.config.sigma_data**2).sqrt()
        else:
            scheduler.set_timesteps(pattern.config.num_train_timesteps)
        time = found.times[0]
        if type(scheduler).__name__ == "EulerDiscreteScheduler":  # whose samples are not scaled down as noise is added
            sample = sample / pattern.alphas_cumprod[found.times].sqrt()
            time = scheduler.timesteps[(scheduler.timesteps - time).abs().argmin()]
        stepped = scheduler.step(found.target, time, sample)
        told = getattr(stepped, "pred_original_sample", None)
        torch.testing.assert_close(stepped.prev_sample if told is None else told, item, rtol=5e-3, atol=5e-3)


@pytest.mark.filterwarnings("ignore:Should have ta>=t0:UserWarning")  # torchsde, of the step to no noise at all
def test_the_target_of_stable_audios_own_scheduler_is_right_too() -> None:
    pytest.importorskip("torchsde")
    import diffusers

    led_back(diffusers.CosineDPMSolverMultistepScheduler(), torch.randn(3, 3, 8, generator=seeded()))


def test_the_smallest_cogvideox_is_not_told_where_its_patches_are(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        cogvideox(use_rotary_positional_embeddings=False).save_pretrained(tmp_path)
    plain = VideoDiffuser(str(tmp_path), owner="test.v1")
    plain.load()
    target = DenoisingTarget(plain)
    states, _ = batch(target.condition(["a red cat"]))
    assert torch.isfinite(target.loss(states, media(plain, 1), generator=seeded()))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_falls_as_embeddings_are_trained_and_nothing_else_is(family: str, diffuser: Load) -> None:
    mine = diffuser(family)
    target = DenoisingTarget(mine)
    assert isinstance(target, Trainable)
    empty, (red,) = target.null(), target.condition(["a red cat"])
    assert (empty.space, empty.array.shape[1]) == (red.space, red.array.shape[1])
    states, mask = batch([red, empty])
    states.requires_grad_()
    truth, trainer, losses = media(mine), torch.optim.Adam([states], lr=0.1), list[torch.Tensor]()
    for _ in range(3):
        losses.append(target.loss(states, truth, generator=seeded(), mask=mask))
        trainer.zero_grad()
        torch.autograd.backward(losses[-1])
        assert states.grad is not None
        assert ((states.grad.abs().sum(dim=(1, 2)) > 0) == mask.any(dim=1)).all(), "all that counts is reached"
        trainer.step()
    assert losses[0].ndim == 0 and losses[2] < losses[0]
    modules = [part for part in mine.pipe.components.values() if isinstance(part, torch.nn.Module)]
    assert all(value.grad is None and not value.requires_grad for part in modules for value in part.parameters())


def clip(n_frames: int, fps: float = 8) -> Video:
    return Video(np.zeros((n_frames, 16, 16, 3), np.uint8), fps=fps)


def test_a_first_frame_that_is_there_twice_has_noise_of_its_own(diffuser: Load) -> None:
    mine = diffuser("cogvideox-1.5")
    clean = mine.latents([clip(9)], seeded())
    assert clean.shape[2] == 4 and clean[:, :, 0].equal(clean[:, :, 1])
    noisy = noised(mine.pipe.scheduler, clean, seeded()).latents
    assert not noisy[:, :, 0].equal(noisy[:, :, 1])


def test_ltx_is_told_how_fast_each_video_runs(diffuser: Load) -> None:
    mine = diffuser("ltx")
    states, mask = batch(DenoisingTarget(mine).condition(["a red cat"]))
    latents = torch.randn(1, 8, 2, 4, 4, generator=seeded())

    def said(*rates: float) -> torch.Tensor:
        n, clips = len(rates), [clip(9, fps) for fps in rates]
        made, times, read, seen = (item.expand(n, *item.shape[1:]) for item in (latents, torch.ones(1), states, mask))
        with torch.no_grad():
            found: torch.Tensor = predicted(mine.pipe, Batch(made, times, read, seen, None, clips))
        return found

    slow, fast = said(8), said(24)
    assert not torch.allclose(slow, fast, atol=1e-5)
    torch.testing.assert_close(said(8, 24), torch.cat([slow, fast]))


def test_latte_is_trained_towards_and_makes_as_many_frames_as_it_has_places_for(diffuser: Load, listen: Any) -> None:
    mine = diffuser("latte")
    assert isinstance(mine, VideoDiffuser)
    assert [mine.latents([clip(n)], seeded()).shape[2] for n in (1, 18)] == [1, 16]
    states, _ = batch(DenoisingTarget(mine).condition(["a red cat"]))
    with pytest.raises(MediaError, match="trained towards 16 frames, and a video of 5 was given"):
        DenoisingTarget(mine).loss(states, [clip(5)], generator=seeded())
    with pytest.raises(ModelError, match="makes videos of 16 frames, or of one, not of 8"):
        mine.video(listen(), Conditioning(), frames=8)


@pytest.mark.parametrize(
    ("family", "length", "told"),
    [("wan", 513, "512 states at most, and 513"), ("cogvideox", 5, "226 states of .* not 5")],
)
def test_states_that_a_call_refuses_the_loss_refuses_too(family: str, length: int, told: str, diffuser: Load) -> None:
    with pytest.raises(ModelError, match=told):
        DenoisingTarget(diffuser(family)).loss(torch.zeros(1, length, 32), [clip(5)], generator=seeded())


def test_a_network_that_is_not_known_is_told_before_anything_runs(tmp_path: Path) -> None:
    import diffusers

    network = diffusers.AuraFlowTransformer2DModel(
        sample_size=8, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=8, caption_projection_dim=16, pos_embed_max_size=16,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    diffusers.AuraFlowPipeline(None, None, parts.vae(), network, scheduler).save_pretrained(tmp_path)
    mine, seen = ImageDiffuser(str(tmp_path), owner="test.v1"), list[Any]()
    mine.load()
    mine.pipe.vae.encoder.conv_in.register_forward_pre_hook(lambda *given: seen.append(given))
    picture = Image(np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(ModelError, match=r"its AuraFlowTransformer2DModel is not called in a way known here; Audio.*"):
        DenoisingTarget(mine).loss(torch.zeros(1, 2, 8), [picture], generator=seeded())
    assert not seen


def test_a_vae_of_another_kind_and_networks_that_see_a_picture_are_told() -> None:
    import diffusers

    for wide in (stable_diffusion(in_channels=9), cogvideox(in_channels=8)):
        with pytest.raises(ModelError, match="was widened to see a picture"):
            check(wide)
    pipe = stable_diffusion()
    check(pipe)
    pipe.register_modules(vae=diffusers.AutoencoderTiny(latent_channels=4))
    with pytest.raises(ModelError, match="its AutoencoderTiny is no variational autoencoder"):
        check(pipe)
    pipe.register_modules(vae=None)
    with pytest.raises(ModelError, match="it has no VAE"):
        check(pipe)


def test_what_is_trained_towards_keeps_its_shape_and_loses_its_edges(diffuser: Load) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    tall, middle, squashed = pixels, pixels[16:48], pixels[::2]
    pictures, videos = diffuser("stable-diffusion"), diffuser("animatediff")
    whole, wanted, other = (pictures.latents([Image(made)], seeded()) for made in (tall, middle, squashed))
    assert whole.shape == wanted.shape
    assert torch.equal(whole, wanted) and not torch.equal(whole, other)
    first = Video(np.stack([middle] * 2), fps=8)
    both = videos.latents([first, Video(np.stack([tall] * 2), fps=8)], seeded())
    again = videos.latents([first, first], seeded())
    assert torch.equal(both, again)
