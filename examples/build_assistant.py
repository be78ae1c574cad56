"""Build an assistant: it hears a question about a photograph, answers aloud, and remembers the conversation."""

from __future__ import annotations

import sys
from pathlib import Path

from mmagent import Agent, Image, Policy, Speech

HERE = Path(__file__).parent


def main(out: Path) -> None:
    agent = Agent("pocket", policy=Policy(max_tokens=64))

    reply = agent(
        Image(HERE / "photo.png"), Speech(HERE / "question.wav"), policy=Policy(force=("speech",), max_tokens=96)
    )
    print("assistant:", reply.text)
    for path in reply.save(out):
        print("saved:", path)

    reply = agent("Is it a pet?")
    print("assistant:", reply.text)

    print("calls:", ", ".join(f"{call.node} {call.seconds:.2f} s" for call in reply.trace.calls))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
