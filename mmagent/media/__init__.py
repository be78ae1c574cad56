"""Media: immutable, content-addressed values of one modality, the only thing that crosses an edge.

A user's modality is a subclass of `Media`; it is registered by being declared. Each modality that we ship is a
file here, and enters by the same door.
"""

from mmagent.media.arrays import frozen
from mmagent.media.audio import Audio, Speech
from mmagent.media.embedding import Embedding
from mmagent.media.image import Image
from mmagent.media.modalities import MODALITIES, fits, modality
from mmagent.media.points import Points
from mmagent.media.text import Text
from mmagent.media.value import Media, Scalar
from mmagent.media.video import Video

__all__ = [
    "MODALITIES",
    "Audio",
    "Embedding",
    "Image",
    "Media",
    "Points",
    "Scalar",
    "Speech",
    "Text",
    "Video",
    "fits",
    "frozen",
    "modality",
]
