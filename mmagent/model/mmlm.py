"""The multimodal LLM as a Reasoner: cheap to make, its weights read when it is loaded or first speaks.

It speaks; it runs no tool, no generator and no router. What happens inside a reply is `mmagent.model.speaker`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.card import Card
from mmagent.conversation import Conversation, Policy, Said
from mmagent.errors import MissingExtra, ModelError
from mmagent.model import wires
from mmagent.model.reasoner import Encoder
from mmagent.model.saved import Told, load, save, tell, tensors, told, write
from mmagent.model.spec import ModelSpec, read_spec
from mmagent.tool import Context, ToolType

if TYPE_CHECKING:
    from mmagent.model.backbones import Backbone
    from mmagent.model.extending import Given
    from mmagent.model.parts import Parts
    from mmagent.model.speaker import Speaker


class MMLM:
    """A multimodal LLM by its spec; with `folder`, what was trained is read from there, and with `parts` it is given.
    A `backbone` that is loaded already may be given.

    Replies do not mix: each decodes over a cache of its own, and the same conversation, policy and modalities
    give the same reply, whatever else is being said at the time.
    """

    def __init__(
        self, spec: ModelSpec, backbone: Backbone | None = None, *, folder: Path | None = None,
        parts: Parts | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.folder, self._backbone = spec, folder, backbone
        self._given = self._parts = parts
        self._speaker: Speaker | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, parts: Parts) -> MMLM:
        """The model that these parts are, as far as they have been trained."""
        return cls(parts.spec, parts.backbone, parts=parts)

    def __repr__(self) -> str:
        return f"MMLM({self.spec.name!r})"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def told(self) -> Told:
        """Which parts have been trained, and against what: those that are loaded, or else those in the folder."""
        if self._parts is not None:
            return tell(self._parts)
        return told(self.folder) if self.folder is not None else Told()

    @property
    def sees(self) -> tuple[str, ...]:
        """What it has learnt to see; the rest it is told in words."""
        found = self.told
        return tuple(name for name in self.spec.inputs if found.has_learnt(f"inputs.{name}"))

    @property
    def makes(self) -> tuple[str, ...]:
        """What it has learnt to ask for, or what requests can be weighed for until then."""
        outputs, found = self.spec.outputs.items(), self.told
        return tuple(name for name, output in outputs if output.requests or found.has_learnt(f"signals.{name}"))

    @property
    def encoders(self) -> Mapping[str, Encoder]:
        """The encoders of what it sees, as it was trained with them."""
        found = self.told
        tools = {name: self.spec.inputs[name].encoder for name in self.sees}
        return {
            name: Encoder(
                tool.tool, found.ports[f"inputs.{name}"], tool.settings, found.digests.get(f"inputs.{name}", "")
            )
            for name, tool in tools.items()
            if tool is not None
        }

    @property
    def projectors(self) -> tuple[Card, ...]:
        """A card for each output projector that has been trained, on rows that have."""
        return tuple(tool.card for tool in wires.projectors(self))

    @property
    def tools(self) -> tuple[ToolType, ...]:
        """The projectors as tools, and the generators that they were trained for, under their settings."""
        return (*wires.projectors(self), *wires.generators(self))

    @property
    def cost(self) -> float:
        return self.spec.cost

    @property
    def memory(self) -> int:
        return self.spec.memory

    @property
    def needs(self) -> tuple[str, ...]:
        weights = self.spec.backbone.weights
        return ("extra:local", *([f"weights:{weights}"] if weights else []))

    def load(self) -> None:
        """Read the weights, if that has not been done; MissingExtra, FetchError or ModelError say what is missing."""
        self._loaded()

    def unload(self) -> None:
        """Forget the weights; the next reply reads them again. Parts whose LoRA lies in a backbone that was given are
        kept with it."""
        with self._lock:
            self._speaker = None
            if self._backbone is None or not self.spec.lora:
                self._parts = self._given

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """Say the reply; see `Reasoner.speak`. ModelError when the policy cannot be kept."""
        return self._loaded().speak(conversation, policy, modalities, ctx)

    def parts(self) -> Parts:
        """The loaded parts, the very ones that it speaks with, and that are saved."""
        return self._loaded().parts

    # -- folders

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *, force_download: bool = False,
        token: str | bool | None = None, cache_dir: str | Path | None = None, local_files_only: bool = False,
        revision: str | None = None, backbone: Backbone | None = None,
    ) -> MMLM:  # fmt: skip
        """The model in a folder or in a repository of the hub; FetchError if there is none. No weights are read yet."""
        from mmagent.model.hub import pull

        folder = pull(
            pretrained_model_name_or_path, force_download=force_download, token=token, cache_dir=cache_dir,
            local_files_only=local_files_only, revision=revision,
        )  # fmt: skip
        return cls(read_spec(folder), backbone, folder=folder)

    def save_pretrained(
        self, save_directory: str | Path, *, repo_id: str | None = None, push_to_hub: bool = False, **options: Any
    ) -> str | None:
        """Write the model's folder: its spec and what was trained. With `push_to_hub` it goes to the hub too, under
        `repo_id` or the folder's name and with the options of `push_to_hub`; then the commit's URL is returned."""
        self._save(Path(save_directory))
        return self.push_to_hub(repo_id or Path(save_directory).name, **options) if push_to_hub else None

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Put the model's folder on the hub and return the commit's URL; the options are those of `ModelHubMixin`'s
        (`commit_message private token branch create_pr allow_patterns ignore_patterns delete_patterns`)."""
        from mmagent.model.hub import push

        return push(self._save, self.spec, repo_id, **options)

    def _save(self, folder: Path) -> None:
        if self._parts is not None:
            save(self._parts, folder)
        else:
            write(folder, self.spec, tensors(self.folder) if self.folder is not None else {}, self.told)

    def extend(
        self, modality: str, folder: str | Path | None = None, *, k: int | None = None, encoder: Given | None = None,
        generator: Given | None = None, projector: Given | None = None, reader: Given | None = None, **more: Any,
    ) -> MMLM:  # fmt: skip
        """The model with a modality more, which it has still to learn: in by an `encoder`, out by `k` signal tokens (4)
        and a `generator`, or both.

            model.extend("depth", k=4, encoder="depth-encoder", generator="depth-painter")

        `projector` is what the signals go through (a query transformer as long as the generator's prompts), `reader`
        what the encoder's states do (an mlp; without a generator `projector` names it too); `more` is the rest of an output, such as `opening` and
        `requests`. The new folder, `<name>-<modality>` here unless given, has all that was trained and names this
        model's digest. ModelError for a model that has no folder (save it first), tools of another modality, and
        options that go nowhere.
        """
        from mmagent.model.extending import extend

        if self.folder is None:
            raise ModelError(f"{self.name} has no folder, and what extends it names its digest; save it first")
        made = extend(
            self.spec, self.folder, modality, Path(folder or f"{self.name}-{modality}"), k=k, encoder=encoder,
            generator=generator, projector=projector, reader=reader, more=more,
        )  # fmt: skip
        # Matrices of one model's LoRA lie in a backbone; the other one loads its own.
        return MMLM(read_spec(made), None if self.spec.lora else self._backbone, folder=made)

    def _loaded(self) -> Speaker:
        try:
            from mmagent.model.backbones import load_backbone
            from mmagent.model.parts import Parts
            from mmagent.model.speaker import Speaker
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "local", f"model {self.name}") from None
        with self._lock:
            if self._parts is None and self.folder is not None:
                self._parts = load(self.folder, self._backbone)
            elif self._parts is None:
                backbone = self._backbone or load_backbone(self.spec.backbone)
                self._parts = Parts.build(self.spec, backbone, features={}, conditions={})
            # What the parts have learnt since is no longer borrowed.
            if self._speaker is None or self._speaker.learnt != frozenset(self._parts.asks):
                self._speaker = Speaker(self._parts)
            return self._speaker
