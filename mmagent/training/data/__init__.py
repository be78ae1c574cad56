"""Data to train on: typed records with their media unread, from the layouts that people have.

record      a conversation, and what of it is learnt     reference   media that are somewhere, not read yet
bad         records that cannot be used                  source      records by number; our JSONL; facts put into words
schema      the JSON of a record                         templates   wordings of tasks, as data files
llava coco vqa tables tars hub    readers, one a layout  mix         weighted, shuffled, split, resumable
permutation a shuffle that is a function                 pieces      records of a file by place
"""

from mmagent.training.data.bad import BadRecord, BadRecords
from mmagent.training.data.coco import CocoCaptions
from mmagent.training.data.hub import HubDataset
from mmagent.training.data.llava import Llava
from mmagent.training.data.mix import Epochs, Mix
from mmagent.training.data.record import Made, Record, Shown, Turn, Words
from mmagent.training.data.reference import Folder, Reference
from mmagent.training.data.source import Fact, Facts, Jsonl, Source, Worded, checked
from mmagent.training.data.tables import Table, audiocaps, webvid
from mmagent.training.data.tars import TarRecords, WebDataset, cc3m
from mmagent.training.data.templates import Template
from mmagent.training.data.vqa import VqaV2

__all__ = [
    "BadRecord",
    "BadRecords",
    "CocoCaptions",
    "Epochs",
    "Fact",
    "Facts",
    "Folder",
    "HubDataset",
    "Jsonl",
    "Llava",
    "Made",
    "Mix",
    "Record",
    "Reference",
    "Shown",
    "Source",
    "Table",
    "TarRecords",
    "Template",
    "Turn",
    "VqaV2",
    "WebDataset",
    "Worded",
    "Words",
    "audiocaps",
    "cc3m",
    "checked",
    "webvid",
]
