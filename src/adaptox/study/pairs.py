"""Is one run better than another? Paired tests within a panel, corrected for their number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from adaptox.evaluate import METRICS, Comparison, holm, mcnemar
from adaptox.evaluate.paired import judge
from adaptox.records import FloatArray
from adaptox.report.phrases import METRIC_WORDS, p_value, signed, signed_bracket
from adaptox.report.study.values import StudyPair
from adaptox.study.results import Result, mean_draws

COMPARED = ("auprc", "f1")
# Corrected p-values are held against this.
_LEVEL = 0.05
# The smallest p-value that the resamples can show, corrected, is the level divided by this.
_BELOW_LEVEL = 4


def resamples_for(runs: int, against: str) -> int:
    """Count the resamples without which no pair of a panel could ever be told apart.

    A bootstrap of n resamples shows no p-value below 2 / (n + 1), and Holm multiplies it by the number of pairs.

    Args:
        runs: in the panel.
        against: as for `compare_runs`.
    """
    pairs = runs - 1 if against else math.comb(runs, 2)
    return math.ceil(2 * pairs * _BELOW_LEVEL / _LEVEL)


def compare_runs(results: Sequence[Result], against: str, seed: int) -> tuple[StudyPair, ...]:
    """Compare the runs of every panel with one another, or with one of them.

    Runs on other rows, which an axis that changes the data makes, are not compared; nor are runs that see other
    families in them.

    Args:
        results: of all panels.
        against: name of the run to compare with; empty compares all pairs.
        seed: of drawing seeds; another draw for each side.
    """
    pairs: list[StudyPair] = []
    for panel in dict.fromkeys(result.run.panel for result in results):
        own = [result for result in results if result.run.panel == panel and result.seeds]
        pairs += _corrected([_pair(a, b, seed) for a, b in _couples(own, against)])
    return tuple(pairs)


def _couples(results: Sequence[Result], against: str) -> Iterator[tuple[Result, Result]]:
    for a, b in itertools.combinations(results, 2):
        first, second = (b, a) if a.run.name == against else (a, b)
        if against and second.run.name != against:
            continue
        one, other = first.seeds[0].own, second.seeds[0].own
        same = one.rows.ids == other.rows.ids and one.rows.groups == other.rows.groups
        if same and (one.rows.truth == other.rows.truth).all() and next(iter(one.slices)) in other.slices:
            yield first, second


def _pair(a: Result, b: Result, seed: int) -> StudyPair:
    comparisons = tuple(_compare(a, b, metric, seed) for metric in COMPARED)
    test = mcnemar(a.seeds[0].own, b.seeds[0].own)
    return StudyPair(a.run.panel, a.run.name, b.run.name, comparisons, {}, test, test.p_value, "")


def _compare(a: Result, b: Result, metric: str, seed: int) -> Comparison:
    main = next(iter(a.seeds[0].own.slices))
    # The same draws of families for both sides, so that what makes a draw easy cancels; seeds are drawn apart.
    draws = _draws(a, main, metric, seed) - _draws(b, main, metric, seed + 1)
    value = a.run.summary[main][metric].value - b.run.summary[main][metric].value
    return judge(metric, main, value, draws, a.seeds[0].own.confidence)


def _draws(result: Result, slice_name: str, metric: str, seed: int) -> FloatArray:
    return mean_draws([one.own_draws[slice_name][METRICS.index(metric)] for one in result.seeds], seed)


def _corrected(pairs: Sequence[StudyPair]) -> list[StudyPair]:
    """Correct every metric's p-values over the pairs of a panel (Holm), and say what is left."""
    if not pairs:
        return []
    by_metric = [holm([pair.comparisons[place].p_value for pair in pairs]) for place in range(len(COMPARED))]
    decisions = holm([pair.mcnemar.p_value for pair in pairs])
    corrected = []
    for pair, decided, *p_values in zip(pairs, decisions, *by_metric, strict=True):
        comparisons = tuple(
            replace(one, verdict=one.verdict if p < _LEVEL else "not distinguishable")
            for one, p in zip(pair.comparisons, p_values, strict=True)
        )
        p_holm = dict(zip(COMPARED, p_values, strict=True))
        sentence = _sentence(pair, comparisons, p_holm)
        corrected.append(
            replace(pair, comparisons=comparisons, p_holm=p_holm, mcnemar_holm=decided, sentence=sentence)
        )
    return corrected


def _sentence(pair: StudyPair, comparisons: Sequence[Comparison], p_holm: dict[str, float]) -> str:
    told = [one for one in comparisons if one.verdict != "not distinguishable"]
    if not told:
        return f"{pair.first} and {pair.second} are not distinguishable."
    verdicts = {one.verdict for one in told}
    word = f"{verdicts.pop()} than" if len(verdicts) == 1 else "better by one metric and worse by the other than"
    facts = ", ".join(
        f"{METRIC_WORDS[one.metric]} {signed(one.difference.value)} {signed_bracket(one.difference)}, "
        f"p = {p_value(p_holm[one.metric])}".replace("= <", "<")
        for one in told
    )
    rest = [METRIC_WORDS[one.metric] for one in comparisons if one not in told]
    open_ = f"; by {rest[0]} they are not distinguishable" if rest else ""
    return f"{pair.first} is {word} {pair.second}: {facts}{open_}."
