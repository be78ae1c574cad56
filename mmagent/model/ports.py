"""What encoders and generators say of themselves: the ports that projectors are made for, and their weights' digests.

Tools are found by name; none is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmagent.card import Card, Port
from mmagent.errors import CardError, MMAgentError, ModelError
from mmagent.media import fits
from mmagent.model.spec import ModelSpec, ToolSpec
from mmagent.registry import Registry
from mmagent.registry import registry as shared


def features(spec: ModelSpec, registry: Registry | None = None) -> dict[str, Port]:
    """The port by modality by which each encoder gives its states. Raises what is wrong with a tool or its settings."""
    wanted = {name: given.encoder for name, given in spec.inputs.items() if given.encoder}
    return {name: encoder(name, tool, registry) for name, tool in wanted.items()}


def conditions(spec: ModelSpec, registry: Registry | None = None) -> dict[str, Port]:
    """The port by modality by which each generator takes an embedding. Raises as `features` does."""
    wanted = {name: given.generator for name, given in spec.outputs.items() if given.generator}
    return {name: generator(name, tool, registry) for name, tool in wanted.items()}


def digests(spec: ModelSpec, registry: Registry | None = None) -> dict[str, str]:
    """The digest of the weights of each encoder (`inputs.image`) and generator (`outputs.image`), as far as known.
    CardError for settings that a tool does not take."""
    tools = {f"inputs.{name}": given.encoder for name, given in spec.inputs.items()}
    tools |= {f"outputs.{name}": given.generator for name, given in spec.outputs.items()}
    found: dict[str, str] = {}
    for name, tool in tools.items():
        try:
            found[name] = card_of(tool, registry).weights if tool else ""
        except CardError:
            raise
        except MMAgentError:  # a tool that is not here, or one whose checkpoint is gone, has nothing to tell
            continue
    return {name: digest for name, digest in found.items() if digest}


def card_of(tool: ToolSpec, registry: Registry | None = None) -> Card:
    """The card of a tool under its settings; UnknownName and CardError as the registry raises them."""
    kind = (registry or shared).find(tool.tool)
    return kind.card_for(kind.card.check_settings(tool.settings))


def encoder(modality: str, tool: ToolSpec, registry: Registry | None = None) -> Port:
    """The port by which an encoder of a modality gives its states; ModelError for a tool that is none."""
    return encoded(modality, card_of(tool, registry))


def generator(modality: str, tool: ToolSpec, registry: Registry | None = None) -> Port:
    """The port by which a generator of a modality is conditioned; ModelError for a tool that is none."""
    return conditioned(modality, card_of(tool, registry))


def encoded(modality: str, card: Card) -> Port:
    """The one embedding that an encoder gives of a modality; ModelError for a card that takes no such modality, or
    gives no embedding or several."""
    if not any(fits(modality, port.modality) for port in card.inputs):
        takes = ", ".join(sorted({port.modality for port in card.inputs})) or "nothing"
        raise ModelError(f"inputs.{modality}: {card.name} takes {takes}; name an encoder of {modality}")
    return _only([port for port in card.outputs if port.modality == "embedding"], card, "gives")


def conditioned(modality: str, card: Card) -> Port:
    """The embedding that a generator of a modality can do with alone; ModelError for a card that makes no such
    modality, or takes none such."""
    if not any(port.modality == "any" or fits(port.modality, modality) for port in card.outputs):
        makes = ", ".join(sorted({port.modality for port in card.outputs})) or "nothing"
        raise ModelError(f"outputs.{modality}: {card.name} makes {makes}; name a generator of {modality}")
    needed = [[port for port in form.inputs if not port.optional] for form in card.forms()]
    alone = [ports[0] for ports in needed if len(ports) == 1 and ports[0].modality == "embedding"]
    return _only(alone, card, "takes alone")


def _only(ports: list[Port], card: Card, does: str) -> Port:
    if len(ports) != 1:
        raise ModelError(f"{card.name} {does} {len(ports)} embeddings; name a tool that {does} one")
    return ports[0]


def width(port: Port, owner: str) -> int:
    """How wide the states of a port are; ModelError where its card does not tell."""
    found = port.constraints.get("width")
    if not isinstance(found, int):
        raise ModelError(f"{owner}: the port {port} does not tell its width; its tool's card must, or follow settings")
    return found


def same(name: str, saved: Mapping[str, str], now: Mapping[str, str]) -> None:
    """ModelError, with both digests, if the weights of a part are known then and now and differ."""
    if saved.get(name) and now.get(name) and saved[name] != now[name]:
        raise ModelError(
            f"{name} was trained with weights {saved[name]}, and these are {now[name]}; load those, or train it again"
        )
