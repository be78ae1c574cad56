"""What a model's `model.yaml` says: its backbone, how media come in, and how each modality out is asked for and made.

inputs:
  image: {encoder: image-features, projector: {kind: mlp}}
outputs:
  image: {k: 4, projector: {kind: query-transformer, queries: 77}, generator: my-stable-diffusion}
lora: {rank: 8, alpha: 16, targets: [q_proj, v_proj]}
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mmagent.errors import ModelError
from mmagent.model.projectors.spec import InputProjectorSpec, OutputProjectorSpec

if TYPE_CHECKING:
    from mmagent.model.chat.spec import ChatModelSpec


class Part(BaseModel):
    """A part of a model's description: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BackboneSpec(Part):
    """Where the LLM comes from: a weight set that `mmagent fetch` knows, or a hub id, folder or GGUF file."""

    weights: str | None = None
    path: str | None = None

    @model_validator(mode="after")
    def _one(self) -> BackboneSpec:
        if (self.weights is None) == (self.path is None):
            raise ValueError("name the backbone by `weights` (a weight set) or by `path` (hub id, folder, GGUF file)")
        return self


class RequestSpec(Part):
    """Requests of one kind: what the kind is called, and examples."""

    called: str
    examples: tuple[str, ...] = Field(min_length=1)


class SeenSpec(Part):
    """An exchange about media in words: what converters made of it, a request, the reply's words."""

    shown: str
    request: str
    words: str


class ToolSpec(Part):
    """A tool by name, with settings: `image-features`, or `{tool: image-encoder, settings: {model: ...}}`."""

    tool: str
    settings: dict[str, str | int | float | bool | None] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        return {"tool": given} if isinstance(given, str) else given


class InputSpec(Part):
    """How a modality comes in: its encoder, and what turns the encoder's states into embeddings that the LLM reads.

    Until that projector is trained the medium comes in as words; `shots` go before a conversation whose last message
    holds it so.
    """

    encoder: ToolSpec | None = None
    projector: InputProjectorSpec | None = None
    shots: tuple[SeenSpec, ...] = ()

    @model_validator(mode="after")
    def _joined(self) -> InputSpec:
        if (self.encoder is None) != (self.projector is None):
            raise ValueError("an encoder and its projector are named together")
        return self


class ShotSpec(Part):
    """An exchange that shows how the modality is asked for: a request, the words of the reply, the caption."""

    request: str
    words: str = ""
    caption: str


class OutputSpec(Part):
    """How one modality is asked for, and what turns a span's states into its generator's conditioning.

    `k` signal tokens close a span. Until its rows are trained, an open token is read as the words `opening`
    and the signal tokens as `closing`, and the modality is weighed by `requests`: what such requests are
    called, and examples of them. Without requests it cannot be asked for before it is trained. `shots` go before a
    conversation that is answered with the modality. `caption: said` means that a caption repeats what the reply
    says (speech). A modality without a `projector` is made from its caption.
    """

    k: Annotated[int, Field(ge=1, le=256)]
    projector: OutputProjectorSpec | None = None
    generator: ToolSpec | None = None
    opening: str = ""
    closing: str = "]"
    caption: Literal["described", "said"] = "described"
    requests: RequestSpec | None = None
    shots: tuple[ShotSpec, ...] = ()

    @model_validator(mode="after")
    def _joined(self) -> OutputSpec:
        if (self.projector is None) != (self.generator is None):
            raise ValueError("a generator and its projector are named together")
        if self.requests is not None and not self.opening:
            raise ValueError("`requests` weigh a modality whose open token is read as words; give them as `opening`")
        return self


class LoraSpec(Part):
    """Low-rank matrices beside the backbone's own (Hu et al. 2021, arXiv:2106.09685): their rank, the scale
    `alpha / rank`, and the ends of the names of the modules that get them."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Annotated[float, Field(gt=0)] = 16
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("q_proj", "k_proj", "v_proj", "o_proj")
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class ModelSpec(Part):
    """A whole model, as its folder's `model.yaml` gives it.

    `system` opens every conversation that has no system message of its own. A prompt and its reply take
    `context` tokens at most, fewer where the LLM has learnt fewer positions. `plain` are requests answered in words alone; they are more probable than any
    other by `prior` nats, and a clause asks for media on its own where that is more probable by `margin` nats.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    doc: str = ""
    backbone: BackboneSpec
    system: str = ""
    context: Annotated[int, Field(ge=64)] = 2048
    inputs: dict[str, InputSpec] = Field(default_factory=dict)
    outputs: dict[str, OutputSpec] = Field(default_factory=dict)
    lora: LoraSpec | None = None
    plain: RequestSpec | None = None
    prior: float = 0.0
    margin: float = 3.0
    cost: float = 5.0
    memory: int = 0

    @model_validator(mode="after")
    def _weighable(self) -> ModelSpec:
        if self.plain is None and any(output.requests for output in self.outputs.values()):
            raise ValueError("a model whose outputs have `requests` names `plain` ones, which they are weighed against")
        return self


def read_spec(folder: Path) -> ModelSpec:
    """The spec in a folder's `model.yaml`; ModelError lists everything that is wrong with it."""
    found = read_any(folder)
    if not isinstance(found, ModelSpec):
        raise ModelError(f"{folder / 'model.yaml'} describes a chat model, which has no backbone; use load_model")
    return found


def write_spec(spec: ModelSpec, path: Path) -> None:
    """Write a `model.yaml`, without what is as it would be anyway; reading it gives the same spec.

    What lies in the folder or beside it is written as a path from there (`./llm`): those are moved together.
    """
    home = path.parent.resolve()

    def near(value: str) -> str:
        if not Path(value).is_absolute() or not Path(value).is_relative_to(home.parent):
            return value
        found = os.path.relpath(value, home)
        return found if found.startswith("..") else f"./{found}"

    said = placed(spec, near).model_dump(mode="json", exclude_defaults=True)
    path.write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120), "utf-8")


def read_any(folder: Path) -> ModelSpec | ChatModelSpec:
    """As `read_spec`; a `chat` section makes it the spec of a chat model.

    A backbone's path, and a tool's setting, that begins with `./` or `../` is a path from the model's own folder.
    """
    from mmagent.model.chat.spec import ChatModelSpec

    path = folder / "model.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        kind = ChatModelSpec if isinstance(content, dict) and "chat" in content else ModelSpec
        found = kind.model_validate(content)
        if isinstance(found, ChatModelSpec):
            return found
        return placed(
            found, lambda value: str((folder / value).resolve()) if value.startswith(("./", "../")) else value
        )
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); a model's folder holds a model.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        raise ModelError("\n  ".join([f"{path} does not describe a model:", *faults(error)])) from None


def placed(spec: ModelSpec, place: Callable[[str], str]) -> ModelSpec:
    """The spec with `place` applied to the backbone's path and to the settings of tools that are strings."""

    def beside(value: Any) -> Any:
        return place(value) if isinstance(value, str) else value

    def tool(given: ToolSpec | None) -> ToolSpec | None:
        return given and given.model_copy(
            update={"settings": {name: beside(value) for name, value in given.settings.items()}}
        )

    inputs = {name: item.model_copy(update={"encoder": tool(item.encoder)}) for name, item in spec.inputs.items()}
    outputs = {name: item.model_copy(update={"generator": tool(item.generator)}) for name, item in spec.outputs.items()}
    backbone = spec.backbone.model_copy(update={"path": beside(spec.backbone.path)})
    return spec.model_copy(update={"inputs": inputs, "outputs": outputs, "backbone": backbone})


def faults(error: ValidationError) -> list[str]:
    """Everything that is wrong with a spec, one line each."""
    return [f"{'.'.join(map(str, item['loc'])) or 'model'}: {item['msg']}" for item in error.errors()]
