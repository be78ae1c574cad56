"""Plain words for the values of a trace, the same in the page and in the terminal. Nothing here is markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mmagent.card import Scalar
from mmagent.conversation import Usage
from mmagent.trace.data import Candidate, Trace

_STEERING = (
    range(0x09),
    range(0x0B, 0x20),
    range(0x7F, 0xA0),
    range(0x202A, 0x202F),  # bidi embeddings and overrides: they reorder what follows, quotes included
    range(0x2066, 0x206A),  # bidi isolates
    range(0xD800, 0xE000),  # lone surrogates cannot be written as UTF-8
    (0xFEFF, 0xFFFE, 0xFFFF),
)
UNSEEN: Mapping[int, str] = {code: f"\\u{code:04x}" for codes in _STEERING for code in codes}
"""Characters that steer a terminal or a page rather than print, and how they are printed instead."""

_SHORT = 12
_COUNTED = frozenset({"characters", "frames", "points", "messages"})
_UNITS = {"rate": "Hz", "fps": "frames/s", "bits": "bits"}
_CHANNELS: Mapping[str, Mapping[object, str]] = {
    "rate": {1: "mono", 2: "stereo"},
    "width": {1: "grey", 3: "RGB", 4: "RGBA"},
}


def visible(text: str) -> str:
    r"""`text` with control and bidi-reordering characters printed as escapes; tabs and newlines stay.

    >>> visible("red\x1b[0m")
    'red\\u001b[0m'
    """
    return text.translate(UNSEEN)


def line(text: str, limit: int = 72) -> str:
    """`text` on one line, cut to `limit` characters with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> duration(0.0421), duration(3.14159), duration(75)
    ('42 ms', '3.14 s', '1 min 15 s')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 or seconds <= 0 else "<1 ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def size(n_bytes: float) -> str:
    """Bytes in the unit that reads best, of 1,000.

    >>> size(812), size(2_500_000)
    ('812 B', '2.5 MB')
    """
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} B" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "call"), count(2, "call")
    ('1 call', '2 calls')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def digest(value: str) -> str:
    """The beginning of a digest or recipe key: enough to compare by eye."""
    return value[:_SHORT]


def facts(values: Mapping[str, Scalar]) -> list[str]:
    """The facts of a medium (`Media.describe`) as short phrases.

    >>> facts({"width": 640, "height": 480, "channels": 3, "bits": 8})
    ['640 × 480', 'RGB']
    """
    rest = {key: value for key, value in values.items() if key != "modality" and value not in (None, False, "")}
    found: list[str] = []
    if "width" in rest and ("height" in rest or "tokens" in rest):
        width, other = rest.pop("width"), "height" if "height" in rest else "tokens"
        found.append(f"{width} × {rest.pop(other)}" if other == "height" else f"{rest.pop(other)} × {width}")
    if "seconds" in rest:
        found.append(duration(float(rest.pop("seconds") or 0)))
    names = _CHANNELS["rate" if "rate" in rest else "width"]
    return found + [_fact(key, value, names) for key, value in rest.items() if (key, value) != ("bits", 8)]


def _fact(key: str, value: Scalar, channels: Mapping[object, str]) -> str:
    if value is True:
        return f"with {key}"
    if key == "channels" and value in channels:
        return channels[value]
    if isinstance(value, str):
        return value if key == "space" else f"{key} {value}"
    if key in _COUNTED and isinstance(value, int):
        return count(value, key.removesuffix("s"))
    return f"{value:,g} {_UNITS[key]}" if key in _UNITS else f"{key} {value:g}"


def chain(path: Iterable[str]) -> str:
    """Tools in their order.

    >>> chain(("speak.v1", "resample.v1"))
    'speak.v1 → resample.v1'
    """
    return " → ".join(path)


def verdict(candidate: Candidate) -> str:
    """What became of a candidate, in one word."""
    return "chosen" if candidate.accepted else "refused"


def usage(used: Sequence[Usage]) -> str:
    """What a model took in all, or nothing where nobody counted; a sum that lacks a price is not shown.

    >>> usage([Usage(1200, 30, 0.0042, "USD"), Usage(1300, 8, 0.004, "USD", calls=2)])
    '2,500 tokens in, 38 out, 3 requests, 0.0082 USD'
    """
    tokens = [(item.input_tokens, item.output_tokens) for item in used]
    if not tokens or any(number is None for pair in tokens for number in pair):
        return ""
    read, written = (sum(number or 0 for number in column) for column in zip(*tokens))
    calls = sum(item.calls for item in used)
    found = [
        f"{count(read, 'token')} in",
        f"{written:,} out",
        *([count(calls, "request")] if calls > len(used) else []),
    ]
    costs = [item.cost for item in used if item.cost is not None]
    if len(costs) == len(used):
        found.append(f"{sum(costs):.4g} {used[0].currency}".strip())
    return ", ".join(found)


def tally(trace: Trace) -> str:
    """How many calls there were, and how many of them did not simply finish."""
    statuses = [call.status for call in trace.calls]
    other = [
        f"{statuses.count(name)} {name}" for name in ("cached", "failed", "skipped", "cancelled") if name in statuses
    ]
    return count(len(statuses), "call") + (f" ({', '.join(other)})" if other else "")
