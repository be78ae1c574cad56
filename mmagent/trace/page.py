"""A trace as one HTML page that needs nothing but itself: no network, no second file, no library.

It knows how the parts of the page are put together; each part is a module of its own beside this one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from mmagent.media import Media
from mmagent.trace.calls import table
from mmagent.trace.data import Trace
from mmagent.trace.drawing import drawings
from mmagent.trace.exchange import captions, reply, request
from mmagent.trace.gallery import Gallery
from mmagent.trace.markup import Child, Html, element, fragment, trusted
from mmagent.trace.routes import routes
from mmagent.trace.timeline import timeline
from mmagent.trace.words import count, duration, tally, usage


def page(trace: Trace, media: Mapping[str, Media]) -> str:
    """The page of a turn. `media` are the media at hand by digest; of others it shows the facts that the trace keeps.

    Its content security policy lets it load nothing and run nothing but its own script, and whatever the trace
    contains is shown as text. It can be read without the script, which adds thumbnails and highlights.
    """
    gallery = Gallery(media, trace.media, captions(trace))
    style, script = _asset("page.css"), _asset("page.js")
    title = f"{trace.model}: {count(len(trace.parts), 'part')} in {duration(trace.seconds)}"
    asked, answered = request(trace.request, gallery), reply(trace, gallery)  # these show media first
    sections: list[tuple[str, str, Child]] = [
        ("request", "Request", asked),
        ("reply", "Reply", answered),
        ("graph", "Graph", drawings(trace)),
        ("timeline", "Timeline", timeline(trace)),
        ("routes", "Routes", routes(trace, gallery)),
        ("calls", "Calls", table(trace, gallery)),
        ("media", "Media on the way", gallery.rest()),
        ("settings", "To run it again", _settings(trace)),
    ]
    kept = [(name, heading, body) for name, heading, body in sections if body]
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"mmagent {trace.version}".strip()),
        element("title", title),
        element("style", style),
    ]
    body = [
        element("a", "Skip to the reply", href="#reply", class_="skip"),
        element(
            "header",
            element("h1", element("span", "Trace of a turn by "), trace.model),
            _overview(trace),
            _contents(kept),
        ),
        element("main", [_section(*item) for item in kept]),
        element("script", script),
    ]
    document = element("html", element("head", head), element("body", body), lang="en")
    return fragment(trusted("<!doctype html>\n"), document, "\n")


def _asset(name: str) -> Html:
    return trusted(files("mmagent.trace").joinpath(name).read_text("utf-8"))


def _policy(script: Html) -> str:
    """Nothing from anywhere; styles and media from the page itself, and the one script with this hash."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _section(name: str, heading: str, body: Child) -> Html:
    label = f"{name}-heading"
    return element("section", element("h2", heading, id=label), body, id=name, aria_labelledby=label, tabindex=-1)


def _contents(sections: Sequence[tuple[str, str, Child]]) -> Html:
    links = [element("li", element("a", heading, href=f"#{name}")) for name, heading, _ in sections]
    return element("nav", element("ul", links), aria_label="Sections")


def _overview(trace: Trace) -> Html:
    failed = sum(bool(part.error) for part in trace.parts)
    parts = count(len(trace.parts), "part") + (f" ({failed} failed)" if failed else "")
    pairs = [
        ("took", duration(trace.seconds)),
        ("first token", None if trace.first_token is None else duration(trace.first_token)),
        ("first audio", None if trace.first_audio is None else duration(trace.first_audio)),
        ("reply", parts),
        ("ran", tally(trace)),
        ("the model took", usage(trace.usage)),
        ("seed", str(trace.seed)),
    ]
    return element("dl", [element("div", element("dt", k), element("dd", v)) for k, v in pairs if v], class_="overview")


def _settings(trace: Trace) -> Html:
    pairs: list[tuple[str, str]] = [("model", trace.model), ("seed", str(trace.seed))]
    pairs += [(f"policy: {name.replace('_', ' ')}", _plain(value)) for name, value in trace.policy.items()]
    if trace.version:
        pairs.append(("mmagent", trace.version))
    shown = element("dl", [(element("dt", name), element("dd", value)) for name, value in pairs], class_="settings")
    many = len(trace.steps) > 1
    specs = [
        element(
            "details",
            element("summary", f"graph of step {number}" if many else "graph as YAML"),
            element("pre", step.spec),
        )
        for number, step in enumerate(trace.steps, 1)
        if step.spec
    ]
    return fragment(shown, specs)


def _plain(value: object) -> str:
    """A policy's value in words: lists as lists of words, nothing as a dash."""
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value) or "–"
    return "–" if value is None else str(value)
