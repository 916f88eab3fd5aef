"""Examples + a teacher → soft targets (arXiv 1503.02531), made once, and how good the teacher is."""

from __future__ import annotations

from adaptox.teach.asking import Cost
from adaptox.teach.crossfit import bases
from adaptox.teach.faults import doubted_labels, need_cleanlab
from adaptox.teach.folds import CrossFit, Fold, Held, folds_key, is_scored, lay_out_folds, settled, watched
from adaptox.teach.judging import Judged, judge_members
from adaptox.teach.models import teach
from adaptox.teach.teachers import Given, ask_teacher, count_calls
from adaptox.teach.values import Agreement, Taught, conversation_key

__all__ = [
    "Agreement",
    "Cost",
    "CrossFit",
    "Fold",
    "Given",
    "Held",
    "Judged",
    "Taught",
    "ask_teacher",
    "bases",
    "conversation_key",
    "count_calls",
    "doubted_labels",
    "folds_key",
    "is_scored",
    "judge_members",
    "lay_out_folds",
    "need_cleanlab",
    "settled",
    "teach",
    "watched",
]
