"""One text out of several."""

from __future__ import annotations

from mmagent import Text, tool


@tool(name="merge-texts.v1", kind="converter", inline=True, cost=0.0001, lossy=True)
def merge_texts(texts: list[Text], separator: str = "\n") -> Text:
    """Join texts in their order; empty ones and those that already came, whatever their case, are left out."""
    kept: dict[str, str] = {}
    for text in texts:
        stripped = text.text.strip()
        if stripped:
            kept.setdefault(stripped.casefold(), stripped)
    return Text(separator.join(kept.values()))
