"""COCO captions: `annotations/captions_train2017.json`, and a folder of pictures. A fact for each annotation."""

from __future__ import annotations

from pathlib import Path

from mmagent.errors import IntakeError
from mmagent.training.data.bad import told
from mmagent.training.data.pieces import whole
from mmagent.training.data.reference import Folder
from mmagent.training.data.source import Fact


class CocoCaptions:
    """Facts with `media` and `caption`. The captions are held in memory (100 MB for all of COCO), the pictures are not."""

    def __init__(self, annotations: str | Path, images: str | Path, name: str = "") -> None:
        data = whole(annotations)
        try:
            self._files = {item["id"]: item["file_name"] for item in data["images"]}
            self._captions = [(item.get("image_id"), item.get("caption")) for item in data["annotations"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise IntakeError(f"{annotations} is no file of COCO captions: it lacks {error}") from None
        self._path, self._images = annotations, Folder(images)
        self.name = name or Path(annotations).stem

    def __len__(self) -> int:
        return len(self._captions)

    def __getitem__(self, index: int) -> Fact:
        place = f"{self._path}: annotation {index}"
        with told(place):
            image_id, caption = self._captions[index]
            file = self._files.get(image_id) if isinstance(image_id, int | str) else None
            if not isinstance(file, str) or not isinstance(caption, str):
                raise IntakeError(f"it has no caption in words, or its image {image_id!r:.80} is not listed")
            return Fact({"media": self._images.file(file, "image"), "caption": caption.strip()}, place)
