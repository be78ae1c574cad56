"""Every family that can be trained towards: its network is asked as its pipeline asks it, and its target is the right one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmagent import Embedding
from mmagent.diffusion import Conditioning, DenoisingTarget, Diffuser, Trainable, VideoDiffuser
from mmagent.diffusion.denoisers import Batch, predicted
from mmagent.diffusion.noise import is_edm, is_flow, noised
from mmagent.diffusion.small.video import cogvideox
from mmagent.errors import ModelError
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
        cogvideox(rotary=False).save_pretrained(tmp_path)
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


def test_a_network_that_is_not_known_is_told() -> None:
    import diffusers

    network = diffusers.AuraFlowTransformer2DModel(
        sample_size=8, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=8, caption_projection_dim=16, pos_embed_max_size=16,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    pipe = diffusers.AuraFlowPipeline(None, None, None, network, scheduler)
    told = Batch(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 2, 8), torch.ones(1, 2).bool(), None, [])
    with pytest.raises(ModelError, match=r"its AuraFlowTransformer2DModel is not called in a way known here; Audio.*"):
        predicted(pipe, told)
