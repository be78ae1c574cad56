"""Runs: what a system is asked, under which conditions, and how its answers are kept.

question   what of a record is asked           asking    a system, question by question, resumable
changed    samples, shots, controls            perturb   changes of growing strength; changes/ has ours
presence   POPE questions of a catalogue       table     systems × data × conditions, transfer
"""

from mmagent.evaluation.runs.asking import AgentAnswers, Answerer, Asked, ask
from mmagent.evaluation.runs.changed import Blind, Exchanged, Sample, Shots
from mmagent.evaluation.runs.perturb import Change, Perturbed
from mmagent.evaluation.runs.presence import Entry, Presence, catalogue
from mmagent.evaluation.runs.question import Question, questions
from mmagent.evaluation.runs.table import Condition, conditions, run, transfer

__all__ = [
    "AgentAnswers",
    "Answerer",
    "Asked",
    "Blind",
    "Change",
    "Condition",
    "Entry",
    "Exchanged",
    "Perturbed",
    "Presence",
    "Question",
    "Sample",
    "Shots",
    "ask",
    "catalogue",
    "conditions",
    "questions",
    "run",
    "transfer",
]
