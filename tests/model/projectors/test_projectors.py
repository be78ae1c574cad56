"""Every kind of projector: its published size, its shapes, and that what is masked changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import nn

from mmagent.model.projectors import make
from mmagent.model.projectors.perceiver import Perceiver, SquaredReLU
from mmagent.model.projectors.qformer import QFormer
from mmagent.model.projectors.spec import InputProjectorSpec, OutputProjectorSpec, ProjectorSpec

INPUT: TypeAdapter[ProjectorSpec] = TypeAdapter(InputProjectorSpec)
OUTPUT: TypeAdapter[ProjectorSpec] = TypeAdapter(OutputProjectorSpec)

SMALL = {
    "linear": INPUT.validate_python({"kind": "linear"}),
    "mlp": INPUT.validate_python({"kind": "mlp", "layers": 3}),
    "folded": INPUT.validate_python({"kind": "mlp", "fold": 4}),
    "perceiver": INPUT.validate_python({"kind": "perceiver", "queries": 5, "layers": 2, "heads": 2, "head_dim": 4}),
    "qformer": INPUT.validate_python({"kind": "qformer", "queries": 5, "layers": 2, "dim": 16, "heads": 2}),
    "grouping": INPUT.validate_python({"kind": "grouping", "groups": (6, 3), "layers": 1, "dim": 16, "heads": 2}),
    "query-transformer": OUTPUT.validate_python(
        {"kind": "query-transformer", "queries": 7, "dim": 16, "layers": 1, "heads": 2, "feedforward": 32}
    ),
}
TOKENS = {"linear": 9, "mlp": 9, "folded": 3, "perceiver": 5, "qformer": 5, "grouping": 3, "query-transformer": 7}


def small(name: str) -> nn.Module:
    torch.manual_seed(0)
    return make(SMALL[name], 12, 10).eval()


def size(module: nn.Module) -> int:
    return sum(item.numel() for item in module.parameters())


@pytest.mark.parametrize(
    ("queries", "width", "millions"), [(77, 768, 31.96), (77, 1024, 32.09), (1, 512, 31.79)], ids=str
)
def test_query_transformers_are_as_large_as_the_published_ones(queries: int, width: int, millions: float) -> None:
    spec = OUTPUT.validate_python({"kind": "query-transformer", "queries": queries})
    with torch.device("meta"):
        projector = make(spec, 4096, width)
    assert round(size(projector) / 1e6, 2) == millions


def test_the_q_former_and_the_resampler_are_as_large_as_the_published_ones() -> None:
    with torch.device("meta"):
        qformer = QFormer(1408, 2560)
        resampler = Perceiver(1536, 2048, heads=16, head_dim=128)
        llava = make(INPUT.validate_python({"kind": "mlp"}), 1024, 4096)
    # BLIP-2 tells 188 M with the text side (embeddings 23.8 M, its feed-forward layers 56.7 M) and 32 queries.
    assert size(qformer.former) / 1e6 == pytest.approx(188 - 23.8 - 56.7, abs=3)
    # Flamingo-3B: 194 M, by the table of its sizes.
    assert size(resampler) / 1e6 == pytest.approx(194, abs=3)
    assert size(llava) == 1024 * 4096 + 4096 + 4096 * 4096 + 4096


def test_the_resampler_reads_normed_features_and_its_latents_as_published() -> None:
    torch.manual_seed(0)
    resampler = Perceiver(6, 4, queries=3, layers=1, heads=2, head_dim=4)
    layer: Any = resampler.layers[0]
    features = torch.randn(2, 9, 6)
    for value in resampler.parameters():
        torch.nn.init.normal_(value)
    latents = resampler.latents.expand(2, -1, -1)
    own = layer.norm_latents(latents)
    keys, values = layer.to_keys_values(torch.cat([layer.norm_features(features), own], dim=1)).chunk(2, dim=-1)
    heads = [rows.unflatten(-1, (2, 4)).transpose(1, 2) for rows in (layer.to_queries(own), keys, values)]
    weights = (heads[0] @ heads[1].mT / 2).softmax(dim=-1)
    latents = latents + layer.to_out((weights @ heads[2]).transpose(1, 2).flatten(2))
    wanted = resampler.to_llm(resampler.norm(latents + layer.feedforward(latents)))
    torch.testing.assert_close(resampler(features)[0], wanted)


def test_the_resampler_bends_by_squared_relu() -> None:
    layers = Perceiver(4, 4, queries=1, layers=1, heads=1, head_dim=4).modules()
    bend = next(layer for layer in layers if isinstance(layer, SquaredReLU))
    assert [bend(torch.tensor(value)).item() for value in (-2.0, 3.0)] == [0.0, 9.0]


@pytest.mark.parametrize("name", SMALL)
def test_shapes_are_what_the_kind_says(name: str) -> None:
    made, mask = small(name)(torch.randn(2, 9, 12))
    assert made.shape == (2, TOKENS[name], 10)
    assert mask.shape == made.shape[:2]
    assert mask.dtype == torch.bool
    assert mask.all()


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 8), extra=st.integers(1, 5))
def test_what_is_masked_changes_nothing(name: str, seed: int, n: int, extra: int) -> None:
    projector = small(name)
    states = torch.randn(1, n, 12, generator=torch.Generator().manual_seed(seed))
    padded = torch.cat([states, 1e3 * torch.ones(1, extra, 12)], dim=1)
    known = torch.arange(n + extra)[None] < n
    alone, own = projector(states)
    made, mask = projector(padded, known)
    assert int(mask.sum()) == int(own.sum())
    torch.testing.assert_close(made[mask], alone[own], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_is_trained_by_what_comes_out(name: str) -> None:
    projector = small(name).train()
    made, _ = projector(torch.randn(4, 9, 12))
    (made * torch.randn_like(made)).sum().backward()
    unused = [key for key, item in projector.named_parameters() if item.grad is None or not item.grad.abs().sum() > 0]
    assert unused == []


@pytest.mark.parametrize("name", SMALL)
def test_it_tells_inputs_apart(name: str) -> None:
    one, other = small(name)(torch.randn(2, 9, 12))[0]
    assert (one - other).abs().mean() > 1e-5


def test_groups_take_each_feature_once() -> None:
    projector = small("grouping")
    states = torch.randn(1, 9, 12)
    assert torch.equal(projector(states)[0], projector(states)[0])
    torch.manual_seed(1)
    first = projector.train()(states)[0]
    assert not torch.equal(first, projector(states)[0])  # groups are drawn while training


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "conv"},
        {"kind": "linear", "layers": 2},
        {"kind": "perceiver", "queries": 0},
        {"kind": "query-transformer"},
    ],
    ids=str,
)
def test_a_spec_that_is_no_input_projector_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        INPUT.validate_python(wrong)
