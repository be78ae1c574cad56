"""An any-to-any script: whatever files it is given go in, what it is asked for comes out, and the page shows how.

    python examples/any_to_any.py OUT FILE... [-- modality...]

Without files it takes the photograph beside it and asks for speech.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mmagent import Agent, Media, Policy

HERE = Path(__file__).parent


def main(arguments: list[str]) -> None:
    out = Path(arguments[0] if arguments else "out")
    rest = arguments[1:]
    cut = rest.index("--") if "--" in rest else len(rest)
    files = rest[:cut] or [str(HERE / "photo.png")]
    wanted = tuple(rest[cut + 1 :]) or ("speech",)

    agent = Agent("pocket")
    stream = agent.stream("Describe this.", *(Media.open(file) for file in files), policy=Policy(force=wanted))
    for event in stream:
        if event.kind == "token":
            print(event.data, end="", flush=True)
        elif event.kind in ("finished", "cached", "failed"):
            print(f"\n[{event.node}: {event.kind} after {event.time:.2f} s]")
    for path in stream.reply.save(out):
        print("saved:", path)


if __name__ == "__main__":
    main(sys.argv[1:])
