"""A page with samples of the world, for people to look at and listen to: every modality, and the table of things."""

from __future__ import annotations

from html import escape
from pathlib import Path
from random import Random

from mmagent.pocket.world import words
from mmagent.pocket.world.catalogue import Thing, catalogue
from mmagent.pocket.world.files import KINDS, SPLITS, medium

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; }
ul { display: flex; flex-wrap: wrap; gap: 1em; list-style: none; padding: 0; }
li { width: 11em; } figure { margin: 0; } figcaption { display: none; } li img, li video, li svg { width: 128px; image-rendering: pixelated; } li audio { width: 100%; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .1em 1em .1em 0; }
"""
TITLES = {"image": "Pictures", "video": "Videos", "audio": "Sounds", "points": "Points"}


def write_page(path: Path, n: int = 24, seeds: str = "page") -> Path:
    """Write the page, `n` samples of each modality in words that any training may draw. It needs no other file."""
    parts = [f"<!doctype html><meta charset=utf-8><title>The pocket world</title><style>{STYLE}</style>"]
    parts.append("<h1>The pocket world</h1>")
    for name, kind in KINDS.items():
        random = Random(f"world\0{seeds}\0{name}")  # noqa: S311  # chance, not secrets
        parts.append(f"<h2>{TITLES[name]}</h2><ul>")
        for _ in range(n):
            spec = kind.draw(random, SPLITS["trained"])
            shown = medium(spec, random)._repr_html_()
            parts.append(f"<li>{shown}<br>{escape(words.said(spec, random))}</li>")
        parts.append("</ul>")
    parts.append("<h2>Things</h2><table><tr><th>name<th>also<th>picture<th>recordings<th>solid</tr>")
    parts += map(_row, catalogue().things)
    parts.append("</table>")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts) + "\n", "utf-8")
    return path


def _row(thing: Thing) -> str:
    cells = thing.name, ", ".join(thing.names[1:]), thing.icon, ", ".join(thing.takes), thing.solid
    return "<tr>" + "".join(f"<td>{escape(cell)}" for cell in cells) + "</tr>"
