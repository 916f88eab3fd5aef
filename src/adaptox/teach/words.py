"""Texts → scores without a network: logistic regression on TF-IDF, a teacher that errs in other places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from adaptox.records import BoolArray, FloatArray

Grams = Literal["words", "characters"]

# Inverse strength of the L2 penalty, between scikit-learn's 1 and what separates every training row.
_C = 10.0
_STEPS = 1000


def score_by_words(
    train: Sequence[str], truth: BoolArray, texts: Sequence[str], grams: Grams, seed: int
) -> FloatArray:
    """Fit on some texts, and score others.

    Args:
        train: texts with known labels, of both classes.
        truth: (train,), whether the label is 1.
        texts: what is scored.
        grams: words and pairs of words; or two to five characters within words.
        seed: of the solver.

    Returns:
        (texts,) logits.
    """
    pipeline = make_pipeline(
        _vectorizer(grams),
        LogisticRegression(C=_C, solver="liblinear", max_iter=_STEPS, random_state=seed),
    )
    pipeline.fit(train, truth)
    return _logits(pipeline, texts)


def _vectorizer(grams: Grams) -> TfidfVectorizer:
    match grams:
        case "words":
            return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        case "characters":
            return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3)


def _logits(pipeline: Pipeline, texts: Sequence[str]) -> FloatArray:
    logits: FloatArray = pipeline.decision_function(texts)
    return logits
