"""Texts that the LLM itself goes on with, for it to keep while it learns something else: `python rehearse.py FILE`.

Trained on pictures alone, LoRA forgets plain text. What a network says of itself does instead of the data that it was
trained on (Robins, 1995, "Catastrophic forgetting, rehearsal and pseudorehearsal").
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mmagent.model.backbones import load_backbone

if TYPE_CHECKING:
    from mmagent.model.backbones import Backbone

BATCH = 20
"""Texts that are made side by side."""


def rehearse(path: Path, backbone: Backbone, texts: int = 600, tokens: int = 128, seed: int = 0) -> None:
    """Write so many texts as records of kind `text`. Each begins with a word by chance and goes on as the LLM would,
    for so many tokens at most."""
    words = sorted(backbone.tokens.words)
    chance = torch.Generator().manual_seed(seed)
    begun = torch.tensor(words)[torch.randint(len(words), (texts,), generator=chance)]
    lines: list[str] = []
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for at in range(0, texts, BATCH):
            ids = begun[at : at + BATCH, None]
            found = backbone.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens - 1, do_sample=True, top_k=50, top_p=1.0,
                temperature=1.0, pad_token_id=words[0],
            )  # fmt: skip
            for row in found.tolist():
                end = next((place for place, one in enumerate(row) if one in backbone.tokens.controls), len(row))
                said = {"role": "assistant", "parts": [{"text": backbone.tokens.decode(row[:end])}]}
                lines.append(json.dumps({"kind": "text", "turns": [said]}))
            print(f"{len(lines)} of {texts} texts", flush=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    from mmagent.model.spec import BackboneSpec

    rehearse(Path(sys.argv[1]), load_backbone(BackboneSpec(weights="smollm2-135m-instruct")))
