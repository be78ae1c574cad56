"""VQAv2: a JSON file of questions, one of annotations, and a folder of pictures. A fact for each question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmagent.errors import IntakeError
from mmagent.training.data.bad import told
from mmagent.training.data.pieces import whole
from mmagent.training.data.reference import Folder
from mmagent.training.data.source import Fact


class VqaV2:
    """Facts with `media`, `question` and `answer`, the one most people gave; all ten are the fact's `answers`.

    `image` is how pictures are called: `COCO_train2014_{:012d}.jpg` if not given, where the middle is what the file
    of questions says. The two JSON files are held in memory.
    """

    def __init__(
        self, questions: str | Path, annotations: str | Path, images: str | Path, *, image: str = "", name: str = ""
    ) -> None:
        asked, answered = whole(questions), whole(annotations)
        try:
            self._questions: list[Any] = list(asked["questions"])
            self._answers = {item["question_id"]: item for item in answered["annotations"]}
        except (KeyError, TypeError) as error:
            raise IntakeError(f"{questions} and {annotations} are no files of VQAv2: they lack {error}") from None
        self._image = image or f"COCO_{asked.get('data_subtype', 'train2014')}_{{:012d}}.jpg"
        self._path, self._images = questions, Folder(images)
        self.name = name or Path(questions).stem

    def __len__(self) -> int:
        return len(self._questions)

    def __getitem__(self, index: int) -> Fact:
        place = f"{self._path}: question {index}"
        with told(place):
            try:
                asked = self._questions[index]
                image_id, words = int(asked["image_id"]), str(asked["question"])
                found = self._answers[asked["question_id"]]
                answer, about = str(found["multiple_choice_answer"]), int(found["image_id"])
                answers = tuple(str(item["answer"]) for item in found.get("answers", ()))
            except (KeyError, TypeError, ValueError) as error:
                raise IntakeError(f"the question or its annotation lacks {error}") from None
            if about != image_id:
                raise IntakeError(f"it is about image {image_id}, its annotation about {about}")
            media = self._images.file(self._image.format(image_id), "image")
            return Fact({"media": media, "question": words, "answer": answer}, place, answers or (answer,))
