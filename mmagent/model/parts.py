"""Everything of a multimodal LLM that may be trained, around its frozen backbone: projectors, signal rows, LoRA.

It knows states, ids and embeddings; it knows no text, no tool and no sampling. B: prompts or media, L: states of a
medium, M: embeddings that they become, k: signal tokens, E and D: widths of the backbone's embeddings and hidden states.
"""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mmagent.card import Port
from mmagent.errors import ModelError
from mmagent.model import lora
from mmagent.model.beside import Beside, show
from mmagent.model.feeding import length, padded
from mmagent.model.pieces import Piece, Seen
from mmagent.model.ports import width
from mmagent.model.projectors import make
from mmagent.model.projectors.gated_cross_attention import GatedCrossAttention
from mmagent.model.projectors.spec import GatedCrossAttentionSpec, QueryTransformerSpec
from mmagent.model.saved import has_learnt
from mmagent.model.signals import SignalRows, SignalTable
from mmagent.model.spec import ModelSpec, OutputSpec

if TYPE_CHECKING:
    from mmagent.model.backbones import Backbone
    from mmagent.model.projectors.spec import ProjectorSpec
    from mmagent.model.tokens import Tokens

__all__ = ["PartInfo", "Parts", "Piece", "Seen"]


@dataclass(frozen=True, slots=True)
class PartInfo:
    """One part: its name, what it is, how many parameters it has, whether it has been trained, and whether it is
    frozen, so that training would leave it as it is."""

    name: str
    shape: str
    parameters: int
    trained: bool
    frozen: bool


class Parts(nn.Module):
    """The trained parts of a model. Made by `build`; `saved.load` makes those of a folder.

    `inputs` hold by modality what maps an encoder's states to embeddings, `outputs` what maps span states to a
    generator's conditioning, `rows` the rows of the signal ids, `lora` the low-rank matrices that lie in the
    backbone. `features` and `conditions` are the ports that the projectors were made for. `trained` names the parts
    that have been trained: whoever trains one adds its name, and only those are saved and promised. `digests` are
    those of the encoders' and generators' weights that a folder's parts were trained against, `parent` is the
    digest of the model that this one extends.
    """

    def __init__(
        self, spec: ModelSpec, backbone: Backbone, rows: SignalRows, inputs: nn.ModuleDict, outputs: nn.ModuleDict,
        features: Mapping[str, Port], conditions: Mapping[str, Port],
    ) -> None:  # fmt: skip
        super().__init__()
        self.spec, self.backbone, self.rows = spec, backbone, rows
        self.inputs, self.outputs = inputs, outputs
        self.features, self.conditions = dict(features), dict(conditions)
        found = lora.inject(backbone.model, spec.lora) if spec.lora else {}
        # The same parameters, so that whoever trains, moves or saves this module has them too; no dots in names.
        self.lora = nn.ParameterDict({name.replace(".", "/"): value for name, value in found.items()})
        self.trained: set[str] = set()
        self.digests: Mapping[str, str] = {}
        self.parent = ""

    @classmethod
    def build(
        cls, spec: ModelSpec, backbone: Backbone, *, features: Mapping[str, Port], conditions: Mapping[str, Port],
        seed: int = 0,
    ) -> Parts:  # fmt: skip
        """Untrained parts for a spec, in eval mode: a projector for each modality whose port is given.

        `features` are the encoders' output ports, `conditions` the generators' embedding ports (`model.ports` finds
        both). ModelError when sizes do not fit; what is drawn for a part depends on `seed` and its name alone.
        """
        table = SignalTable(backbone.n_vocab, {name: output.k for name, output in spec.outputs.items()})
        rows = SignalRows(backbone, table, reads(spec, table, backbone.tokens), seed)
        rows = rows.spelt({})  # here they stand for themselves; an untrained model's speaker reads them as words
        d_model, d_state = backbone.in_rows.shape[1], backbone.out_rows.shape[1]
        given = {name: into.projector for name, into in spec.inputs.items() if into.projector and name in features}
        asked = {name: out.projector for name, out in spec.outputs.items() if out.projector and name in conditions}
        inputs, outputs = nn.ModuleDict(), nn.ModuleDict()
        for name, kind in given.items():
            with _drawn(seed, f"inputs.{name}"):
                d_in = width(features[name], f"inputs.{name}")
                try:
                    if isinstance(kind, GatedCrossAttentionSpec):
                        n_layers, d_layer = backbone.layers
                        inputs[name] = make(kind, d_in, d_layer, n_layers=n_layers)
                    else:
                        inputs[name] = make(kind, d_in, d_model)
                except ModelError as error:
                    raise ModelError(f"inputs.{name}: {error}") from None
        for name, mapper in asked.items():
            _fits(name, mapper, spec.outputs[name].k, conditions[name])
            with _drawn(seed, f"outputs.{name}"):
                outputs[name] = make(mapper, d_state, width(conditions[name], f"outputs.{name}"))
        with _drawn(seed, "lora"):
            made = cls(
                spec, backbone, rows, inputs, outputs, {name: features[name] for name in given},
                {name: conditions[name] for name in asked},
            )  # fmt: skip
        return made.to(backbone.in_rows.device).eval()

    def train(self, mode: bool = True) -> Parts:
        """As for any module; of the backbone, only the dropout of LoRA follows."""
        super().train(mode)
        if self.lora:
            lora.drop(self.backbone.model, mode)
        return self

    @property
    def device(self) -> torch.device:
        """Where everything lies: with the backbone."""
        return self.backbone.in_rows.device

    @property
    def context(self) -> int:
        """How many positions a prompt and its reply take at most: the spec's, or fewer where the LLM has not as many."""
        return min(self.spec.context, self.backbone.learnt_positions or self.spec.context)

    # -- what goes into the backbone and comes out of it

    def embed(self, prompts: Sequence[Sequence[Piece]], rows: SignalRows | None = None) -> list[Tensor]:
        """The embeddings `[T_b, E]` of each prompt, its signal ids by `rows` (its own unless given).

        All media of one modality are projected together, whatever prompts they stand in; a padded state changes
        nothing of the others. What gated layers read takes no position, see `beside`.
        """
        gated = self._gated()
        prompts = [
            [item for item in prompt if isinstance(item, int) or item.modality not in gated] for prompt in prompts
        ]
        media = self._project([piece for prompt in prompts for piece in prompt if isinstance(piece, Seen)])
        return [self._embed(prompt, media, rows or self.rows) for prompt in prompts]

    def beside(self, prompts: Sequence[Sequence[Piece]], rows: SignalRows | None = None) -> Beside | None:
        """What stands beside the embeddings of prompts, for the backbone's gated layers; None where there are none.

        Without it the backbone reads as if there were no such layers.
        """
        gated, read = self._gated(), rows or self.rows
        widths = {name: self._width(name) for name in gated}

        def length(piece: Piece) -> int:
            return read.n_positions([piece]) if isinstance(piece, int) else self.n_positions(piece)

        return show(gated, widths, prompts, length, self.device) if gated else None

    def _gated(self) -> dict[str, GatedCrossAttention]:
        return {name: part for name, part in self.inputs.items() if isinstance(part, GatedCrossAttention)}

    def _embed(self, prompt: Sequence[Piece], media: Iterator[Tensor], rows: SignalRows) -> Tensor:
        runs: list[Tensor] = []
        for seen, run in itertools.groupby(prompt, key=lambda piece: isinstance(piece, Seen)):
            if seen:
                runs += [next(media) for _ in run]
            else:
                runs.append(rows.embed([piece for piece in run if isinstance(piece, int)]))
        dtype = self.backbone.in_rows.dtype
        return torch.cat([run.to(dtype) for run in runs]) if runs else self.backbone.in_rows[:0]  # [T_b, E]

    def _project(self, media: Sequence[Seen]) -> Iterator[Tensor]:
        """The embeddings `[M_i, E]` of each medium, in order."""
        found: dict[int, Tensor] = {}
        for modality in dict.fromkeys(medium.modality for medium in media):
            at = [place for place, medium in enumerate(media) if medium.modality == modality]
            states, mask = padded([media[place] for place in at], self._width(modality), self.device)
            made, kept = self.inputs[modality](states, mask)  # [B, M, E], [B, M]
            found |= {place: row[counts] for place, row, counts in zip(at, made, kept)}
        return iter([found[place] for place in range(len(media))])

    def _width(self, modality: str) -> int:
        if modality not in self.inputs:
            raise ModelError(
                f"{self.spec.name} has no input projector for {modality}; it has {', '.join(self.inputs) or 'none'}"
            )
        return width(self.features[modality], f"inputs.{modality}")

    def n_positions(self, piece: Piece) -> int:
        """How many embeddings a piece of a prompt takes, told without projecting it."""
        if not isinstance(piece, Seen):
            return self.rows.n_positions([piece])
        self._width(piece.modality)
        spec = self.spec.inputs[piece.modality].projector
        return length(spec, piece) if spec else 0

    def condition(self, modality: str, states: Tensor) -> tuple[Tensor, Tensor]:
        """What the generator of a modality is given for span states `[B, k, D]`: `[B, L', D_out]` and its mask
        `[B, L']`. ModelError where the modality has no projector."""
        if modality not in self.outputs:
            raise ModelError(
                f"{self.spec.name} has no output projector for {modality}; it has {', '.join(self.outputs) or 'none'}"
            )
        made: tuple[Tensor, Tensor] = self.outputs[modality](states.float())
        return made

    # -- the parts by name

    def part(self, name: str) -> Iterable[nn.Parameter]:
        """The parameters of a part: `inputs.<modality>`, `outputs.<modality>`, `signals.<modality>`, `signals`
        (the rows of all), `signals.into` and `signals.out` (one side of them), `lora`. ModelError lists the names."""
        found = self._named(name)
        if not found:
            known = [*self.names(), *(["signals", "signals.into", "signals.out"] if len(self.rows.table) else [])]
            raise ModelError(f"{self.spec.name} has no part {name!r}; it has {', '.join(known) or 'none'}")
        return list(found.values())

    def names(self) -> list[str]:
        """The parts that there are, each parameter in one of them."""
        return [
            *(f"inputs.{name}" for name in self.inputs),
            *(f"signals.{name}" for name in self.rows.table.modalities),
            *(f"outputs.{name}" for name in self.outputs),
            *(["lora"] if self.lora else []),
        ]

    def _named(self, part: str) -> dict[str, nn.Parameter]:
        """The parameters of a part by their names in the state dict."""
        kind, _, which = part.partition(".")
        sides = {"into": ("rows.of_into.",), "out": ("rows.of_out.",), "": ("rows.of_into.", "rows.of_out.")}
        if kind == "signals" and which in sides:
            starts = sides[which]
        elif kind == "signals":
            wanted = {f"rows.of_into.{which}", f"rows.of_out.{which}"}
            return {name: value for name, value in self.named_parameters() if name in wanted}
        else:
            starts = (f"{part}.",) if kind in ("inputs", "outputs") and which else ("lora.",) if part == "lora" else ()
        return {name: value for name, value in self.named_parameters() if name.startswith(starts)} if starts else {}

    def has_learnt(self, name: str) -> bool:
        """Whether a part of `names()` has been trained. Rows have when what they say has: the rows out decide."""
        return has_learnt(self.trained, name)

    @property
    def asks(self) -> tuple[str, ...]:
        """The modalities that the model has learnt to ask for by its own logits."""
        return tuple(name for name in self.rows.table.modalities if self.has_learnt(f"signals.{name}"))

    def describe(self) -> list[PartInfo]:
        """The backbone and every part."""
        own = list(lora.own(self.backbone.model).values())
        rows, d_model = self.backbone.in_rows.shape
        kind = type(self.backbone.model).__name__
        infos = [PartInfo("backbone", f"{kind}, {rows} x {d_model}", _count(own), trained=False, frozen=True)]
        for name in self.names():
            found = self._named(name)
            frozen = not any(value.requires_grad for value in found.values())
            infos.append(PartInfo(name, self._shape(name), _count(found.values()), self.has_learnt(name), frozen))
        return infos

    def _shape(self, name: str) -> str:
        kind, _, which = name.partition(".")
        if kind == "signals":
            return f"{self.spec.outputs[which].k} signals, in {self.rows.into.shape[1]}, out {self.rows.out.shape[1]}"
        if kind == "lora" and self.spec.lora:
            return f"rank {self.spec.lora.rank} in {', '.join(self.spec.lora.targets)}"
        projector: ProjectorSpec | None
        if kind == "inputs":
            projector = self.spec.inputs[which].projector
            sizes = f"{self._width(which)} to {self.backbone.in_rows.shape[1]}"
        else:
            projector = self.spec.outputs[which].projector
            sizes = f"{self.backbone.out_rows.shape[1]} to {width(self.conditions[which], name)}"
        return f"{projector.kind if projector else ''}, {sizes}"


def reads(spec: ModelSpec, table: SignalTable, tokens: Tokens, trained: Collection[str] = ()) -> dict[int, list[int]]:
    """What signal ids are read as, those of `trained` modalities excepted: an open token as its opening words, the
    first signal token as the closing."""

    def words(output: OutputSpec) -> tuple[list[int], list[int]]:
        return tokens.content(output.opening), tokens.content(output.closing)

    found: dict[int, list[int]] = {}
    for name, output in spec.outputs.items():
        if name not in trained:
            found |= dict(zip((table[name].open, table[name].signals[0]), words(output)))
    return {number: ids for number, ids in found.items() if ids}


@contextlib.contextmanager
def _drawn(seed: int, name: str) -> Iterator[None]:
    """Draw what a part starts from by the seed and the part's name, and leave torch's own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(f"{seed}:{name}".encode()))
        yield


def _fits(name: str, kind: ProjectorSpec, k: int, port: Port) -> None:
    """ModelError unless a projector makes as many states as the generator takes."""
    wanted, made = port.constraints.get("tokens"), kind.queries if isinstance(kind, QueryTransformerSpec) else k
    if wanted is not None and wanted != made:
        what = "queries" if isinstance(kind, QueryTransformerSpec) else "k"
        raise ModelError(
            f"outputs.{name}: the projector makes {made} states, its generator takes {port}; {what}: {wanted}"
        )


def _count(values: Iterable[nn.Parameter]) -> int:
    return sum(value.numel() for value in values)
