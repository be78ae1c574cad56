"""A model's own tools: its output projectors as nodes of a graph, and the generators that they were trained for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mmagent.card import Card, Port
from mmagent.errors import CardError, MMAgentError
from mmagent.media import Embedding
from mmagent.registry import registry
from mmagent.tool import FunctionTool, Preset, ToolType

if TYPE_CHECKING:
    from mmagent.model.mmlm import MMLM

SECONDS = 0.02
"""What a projector of NExT-GPT's size takes on a processor."""


def projectors(model: MMLM) -> tuple[FunctionTool[[Embedding], Embedding], ...]:
    """A tool for each output projector that has been trained, on signal rows that have.

    It runs the model's own weights, which are read with the model, once.
    """
    found = model.told
    names = [name for name, output in model.spec.outputs.items() if output.projector]
    learnt = [name for name in names if all(found.has_learnt(f"{kind}.{name}") for kind in ("outputs", "signals"))]
    return tuple(_projector(model, name, found.ports[f"outputs.{name}"]) for name in learnt)


def _projector(model: MMLM, modality: str, target: Port) -> FunctionTool[[Embedding], Embedding]:
    def project(signal: Embedding) -> Embedding:
        """Turn a span's states into what the generator is conditioned on."""
        import torch

        from mmagent.checkpoint.threads import modest

        parts = model.parts()
        with modest(), torch.no_grad():
            states = torch.tensor(signal.array, device=parts.device)  # [k, D]
            ((made, mask),) = zip(*parts.condition(modality, states[None]))  # [L', D_out], [L']
        return Embedding(made.float().cpu().numpy(), space, mask.cpu().numpy())

    space = str(target.constraints.get("space"))
    card = Card(
        name=f"{model.name}-{modality}-projector.v1",
        kind="converter",
        inputs=(Port("signal", "embedding", constraints={"space": f"{model.name}.signals"}),),
        outputs=(replace(target, name="embeds", optional=False),),
        doc=f"Turn what {model.name} says of {modality} into the conditioning of its generator.",
        cost=SECONDS,
        # Its weights may be trained on while the process runs, and a call costs less than to tell them apart.
        cacheable=False,
    )
    return FunctionTool(project, card)


def generators(model: MMLM) -> tuple[ToolType, ...]:
    """The generators that have settings in the model's spec, as presets under names of the model's own.

    One that is not here is left out: whatever else takes its space can be routed to. CardError for settings that it
    does not take.
    """
    found: list[ToolType] = []
    for name, output in model.spec.outputs.items():
        if output.generator is None or not output.generator.settings:
            continue
        try:
            base = registry.find(output.generator.tool)
            preset = Preset(f"{model.name}-{name}", base, output.generator.settings)
            _ = preset.card  # what is wrong with its checkpoint shows here
        except CardError:
            raise
        except MMAgentError:
            continue
        found.append(preset)
    return tuple(found)
