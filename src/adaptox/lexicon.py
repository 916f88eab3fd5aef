"""Texts → what their words alone say: regressions on n-grams, beside a network that reads for meaning.

They err in other places than a network; every run measures what their sum gains. A lexicon's logits are added to
the network's, as in wide and deep learning (arXiv 1606.07792), but fitted one after the other. It is one JSON file
that can be read.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from adaptox.config import Grams
from adaptox.errors import BundleError, MissingExtraError, NoWordsError
from adaptox.records import BoolArray, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

# Inverse strength of the L2 penalty, between scikit-learn's 1 and what separates every training row.
_C = 10.0
_STEPS = 1000
# Digits kept, which halves the file.
_DIGITS = 6


@dataclass(frozen=True)
class Part:
    """One kind of n-grams.

    Attributes:
        grams: words and pairs of words; or two to five characters within words.
        vocabulary: the n-grams.
        idf: (vocabulary,), their inverse document frequencies.
        weights: (labels, vocabulary).
        intercepts: (labels,).
    """

    grams: Grams
    vocabulary: tuple[str, ...]
    idf: FloatArray
    weights: FloatArray
    intercepts: FloatArray

    def score(self, texts: Sequence[str]) -> FloatArray:
        """Give the logits (texts, labels).

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        logits: FloatArray = self._reader.transform(texts) @ self.weights.T + self.intercepts
        return logits

    @functools.cached_property
    def _reader(self) -> TfidfVectorizer:
        reader = _vectorizer(self.grams, self.vocabulary)
        reader.idf_ = self.idf
        return reader

    def scaled(self, shares: FloatArray) -> Part:
        """Multiply the logits of each label by its share (labels,)."""
        weights, intercepts = self.weights * shares[:, None], self.intercepts * shares
        return replace(self, weights=weights.round(_DIGITS), intercepts=intercepts.round(_DIGITS))


@dataclass(frozen=True, slots=True)
class Lexicon:
    """N-grams with weights, for each label.

    Attributes:
        labels: names of the columns of its scores.
        parts: their logits add up.
    """

    labels: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def weights(self) -> int:
        """How many there are, intercepts included."""
        return sum(part.weights.size + part.intercepts.size for part in self.parts)

    def score(self, texts: Sequence[str]) -> FloatArray:
        """Give the logits (texts, labels) to add to a network's.

        Args:
            texts: rendered, of any length: nothing is cut.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        logits = np.zeros((len(texts), len(self.labels)))
        for part in self.parts if len(texts) else ():
            logits += part.score(texts)
        return logits

    def to_json(self) -> str:
        """Write it down."""
        parts = [
            {
                "grams": part.grams,
                "intercepts": part.intercepts.tolist(),
                "vocabulary": list(part.vocabulary),
                "idf": part.idf.tolist(),
                "weights": part.weights.tolist(),
            }
            for part in self.parts
        ]
        return json.dumps({"labels": list(self.labels), "parts": parts}, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, written: str) -> Lexicon:
        """Read what `to_json` wrote.

        Raises:
            BundleError: it is something else.
        """
        try:
            data: Mapping[str, Any] = json.loads(written)
            labels = tuple(data["labels"])
            return cls(labels, tuple(_part(part, len(labels)) for part in data["parts"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"expected a lexicon of adaptox, got something else ({error!r}): train again"
            ) from error


def fit_part(
    texts: Sequence[str], truth: BoolArray, known: BoolArray, weights: FloatArray, grams: Grams, seed: int
) -> Part:
    """Fit one kind of n-grams: logistic regression on TF-IDF times naive Bayes' log-count ratios.

    The ratios let few rows say more (Wang and Manning, Baselines and Bigrams, 2012); they end up in the weights.
    A label whose known rows are all of one class gets no weights.

    Args:
        texts: rendered.
        truth: (texts, labels), whether the label holds.
        known: (texts, labels), whether that is known.
        weights: (texts,), above 0, what their labels count for.
        grams: which kind.
        seed: of the solver.

    Raises:
        NoWordsError: no n-gram occurs often enough.
        MissingExtraError: scikit-learn is not installed.
    """
    vectorizer = _vectorizer(grams)
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise NoWordsError(
            f"lexicon: no {grams} occur often enough in {len(texts)} texts: give more data, or leave lexicon.grams "
            "empty"
        ) from error
    fitted = [_fit_label(features, truth[:, at], known[:, at], weights, seed) for at in range(truth.shape[1])]
    return Part(
        grams,
        tuple(vectorizer.get_feature_names_out().tolist()),
        np.asarray(vectorizer.idf_).round(_DIGITS),
        np.stack([weights for weights, _ in fitted]),
        np.array([intercept for _, intercept in fitted]),
    )


def _fit_label(
    features: csr_matrix, truth: BoolArray, known: BoolArray, weights: FloatArray, seed: int
) -> tuple[FloatArray, float]:
    from sklearn.linear_model import LogisticRegression

    if truth[known].all() or not truth[known].any():
        return np.zeros(features.shape[1]), 0.0
    ratios = _log_count_ratios(features[known] > 0, truth[known], weights[known])
    regression = LogisticRegression(C=_C, solver="liblinear", max_iter=_STEPS, random_state=seed)
    regression.fit(features[known].multiply(ratios).tocsr(), truth[known], sample_weight=weights[known])
    return regression.coef_[0] * ratios, float(regression.intercept_[0])


def _log_count_ratios(present: csr_matrix, truth: BoolArray, weights: FloatArray) -> FloatArray:
    """Say how much more often each n-gram occurs where the label holds: log of the ratio of smoothed shares."""
    there, elsewhere = (1 + weights[rows] @ present[rows] for rows in (truth, ~truth))
    ratios: FloatArray = np.log((there / there.sum()) / (elsewhere / elsewhere.sum()))
    return ratios


def _vectorizer(grams: Grams, vocabulary: Sequence[str] | None = None) -> TfidfVectorizer:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise MissingExtraError("lexicon", "train", "scikit-learn") from error
    match grams:
        case "words":
            return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, vocabulary=vocabulary)
        case "characters":
            return TfidfVectorizer(
                analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3, vocabulary=vocabulary
            )


def _part(data: Mapping[str, Any], labels: int) -> Part:
    part = Part(
        data["grams"],
        tuple(data["vocabulary"]),
        np.array(data["idf"], dtype=np.float64),
        np.array(data["weights"], dtype=np.float64),
        np.array(data["intercepts"], dtype=np.float64),
    )
    if part.grams not in get_args(Grams):
        raise ValueError(f"grams {part.grams!r}")
    shapes = (part.idf.shape, part.weights.shape, part.intercepts.shape)
    if shapes != ((len(part.vocabulary),), (labels, len(part.vocabulary)), (labels,)):
        raise ValueError(f"{len(part.vocabulary)} n-grams, {labels} labels, numbers of shapes {shapes}")
    return part
