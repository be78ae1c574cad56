"""A list through an encoder of lists: each embedding is what its item gives alone, in the order of the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent import Audio, Embedding, Engine, GraphBuilder, Image, Media, Text, Video
from mmagent.errors import Cancelled, MediaError, ModelError
from mmagent.registry import registry
from tests.tools.conftest import Listener
from tests.tools.encoders.checkpoints import Folders, card_of, fresh, loaded
from tests.tools.encoders.families import HEARING, READING, tf, torch


def alone(kind: str, items: Sequence[Media], **chosen: object) -> list[Embedding]:
    tool = loaded(f"{kind}-encoder.v1", **chosen)
    return [tool.run(item, *([Listener()] if tool.card.context else [])) for item in items]


def together(kind: str, items: Sequence[Media], batch: int, **chosen: object) -> list[Embedding]:
    made = loaded(f"{kind}-batch-encoder.v1", **chosen).run(list(items), Listener(), batch=batch)
    assert isinstance(made, list)
    return made


def assert_same(found: Sequence[Embedding], expected: Sequence[Embedding]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.space == other.space
        assert np.array_equal(one.mask, other.mask)
        np.testing.assert_allclose(one.array, other.array, atol=2e-5, rtol=1e-4)


def passes(network: Any) -> list[tuple[int, ...]]:
    """The shapes that enter a network, filled while it runs."""
    seen: list[tuple[int, ...]] = []
    network.register_forward_pre_hook(
        lambda _, args, inputs: seen.append(tuple(next(iter(inputs.values())).shape)), with_kwargs=True
    )
    return seen


# -- texts

TEXTS = st.lists(st.text("ab c", min_size=1, max_size=12), max_size=7)
CHOSEN = [
    {},
    {"output": "pooled"},
    {"output": "projected"},
    {"layer": 1},
    {"padded": True},
    {"output": "pooled", "padded": True},
]


@pytest.mark.parametrize("name", sorted(READING))
@settings(max_examples=5, deadline=None)
@given(texts=TEXTS, batch=st.integers(1, 4), chosen=st.sampled_from(CHOSEN))
def test_texts_of_unlike_lengths_give_what_each_gives_alone(
    folders: Folders, name: str, texts: list[str], batch: int, chosen: dict[str, object]
) -> None:
    asked: dict[str, object] = {"model": str(folders(name)), **chosen}
    try:
        card_of("text-encoder.v1", **asked)
    except ModelError:
        return  # BERT has no projected vector
    items = [Text(text) for text in texts]
    assert_same(together("text", items, batch, **asked), alone("text", items, **asked))


def test_texts_of_like_length_go_together(folders: Folders) -> None:
    tool = fresh("text-batch-encoder.v1", model=str(folders("bert")))
    seen, ctx = passes(tool._network), Listener()
    made = tool.run([Text("a" * n) for n in (2, 9, 1, 8, 2)], ctx, batch=2)
    assert [len(item.array) - 2 for item in made] == [2, 9, 1, 8, 2]
    assert seen == [(2, 11), (2, 4), (1, 3)]
    assert ctx.notes == [(0, 5, "text 1 of 5"), (2, 5, "text 3 of 5"), (4, 5, "text 5 of 5")]


def test_types_that_are_not_known_to_mask_are_given_texts_of_one_length(folders: Folders) -> None:
    tool = fresh("text-batch-encoder.v1", model=str(folders("fnet")))
    seen, items = passes(tool._network), [Text("a" * n) for n in (3, 2, 3, 2)]
    assert_same(tool.run(items, Listener(), batch=4), alone("text", items, model=str(folders("fnet"))))
    assert seen == [(2, 5), (2, 4)]


SMALL = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
    "intermediate_size": 16, "vocab_size": 60, "d_model": 16, "encoder_layers": 2, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16,
    "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2,
    "embedding_size": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
    "sep_token_id": 2, "mask_token_id": 3, "decoder_start_token_id": 2,
}  # fmt: skip


def padded_kinds() -> list[str]:
    import importlib

    families = importlib.import_module("mmagent.tools.text_encoder.families")
    return sorted(families.PADDED - {"clip", "clap", "siglip", "siglip2", "clip_text_model"})  # which READING has


@pytest.mark.parametrize("kind", padded_kinds())
def test_what_follows_behind_the_mask_changes_no_state_of_the_types_that_are_said_so(kind: str) -> None:
    usual = tf.AutoConfig.for_model(kind)
    config = type(usual)(**{name: value for name, value in SMALL.items() if hasattr(usual, name)})
    torch.manual_seed(0)
    model = tf.AutoModel.from_config(config).eval()
    model = model.get_encoder() if config.is_encoder_decoder else model
    ids = torch.randint(4, 60, (1, 6))
    filled = torch.cat([ids, torch.zeros(1, 5, dtype=torch.long)], dim=1)
    with torch.inference_mode():
        plain = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        behind = model(input_ids=filled, attention_mask=(filled > 0).long()).last_hidden_state
    np.testing.assert_allclose(behind[:, :6], plain, atol=1e-5)


def test_a_text_that_was_cut_is_told_by_its_number(folders: Folders) -> None:
    ctx = Listener()
    loaded("text-batch-encoder.v1", model=str(folders("bert")), length=10).run([Text("a"), Text("a" * 20)], ctx)
    assert ctx.notes[0] == (0.0, 1.0, "text 2 cut to 10 tokens, 12 left out")


# -- sounds


def sound(n_samples: int, rate: int, seed: int) -> Audio:
    noise = np.random.default_rng(seed).standard_normal(n_samples).astype("f4")
    return Audio(noise * 0.1 + 0.05, rate)


@pytest.mark.parametrize("name", sorted(HEARING))
@settings(max_examples=5, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40_000), min_size=2, max_size=4), batch=st.integers(2, 4),
    chosen=st.sampled_from([{}, {"output": "pooled"}, {"layer": 1}]),
)  # fmt: skip
def test_sounds_of_unlike_lengths_give_what_each_gives_alone(
    folders: Folders, name: str, lengths: list[int], batch: int, chosen: dict[str, object]
) -> None:
    rate, asked = 48_000 if name.startswith("clap") else 16_000, {"model": str(folders(name)), **chosen}
    if name.startswith("clap") and "layer" in chosen:
        return  # it has none to choose
    items = [sound(n, rate, seed) for seed, n in enumerate(lengths)]
    assert_same(together("audio", items, batch, **asked), alone("audio", items, **asked))


def test_sounds_are_filled_up_where_a_mask_leaves_that_out_and_nowhere_else(folders: Folders) -> None:
    items = [sound(n, 16_000, n) for n in (8_000, 16_000, 8_000)]
    for name, expected in (("wav2vec2-large", [(3, 16_000)]), ("wav2vec2", [(1, 16_000), (2, 8_000)])):
        tool = fresh("audio-batch-encoder.v1", model=str(folders(name)))
        seen = passes(tool._network)
        tool.run(items, Listener(), batch=4)
        assert seen == expected


def test_windows_of_several_sounds_go_together_and_can_be_stopped(folders: Folders) -> None:
    tool = fresh("audio-batch-encoder.v1", model=str(folders("whisper")))
    seen, ctx = passes(tool._network), Listener()
    made = tool.run([sound(20_000, 16_000, 0), sound(40_000, 16_000, 1)], ctx, batch=3)
    assert [len(item.array) for item in made] == [100, 150]
    assert [shape[0] for shape in seen] == [3, 2]
    assert [note for _, _, note in ctx.notes] == ["window 1 of 5", "window 4 of 5"]
    with pytest.raises(Cancelled):
        tool.run([sound(40_000, 16_000, 1)], Listener(cancel_at=2), batch=2)
    assert len(seen) == 3


# -- all of them

OWN = {"image": "clip", "text": "bert", "audio": "wav2vec2", "video": "clip"}
GIVEN: dict[str, Media] = {
    "image": Image(np.full((20, 30, 3), 99, "uint8")),
    "text": Text("a small text"),
    "audio": sound(8_000, 16_000, 0),
    "video": Video(np.zeros((4, 20, 20, 3), "uint8"), fps=8),
}


@pytest.mark.parametrize("kind", OWN)
def test_an_empty_list_gives_an_empty_list_and_a_batch_of_nothing_is_refused(folders: Folders, kind: str) -> None:
    tool = loaded(f"{kind}-batch-encoder.v1", model=str(folders(OWN[kind])))
    assert tool.run([], Listener()) == []
    with pytest.raises(ModelError, match="batch is at least 1, not 0"):
        tool.run([GIVEN[kind]], Listener(), batch=0)


@pytest.mark.parametrize("kind", OWN)
def test_the_card_tells_of_each_what_the_single_tools_does(folders: Folders, kind: str) -> None:
    one, many = (card_of(f"{kind}-{how}.v1", model=str(folders(OWN[kind]))) for how in ("encoder", "batch-encoder"))
    assert many.outputs[0].constraints == one.outputs[0].constraints
    assert many.inputs[0].constraints == one.inputs[0].constraints
    assert (many.inputs[0].many, many.outputs[0].many, many.weights) == (True, True, one.weights)
    assert many.cost == pytest.approx(4 * one.cost, rel=0.05)


@pytest.mark.parametrize("kind", OWN)
def test_a_graph_runs_it_over_a_list(folders: Folders, kind: str) -> None:
    builder = GraphBuilder("many")
    port = registry.find(f"{kind}-batch-encoder.v1").card.inputs[0].name
    listed = {port: builder.input("items", f"list[{kind}]")}
    builder.output("states", builder.add("encode", f"{kind}-batch-encoder", model=str(folders(OWN[kind])), **listed))
    with Engine() as engine:
        made = engine.run(builder.checked(), {"items": [GIVEN[kind], GIVEN[kind]]}).outputs["states"]
    assert_same(made, alone(kind, [GIVEN[kind]], model=str(folders(OWN[kind]))) * 2)  # type: ignore[arg-type]  # a list


def test_what_one_item_is_refused_for_the_list_is(folders: Folders) -> None:
    tool = loaded("audio-batch-encoder.v1", model=str(folders("wav2vec2")))
    with pytest.raises(MediaError, match=r"audio-batch-encoder\.v1: the sound holds no samples"):
        tool.run([GIVEN["audio"], Audio(np.zeros((0, 1), "f4"), 16_000)], Listener())
