"""A user's checkpoint: found, described, told apart, guarded and loaded, before any tool knows what it holds.

A setting `model` is a folder, a file, the id of a repository on the Hugging Face hub, `owner/name`, or
`weights:NAME`, a set of weights that `mmagent fetch` knows.

    >>> locate("openai/clip-vit-base-patch32")       # doctest: +SKIP
    >>> slug("openai/clip-vit-base-patch32")
    'clip-vit-base-patch32'

`config`, `digest`, `described` and what they are made with touch no network and import nothing heavy, since cards
are made with them. It knows nothing of tools and media; of families of models only `vision` does.
"""

from __future__ import annotations

from mmagent.checkpoint.batches import in_batches
from mmagent.checkpoint.describing import check_layer, described, layers_size, seconds, space_name
from mmagent.checkpoint.digests import digest
from mmagent.checkpoint.loading import forward, load_part, load_pretrained, load_tensors, loading
from mmagent.checkpoint.place import config, locate, needed, processor_config, slug
from mmagent.checkpoint.placement import Dtype, array, given, itemsize, placement
from mmagent.checkpoint.safety import guard

__all__ = [
    "Dtype",
    "array",
    "check_layer",
    "config",
    "described",
    "digest",
    "forward",
    "given",
    "guard",
    "in_batches",
    "itemsize",
    "layers_size",
    "load_part",
    "load_pretrained",
    "load_tensors",
    "loading",
    "locate",
    "needed",
    "placement",
    "processor_config",
    "seconds",
    "slug",
    "space_name",
]
