"""What a run file says.

model: my-model                        # a folder with a model.yaml, or a model's name
stage: {kind: align-inputs}
data: [{kind: coco, annotations: captions.json, images: pictures}]
recipe: {steps: 2000, rate: 1.0e-3}
batch: 16
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmagent.errors import ModelError
from mmagent.training.recipe import Recipe
from mmagent.training.run.data import ReaderSpec
from mmagent.training.stages import StageSpec


class RunSpec(BaseModel):
    """A run: the model that it starts from, the stage, the data and the recipe.

    A batch holds `batch` records; a step is `recipe.accumulate` batches. `size` records are an epoch (all, if not
    given). With `apart`, every reply of a record is learnt as if it were the first, behind the media of the first
    request, which are read once for all of them. `bad` says whether a record that cannot be used ends the run or is left out. What encoders, generators and
    the LLM made is kept in the folder `keep`, by default beside the run. Paths are relative to the run file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    stage: StageSpec
    data: Annotated[tuple[ReaderSpec, ...], Field(min_length=1)]
    recipe: Recipe
    batch: Annotated[int, Field(ge=1)] = 8
    size: Annotated[int, Field(ge=1)] | None = None
    apart: bool = False
    bad: Literal["fatal", "skip"] = "fatal"
    device: str = "auto"
    keep: str | None = None

    def told(self) -> dict[str, Any]:
        """The run as plain data; where it runs and how often it is kept make it no other."""
        found = self.model_dump(mode="json")
        del found["device"], found["keep"]
        return {**found, "recipe": self.recipe.told()}


def read_run(path: Path, changes: Sequence[str] = ()) -> RunSpec:
    """The run of a file, with changes like `recipe.steps=100`; ModelError lists everything that is wrong with it."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); name a run file") from None
    except yaml.YAMLError as error:
        raise ModelError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} does not describe a run: it holds no mapping")
    for change in changes:
        key, sign, value = change.partition("=")
        if not key or not sign:
            raise ModelError(f"{change!r} changes nothing; write it like recipe.steps=100")
        try:
            _set(content, key.split("."), yaml.safe_load(value))
        except (yaml.YAMLError, LookupError, ValueError) as error:
            raise ModelError(f"{change!r} changes nothing: {str(error).splitlines()[0]}") from None
    try:
        return RunSpec.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, item['loc'])) or 'run'}: {item['msg']}" for item in error.errors()]
        raise ModelError("\n  ".join([f"{path} does not describe a run:", *faults])) from None


def _set(content: Any, keys: Sequence[str], value: object) -> None:
    """Put a value in its place: by name in a mapping, by number in a list. LookupError where there is no such place."""
    *way, last = keys
    for key in way:
        content = content[_number(content, key)] if isinstance(content, list) else content.setdefault(key, {})
        if not isinstance(content, dict | list):
            raise LookupError(f"{key} holds {content!r}, in which nothing has a name")
    content[_number(content, last) if isinstance(content, list) else last] = value


def _number(content: Sequence[object], key: str) -> int:
    if not key.isdecimal() or int(key) >= len(content):
        raise LookupError(f"{key!r} is none of the numbers 0 … {len(content) - 1} of a list")
    return int(key)
