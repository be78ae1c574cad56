"""Where a model runs and in which precision: the settings `device` and `dtype`, the same for every tool with weights.

It imports torch where it is called, never before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mmagent.checkpoint.extras import imported
from mmagent.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""`auto` is float32 on the processor, and bfloat16 on an accelerator."""


class Placement(NamedTuple):
    """A device and a dtype of torch, in the order in which `Module.to` takes them."""

    device: torch.device
    dtype: torch.dtype


def placement(device: str, dtype: str | torch.dtype, owner: str) -> Placement:
    """The device of that name, `auto` an accelerator if there is one, and the dtype: a `Dtype`, or torch's own.

    ModelError, in which `owner` is who asked, if there is no such device here.
    """
    torch = imported("torch", "local", owner)
    if device == "auto":
        device = next((name for name in ("cuda", "mps") if getattr(torch, name).is_available()), "cpu")
    try:
        where = torch.device(device)
        torch.zeros(1, device=where).cpu()  # `meta` gives nothing back
    except (RuntimeError, AssertionError, ImportError) as error:  # as each backend says that it is not there
        raise ModelError(
            f"{owner}: there is no device {device} here ({str(error).splitlines()[0]:.100}); "
            "set device to cpu, or to auto for what there is"
        ) from None
    if dtype == "auto":
        dtype = "float32" if where.type == "cpu" else "bfloat16"
    return Placement(where, getattr(torch, dtype) if isinstance(dtype, str) else dtype)


def itemsize(device: str, dtype: str) -> int:
    """Bytes of a number, as far as it can be told without looking for devices.

    >>> itemsize("cpu:0", "auto"), itemsize("cpu", "float16"), itemsize("cuda:1", "auto")
    (4, 2, 2)
    """
    return 4 if dtype == "float32" or (dtype == "auto" and device.partition(":")[0] in ("auto", "cpu")) else 2


def given(inputs: Mapping[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    """What a processor made, where a model is: all of it on its device, what is no count in its dtype."""
    like = next(model.parameters())
    return {
        name: value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
        for name, value in inputs.items()
    }


def array(states: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What a model made, as an array of float32."""
    found: np.ndarray[Any, np.dtype[np.float32]] = states.float().cpu().numpy()
    return found
