"""What words say, and how much that counts beside a network: weighed on rows that neither of them saw."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import average_precision_score

from adaptox import text
from adaptox.config import Config, Grams
from adaptox.decide import fit_platt
from adaptox.errors import NoWordsError
from adaptox.lexicon import Lexicon, Part, fit_part
from adaptox.prepare import Prepared
from adaptox.records import Example, FloatArray, Scores
from adaptox.scorers import add_logits
from adaptox.teach import Fold, Held, lay_out_folds

# What a calibrated logit of words may count for beside one of the network. Log loss, which stacking minimises as a
# rule, heeds the many rows that are easy either way and would let words count for more than ranking bears.
_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
# Average precisions that differ by less are equal.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Learned:
    """What words say, before anybody knows what that counts for.

    Attributes:
        parts: a kind of n-grams each, fitted on all that the final network learns from.
        unseen: id of a row that was left out → (kinds, labels) logits of regressions that did not see it.
    """

    parts: tuple[Part, ...]
    unseen: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Worded:
    """A lexicon and the rows it was weighed on.

    Attributes:
        lexicon: its logits are added to the network's; a kind of n-grams that counts for nothing is not in it.
        held: the rows that neither saw, with the sum.
        shares: label → kind of n-grams → what a logit of it counts for beside one of the network.
    """

    lexicon: Lexicon
    held: Held
    shares: Mapping[str, Mapping[str, float]]

    @property
    def heard(self) -> Lexicon | None:
        """The lexicon; None where nothing in it counts."""
        return self.lexicon if self.lexicon.parts else None

    def add(self, scores: Scores, rows: Sequence[Example], config: Config) -> Scores:
        """Add the lexicon's logits to the network's scores of rows.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        return add_logits(scores, self.lexicon.labels, self.lexicon.score(_texts(rows, config)))


def learn_words(config: Config, parts: Prepared) -> Learned:
    """Fit regressions on n-grams.

    Rows are left out as they are for the network: fold by fold, or the validation part. What is kept learns from
    all that the final network learns from. A kind of n-grams that none occurs of often enough, as words do in
    scripts without spaces, is passed over.

    Args:
        config: the kinds of n-grams, and the folds.
        parts: the prepared data.

    Raises:
        DataError: no n-gram of any kind occurs often enough, or fewer families of a class than folds.
    """
    number = config.threshold.folds
    learned = (*parts.train, *parts.validation) if number else parts.train
    alone = (Fold(tuple(parts.validation), tuple(parts.train)),)
    folds = lay_out_folds(learned, config, number, "threshold.folds") if number else alone
    held = [row for fold in folds for row in fold.held]
    found: list[tuple[Part, FloatArray]] = []
    absent: list[NoWordsError] = []
    for kind in config.lexicon.grams:
        try:
            scored = [_fit(fold.rest, config, kind).score(_texts(fold.held, config)) for fold in folds]
            found.append((_fit(learned, config, kind), np.concatenate(scored)))
        except NoWordsError as error:
            absent.append(error)
    if not found:
        raise absent[0]
    said = np.stack([logits for _, logits in found], axis=1)
    unseen = {row.id: logits for row, logits in zip(held, said, strict=True)}
    return Learned(tuple(part for part, _ in found), unseen)


def weigh_words(config: Config, words: Learned, held: Held) -> Worded:
    """Weigh words beside the network.

    Args:
        config: the labels.
        words: from `learn_words`.
        held: the rows that the network did not see, with its scores.
    """
    labels = config.labels
    unseen = np.stack([words.unseen[row.id] for row in held.examples])
    shares = np.array([_weigh(held, label, list(unseen[:, :, at].T)) for at, label in enumerate(labels)])
    heard = [part.scaled(shares[:, at]) for at, part in enumerate(words.parts) if shares[:, at].any()]
    kinds = [part.grams for part in words.parts]
    return Worded(
        Lexicon(labels, tuple(heard)),
        replace(held, scores=add_logits(held.scores, labels, np.einsum("rkl,lk->rl", unseen, shares))),
        {
            label: dict(zip(kinds, own.round(3).tolist(), strict=True))
            for label, own in zip(labels, shares, strict=True)
        },
    )


def _texts(rows: Sequence[Example], config: Config) -> list[str]:
    return [text.render(row.conversation, config.text).text for row in rows]


def _fit(rows: Sequence[Example], config: Config, grams: Grams) -> Part:
    truth = np.array([[row.labels.get(label) == 1 for label in config.labels] for row in rows])
    known = np.array([[label in row.labels for label in config.labels] for row in rows])
    weights = np.array([row.weight for row in rows])
    return fit_part(_texts(rows, config), truth, known, weights, grams, config.seed)


def _weigh(held: Held, label: str, words: Sequence[FloatArray]) -> FloatArray:
    """Give what each of the words' logits counts for beside the network's; 0 where nothing can be learned."""
    known = np.array([label in row.labels for row in held.examples])
    truth = np.array([row.labels.get(label) == 1 for row in held.examples])[known]
    if truth.all() or not truth.any():
        return np.zeros(len(words))
    network = fit_platt(held.scores.column(label)[known], truth)
    heard = [fit_platt(one[known], truth) for one in words]
    base = held.scores.column(label)[known] / network.temperature
    added = [one[known] / fitted.temperature for one, fitted in zip(words, heard, strict=True)]

    def precision(shares: tuple[float, ...]) -> float:
        heard_too = sum((share * one for share, one in zip(shares, added, strict=True)), base)
        return round(float(average_precision_score(truth, heard_too)), _DIGITS)

    # The first of equals is the one in which words count least.
    best = max(sorted(itertools.product(_SHARES, repeat=len(words)), key=sum), key=precision)
    scale = np.array([network.temperature / fitted.temperature for fitted in heard])
    shares: FloatArray = np.array(best) * scale
    return shares
