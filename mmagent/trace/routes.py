"""The routes: for every signal which wire and tools served it and why, and what was refused."""

from __future__ import annotations

from mmagent.trace.anchors import number, part_id, route_id
from mmagent.trace.data import Candidate, Part, Route, Trace
from mmagent.trace.gallery import Gallery, kind
from mmagent.trace.markup import Html, element
from mmagent.trace.words import chain, count, duration, verdict

WIRES = {"embedding": "embedding wire", "text": "text wire", "refs": "from its refs"}


def routes(trace: Trace, gallery: Gallery) -> Html:
    """Every signal's route, in the order in which the signals were complete."""
    if not trace.signals:
        return element("p", "The model asked for no media.", class_="none")
    return element("div", [_route(index, *found, gallery) for index, found in enumerate(trace.signals)])


def _route(index: int, route: Route, part: Part | None, gallery: Gallery) -> Html:
    name = [element("b", route.modality), " ", element("q", route.caption, dir="auto") if route.caption else None]
    link = element("a", f"part {number(part)}", href=f"#{part_id(part)}") if part else None
    when = element("span", duration(route.seconds), class_="faint") if route.seconds else None
    way = element("ol", [element("li", element("code", tool)) for tool in route.path], class_="path")
    wire = element("span", WIRES[route.wire], class_="badge wire") if route.wire else None
    taken = [way, wire] if route.path else element("span", "no way was found", class_="badge st-failed")
    media = [*(("about", handle) for handle in route.refs), *([("states", route.states)] if route.states else [])]
    about = [
        element("span", element("span", name, class_="port"), gallery.chip(handle), class_="ref")
        for name, handle in media
    ]
    return element(
        "article",
        element("h3", name, " ", link, " ", when),
        element("div", taken, element("span", route.reason, class_="faint"), class_="taken"),
        element("p", about) if about else None,
        _candidates(route.candidates),
        id=route_id(index), class_=f"route {kind(route.modality)}", tabindex=-1,
    )  # fmt: skip


def _candidates(candidates: tuple[Candidate, ...]) -> Html | None:
    refused = sum(not candidate.accepted for candidate in candidates)
    if not refused:
        return None
    summary = f"{count(len(candidates), 'candidate')}, {refused} refused"
    columns = ("", "Way", "Wire", "Expected", "Why")
    head = element("thead", element("tr", [element("th", name, scope="col") for name in columns]))
    table = element("table", head, element("tbody", [_candidate(item) for item in candidates]), class_="candidates")
    return element("details", element("summary", summary), table, open=len(candidates) <= 6)


def _candidate(candidate: Candidate) -> Html:
    badge = "st-finished" if candidate.accepted else "st-skipped"
    expected = [duration(candidate.cost), element("span", ", lossy", class_="faint") if candidate.lossy else None]
    return element(
        "tr",
        element("td", element("span", verdict(candidate), class_=f"badge {badge}")),
        element("th", element("code", chain(candidate.path)), scope="row"),
        element("td", candidate.wire),
        element("td", expected),
        element("td", candidate.reason),
    )
