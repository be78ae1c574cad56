"""What went in and what came out: the request's messages and the reply's parts, in order, with their media."""

from __future__ import annotations

from collections.abc import Sequence

from mmagent.engine.events import Handle
from mmagent.trace.anchors import number, part_id, route_id
from mmagent.trace.data import Part, Route, Said, Trace
from mmagent.trace.gallery import Gallery, kind
from mmagent.trace.markup import Child, Html, element, fragment
from mmagent.trace.words import count, duration


def request(said: Sequence[Said], gallery: Gallery) -> Html:
    """The last message in full; those before it, folded."""
    if not said:
        return element("p", "The trace holds no request.", class_="none")
    latest = _message(said[-1], gallery)
    if len(said) == 1:
        return latest
    earlier = [_message(item, gallery) for item in said[:-1]]
    return fragment(element("details", element("summary", count(len(earlier), "earlier message")), earlier), latest)


def reply(trace: Trace, gallery: Gallery) -> Html:
    """The parts in the order in which the model made them, errors in their places."""
    if not trace.parts:
        return element("p", "The reply has no parts.", class_="none")
    asked = {part.place: (index, route) for index, (route, part) in enumerate(trace.signals) if part}
    shown = [_part(part, asked.get(part.place), gallery) for part in trace.parts]
    return element("ol", shown, class_="parts")


def captions(trace: Trace) -> dict[str, str]:
    """Alt texts by digest: the caption that asked for a part; of media sent before, the words they were put into."""
    found: dict[str, str] = {}
    for said in trace.request:
        found |= {handle.digest: words for _, words, handle in said.segments if handle and words}
    made = ((route.caption, part.handle) for route, part in trace.signals if part)
    return found | {handle.digest: caption for caption, handle in made if handle and caption}


def _message(said: Said, gallery: Gallery) -> Html:
    segments = [_segment(kind, words, handle, gallery) for kind, words, handle in said.segments]
    return element("article", element("h3", said.role), element("div", segments), class_=f"message by-{said.role}")


def _segment(what: str, words: str | None, handle: Handle | None, gallery: Gallery) -> Html:
    if what == "text":
        return element("p", words, class_="words", dir="auto")
    shown = gallery.show(handle) if handle else element("p", f"{what} that was not made", class_="none")
    if not words:
        return shown
    label = "put into words" if what == "media" else "caption"
    return fragment(shown, element("p", element("b", label), " ", element("q", words, dir="auto"), class_="note"))


def _part(part: Part, asked: tuple[int, Route] | None, gallery: Gallery) -> Html:
    body: list[Child] = []
    caption = element("q", asked[1].caption, dir="auto") if asked and asked[1].caption else None
    if part.error:
        body.append(
            element(
                "div",
                element("p", element("b", part.modality, " failed"), " ", caption),
                element("p", part.error),
                class_="error",
            )
        )
    elif part.handle is None:
        body.append(element("p", f"{part.modality} is missing", class_="none"))
    else:
        body.append(gallery.show(part.handle))
    if asked:
        link = element("a", "how it was made" if not part.error else "what was tried", href=f"#{route_id(asked[0])}")
        body.append(element("p", None if part.error else caption, " ", link, class_="note"))
    when = element("span", duration(part.seconds), class_="when") if part.seconds else None
    margin = element("div", element("span", number(part), class_="number"), when, class_="margin")
    return element("li", margin, element("div", body), class_=f"part {kind(part.modality)}", id=part_id(part))
