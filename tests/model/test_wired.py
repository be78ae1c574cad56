"""A model with parts that count as trained, end to end: a picture in, its encoder, the reply, a span, the projector,
the generator, a picture out. Everything is real and small; nothing was taught, so what is said means nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

from mmagent import Agent, Embedding, Image, Points, Policy, Text, message, tool
from mmagent.conversation import Conversation, MediaSegment, Signal, SpanOpened, TextDelta
from mmagent.diffusion import save_small
from mmagent.errors import CardError, GraphError, ModelError
from mmagent.model import MMLM, ports, saved
from mmagent.model.parts import Parts
from mmagent.model.reasoner import Reasoner, Wired
from mmagent.model.spec import ModelSpec

Make = Callable[..., Any]
RED = Image(np.full((20, 20, 3), (200, 20, 20), "uint8"))
BLUE = Image(np.full((20, 20, 3), (20, 20, 200), "uint8"))
DRAW = Policy(force=("image",), forbid=("speech",), max_tokens=14, max_caption=4)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of an encoder of pictures and of Stable Diffusion."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ViTModel(ViTConfig(**sizes, image_size=16, patch_size=8), add_pooling_layer=False).save_pretrained(folder / "eye")
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder / "eye")
    save_small("stable-diffusion", folder / "brush")
    return {"eye": folder / "eye", "brush": folder / "brush"}


@pytest.fixture(scope="module")
def spec(spec_of: Make, places: dict[str, Path]) -> ModelSpec:
    said = spec_of().model_dump(mode="json")
    said["inputs"] = {
        "image": {
            "encoder": {"tool": "image-encoder", "settings": {"model": str(places["eye"])}},
            "projector": {"kind": "mlp"},
        }
    }
    said["outputs"]["image"] |= {
        "projector": {"kind": "query-transformer", "queries": 16, "dim": 8, "layers": 1, "heads": 2},
        "generator": {
            "tool": "image-diffusion",
            "settings": {"model": str(places["brush"]), "steps": 1, "guidance": 1.0},
        },
    }
    return ModelSpec.model_validate(said)


@pytest.fixture
def parts(spec: ModelSpec, backbone: Any) -> Parts:
    return Parts.build(spec, backbone, features=ports.features(spec), conditions=ports.conditions(spec)).eval()


def wired(parts: Parts, *trained: str) -> MMLM:
    parts.trained = set(trained or ("inputs.image", "outputs.image", "signals"))
    return MMLM.of(parts)


def test_a_picture_goes_in_by_its_encoder_and_one_comes_out_by_the_projector(parts: Parts) -> None:
    model = wired(parts)
    assert isinstance(model, Reasoner) and isinstance(model, Wired)
    agent = Agent(model, policy=DRAW)
    reply = agent("Draw a cat.", RED)
    calls = [call.tool for call in reply.trace.calls]
    assert "image-encoder.v1" in calls and "turn-words.v1" not in calls
    assert calls[-2:] == ["small-image-projector.v1", "small-image.v1"]
    (picture,) = (part for part in reply.parts if isinstance(part, Image))
    assert picture.array.shape == (32, 32, 3)
    (made,) = reply.trace.steps[0].routes
    assert made.wire == "embedding"
    again = agent("Draw a dog.")  # the picture of the turn before is not encoded again
    assert "image-encoder.v1" not in [call.tool for call in again.trace.calls]


def words(agent: Agent, picture: Image) -> str:
    """What is said about a picture that is shown first."""
    agent.forget()
    return "".join(part.text for part in agent("who?", picture).parts if isinstance(part, Text))


def test_what_is_said_depends_on_what_is_seen(parts: Parts) -> None:
    agent = Agent(wired(parts), policy=Policy(max_tokens=20, forbid=("image", "speech")))
    assert words(agent, RED) == words(agent, RED) != words(agent, BLUE)


def test_what_is_seen_between_layers_is_said_once_the_gates_open(spec: ModelSpec, backbone: Any) -> None:
    kind = {"kind": "gated-cross-attention", "every": 1, "queries": 2, "layers": 1, "heads": 2, "head_dim": 8}
    said = spec.model_dump(mode="json")
    said["inputs"]["image"]["projector"] = kind
    gated = ModelSpec.model_validate(said)
    parts = Parts.build(gated, backbone, features=ports.features(gated), conditions={})
    agent = Agent(wired(parts, "inputs.image"), policy=Policy(max_tokens=20, forbid=("image", "speech")))
    assert words(agent, RED) == words(agent, BLUE)
    with torch.no_grad():
        for name, value in parts.inputs.named_parameters():
            if "gate_" in name:
                value.fill_(1.0)
    assert words(agent, RED) == words(agent, RED) != words(agent, BLUE)


def test_the_encoder_is_asked_once_for_the_same_picture(parts: Parts) -> None:
    agent = Agent(wired(parts), policy=Policy(max_tokens=4, forbid=("image", "speech")))
    picture = Image(np.full((9, 9, 3), 77, "uint8"))  # shown by no other test, whose results are kept too
    found = []
    for _ in range(2):
        agent.forget()
        found += [call.status for call in agent("who?", picture).trace.calls if call.tool == "image-encoder.v1"]
    assert found == ["finished", "cached"]


def test_a_policy_may_have_everything_made_from_captions(parts: Parts) -> None:
    model = wired(parts)
    reply = Agent(model, policy=replace(DRAW, wire="text"))("Draw a cat.")
    (made,) = reply.trace.steps[0].routes
    assert made.wire == "text" and made.path == ("small-image.v1",)
    assert any("made from captions" in item.reason for item in made.candidates if item.wire == "embedding")


@pytest.mark.parametrize(
    ("trained", "sees", "projects"),
    [
        ((), (), 0),
        (("inputs.image",), ("image",), 0),
        (("outputs.image",), (), 0),  # its rows would be read as words
        (("signals",), (), 0),
        (("signals.image", "outputs.image"), (), 1),
        (("signals.speech", "outputs.image"), (), 0),
    ],
)
def test_nothing_is_promised_that_was_not_trained(
    parts: Parts, trained: tuple[str, ...], sees: tuple[str, ...], projects: int
) -> None:
    parts.trained = set(trained)
    model = MMLM.of(parts)
    assert model.sees == tuple(model.encoders) == sees
    assert len(model.projectors) == projects


def test_what_was_not_trained_comes_in_as_words(parts: Parts) -> None:
    @tool(cost=0.001)
    def look(image: Image) -> Text:
        """Name what is in a picture."""
        return Text("a cat")

    model = wired(parts, "signals", "outputs.image")
    reply = Agent(model, tools=[look], policy=DRAW)("Draw it.", RED)
    calls = [call.tool for call in reply.trace.calls]
    assert "look.v1" in calls and "image-encoder.v1" not in calls
    assert any(isinstance(part, Image) for part in reply.parts)


def test_media_that_are_seen_and_media_in_words_stand_side_by_side(parts: Parts) -> None:
    @tool(cost=0.001)
    def feel(points: Points) -> Text:
        """Name a shape."""
        return Text("a ball")

    agent = Agent(wired(parts), tools=[feel], policy=Policy(max_tokens=4, forbid=("image", "speech")))
    agent(RED, Points(np.zeros((1, 3), "float32")), BLUE, "who?")
    shown = [item for item in agent.conversation.messages[0].segments if isinstance(item, MediaSegment)]
    assert [item.words for item in shown] == [None, "a ball", None]
    assert shown[0].seen is not None and shown[2].seen is not None
    assert shown[0].seen != shown[2].seen


def test_settings_that_a_generator_does_not_take_are_told(spec: ModelSpec, backbone: Any) -> None:
    said = spec.model_dump(mode="json")
    said["outputs"]["image"]["generator"]["settings"]["stepz"] = 9
    wrong = ModelSpec.model_validate(said)
    with pytest.raises(CardError, match="has no setting 'stepz'"):
        _ = MMLM(wrong, backbone).tools
    with pytest.raises(CardError, match="stepz"):
        ports.digests(wrong)


def test_a_picture_is_not_put_into_words_where_its_encoder_is_not_here(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = wired(parts)
    there = model.encoders["image"]
    monkeypatch.setattr(MMLM, "encoders", property(lambda self: {"image": replace(there, tool="gone-eye")}))
    agent = Agent(model, policy=Policy(max_tokens=4, forbid=("image", "speech")))
    with pytest.raises(
        GraphError, match=r"encode \(gone-eye\): expected the encoder that small sees image by.*fix: put"
    ):
        agent("who?", RED)
    assert agent("who?").trace.calls  # what has no picture needs no encoder


def test_an_encoder_of_another_space_is_a_fault_of_the_graph(parts: Parts) -> None:
    port = parts.features["image"]
    parts.features["image"] = type(port)(port.name, "embedding", constraints={**port.constraints, "space": "other"})
    with pytest.raises(GraphError, match=r"node compose, port seen-image: expected .*space=other"):
        Agent(wired(parts))("who?", RED)


def test_states_of_another_encoder_are_refused(parts: Parts) -> None:
    model = wired(parts)
    segment = MediaSegment(RED, seen=Embedding(np.zeros((4, 16)), "other.grid"))
    talk = Conversation([message("user", segment, "who?")])
    with pytest.raises(ModelError, match=r"reads image in the space eye\..* this one is in other\.grid"):
        list(model.speak(talk, Policy(), {}))


def test_a_saved_model_says_and_makes_what_the_first_did(parts: Parts, places: dict[str, Path], tmp_path: Path) -> None:
    with torch.no_grad():
        for value in parts.parameters():
            value.add_(0.1 * torch.randn_like(value))
    first = wired(parts)
    folder = saved.save(parts, tmp_path)
    again = MMLM(parts.spec, parts.backbone, folder=folder)
    assert (again.sees, again.makes, again.projectors) == (first.sees, first.makes, first.projectors)
    replies = [Agent(model, policy=DRAW)("Draw it.", RED) for model in (first, again)]
    assert replies[0].parts == replies[1].parts


def test_an_encoder_with_other_weights_is_a_fault_with_both_digests(
    parts: Parts, places: dict[str, Path], tmp_path: Path
) -> None:
    wired(parts)
    model = MMLM(parts.spec, parts.backbone, folder=saved.save(parts, tmp_path))
    before = model.encoders["image"].weights
    weights = places["eye"] / "model.safetensors"
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(GraphError, match=f"expected weights {before}, got [0-9a-f]{{64}}"):
            Agent(model)("who?", RED)
        with pytest.raises(ModelError, match=rf"inputs\.image was trained with weights {before}"):
            model.load()
    finally:
        weights.write_bytes(content)


# -- what is trained decides for itself, what is not is weighed beforehand


def said(model: MMLM, text: str, policy: Policy) -> list[object]:
    return list(model.speak(Conversation([message("user", text)]), policy, {"image": "draws", "speech": "speaks"}))


@pytest.mark.parametrize("trained", [("signals",), ("signals.image",), ("signals.speech",)])
def test_replies_keep_their_policy_whatever_is_trained(parts: Parts, trained: tuple[str, ...]) -> None:
    model = wired(parts, *trained)
    for force in ((), ("image",), ("speech", "image")):
        found = said(model, "Draw a cat. Say it.", Policy(force=force, max_tokens=40, max_caption=5, max_spans=2))
        made = [item.modality for item in found if isinstance(item, Signal)]
        assert len(made) <= 2 and all(made.count(name) >= 1 for name in force)
        assert sum(isinstance(item, SpanOpened) for item in found) == len(made)


def test_a_trained_row_opens_a_span_by_its_own_logit(parts: Parts) -> None:
    policy = Policy(max_tokens=30, max_caption=4, max_spans=1)
    row = parts.rows.of_out["image"]
    with torch.no_grad():
        hidden = next(iter(_hidden(parts)))
        row[0] = 50 * hidden / hidden.norm()
    eager = said(wired(parts, "signals"), "who?", policy)
    assert isinstance(eager[0], SpanOpened) and eager[0].modality == "image"
    with torch.no_grad():
        row[0] = -row[0]
    shy = said(wired(parts, "signals"), "who?", policy)
    assert isinstance(shy[0], TextDelta) or not any(
        isinstance(item, Signal) and item.place == 0 and item.modality == "image" for item in shy
    )
    mixed = said(wired(parts, "signals.speech"), "who?", policy)
    assert isinstance(mixed[0], TextDelta)  # the picture's row counts for nothing until it is trained


def _hidden(parts: Parts) -> torch.Tensor:
    """The state from which the first id of the reply to "who?" is predicted."""
    prompter = MMLM.of(parts)._loaded().prompter
    prompt = prompter.pieces(Conversation([message("user", "who?")]), 30)
    inputs = parts.embed([prompt])[0][None]
    backbone = parts.backbone
    return backbone.forward(inputs, torch.ones(inputs.shape[:2], dtype=torch.long), backbone.cache()).hidden[:, -1]
