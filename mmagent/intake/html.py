"""Media as HTML, for notebooks and the trace page: small enough to look at, not the values themselves.

It goes by the names of modalities and by what media of that name can do; it imports no media class.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from mmagent.errors import MMAgentError

if TYPE_CHECKING:
    from mmagent.media import Audio, Image, Media, Text, Video

__all__ = ["escape", "show"]

EDGE = 512
CHARACTERS = 20_000
SECONDS = 600.0


def show(media: Media) -> str:
    """A `<figure>` with the value (text, picture, player) and its facts; everything in it is escaped.

    Pictures and videos are scaled to 512 pixels, text is cut at 20,000 characters, and sound or video longer
    than ten minutes shows its facts alone. A modality without a view of its own shows its `preview()`.
    """
    facts = ", ".join(f"{key} {value}" for key, value in media.describe().items())
    caption = escape(f"{media.modality}: {facts}" if facts else media.modality)
    kind = escape(media.modality, quote=True)
    return f'<figure class="mmagent-media" data-modality="{kind}">{_body(media)}<figcaption>{caption}</figcaption></figure>'


def _body(media: Media) -> str:
    for kind in type(media).__mro__:  # Speech is shown as the Audio that it is too
        view = _VIEWS.get(kind.__dict__.get("modality", ""))
        if view is not None:
            return view(media)
    preview = media.preview()
    return _picture(preview) if preview is not None else ""


def _text(media: Text) -> str:
    text = media.text
    shown = escape(text[:CHARACTERS])
    if len(text) > CHARACTERS:
        shown += f"<em> … {len(text) - CHARACTERS:,} more characters</em>"
    return f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere">{shown}</pre>'


def _picture(picture: Image) -> str:
    from mmagent.intake import image

    file = image.encode(image.shrink(picture.array, EDGE), ".png")
    return f'<img alt="" src="{_uri("image/png", file)}">'


def _sound(audio: Audio) -> str:
    from mmagent.intake.audio import encode

    if audio.seconds > SECONDS or not len(audio.array):
        return ""
    try:
        file, mime = encode(audio.array, audio.rate, ".flac"), "audio/flac"
    except MMAgentError:  # more channels, or another rate, than FLAC has
        file, mime = encode(audio.array, audio.rate, ".wav"), "audio/wav"
    return f'<audio controls preload="metadata" src="{_uri(mime, file)}"></audio>'


def _video(video: Video) -> str:
    from mmagent.intake.video import encode

    if video.seconds > SECONDS:
        return _picture(video.preview())
    sound = (video.audio.array, video.audio.rate) if video.audio else None
    try:
        file = encode(video.array, video.fps, sound, ".mp4", edge=EDGE)
    except MMAgentError:  # PyAV is not installed, or H.264 cannot hold it
        return _picture(video.preview())
    return f'<video controls preload="metadata" src="{_uri("video/mp4", file)}"></video>'


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


_VIEWS: Mapping[str, Callable[[Any], str]] = {"text": _text, "audio": _sound, "video": _video}
