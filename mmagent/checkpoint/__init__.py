"""A user's checkpoint: found, described, told apart, guarded and loaded, before any tool knows what it holds.

A setting `model` is a folder, a file, or the id of a repository on the Hugging Face hub, `owner/name`.

    >>> locate("openai/clip-vit-base-patch32")       # doctest: +SKIP
    >>> slug("openai/clip-vit-base-patch32")
    'clip-vit-base-patch32'

`config`, `digest` and `slug` touch no network and import nothing heavy, so that a card can be made with them. It
knows nothing of tools and media; of families of models only `vision` does.
"""

from __future__ import annotations

from mmagent.checkpoint.digests import digest
from mmagent.checkpoint.loading import load_part, load_pretrained, load_tensors, loading
from mmagent.checkpoint.place import config, locate, slug
from mmagent.checkpoint.safety import guard

__all__ = [
    "config",
    "digest",
    "guard",
    "load_part",
    "load_pretrained",
    "load_tensors",
    "loading",
    "locate",
    "slug",
]
