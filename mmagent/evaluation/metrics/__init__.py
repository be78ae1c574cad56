"""Metrics: pure functions of answers and what would have been right.

exact     exact match, token F1        vqa       accuracy against ten people's answers
overlap   BLEU, ROUGE-L, METEOR        cider     consensus of captions
errors    WER, CER                     presence  yes/no about what is there (hallucination)
routing   media asked for and made     retrieval recall@k, MAP of a similarity matrix
frechet   distance of two sets         words     words as they are compared
"""

from mmagent.evaluation.metrics.cider import cider
from mmagent.evaluation.metrics.errors import cer, wer
from mmagent.evaluation.metrics.exact import exact_match, token_f1
from mmagent.evaluation.metrics.frechet import Distance, frechet
from mmagent.evaluation.metrics.overlap import bleu, meteor, rouge_l
from mmagent.evaluation.metrics.presence import presence
from mmagent.evaluation.metrics.retrieval import cosine, retrieval
from mmagent.evaluation.metrics.routing import routing
from mmagent.evaluation.metrics.vqa import vqa_accuracy

__all__ = [
    "Distance",
    "bleu",
    "cer",
    "cider",
    "cosine",
    "exact_match",
    "frechet",
    "meteor",
    "presence",
    "retrieval",
    "rouge_l",
    "routing",
    "token_f1",
    "vqa_accuracy",
    "wer",
]
