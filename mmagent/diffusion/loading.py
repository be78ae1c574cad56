"""Loading a diffusers checkpoint: a folder, a hub id, or one safetensors file with the configs that describe it.

Safetensors unless pickled weights are asked for, no code from the folder, no part filled with random numbers, and
no special token out of a user's words.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmagent import checkpoint
from mmagent.diffusion.layout import INDEX, Layout, layout
from mmagent.diffusion.single_file import described, from_file
from mmagent.diffusion.size import chosen
from mmagent.diffusion.words import read_as_letters
from mmagent.errors import MissingExtra, MMAgentError, ModelError

_MAY_LACK = ("text_encoder", "tokenizer", "safety_checker", "feature_extractor", "image_encoder")
"""Parts that a pipeline runs without: embeddings come from elsewhere, and pictures go out unjudged."""


def load_pipeline(
    model: str,
    *,
    owner: str,
    config: str = "",
    revision: str = "",
    pickle: bool = False,
    device: str = "auto",
    dtype: str = "auto",
) -> Any:
    """The pipeline of a checkpoint, of the class that it names, ready to run: frozen, in eval mode, on its device.

    Parts that the checkpoint lacks, and that the pipeline can do without, are None. `device` `auto` is an
    accelerator if there is one; `dtype` `auto` is float32 on the processor and bfloat16 elsewhere. ModelError,
    Offline or MissingExtra (`owner` is who asked) if it cannot be had.
    """
    try:
        import torch

        with quiet():
            import diffusers
    except ImportError as error:
        raise MissingExtra(error.name or "diffusers", "local", owner) from error
    place = checkpoint.locate(model, revision=revision)
    safe = checkpoint.guard(place, pickle=pickle)
    where, precision = checkpoint.placement(device, dtype, f"model {model}")
    try:
        with quiet():
            if place.is_file():
                pipe = _from_file(diffusers, place, config, pickle, precision)
            else:
                pipe = _from_folder(diffusers, place, _described(str(place)), safe, pickle, precision)
            _check_whole(pipe, model)
            pipe.to(where)
    except (MMAgentError, MemoryError):
        raise
    except ImportError as error:
        raise MissingExtra(error.name or _first_line(error), "local", owner) from error
    except Exception as error:  # torn files, wrong fields, classes that changed: the library raises anything
        raise ModelError(f"{model} cannot be loaded by diffusers: {_first_line(error)}") from error
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    read_as_letters(pipe)  # or words like <|endoftext|> in a prompt would end it
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _from_folder(diffusers: Any, place: Path, plan: Layout, safe: bool, pickle: bool, dtype: Any) -> Any:
    kind = _kind(diffusers, plan)
    _check_parts(diffusers, place, plan)
    wanted, _ = kind._get_signature_keys(kind)
    absent = {name: None for name in wanted if name not in plan.parts}
    lost = [name for name in absent if not name.startswith(_MAY_LACK) and name not in kind._optional_components]
    if lost:
        raise ModelError(f"{place} lacks {', '.join(sorted(lost))}, which {plan.pipeline} needs; download it again")
    if absent.get("safety_checker", True) is None:
        absent["requires_safety_checker"] = False  # type: ignore[assignment]  # an option beside the absent parts
    return diffusers.DiffusionPipeline.from_pretrained(
        str(place),
        **{name: value for name, value in absent.items() if name in wanted or name in kind.__init__.__annotations__},
        **_text_models(place, plan, pickle, dtype),
        variant=_variant(place, plan),
        dtype=dtype,
        use_safetensors=True if safe else None,
        local_files_only=True,
        trust_remote_code=False,
    )


def _from_file(diffusers: Any, place: Path, config: str, pickle: bool, dtype: Any) -> Any:
    configs = described(place, config)
    checkpoint.guard(configs, pickle=pickle)
    plan = _described(str(configs))
    _check_parts(diffusers, configs, plan)
    return from_file(_kind(diffusers, plan), place, configs, config, dtype)


def _described(model: str) -> Layout:
    found = layout(model)
    if found is None:
        raise ModelError(f"{model} holds no {INDEX}; name the folder in which save_pretrained wrote the pipeline")
    return found


def _kind(diffusers: Any, plan: Layout) -> Any:
    kind = getattr(diffusers, plan.pipeline, None)
    if not isinstance(kind, type) or not issubclass(kind, diffusers.DiffusionPipeline):
        raise ModelError(
            f"diffusers {diffusers.__version__} has no pipeline {plan.pipeline}, which {plan.model} asks for; "
            "a newer one may have it, and code from a folder of weights is never run"
        )
    return kind


def _check_parts(diffusers: Any, place: Path, plan: Layout) -> None:
    """Refuse parts whose class would come out of the folder, or out of a library that diffusers does not build on."""
    for name, (library, kind) in plan.parts.items():
        ours = library in ("diffusers", "transformers") or hasattr(diffusers.pipelines, library)
        if not ours or (place / name / f"{library}.py").exists():
            raise ModelError(
                f"{plan.model}: {name} is a {kind} of {library}; code from a folder of weights is never run, and only "
                "classes of diffusers and transformers are loaded"
            )


def _check_whole(pipe: Any, model: str) -> None:
    """Refuse parts of which the checkpoint lacks parameters; diffusers leaves those without data."""
    for name, part in pipe.components.items():
        if hasattr(part, "named_parameters"):
            lost = [key for key, value in part.named_parameters() if value.is_meta]
            if lost:
                raise ModelError(
                    f"{model}: {name} lacks {len(lost)} of its parameters, {', '.join(lost[:3])}"
                    f"{' …' if len(lost) > 3 else ''}; download or save it again"
                )


def _text_models(place: Path, plan: Layout, pickle: bool, dtype: Any) -> dict[str, Any]:
    """The parts that are transformers models, loaded as every tool loads them: what they lack is told."""
    import transformers

    found = {}
    for name, (library, kind) in plan.parts.items():
        maker = getattr(transformers, kind, None) if library == "transformers" else None
        if isinstance(maker, type) and issubclass(maker, transformers.PreTrainedModel):
            precision, _ = chosen(place / name)
            named: dict[str, Any] = {"variant": precision} if precision else {}
            found[name] = checkpoint.load_pretrained(maker, str(place / name), pickle=pickle, dtype=dtype, **named)
    return found


def _variant(place: Path, plan: Layout) -> str | None:
    """The precision in whose name weights are saved that diffusers loads, where there are no plain ones."""
    kinds = {chosen(place / name)[0] for name, (library, _) in plan.parts.items() if library != "transformers"}
    return next(iter(sorted(kinds - {""})), None)


@contextmanager
def quiet() -> Iterator[None]:
    """One thread loads at a time, and no bars or remarks of the libraries run into what a program prints."""
    importlib.import_module("transformers")  # `loading` quiets what is there, and diffusers' import makes it talk
    with checkpoint.loading():
        from diffusers.utils import logging

        level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
