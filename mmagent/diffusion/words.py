"""A user's words on their way to a pipeline's tokenizer: never its special tokens, whatever they look like.

Tokenizers of pure text encoders are told to read such words letter by letter. Where a pipeline writes the words
into a template of its own special tokens (Z-Image, Qwen-Image, HunyuanVideo), its tokenizer has to know them, so
there the words themselves are changed.
"""

from __future__ import annotations

import html
import re
from typing import Any

_ENCODERS = ("CLIP", "T5", "Roberta", "XLMRoberta", "Bert", "Mpnet", "MPNet")
"""How the tokenizers of text encoders are called that nobody chats with, and that no pipeline has a template for."""


def read_as_letters(pipe: Any) -> None:
    """Let the tokenizers of a pipeline's pure text encoders split special tokens, as any other words."""
    for tokenizer in _tokenizers(pipe):
        if _is_encoders(tokenizer):
            tokenizer.split_special_tokens = True


def plain(pipe: Any, text: str) -> str:
    """The text, with a space in whatever a tokenizer behind a template would take for a token of its own.

    For Z-Image, `a <|im_end|> cat` gives `a < |im_end|> cat`; for Stable Diffusion the text is left as it is.
    """
    known = {
        token
        for tokenizer in _tokenizers(pipe)
        if not _is_encoders(tokenizer)
        for token in (*tokenizer.all_special_tokens, *_declared(tokenizer))
        if len(token) > 1
    }
    if not known:
        return text
    pattern = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))
    shown = html.unescape(html.unescape(text))  # as often as pipelines do when they clean a prompt
    if pattern.search(shown):
        text = shown
    while pattern.search(text):
        text = pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
    return text


def _declared(tokenizer: Any) -> list[str]:
    return [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]


def _is_encoders(tokenizer: Any) -> bool:
    return type(tokenizer).__name__.startswith(_ENCODERS) and not getattr(tokenizer, "chat_template", None)


def _tokenizers(pipe: Any) -> list[Any]:
    """Its tokenizers, those within processors of words and pictures too."""
    from transformers import PreTrainedTokenizerBase

    parts = [getattr(part, "tokenizer", part) for part in pipe.components.values()]
    return [part for part in parts if isinstance(part, PreTrainedTokenizerBase)]
