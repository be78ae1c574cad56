"""Vectors of media by an extractor, for distances and retrieval: any encoder tool, or any function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mmagent.errors import IntakeError
from mmagent.evaluation.metrics import cosine, retrieval
from mmagent.evaluation.prediction import FILE, read
from mmagent.evaluation.runs.question import questions
from mmagent.evaluation.score import Score
from mmagent.media import Media, Text, fits
from mmagent.training.data import BadRecord, Folder, Reference, Shown, Source
from mmagent.training.data.reference import modality_of
from mmagent.training.shards import Features

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Extractor: TypeAlias = "Features | Callable[[Media], Sequence[float] | Array]"


def vectors(extractor: Extractor, media: Iterable[Media | Reference]) -> Array:
    """One vector a medium, `[N, D]`: of an encoder the mean of the states that count, of a function what it gives.

    An encoder is given as the `Features` of it, which keep what it made, so that a second run does not run it.
    """
    import numpy as np

    rows = []
    for item in media:
        if isinstance(extractor, Features):
            states, mask = extractor.of(item), extractor.mask(item)
            rows.append(np.asarray(states, dtype="float64")[mask].mean(axis=0))
        else:
            rows.append(np.asarray(extractor(item.open() if isinstance(item, Reference) else item), dtype="float64"))
    if not rows:
        raise IntakeError("there are no media to extract features of")
    return np.stack(rows)


def media_in(folder: str | Path, modality: str) -> list[Reference]:
    """The media of a modality in a folder, by name; of a run's folder those that its replies made.

    IntakeError if there are none.
    """
    home = Folder(folder)
    if (home.path / FILE).exists():
        made = [part for item in read(folder) for part in item.parts if part.file]
        found: list[Reference] = [home.file(part.file, part.modality) for part in made if fits(part.modality, modality)]
    else:
        found = [
            home.file(path.relative_to(home.path).as_posix(), modality)
            for path in sorted(home.path.rglob("*"))
            if path.is_file()
            and (kind := _modality(path.name))
            and fits(modality, kind)  # a file of speech is one of audio
        ]
    if not found:
        raise IntakeError(f"{folder} holds no {modality}")
    return found


def matching(source: Source, of_media: Extractor, of_words: Extractor) -> dict[str, Score]:
    """How well captions find their media and media their captions, by the cosine of vectors in one space.

    Each record gives its first medium and all that is said of it. Scores are recall@k and MAP, `to-words.…` with the
    media as queries and `to-media.…` with the words. BadRecord for a record without either.
    """
    import numpy as np

    media: list[Reference] = []
    words: list[Text] = []
    owners: list[int] = []
    for index in range(len(source)):
        record = source[index]
        *_, question = questions(record, record.place)
        shown = [part.media for turn in record.turns for part in turn.parts if isinstance(part, Shown)]
        if not shown or not question.references:
            raise BadRecord(record.place, "it has no medium, or no words to find it by")
        owners += [len(media)] * len(question.references)
        words += [Text(item) for item in question.references]
        media.append(shown[0])
    spaces = [
        of.embedding(item).space
        for of, item in ((of_media, media[0]), (of_words, words[0]))
        if isinstance(of, Features)
    ]
    if len(set(spaces)) > 1:
        raise IntakeError(f"media are encoded into {spaces[0]} and words into {spaces[1]}, which cannot be compared")
    likeness = cosine(vectors(of_media, media), vectors(of_words, words))  # [M, W]
    right = np.arange(len(media))[:, None] == np.asarray(owners)[None, :]
    there, back = retrieval(likeness, right), retrieval(likeness.T, right.T)
    return {f"to-words.{name}": score for name, score in there.items()} | {
        f"to-media.{name}": score for name, score in back.items()
    }


def _modality(name: str) -> str:
    try:
        return modality_of(name)
    except IntakeError:
        return ""
