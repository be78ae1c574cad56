"""The perturbations that there are. A file each for what is done to media and to words."""

from mmagent.evaluation.runs.changes.media import BLUR, NOISE
from mmagent.evaluation.runs.changes.words import PARAPHRASE, TYPOS

CHANGES = {change.name: change for change in (NOISE, BLUR, TYPOS, PARAPHRASE)}

__all__ = ["BLUR", "CHANGES", "NOISE", "PARAPHRASE", "TYPOS"]
