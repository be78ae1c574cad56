"""Media as content blocks: words as text, pictures and sounds as themselves, all else as links; never media as text.

A picture or sound is followed by a link to the same, which is how a model can hand it to the next tool: it sees the
address, and could not repeat the bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmagent.adapters.mcp.held import Held, Shelter
from mmagent.adapters.mcp.labels import COPY, MODALITY, OUTPUT
from mmagent.errors import MediaError
from mmagent.media import Audio, Image, Media, Text

if TYPE_CHECKING:
    from mcp import types

    from mmagent.engine.result import Output


class Writer:
    """Writes one answer. Files go into it as long as they are no more than `inline` bytes in all."""

    def __init__(self, held: Shelter, inline: int) -> None:
        self.blocks: list[types.ContentBlock] = []
        self._held, self._inline = held, inline

    def outputs(self, outputs: Mapping[str, Output]) -> None:
        """Add every output, in order; what is nothing is left out."""
        for name, value in outputs.items():
            items: Sequence[Media] = () if value is None else value if isinstance(value, list) else (value,)
            for item in items:
                self.media(item, name)

    def words(self, text: str, output: str = "") -> None:
        """Add a text."""
        from mcp import types

        self.blocks.append(types.TextContent(text=text, _meta={OUTPUT: output} if output else None))

    def media(self, media: Media, output: str) -> None:
        """Add a medium that is an item of that output; MediaError if it is too large to be kept for a link."""
        if isinstance(media, Text):
            self.words(media.text, output)
            return
        data = media.encode()
        held = self._held.keep(media, data)
        within = isinstance(media, Image | Audio) and len(data) <= self._inline
        if within:
            self._inline -= len(data)
            self.blocks.append(_inlined(media, data, output))
        if held is not None:
            self.blocks.append(_link(held, output, copy=within))
        elif not within:
            raise MediaError(
                f"output {output} is a file of {len(data):,} bytes, and the server keeps {self._held.budget:,} in all; "
                "ask for less, or start it with a larger --hold"
            )


def _inlined(media: Media, data: bytes, output: str) -> types.ContentBlock:
    from mcp import types

    kind = types.ImageContent if isinstance(media, Image) else types.AudioContent
    label = {OUTPUT: output, MODALITY: media.modality}
    return kind(data=base64.b64encode(data).decode(), mime_type=media.mime, _meta=label)


def _link(held: Held, output: str, *, copy: bool) -> types.ContentBlock:
    from mcp import types

    label = {OUTPUT: output, MODALITY: held.modality, **({COPY: True} if copy else {})}
    return types.ResourceLink(
        name=output, uri=held.uri, mime_type=held.mime, size=len(held.data), description=held.facts, _meta=label
    )
