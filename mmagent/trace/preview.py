"""One medium as markup to look at or listen to, and a note that says where that is not the whole medium."""

from __future__ import annotations

import base64

from mmagent.media import Audio, Image, Media, Text, Video
from mmagent.trace.markup import Html, element, trusted
from mmagent.trace.words import duration

EDGE = 1600
"""Pixels of a picture's longer edge; larger pictures are shown smaller."""
EXACT = 1_500_000
"""Bytes up to which a picture is embedded exactly; larger ones are embedded as WebP."""


def preview(medium: Media, caption: str) -> tuple[Html | None, str]:
    """The medium as markup, None if it has no view, and the note, empty if there is nothing to say.

    A modality that users registered is shown by its own `preview`, which may raise anything; the page is not to
    fail for that.
    """
    if isinstance(medium, Text):
        return element("blockquote", medium.text, dir="auto"), ""
    try:
        if isinstance(medium, Audio | Video):
            return _player(medium)
        picture = medium.preview()
        if picture is None:
            return None, ""
        shown, note = _picture(picture, caption or f"{medium.modality} without a caption")
        return shown, note if picture is medium else ", ".join(filter(None, ("a preview", note)))
    except Exception as error:
        return None, f"cannot be shown: {type(error).__name__}: {error}"


def _player(medium: Audio | Video) -> tuple[Html | None, str]:
    from mmagent.intake.html import EDGE as SMALL
    from mmagent.intake.html import SECONDS, show

    if medium.seconds > SECONDS:
        return None, f"longer than {duration(SECONDS)}, so there is no player"
    large = isinstance(medium, Video) and max(medium.array.shape[1:3]) > SMALL
    return trusted(show(medium)), f"shown at {SMALL} pixels" if large else ""


def _picture(image: Image, alt: str) -> tuple[Html, str]:
    small, notes = image, []
    if max(image.width, image.height) > EDGE:
        pil = image.pil("RGB")
        pil.thumbnail((EDGE, EDGE))
        small = Image(pil)
        notes.append(f"shown at {small.width} × {small.height}")
    data, mime = small.encode(".png"), "image/png"
    if len(data) > EXACT:
        data, mime = small.encode(".webp"), "image/webp"
        notes.append("shown as WebP")
    source = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return element("img", src=source, alt=alt, width=small.width, height=small.height), ", ".join(notes)
