"""What a chat model may ask for in one reply: a tool for each modality, and a call read back as what it asks for.

It knows calls and the policy; it knows no messages and no stream.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmagent.conversation import Policy, Signal
from mmagent.media import Media
from mmagent.model.chat.history import tool_name
from mmagent.trace.redact import harmless

_SHOWN = 80
_DESCRIBED = "What it should be, in one plain sentence; it is also the words for those who cannot perceive it."
_SPOKEN = "The exact words to be spoken."


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as it came: its arguments are the JSON that the model wrote. `cut` says that it broke off."""

    id: str
    name: str
    arguments: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that makes sense and may not be: why."""

    why: str


@dataclass(frozen=True, slots=True)
class Nonsense:
    """A call that cannot be read: what came, and what is right."""

    why: str


class Asks:
    """The asks of one reply under its policy. It counts what was granted.

    `modalities` are those that can be made, with the line that describes each; `media` can be referred to by number;
    `named` are tools that may be named, by modality; `before` are modalities that the history asks for, whose tools
    stay declared, since providers refuse a history with calls of tools that the request does not declare.
    """

    def __init__(
        self,
        policy: Policy,
        modalities: Mapping[str, str],
        media: Sequence[Media],
        named: Mapping[str, Sequence[str]],
        before: Iterable[str] = (),
    ) -> None:
        self._policy, self.media, self._named = policy, tuple(media), named
        self.offered = {name: line for name, line in modalities.items() if self._most(name) > 0}
        self._declared = dict.fromkeys([*self.offered, *before])
        self._known = {tool_name(name): name for name in [*modalities, *before]}
        self._granted: Counter[str] = Counter()

    def _most(self, modality: str) -> int:
        return min(self._policy.limit(modality), self._policy.max_spans)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the policy forces and was not granted yet, as often as it is missing."""
        return tuple((Counter(self._policy.force) - self._granted).elements())

    def tools(self) -> list[dict[str, Any]]:
        """The tools in OpenAI's form, which every integration translates."""
        return [self._tool(modality) for modality in self._declared]

    def _tool(self, modality: str) -> dict[str, Any]:
        line = self.offered.get(modality)
        most = self._most(modality)
        described = (
            f"Ask for {modality}, which then stands at this place of your reply. {line} At most {most} in a reply."
        )
        properties: dict[str, Any] = {
            "caption": {"type": "string", "description": _SPOKEN if modality == "speech" else _DESCRIBED}
        }
        if self.media:
            about = f"The numbers of the media that it is about, 1 to {len(self.media)}; leave it out if of none."
            properties["refs"] = {"type": "array", "items": {"type": "integer"}, "description": about}
        if self._named.get(modality):
            properties["tool"] = {
                "type": "string",
                "enum": list(self._named[modality]),
                "description": "The tool that makes it, if the user wants a certain one.",
            }
        parameters = {"type": "object", "properties": properties, "required": ["caption"]}
        function = {
            "name": tool_name(modality),
            "description": described if line is not None else "Not available now.",
            "parameters": parameters,
        }
        return {"type": "function", "function": function}

    def read(self, call: Call) -> Signal | Refused | Nonsense:
        """What a call asks for, its place not set; granted, it counts towards the policy's limits."""
        modality = self._known.get(call.name)
        if modality is None:
            known = ", ".join(tool_name(name) for name in self.offered) or "none"
            return Nonsense(f"{_quoted(call.name)} is no tool that you have; there are {known}")
        if modality not in self.offered:
            return Refused(f"{call.name}: {modality} cannot be asked for now")
        found = self._arguments(call, modality)
        if isinstance(found, Nonsense):
            return found
        if self._granted[modality] >= self._policy.limit(modality):
            return Refused(f"{call.name}: a reply may ask for {self._policy.limit(modality)} {modality} and no more")
        if self._granted.total() >= self._room(modality):
            return Refused(
                f"{call.name}: a reply may ask for {self._policy.max_spans} media, those that it must ask for included"
            )
        self._granted[modality] += 1
        return found

    def _room(self, modality: str) -> int:
        """How many spans there may be before this one: forced ones that are still missing keep their room."""
        reserved = Counter(self._policy.force) - self._granted
        return self._policy.max_spans - (0 if reserved[modality] else reserved.total())

    def _arguments(self, call: Call, modality: str) -> Signal | Nonsense:
        if call.cut:
            return Nonsense(f"{call.name}: the arguments break off after {_quoted(call.arguments)}")
        values = loaded(call.arguments)
        if values is None:
            return Nonsense(f"{call.name}: the arguments {_quoted(call.arguments)} are no JSON object")
        caption = values.get("caption")
        if not isinstance(caption, str) or not caption.strip():
            came = "is missing" if caption is None else f"is {_quoted(json.dumps(caption))}"
            return Nonsense(f"{call.name}: the caption {came}; say in words what to make")
        refs = self._refs(values.get("refs"))
        if refs is None:
            came = _quoted(json.dumps(values["refs"]))
            right = f"give numbers from 1 to {len(self.media)}" if self.media else "there are no media, leave them out"
            return Nonsense(f"{call.name}: refs {came} are not media of this conversation; {right}")
        tool, named = values.get("tool"), self._named.get(modality, ())
        if tool is not None and tool not in named:
            right = f"there are {', '.join(named)}" if named else "name none"
            return Nonsense(f"{call.name}: {_quoted(json.dumps(tool))} is no tool for {modality}; {right}")
        return Signal(modality, whole(caption).strip(), refs=refs, tool=tool)

    def _refs(self, given: object) -> tuple[Media, ...] | None:
        """The media of those numbers, or None if they are none."""
        if given is None:
            return ()
        if not isinstance(given, list) or not all(
            type(item) is int for item in given
        ):  # a bool is an int, and no number
            return None
        if not all(1 <= item <= len(self.media) for item in given):
            return None
        return tuple(self.media[item - 1] for item in dict.fromkeys(given))


def loaded(arguments: str) -> dict[str, Any] | None:
    """What a call gives by name, or None if its arguments are no JSON object."""
    try:
        found = json.loads(arguments or "{}", strict=False)
    except (ValueError, RecursionError):  # the second for thousands of brackets
        return None
    return found if isinstance(found, dict) else None


def whole(text: str) -> str:
    """The text with pairs of surrogates joined, and lone ones, which JSON can spell, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _quoted(text: str) -> str:
    return f"'{harmless(text, longest=_SHOWN)}'"
