"""Loading a checkpoint with transformers, the one way that every tool does: guarded, offline, frozen, quiet.

Code from the folder never runs, pickled weights are refused unless asked for, and what the checkpoint does not hold
is an error, never filled with random numbers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmagent.checkpoint.extras import imported
from mmagent.checkpoint.place import locate
from mmagent.checkpoint.placement import placement
from mmagent.checkpoint.quiet import quiet
from mmagent.checkpoint.safety import guard
from mmagent.errors import MissingExtra, MMAgentError, ModelError

_ONE = threading.RLock()


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """One thread loads at a time, and quietly: libraries patch initialisation and the default dtype meanwhile."""
    with _ONE, quiet():
        yield


@contextlib.contextmanager
def forward(model: str) -> Iterator[None]:
    """A pass through a loaded model: without gradients, with a processor left free; what it raises is a ModelError.

    Many an architecture loads whose inputs or results are not what a tool expects of its kind.
    """
    import torch

    from mmagent.checkpoint.threads import modest  # here, since it imports torch

    with modest(), torch.inference_mode():
        try:
            yield
        except (MMAgentError, MemoryError):
            raise
        except Exception as error:
            raise ModelError(
                f"{model} cannot be run as this tool runs it: {type(error).__name__}: {_first_line(error)}; "
                "see the page on encoders for what it takes"
            ) from error


def load_pretrained(
    kind: str | type,
    model: str,
    *,
    pickle: bool = False,
    revision: str = "",
    optional: tuple[str, ...] = (),
    extra: str = "local",
    device: str = "cpu",
    dtype: Any = "float32",
    **options: Any,
) -> Any:
    """A transformers model out of a checkpoint: `kind` is its class or the name of one, `"AutoModel"`.

    It comes on `device` in `dtype` (a name, as `placement` takes them, or torch's own), in eval mode, its parameters
    without gradients. `options` go to `from_pretrained`. Parameters that the checkpoint lacks raise ModelError, unless their names start with one
    of `optional`; MissingExtra if the library is not there.
    """
    imported("torch", extra, f"model {model}")
    maker = _maker(kind, extra, model)
    chosen = placement(device, dtype, f"model {model}")
    path = locate(model, revision=revision)
    safe = guard(path, pickle=pickle)
    where, named = _source(path)
    try:
        with loading():
            loaded, report = maker.from_pretrained(
                str(where), dtype=chosen.dtype, **options, **named, output_loading_info=True,
                use_safetensors=safe and not named, weights_only=True, trust_remote_code=False, local_files_only=True,
            )  # fmt: skip
    except Exception as error:
        # Pickles with code raise pickle's errors, torn files safetensors', wrong fields of a config anything.
        raise _refusal(model, maker, error) from error
    lost = sorted(name for name in report["missing_keys"] if not name.startswith(optional or ("\0",)))
    lost += sorted(f"{item[0]} (of another shape)" for item in report["mismatched_keys"])
    if lost:
        raise ModelError(
            f"{model} is no {type(loaded).__name__}: it lacks {len(lost)} of its parameters, {', '.join(lost[:3])}"
            f"{' …' if len(lost) > 3 else ''}; name a checkpoint of that architecture"
        )
    return loaded.to(chosen.device).eval().requires_grad_(False)


def load_part(kind: str | type, model: str, *, revision: str = "", extra: str = "local", **options: Any) -> Any:
    """What a checkpoint holds beside the weights (tokenizer, processor, feature extractor, config), by its class."""
    maker = _maker(kind, extra, model)
    where, named = _source(locate(model, revision=revision))
    try:
        with loading():
            return maker.from_pretrained(str(where), **options, **named, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        raise _refusal(model, maker, error) from error


def load_tensors(path: Path, *, pickle: bool = False) -> dict[str, Any]:
    """The tensors of one file by name, on the CPU: safetensors, or, where `pickle` allows it, a pickled state dict."""
    torch = imported("torch", "local", f"model {path}")
    try:
        if guard(path, pickle=pickle):
            from safetensors.torch import load_file

            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{path} cannot be read: {_first_line(error)}; download or save it again") from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ModelError(f"{path} holds no tensors by name; save the model's state_dict")
    return found


def _source(path: Path) -> tuple[Path, dict[str, str]]:
    """What `from_pretrained` is given: a GGUF file is named apart from its folder."""
    if path.is_dir():
        return path, {}
    if path.suffix.lower() == ".gguf":
        return path.parent, {"gguf_file": path.name}
    raise ModelError(f"{path} is a single file; name the folder in which save_pretrained wrote the model")


def _maker(kind: str | type, extra: str, model: str) -> Any:
    return getattr(imported("transformers", extra, f"model {model}"), kind) if isinstance(kind, str) else kind


def _refusal(model: str, maker: Any, error: Exception) -> Exception:
    if isinstance(error, ImportError) and error.name:
        return MissingExtra(error.name, "local", f"model {model}")
    if isinstance(error, MemoryError):
        return error
    return ModelError(f"{model} cannot be loaded as {maker.__name__}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    if type(error).__name__ == "UnpicklingError":  # torch's own text advises to run what is in the file
        return "its pickled file holds more than tensors, which could run code and is never loaded"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
