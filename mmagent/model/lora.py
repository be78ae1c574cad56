"""Low-rank matrices in a frozen backbone, by peft: put in beside its own matrices, trained and saved alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmagent.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    from torch import nn

    from mmagent.model.spec import LoraSpec

_MARK = ".lora_"


def inject(model: nn.Module, spec: LoraSpec) -> dict[str, nn.Parameter]:
    """Put the matrices into `model` and return them by name; before training they change nothing of what it says.

    ModelError when the model has some already, or no module of such a name. Their starting values are drawn from
    torch's global generator.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingExtra(error.name or "peft", "local", "a model with `lora`") from None
    if adapted(model):
        raise ModelError("the backbone holds another model's LoRA already; load it again for this one")
    options = LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, target_modules=list(spec.targets), lora_dropout=spec.dropout
    )
    try:
        inject_adapter_in_model(options, model)
    except ValueError as error:
        kinds = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if hasattr(part, "weight")})
        raise ModelError(
            f"lora.targets {', '.join(spec.targets)} cannot be had ({str(error).splitlines()[0]:.200}); "
            f"the backbone's modules are {', '.join(kinds)}"
        ) from None
    model.eval()  # new modules are born training
    return adapted(model)


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
