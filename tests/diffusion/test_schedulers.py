"""Schedulers of a request: of the class that is asked for, with the config of the checkpoint's own."""

from __future__ import annotations

import pytest

pytest.importorskip("diffusers")

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from mmagent.diffusion.schedulers import fresh


def test_latents_are_cut_by_no_other_scheduler_than_the_checkpoint_asks_to_have_them_cut_by() -> None:
    assert DDIMScheduler().config.clip_sample
    assert not fresh(DPMSolverMultistepScheduler(), "DDIMScheduler").config.clip_sample
    assert fresh(DDIMScheduler(clip_sample=True)).config.clip_sample
    assert fresh(DDIMScheduler(clip_sample=True), "DDPMScheduler").config.clip_sample
