"""A scheduler of its own for every request: schedulers keep state while they run."""

from __future__ import annotations

from typing import Any

from mmagent.errors import ModelError


def fresh(pattern: Any, name: str = "") -> Any:
    """A new scheduler with the config of `pattern`, of its class or of the compatible one called `name`."""
    kind = type(pattern)
    if name and name != kind.__name__:
        compatible = {item.__name__: item for item in pattern.compatibles}
        if name not in compatible:
            raise ModelError(
                f"this pipeline is not scheduled by {name!r}, but by {kind.__name__}"
                + (f" or one of {', '.join(sorted(compatible))}" if compatible else " alone")
            )
        kind = compatible[name]
    return kind.from_config(pattern.config)
