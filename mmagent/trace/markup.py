"""HTML and SVG out of plain values, in which nothing that a value contains can become markup.

Strings are escaped unless they are `Html`, and only `element` and `fragment` make `Html` out of strings; joining
or formatting `Html` gives a plain string again, which is escaped like any other. `trusted` is the one exception,
for markup that this package ships or that was escaped elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from mmagent.trace.words import UNSEEN

VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_RAW = frozenset({"script", "style"})
_LINKS = frozenset({"href", "src", "action", "formaction", "poster", "srcset", "data"})
_INERT = re.compile(r"#[\w.-]*|data:(image|audio|video)/[\w.+-]+;base64,[A-Za-z0-9+/=]*")

_ESCAPES = {**UNSEEN, **{ord(sign): f"&{name};" for sign, name in zip("&<>\"'", ("amp", "lt", "gt", "quot", "#39"))}}


class Html(str):
    """Markup that is finished: made by `element` and `fragment`, never by joining strings."""

    __slots__ = ()


Child: TypeAlias = str | int | float | Iterable["Child"] | None
"""What an element holds: Html as it is, other strings and numbers escaped, None as nothing, nested lists in order."""


def escape(text: str) -> str:
    r"""`text` as it may stand in content and in quoted attributes; control and bidi-reordering characters made visible.

    >>> print(escape('<b> "x" \u202egpj'))
    &lt;b&gt; &quot;x&quot; \u202egpj
    """
    return text.translate(_ESCAPES)


def trusted(markup: str) -> Html:
    """Markup from this package's own files or writers, as it is. Never call it on what a user or a tool wrote."""
    return Html(markup)


def fragment(*children: Child) -> Html:
    """Children one after the other, strings among them escaped."""
    return Html("".join(_written(child) for child in children))


def element(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """One element. Attributes: `_` is written `-`, a trailing one falls away (`class_`); None and False are left out.

    ValueError for what could run or fetch: handlers, `style` and `script` content that is not `Html`, and links
    that are neither an anchor of this page nor a medium in a `data:` URI.

    >>> element("a", "1 < 2", href="#top", class_="up")
    '<a href="#top" class="up">1 &lt; 2</a>'
    """
    if not _NAME.fullmatch(tag):
        raise ValueError(f"{tag!r} is not an element name")
    if tag.lower() in _RAW and not all(isinstance(child, Html) for child in children):
        raise ValueError(f"<{tag}> takes trusted markup alone")
    opening = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Html(f"<{tag}{opening}>")
    return Html(f"<{tag}{opening}>{fragment(*children)}</{tag}>")


def _attribute(name: str, value: str | float | bool | None) -> str:
    written = name.rstrip("_").replace("_", "-")
    if not _NAME.fullmatch(written) or written.lower().startswith("on") or written.lower() == "srcdoc":
        raise ValueError(f"attribute {written!r} is not allowed")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {written}"
    text = _number(value) if isinstance(value, (int, float)) else str(value)
    if written.lower() in _LINKS and not _INERT.fullmatch(text):
        raise ValueError(f"{written} may point into this page or hold a medium as data:, not {text[:40]!r}")
    return f' {written}="{escape(text)}"'


def _written(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str):
        return escape(child)
    if isinstance(child, (int, float)):
        return _number(child)
    return "".join(_written(item) for item in child)


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
