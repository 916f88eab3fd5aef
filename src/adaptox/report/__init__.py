"""Evaluations → tables, figures, HTML, Markdown, model card.

`write` puts the report of one run into its folder; `render_results` and `insert_between_markers` keep the
tables of the documents true to the committed result files.
"""

from __future__ import annotations

from adaptox.report.card import model_card
from adaptox.report.phrases import words_sentence
from adaptox.report.results import insert_between_markers, render_results
from adaptox.report.values import RunStory, TrainingFacts, WordsFacts
from adaptox.report.written import write

__all__ = [
    "RunStory",
    "TrainingFacts",
    "WordsFacts",
    "insert_between_markers",
    "model_card",
    "render_results",
    "words_sentence",
    "write",
]
