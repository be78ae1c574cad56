"""The page for raters: a request and two answers at a time, with nothing that tells whose they are.

It says no system's name, no fact about a medium (a sample rate may give a system away) and no reason of a failure.
Small media are in the page, larger ones in `media/` beside it; it loads nothing else and works from a folder.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from mmagent.errors import IntakeError
from mmagent.evaluation.prediction import Part, Prediction
from mmagent.evaluation.raters.pairing import Key, Pair
from mmagent.intake import write_atomic
from mmagent.media import Audio, Image, Media, Video
from mmagent.trace.markup import Html, element, fragment, trusted

PAGE, MEDIA = "index.html", "media"
INLINE = 48 * 1024
"""Bytes of a file up to which it is in the page."""

HELP = "Read the request, then choose the answer that serves it better. Keys: ← left, → right, ↓ equal, ↑ back."


def write(pairs: Sequence[Pair], key: Key, homes: tuple[Path, Path], folder: str | Path) -> Path:
    """Write the page of these pairs below `folder`; its path. `homes` are the folders of the two systems' predictions.

    The key is not written there: everything in the folder may be given to raters.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    sections = [_section(item, len(pairs), homes, target) for item in pairs]
    style, script = (trusted(files(__package__).joinpath(name).read_text("utf-8")) for name in ("page.css", "page.js"))
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", "Which answer is better?"),
        element("style", style),
    ]
    body = [
        element(
            "header",
            element("h1", "Which answer is better?"),
            element("p", HELP),
            element("label", "Your name or initials ", element("input", id="rater", autocomplete="off")),
            element("progress", id="progress", max=len(pairs), value=0),
            element("output", id="count"),
            element("button", "Download votes", id="download", type="button"),
        ),
        element("noscript", element("p", "This page needs JavaScript to count votes.")),
        element("main", sections, _end()),
        element("script", script),
    ]
    document = element("html", element("head", head), element("body", body, data_page=key.page), lang="en")
    path = target / PAGE
    write_atomic(path, fragment(trusted("<!doctype html>\n"), document, "\n").encode())
    return path


def _section(item: Pair, n: int, homes: tuple[Path, Path], target: Path) -> Html:
    """A pair, which the script shows when its turn comes."""
    (one, left), (two, right) = item.sides
    choices = (("left", "Left is better"), ("equal", "Equal"), ("right", "Right is better"))
    return element(
        "section",
        element("h2", f"Request {item.number} of {n}"),
        element("div", [_shown(part, homes[0], target) for part in item.answers[0].prompt], class_="request"),
        element(
            "div",
            _answer("Left", left, homes[one], target),
            _answer("Right", right, homes[two], target),
            class_="answers",
        ),
        element(
            "p",
            [element("button", label, type="button", data_vote=vote) for vote, label in choices],
            class_="choices",
        ),
        hidden=True,
        data_pair=item.number,
    )


def _answer(side: str, prediction: Prediction, home: Path, target: Path) -> Html:
    said = [_shown(part, home, target) for part in prediction.parts]
    nothing = element("p", "No answer came.", class_="none")
    return element("article", element("h3", side), said or nothing)


def _end() -> Html:
    words = "All requests are judged. Download the votes and send the file back; ↑ goes back to the last one."
    return element("section", element("h2", "Thank you"), element("p", words), hidden=True, id="end")


def _shown(part: Part, home: Path, target: Path) -> Html:
    if part.modality == "text":
        return element("p", part.text, class_="words")
    try:
        medium = part.open(home)
    except IntakeError:
        return element("p", f"The {part.modality} cannot be shown.", class_="none")
    view = _view(medium)
    if view is None:
        return element("p", f"The {part.modality} has no picture or sound to show.", class_="none")
    tag, data, suffix, mime = view
    if len(data) <= INLINE:
        source = {"src": f"data:{mime};base64,{base64.b64encode(data).decode()}"}
    else:
        name = f"{MEDIA}/{medium.digest}{suffix}"
        (target / MEDIA).mkdir(exist_ok=True)
        write_atomic(target / name, data)
        source = {"data_src": name}  # the script makes a link of it
    return (
        element("img", alt="", **source) if tag == "img" else element(tag, controls=True, preload="metadata", **source)
    )


def _view(medium: Media) -> tuple[str, bytes, str, str] | None:
    """A medium as browsers show it: the element, the file, its ending and type; None if it has nothing to show."""
    if isinstance(medium, Video):
        return "video", medium.encode(".mp4"), ".mp4", "video/mp4"
    if isinstance(medium, Audio):
        return "audio", medium.encode(".wav"), ".wav", "audio/wav"
    picture = medium if isinstance(medium, Image) else medium.preview()
    return None if picture is None else ("img", picture.encode(".png"), ".png", "image/png")


def _policy(script: Html) -> str:
    """Media from the page and its folder, the one script with this hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data: 'self' file:; media-src data: 'self' file:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
