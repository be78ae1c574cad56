"""The trained parts of a model: what they make of prompts and of span states, whatever stands beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.card import Port
from mmagent.errors import ModelError
from mmagent.model.decode import Prefix, Sampler, decode
from mmagent.model.feeding import length
from mmagent.model.parts import Parts, Seen
from mmagent.model.spec import ModelSpec

Make = Callable[..., Any]
WIDTH, TOKENS, TARGET = 6, 5, 10
FEATURES = {"image": Port("states", "embedding", constraints={"width": WIDTH, "space": "eye.grid"})}
CONDITIONS = {
    "image": Port("embeds", "embedding", constraints={"tokens": TOKENS, "width": TARGET, "space": "brush.text"})
}
PROJECTORS = {
    "linear": {"kind": "linear"},
    "mlp": {"kind": "mlp", "fold": 2},
    "perceiver": {"kind": "perceiver", "queries": 3, "layers": 1, "heads": 2, "head_dim": 4},
    "qformer": {"kind": "qformer", "queries": 2, "layers": 2, "dim": 8, "heads": 2},
    "grouping": {"kind": "grouping", "groups": [4, 2], "layers": 1, "dim": 8, "heads": 2},
}


def spec_with(spec_of: Make, projector: str = "mlp", **changes: Any) -> ModelSpec:
    """The small spec, its images seen by a projector and made by a generator."""
    spec = spec_of().model_dump(mode="json")
    spec["inputs"] = {"image": {"encoder": "eye", "projector": PROJECTORS[projector]}}
    spec["outputs"]["image"] |= {
        "projector": {"kind": "query-transformer", "queries": TOKENS, "dim": 8, "layers": 1, "heads": 2},
        "generator": "brush",
    }
    return ModelSpec.model_validate(spec | changes)


def parts_of(backbone: Any, spec: ModelSpec, **options: Any) -> Parts:
    return Parts.build(spec, backbone, features=FEATURES, conditions=CONDITIONS, **options).eval()


def picture(seed: int, tokens: int, hidden: int = 0) -> Seen:
    """States by chance; the last `hidden` do not count, and hold what would spoil everything if they did."""
    states = np.random.default_rng(seed).normal(size=(tokens + hidden, WIDTH)).astype("float16")
    states[tokens:] = np.nan
    return Seen("image", states, np.arange(tokens + hidden) < tokens)


@pytest.fixture(scope="module")
def parts(backbone: Any, spec_of: Make) -> dict[str, Parts]:
    return {kind: parts_of(backbone, spec_with(spec_of, kind)) for kind in PROJECTORS}


prompts = st.lists(
    st.lists(st.integers(0, 30) | st.tuples(st.integers(0, 99), st.integers(1, 7), st.integers(0, 3)), max_size=6),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(prompts, st.sampled_from(sorted(PROJECTORS)))
def test_a_prompt_is_embedded_in_a_batch_as_it_is_alone(
    parts: dict[str, Parts], drawn: list[list[Any]], kind: str
) -> None:
    batch = [[item if isinstance(item, int) else picture(*item) for item in prompt] for prompt in drawn]
    with torch.no_grad():
        together = parts[kind].embed(batch)
        for prompt, found in zip(batch, together):
            (alone,) = parts[kind].embed([prompt])
            assert len(alone) == sum(map(parts[kind].n_positions, prompt))
            torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_states_that_do_not_count_change_nothing(parts: dict[str, Parts]) -> None:
    for kind, own in parts.items():
        with torch.no_grad():
            (bare,), (padded,) = own.embed([[picture(1, 4)]]), own.embed([[picture(1, 4, hidden=2)]])
        torch.testing.assert_close(bare, padded, rtol=1e-4, atol=1e-5, msg=kind)


def test_replies_to_unlike_prompts_are_those_to_each_alone(parts: dict[str, Parts]) -> None:
    own = parts["mlp"]
    asked: list[list[Any]] = [
        [7, picture(1, 5), 8],
        [30],
        [picture(2, 2), 9, picture(3, 7, hidden=2), own.rows.table["image"].open],
    ]

    def replies(prompts: list[list[Any]]) -> tuple[list[tuple[int | None, ...]], torch.Tensor]:
        steps = list(itertools.islice(decode(own.rows, own.embed(prompts), [], Sampler(), ends=()), 8))
        return [step.ids for step in steps], torch.stack([step.hidden for step in steps])  # [n, B, D]

    with torch.no_grad():
        together, states = replies(asked)
        for at, prompt in enumerate(asked):
            alone, hidden = replies([prompt])
            assert [ids[at] for ids in together] == [ids[0] for ids in alone]
            torch.testing.assert_close(states[:, at], hidden[:, 0], rtol=1e-3, atol=1e-3)


def test_a_medium_is_read_once_for_several_questions(parts: dict[str, Parts]) -> None:
    own, shown = parts["mlp"], list[Any]([7, picture(1, 5), 8])
    with torch.no_grad():
        prefix = Prefix(own.rows, own.embed([shown]))
        for question in ([9, 10], [11]):
            (on,) = own.embed([question])
            (whole,) = own.embed([[*shown, *question]])
            found = list(itertools.islice(decode(own.rows, [on], [], Sampler(), (), prefix), 6))
            again = list(itertools.islice(decode(own.rows, [whole], [], Sampler(), ()), 6))
            assert [step.ids for step in found] == [step.ids for step in again]


def test_media_stand_where_they_stood(parts: dict[str, Parts], backbone: Any) -> None:
    own, first, second = parts["linear"], picture(1, 2), picture(2, 3)
    with torch.no_grad():
        (found,) = own.embed([[7, first, 8, 9, second]])
        (one,), (other,) = own.embed([[first]]), own.embed([[second]])
    torch.testing.assert_close(found[1:3], one)
    torch.testing.assert_close(found[5:], other)
    torch.testing.assert_close(found[[0, 3, 4]], backbone.embed(torch.tensor([7, 8, 9])))


def test_a_memory_map_is_read_and_not_written(parts: dict[str, Parts], tmp_path: Any) -> None:
    np.save(tmp_path / "states.npy", picture(1, 4).states)
    mapped = Seen("image", np.load(tmp_path / "states.npy", mmap_mode="r"))
    with torch.no_grad():
        torch.testing.assert_close(parts["mlp"].embed([[mapped]])[0], parts["mlp"].embed([[picture(1, 4)]])[0])


def test_span_states_become_what_the_generator_takes(parts: dict[str, Parts]) -> None:
    made, mask = parts["mlp"].condition("image", torch.randn(2, 3, 32))
    assert made.shape == (2, TOKENS, TARGET)
    assert mask.shape == (2, TOKENS) and mask.all()
    with pytest.raises(ModelError, match="no output projector for speech; it has image"):
        parts["mlp"].condition("speech", torch.randn(1, 2, 32))


@pytest.mark.parametrize(
    ("medium", "told"),
    [
        (Seen("audio", np.zeros((1, WIDTH), "float32")), "no input projector for audio; it has image"),
        (Seen("image", np.zeros((1, 4), "float32")), r"are \[1, 4\], its projector reads \[L, 6\]"),
        (Seen("image", np.zeros((1, WIDTH), "float32"), np.zeros(1, bool)), "no state of this image counts"),
    ],
)
def test_media_that_a_model_cannot_read_are_refused(parts: dict[str, Parts], medium: Seen, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        parts["mlp"].embed([[medium]])


def test_a_part_has_its_parameters_and_an_unknown_one_lists_those_there_are(parts: dict[str, Parts]) -> None:
    own = parts["mlp"]
    assert own.names() == ["inputs.image", "signals.image", "signals.speech", "outputs.image"]
    whole = [id(value) for name in own.names() for value in own.part(name)]
    assert sorted(whole) == sorted(map(id, own.parameters()))
    both = {id(value) for side in ("signals.into", "signals.out") for value in own.part(side)}
    assert both == {id(value) for value in own.part("signals")}
    for name in ("lora", "inputs.audio", "outputs", "signals.depth"):
        with pytest.raises(ModelError, match=r"has no part .*; it has inputs\.image, .*signals\.out"):
            own.part(name)


def test_gradients_reach_every_part_and_nothing_of_the_backbone(backbone_of: Make, spec_of: Make) -> None:
    backbone = backbone_of()
    own = parts_of(backbone, spec_with(spec_of, lora={"rank": 2, "targets": ["q_proj"]}))
    row = own.rows.table["image"]
    for values in own.lora.values():
        torch.nn.init.normal_(values)  # as they start, one of each pair is nothing and stops the other's gradient
    inputs = own.embed([[5, picture(1, 4), row.open, *row.signals, own.rows.table["speech"].open]])[0][None]
    found = backbone.forward(inputs, torch.ones(inputs.shape[:2]), backbone.cache())
    states = found.hidden[:, -1 - row.k : -1]
    total = own.condition("image", states)[0].sum() + own.rows.logits(found.logits, found.hidden[:, -1:]).sum()
    torch.autograd.backward([total])
    for name in own.names():
        assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in own.part(name)), name
    ours = {id(value) for value in own.part("lora")}
    assert all(value.grad is None for value in backbone.model.parameters() if id(value) not in ours)


def test_lora_says_what_the_frozen_model_says_until_it_is_trained(backbone_of: Make, spec_of: Make) -> None:
    bare, adapted = backbone_of(), backbone_of()
    own = parts_of(adapted, spec_with(spec_of, lora={"rank": 2, "targets": ["q_proj", "v_proj"]}))
    inputs, mask = bare.embed(torch.tensor([[5, 6, 7]])), torch.ones(1, 3)
    with torch.no_grad():
        before, after = (one.forward(inputs, mask, one.cache()).logits for one in (bare, adapted))
        assert torch.equal(before, after)
        for value in own.part("lora"):
            value.add_(0.3)
        trained = adapted.forward(inputs, mask, adapted.cache()).logits
    assert not torch.allclose(before, trained)


def test_only_the_dropout_of_lora_follows_training(backbone_of: Make, spec_of: Make) -> None:
    backbone = backbone_of()
    own = parts_of(backbone, spec_with(spec_of, lora={"rank": 2, "targets": ["q_proj"], "dropout": 0.5})).train()
    training = {name for name, module in backbone.model.named_modules() if module.training}
    assert training and all(".lora_dropout" in name for name in training)
    assert not any(module.training for module in parts_of(backbone_of(), own.spec).backbone.model.modules())
    own.eval()
    assert not any(module.training for module in backbone.model.modules())


def test_a_backbone_takes_one_lora_and_targets_must_be_there(backbone_of: Make, spec_of: Make) -> None:
    backbone = backbone_of()
    with pytest.raises(ModelError, match=r"lora\.targets c_attn .* modules are .*q_proj"):
        parts_of(backbone, spec_with(spec_of, lora={"targets": ["c_attn"]}))
    parts_of(backbone, spec_with(spec_of, lora={"rank": 2, "targets": ["q_proj"]}))
    with pytest.raises(ModelError, match="another model's LoRA"):
        parts_of(backbone, spec_with(spec_of, lora={"rank": 2, "targets": ["q_proj"]}))


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (["q_proj", "nope"], r"lora\.targets nope cannot be had \(no module has that name\)"),
        (["q_proj", "lm_head"], r"lora\.targets lm_head cannot be had \(signal rows stand beside it\)"),
        (["embed_tokens"], r"lora\.targets embed_tokens cannot be had \(signal rows stand beside it\)"),
    ],
)
def test_lora_lies_in_all_its_targets_or_in_none(
    backbone_of: Make, spec_of: Make, targets: list[str], told: str
) -> None:
    backbone = backbone_of()
    with pytest.raises(ModelError, match=told):
        parts_of(backbone, spec_with(spec_of, lora={"rank": 2, "targets": targets}))
    parts_of(backbone, spec_with(spec_of, lora={"rank": 2, "targets": ["self_attn.q_proj"]}))


def test_what_a_part_starts_from_depends_on_its_name_and_the_seed_alone(backbone: Any, spec_of: Make) -> None:
    torch.manual_seed(1)
    one = parts_of(backbone, spec_with(spec_of)).state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(1)
    spec = spec_with(spec_of)
    alone = spec.model_copy(update={"outputs": {"image": spec.outputs["image"]}, "inputs": {}})
    fewer = parts_of(backbone, alone).state_dict()
    assert torch.equal(drawn, torch.rand(1))  # and nobody else's numbers change
    assert set(fewer) < set(one)
    assert all(torch.equal(one[name], value) for name, value in fewer.items())
    other = parts_of(backbone, spec, seed=1).state_dict()
    assert not any(torch.equal(one[name], other[name]) for name in one if name.startswith("rows."))


def test_sizes_that_cannot_fit_are_refused(backbone: Any, spec_of: Make) -> None:
    spec = spec_with(spec_of)
    short = {"image": Port("embeds", "embedding", constraints={"tokens": 77, "width": TARGET})}
    with pytest.raises(ModelError, match=r"makes 5 states, its generator takes .*tokens=77.*queries: 77"):
        Parts.build(spec, backbone, features={}, conditions=short)
    with pytest.raises(ModelError, match=r"inputs\.image: .* does not tell its width"):
        Parts.build(spec, backbone, features={"image": Port("states", "embedding")}, conditions={})


def test_parts_are_described_with_their_sizes(backbone_of: Make, spec_of: Make) -> None:
    own = parts_of(backbone_of(), spec_with(spec_of, lora={"rank": 2, "targets": ["q_proj"]}))
    own.trained |= {"inputs.image", "signals.out"}
    own.outputs.requires_grad_(False)
    told = {info.name: info for info in own.describe()}
    assert list(told) == ["backbone", *own.names()]
    assert [name for name, info in told.items() if info.trained] == ["inputs.image", "signals.image", "signals.speech"]
    assert [name for name, info in told.items() if info.frozen] == ["backbone", "outputs.image"]
    assert sum(info.parameters for name, info in told.items() if name != "backbone") == sum(
        value.numel() for value in own.parameters()
    )
    assert told["inputs.image"].shape == "mlp, 6 to 32" and told["lora"].shape == "rank 2 in q_proj"


def test_how_long_a_medium_gets_is_told_of_no_projector_out(spec_of: Make) -> None:
    projector = spec_with(spec_of).outputs["image"].projector
    assert projector is not None
    with pytest.raises(ModelError, match="reads no media"):
        length(projector, picture(1, 2))
