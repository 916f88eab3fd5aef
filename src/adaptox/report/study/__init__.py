"""The report of a study: many runs, one comparison.

`write_study` puts ``study.html``, ``study.md`` and ``figures/`` into the study's folder; a `StudyStory` is what it
needs.
"""

from __future__ import annotations

from adaptox.report.study.values import (
    ErrorShare,
    PaperRun,
    StudyMistake,
    StudyPair,
    StudyRun,
    StudyStory,
    Summary,
    TeacherAgreement,
)
from adaptox.report.study.written import write_study

__all__ = [
    "ErrorShare",
    "PaperRun",
    "StudyMistake",
    "StudyPair",
    "StudyRun",
    "StudyStory",
    "Summary",
    "TeacherAgreement",
    "write_study",
]
