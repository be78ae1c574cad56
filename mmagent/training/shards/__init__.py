"""Frozen features and targets: packed once, mapped into memory, found by recipe key.

form      what the files look like          writer    appends, survives a kill
reader    views without a copy              packed    both: made once, kept
features  of an encoder and media           targets   of a generator and captions
"""

from mmagent.training.shards.features import Features
from mmagent.training.shards.reader import Reader
from mmagent.training.shards.targets import Targets
from mmagent.training.shards.writer import Writer

__all__ = ["Features", "Reader", "Targets", "Writer"]
