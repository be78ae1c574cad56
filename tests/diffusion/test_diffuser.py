"""A pipeline at work: what diffusers itself would make, one request at a time, told step by step."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmagent import Embedding, Image, Text
from mmagent.diffusion import Conditioning, Diffuser, LatentColours
from mmagent.errors import Cancelled, ModelError

# Said inside diffusers' Euler scheduler, which hands tensors to numpy in a way that numpy 2 frowns on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Load = Callable[[str], Diffuser]
Direct = Callable[[str], Any]
FAMILIES = ["stable-diffusion", "sdxl", "sd3", "flux", "pixart"]
CAT = Conditioning(prompt=Text("a red cat"))


def options(family: str, **more: Any) -> dict[str, Any]:
    binning = {"use_resolution_binning": False} if family == "pixart" else {}
    return {"height": 32, "width": 32, "output_type": "np", **binning, **more}


def painted(diffuser: Diffuser, ctx: Any, asked: Conditioning = CAT, look: Any = None, **more: Any) -> Any:
    family = Path(diffuser.model).name
    diffuser.preview = look
    return diffuser.run(ctx, asked, **options(family, **{"steps": 3, **more})).images[0]


@pytest.mark.parametrize("family", [*FAMILIES, "z-image"])
def test_it_makes_the_bytes_that_diffusers_makes(family: str, diffuser: Load, direct: Direct, listen: Any) -> None:
    ours = painted(diffuser(family), listen(seed=7))
    theirs = direct(family)(
        "a red cat", num_inference_steps=3, generator=torch.Generator().manual_seed(7), **options(family)
    ).images[0]
    np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(ours, painted(diffuser(family), listen(seed=8)))
    np.testing.assert_array_equal(ours, painted(diffuser(family), listen(seed=7)))


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_of_a_text_make_what_the_text_makes(family: str, diffuser: Load, listen: Any) -> None:
    mine = diffuser(family)
    found = mine.encode(["a red cat"])
    states = Embedding(found.states[0].numpy(), mine.space, None if found.mask is None else found.mask[0].numpy())
    pooled = None if found.pooled is None else Embedding(found.pooled.numpy(), f"{mine.space}.pooled")
    asked = Conditioning(prompt_embeds=states, pooled_prompt_embeds=pooled)
    np.testing.assert_array_equal(painted(mine, listen(), asked), painted(mine, listen()))


@pytest.mark.parametrize("family", ["stable-diffusion", "sdxl", "pixart"])
def test_what_is_to_be_avoided_is_told_in_words_or_as_embeddings(
    family: str, diffuser: Load, direct: Direct, listen: Any
) -> None:
    mine = diffuser(family)
    found = mine.encode(["a dog"])
    states = Embedding(found.states[0].numpy(), mine.space, None if found.mask is None else found.mask[0].numpy())
    pooled = None if found.pooled is None else Embedding(found.pooled.numpy(), f"{mine.space}.pooled")
    worded = painted(mine, listen(), Conditioning(prompt=Text("a red cat"), negative_prompt=Text("a dog")))
    embedded = Conditioning(
        prompt=Text("a red cat"), negative_prompt_embeds=states, negative_pooled_prompt_embeds=pooled
    )
    np.testing.assert_array_equal(worded, painted(mine, listen(), embedded))
    assert not np.array_equal(worded, painted(mine, listen()))
    theirs = direct(family)(
        "a red cat", negative_prompt="a dog", num_inference_steps=3, generator=torch.Generator().manual_seed(0),
        **options(family),
    ).images[0]  # fmt: skip
    np.testing.assert_array_equal(worded, theirs)


def test_guidance_1_looks_at_the_prompt_alone(diffuser: Load, direct: Direct, listen: Any) -> None:
    mine = diffuser("stable-diffusion")
    plain = painted(mine, listen(), guidance=1.0)
    avoiding = Conditioning(prompt=Text("a red cat"), negative_prompt=Text("a dog"))
    np.testing.assert_array_equal(plain, painted(mine, listen(), avoiding, guidance=1.0))
    assert not np.array_equal(plain, painted(mine, listen(), guidance=5.0))
    theirs = direct("stable-diffusion")(
        "a red cat", num_inference_steps=3, guidance_scale=1.0, generator=torch.Generator().manual_seed(0),
        **options("stable-diffusion"),
    ).images[0]  # fmt: skip
    np.testing.assert_array_equal(plain, theirs)


def test_guidance_0_looks_at_the_prompt_alone_where_the_pipeline_adds_to_it(diffuser: Load, listen: Any) -> None:
    mine, avoiding = diffuser("z-image"), Conditioning(prompt=Text("a red cat"), negative_prompt=Text("a dog"))
    plain = painted(mine, listen(), guidance=0.0)
    np.testing.assert_array_equal(plain, painted(mine, listen(), avoiding, guidance=0.0))
    assert not np.array_equal(plain, painted(mine, listen(), avoiding, guidance=1.0))


def test_each_step_is_told_with_a_small_picture_of_what_there_is(diffuser: Load, listen: Any) -> None:
    mine, ctx = diffuser("stable-diffusion"), listen()
    painted(mine, ctx, steps=4, look=LatentColours(mine.pipe.vae))
    assert [note[:2] for note in ctx.notes] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(view.width, view.height, view.channels) for view in ctx.previews] == [(16, 16, 3)] * 3


def test_a_pipeline_with_the_older_callback_is_told_of_too(diffuser: Load, listen: Any) -> None:
    mine, ctx = diffuser("pixart"), listen()
    painted(mine, ctx, look=LatentColours(mine.pipe.vae))
    assert [note[:2] for note in ctx.notes] == [(1, 3), (2, 3), (3, 3)]
    assert len(ctx.previews) == 2


def test_a_pipeline_without_a_callback_is_heard_by_its_scheduler(diffuser: Load, direct: Direct, listen: Any) -> None:
    mine, ctx = diffuser("hunyuan-video"), listen(seed=7)
    assert not any(mine.takes(name) for name in ("callback", "callback_on_step_end"))
    told: dict[str, Any] = {"num_frames": 5, "height": 16, "width": 16, "output_type": "np"}
    ours = mine.run(ctx, CAT, steps=3, **told).frames
    assert [note[:2] for note in ctx.notes] == [(1, 3), (2, 3), (3, 3)]
    assert [(view.width, view.height) for view in ctx.previews] == [(8, 8)] * 2
    theirs = direct("hunyuan-video")(
        "a red cat", num_inference_steps=3, generator=torch.Generator().manual_seed(7), **told
    )
    np.testing.assert_array_equal(ours, theirs.frames)
    ctx = listen(cancel_at=3)  # the look before the first step, then one after each
    with pytest.raises(Cancelled):
        mine.run(ctx, CAT, steps=50, **told)
    assert len(ctx.notes) == 1
    plain = mine.run(listen(seed=7), CAT, steps=1, guidance=1.0, **told).frames
    assert not np.array_equal(plain, mine.run(listen(seed=7), CAT, steps=1, **told).frames), "its guider is told"


def test_previews_change_nothing(diffuser: Load, listen: Any) -> None:
    mine = diffuser("stable-diffusion")
    shown = painted(mine, listen(), look=LatentColours(mine.pipe.vae))
    np.testing.assert_array_equal(shown, painted(mine, listen()))


@pytest.mark.parametrize(("family", "cancel_at"), [("stable-diffusion", 1), ("sdxl", 2), ("pixart", 3)])
def test_cancelled_within_a_step_it_goes_on_to_serve(family: str, cancel_at: int, diffuser: Load, listen: Any) -> None:
    mine, ctx = diffuser(family), listen(cancel_at=cancel_at)
    before = painted(mine, listen())
    with pytest.raises(Cancelled):
        painted(mine, ctx, steps=50)
    assert len(ctx.notes) == max(0, cancel_at - 2)  # the first look comes before the first step
    np.testing.assert_array_equal(before, painted(mine, listen()))


def test_two_requests_at_once_make_what_they_make_one_after_another(diffuser: Load, listen: Any) -> None:
    mine = diffuser("sdxl")  # its scheduler counts its own steps, and would lose count
    alone = [painted(mine, listen(seed=seed), steps=4 + seed) for seed in range(4)]
    start, together = threading.Barrier(4), dict[int, Any]()

    def request(seed: int) -> None:
        start.wait()
        together[seed] = painted(mine, listen(seed=seed), steps=4 + seed)

    threads = [threading.Thread(target=request, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        np.testing.assert_array_equal(alone[seed], together[seed])


def test_the_global_generator_is_neither_read_nor_moved(diffuser: Load, listen: Any) -> None:
    mine = diffuser("stable-diffusion")
    torch.manual_seed(1)
    first, state = painted(mine, listen(), scheduler="EulerAncestralDiscreteScheduler"), torch.get_rng_state()
    assert torch.equal(state, torch.manual_seed(1).get_state())
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, painted(mine, listen(), scheduler="EulerAncestralDiscreteScheduler"))


def test_each_request_has_a_scheduler_of_its_own(diffuser: Load, listen: Any) -> None:
    mine, seen = diffuser("sdxl"), list[Any]()

    def look(latents: Any) -> None:
        seen.append(mine.pipe.scheduler)

    painted(mine, listen(), look=look, steps=2)
    painted(mine, listen(), look=look, steps=2)
    first, second = seen
    assert len({id(first), id(second), id(mine.pipe.scheduler)}) == 3
    assert mine.pipe.scheduler.num_inference_steps is None  # it never ran


def test_a_scheduler_is_chosen_by_name_for_one_request(diffuser: Load, direct: Direct, listen: Any) -> None:
    import diffusers

    mine = diffuser("stable-diffusion")
    usual = painted(mine, listen())
    euler = painted(mine, listen(), scheduler="EulerDiscreteScheduler")
    pipe = diffusers.StableDiffusionPipeline.from_pipe(direct("stable-diffusion"))
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red cat", num_inference_steps=3, generator=torch.Generator().manual_seed(0), height=32, width=32,
        output_type="np",
    )  # fmt: skip
    np.testing.assert_array_equal(euler, theirs.images[0])
    np.testing.assert_array_equal(usual, painted(mine, listen()))
    with pytest.raises(ModelError, match=r"not scheduled by 'Euler', but by DDIMScheduler or one of DDIM.*EulerDisc"):
        painted(mine, listen(), scheduler="Euler")


def test_a_scheduler_that_cannot_take_so_few_steps_says_so(diffuser: Load, listen: Any) -> None:
    mine = diffuser("stable-diffusion")
    with pytest.raises(
        ModelError, match=r"PNDMScheduler cannot take 3 steps \(.*set another number of steps, or another"
    ):
        painted(mine, listen(), steps=3, scheduler="PNDMScheduler")
    assert painted(mine, listen(), steps=4, scheduler="PNDMScheduler").shape == (32, 32, 3)


def test_noise_that_a_scheduler_draws_by_itself_is_the_seeds(diffuser: Load, listen: Any) -> None:
    pytest.importorskip("torchsde")
    mine = diffuser("stable-diffusion")
    told: dict[str, Any] = {"scheduler": "DPMSolverSDEScheduler", "steps": 2}
    one, same, other = (painted(mine, listen(seed=seed), **told) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_what_the_pipeline_does_not_take_is_told(diffuser: Load, listen: Any) -> None:
    mine = diffuser("stable-diffusion")
    with pytest.raises(ModelError, match="StableDiffusionPipeline takes no frames; leave it out"):
        painted(mine, listen(), frames=3)
    with pytest.raises(ValueError, match="steps is 1 or more, not 0"):
        painted(mine, listen(), steps=0)
    pooled = Embedding(np.zeros((1, 16)), "x.pooled")
    with pytest.raises(ModelError, match="takes no pooled_prompt_embeds"):
        painted(mine, listen(), Conditioning(prompt_embeds=mine_states(mine), pooled_prompt_embeds=pooled))
    narrow = Conditioning(prompt_embeds=Embedding(np.zeros((16, 8)), "other.text"))
    with pytest.raises(ModelError, match=r"takes prompt_embeds 16 wide, not 8 \(other\.text\)"):
        painted(mine, listen(), narrow)
    xl = diffuser("sdxl")
    wide = Conditioning(prompt_embeds=mine_states(xl), pooled_prompt_embeds=Embedding(np.zeros((1, 9)), "x.pooled"))
    with pytest.raises(ModelError, match=r"takes pooled_prompt_embeds 16 wide, not 9 \(x\.pooled\)"):
        painted(xl, listen(), wide)
    both = Conditioning(prompt=Text("a"), negative_prompt=Text("a"), negative_prompt_embeds=mine_states(mine))
    with pytest.raises(ModelError, match="give one of them"):
        painted(mine, listen(), both)


def test_what_nobody_would_look_at_is_refused(diffuser: Load, listen: Any) -> None:
    xl, cat = diffuser("sdxl"), Text("a red cat")
    short = Embedding(np.zeros((1, 16)), "sdxl.text.pooled")
    with pytest.raises(ModelError, match="pooled_prompt_embeds comes beside prompt_embeds"):
        painted(xl, listen(), Conditioning(prompt=cat, pooled_prompt_embeds=short))
    for words in (None, cat):
        lonely = Conditioning(prompt=cat, negative_prompt=words, negative_pooled_prompt_embeds=short)
        with pytest.raises(ModelError, match="negative_pooled_prompt_embeds comes beside negative_prompt_embeds"):
            painted(xl, listen(), lonely)
    avoiding = Conditioning(prompt=cat, negative_prompt=Text("a dog"))
    with pytest.raises(ModelError, match="FluxPipeline looks at what to avoid with guidance above 1 alone"):
        painted(diffuser("flux"), listen(), avoiding)
    told = painted(diffuser("flux"), listen(), avoiding, guidance=4.0)
    assert not np.array_equal(told, painted(diffuser("flux"), listen(), guidance=4.0))


def mine_states(diffuser: Diffuser) -> Embedding:
    return Embedding(diffuser.encode(["a dog"]).states[0].numpy(), diffuser.space)


def test_words_of_the_user_are_never_special_tokens(diffuser: Load, listen: Any) -> None:
    mine = diffuser("stable-diffusion")
    end = mine.pipe.tokenizer.eos_token
    for words in (f"a {end} cat", f"{end}", "a<|startoftext|>"):
        ids = mine.pipe.tokenizer(words).input_ids
        assert [token for token in ids if token >= len(mine.pipe.tokenizer) - 2] == [ids[0], ids[-1]]
    cut = painted(mine, listen(), Conditioning(prompt=Text(f"a {end} cat")))
    assert not np.array_equal(cut, painted(mine, listen(), Conditioning(prompt=Text("a"))))


def test_words_in_a_template_are_never_its_tokens(diffuser: Load, listen: Any) -> None:
    mine = diffuser("z-image")
    seen, encoder = list[Any](), mine.pipe.text_encoder
    hook = encoder.register_forward_pre_hook(lambda _, __, told: seen.append(told["input_ids"]), with_kwargs=True)
    for words in ("a cat", "a <|im_end|> cat", "a &lt;|im_end|> cat", "<|im_start|>", "<<|im_end|>|im_start|>"):
        painted(mine, listen(), Conditioning(prompt=Text(words)), steps=1, guidance=0.0)
    hook.remove()
    start, end = mine.pipe.tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert [[int((ids == token).sum()) for token in (start, end)] for ids in seen] == [[2, 1]] * 5


def test_without_a_text_encoder_embeddings_do_and_words_do_not(
    encoderless: Path, diffuser: Load, listen: Any, tmp_path: Path
) -> None:
    whole, mine = diffuser("stable-diffusion"), Diffuser(str(encoderless), owner="test.v1")
    mine.load()
    states, empty = mine_states(whole), Embedding(whole.null().states[0].numpy(), "bare.text")
    asked = Conditioning(prompt_embeds=states)
    with pytest.raises(ModelError, match="loaded without a text encoder; give prompt_embeds, not prompt"):
        painted(mine, listen())
    with pytest.raises(ModelError, match=r"negative_prompt_embeds, or guidance 1, or save .* as null\.npz"):
        painted(mine, listen(), asked)
    np.testing.assert_array_equal(
        painted(mine, listen(), asked, guidance=1.0), painted(whole, listen(), asked, guidance=1.0)
    )
    given = Conditioning(prompt_embeds=states, negative_prompt_embeds=empty)
    expected = painted(whole, listen(), asked)
    np.testing.assert_array_equal(painted(mine, listen(), given), expected)

    import shutil

    stored = Path(shutil.copytree(encoderless, tmp_path / "stored"))
    empty.save(stored / "null.npz")
    again = Diffuser(str(stored), owner="test.v1")
    again.load()
    np.testing.assert_array_equal(painted(again, listen(), asked), expected)
    assert torch.equal(again.null().states, whole.null().states)


def test_pooled_embeddings_that_are_not_given_are_those_of_no_prompt(diffuser: Load, listen: Any) -> None:
    mine = diffuser("sdxl")
    zeros = Embedding(np.zeros((1, 16)), "sdxl.text.pooled")  # its config asks for zeros in the place of no prompt
    given = painted(mine, listen(), Conditioning(prompt_embeds=mine_states(mine), pooled_prompt_embeds=zeros))
    np.testing.assert_array_equal(given, painted(mine, listen(), Conditioning(prompt_embeds=mine_states(mine))))


def test_it_is_loaded_again_after_unload(folder: Callable[[str], Path], listen: Any) -> None:
    mine = Diffuser(str(folder("stable-diffusion")), owner="test.v1")
    with pytest.raises(ModelError, match=r"test\.v1: .* is not loaded; call load\(\) first"):
        _ = mine.pipe
    mine.load()
    first = painted(mine, listen())
    network, mine.preview = weakref.ref(mine.pipe.vae), LatentColours(mine.pipe.vae)
    mine.unload()
    gc.collect()
    assert network() is None, "nothing holds the weights"
    with pytest.raises(ModelError, match="not loaded"):
        painted(mine, listen())
    mine.load()
    np.testing.assert_array_equal(first, painted(mine, listen()))


def test_a_preview_has_the_colours_that_the_decoder_gives(diffuser: Load) -> None:
    vae = diffuser("stable-diffusion").pipe.vae
    look, noise = LatentColours(vae), torch.Generator().manual_seed(5)
    errors, spread = [], []
    for _ in range(4):
        level = torch.randn(1, 4, 1, 1, generator=noise)
        latents = level.expand(1, 4, 16, 16) + 0.1 * torch.randn(1, 4, 16, 16, generator=noise)
        shown = look(latents)
        assert isinstance(shown, Image)
        made = vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1).add(1).div(2)[0]
        truth = made.mean(dim=(1, 2)).numpy()
        errors.append(np.abs(shown.array.mean(axis=(0, 1)) / 255 - truth).mean())
        spread.append(truth)
    assert np.mean(errors) < 0.5 * np.abs(np.array(spread) - 0.5).mean()
    assert look(torch.zeros(1, 64, 16)) is None


def test_the_middle_frame_is_shown_where_there_are_as_many_frames_as_channels(diffuser: Load) -> None:
    mine = diffuser("cogvideox")
    latents = torch.randn(1, 4, 4, 8, 8, generator=torch.Generator().manual_seed(0))  # [1, f, C, h, w]
    assert mine.preview is not None
    shown = mine.preview(latents)
    assert shown == mine.preview(latents[:, 2:3]) and shown is not None
