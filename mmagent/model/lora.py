"""Low-rank matrices in a frozen backbone, by peft: put in beside its own matrices, trained and saved alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmagent.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from mmagent.model.spec import LoraSpec

_MARK = ".lora_"


def inject(model: PreTrainedModel, spec: LoraSpec) -> dict[str, nn.Parameter]:
    """Put the matrices into `model` and return them by name; before training they change nothing of what it says.

    ModelError when the model has some already, when a target names no module of it, and when it names the embeddings
    or the head, which signal rows stand beside. Their starting values are drawn from torch's global generator.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingExtra(error.name or "peft", "local", "a model with `lora`") from None
    if adapted(model):
        raise ModelError("the backbone holds another model's LoRA already; load it again for this one")
    named = dict(model.named_modules())
    found = {target: [name for name in named if f".{name}".endswith(f".{target}")] for target in spec.targets}
    rows = [model.get_input_embeddings(), model.get_output_embeddings()]
    lost = [target for target, names in found.items() if not names]  # the library overlooks those
    held = [target for target, names in found.items() if any(named[name] is part for name in names for part in rows)]
    if lost or held:
        raise _refused(model, lost or held, "no module has that name" if lost else "signal rows stand beside it")
    options = LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, target_modules=list(spec.targets), lora_dropout=spec.dropout
    )
    try:
        inject_adapter_in_model(options, model)
    except ValueError as error:
        raise _refused(model, spec.targets, f"{str(error).splitlines()[0]:.200}") from None
    model.eval()  # new modules are born training
    return adapted(model)


def _refused(model: nn.Module, targets: Sequence[str], why: str) -> ModelError:
    kinds = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if hasattr(part, "weight")})
    return ModelError(
        f"lora.targets {', '.join(targets)} cannot be had ({why}); the backbone's modules are {', '.join(kinds)}"
    )


def adapted(model: nn.Module) -> dict[str, nn.Parameter]:
    """The low-rank matrices that a model holds, by name."""
    return {name: value for name, value in model.named_parameters() if _MARK in name}


def own(model: nn.Module) -> dict[str, nn.Parameter]:
    """The model's own parameters under the names that they have without LoRA."""
    return {name.replace(".base_layer.", "."): value for name, value in model.named_parameters() if _MARK not in name}


def drop(model: nn.Module, training: bool) -> None:
    """Turn the matrices' dropout on or off; the rest of a frozen model never trains."""
    for name, part in model.named_modules():
        if ".lora_dropout" in name:
            part.train(training)
