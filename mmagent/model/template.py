"""Chat templates: where each turn's content goes between the control tokens. It sees stand-ins, never contents.

Templates differ in the roles that they take; what a template refuses or leaves out is folded into a role that
it takes, so that every conversation can be rendered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# The assistant's line has no space of its own: a model that goes on behind the colon writes it with the first word.
_PLAIN = {"system": "", "user": "User: ", "assistant": "Assistant:", "tool": "Tool: "}


class ChatTemplate:
    """A tokenizer's chat template, or a plain transcript of `User:` and `Assistant:` lines where it has none."""

    def __init__(self, tokenizer: Any, start: str = "") -> None:
        self._tokenizer, self._start = tokenizer, start
        self.plain = not getattr(tokenizer, "chat_template", None)
        self.system = self._takes([("system", "SYSTEM-STAND-IN"), ("user", "x")])
        self.tool = self._takes([("user", "x"), ("assistant", "y"), ("tool", "TOOL-STAND-IN")])

    def render(self, turns: Sequence[tuple[str, str]], generate: bool = True) -> str:
        """The conversation as the template writes it, with the assistant's opening if `generate`.

        A stand-in of a turn occurs in the result where the content belongs.
        """
        return self._render(self._fold(turns), generate)

    def _fold(self, turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Only roles that the template takes; user and assistant in turn, beginning with the user."""
        folded: list[tuple[str, str]] = []
        for role, content in turns:
            if role == "tool" and not self.tool:
                role = "user"
            if role == "system" and (not self.system or folded):
                role = "user"
            if role == "assistant" and (not folded or folded[-1][0] == "system"):
                folded.append(("user", ""))
            if folded and folded[-1][0] == role and role != "tool":
                content = f"{folded.pop()[1]}\n{content}".lstrip("\n")
            folded.append((role, content))
        return folded

    def _render(self, turns: Sequence[tuple[str, str]], generate: bool) -> str:
        if self.plain:
            lines = [f"{_PLAIN[role]}{content}" for role, content in turns]
            return self._start + "\n\n".join([*lines, "Assistant:"] if generate else lines)
        messages = [{"role": role, "content": content} for role, content in turns]
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate))

    def _takes(self, turns: Sequence[tuple[str, str]]) -> bool:
        """Whether the template renders these turns, and all of them."""
        try:
            rendered = self._render(turns, generate=False)
        except Exception:  # a template refuses in whatever way its author chose: raise_exception, an undefined name …
            return False
        return all(content in rendered for _, content in turns)
