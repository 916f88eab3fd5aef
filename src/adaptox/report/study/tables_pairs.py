"""Which run is better than which, where they err, and whether the teacher agrees: the tables of comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence

from adaptox.report import phrases
from adaptox.report.phrases import METRIC_WORDS
from adaptox.report.study.cells import Cell, Grid, Head, difference, interval, named, value, words
from adaptox.report.study.runs import UNDEFINED
from adaptox.report.study.values import ErrorShare, StudyPair, StudyRun, TeacherAgreement

_GROUPS = {"false alarm": "false alarms among negatives", "miss": "misses among positives"}


def pairs(found: Sequence[StudyPair], runs: Sequence[StudyRun]) -> Grid | None:
    """The pairs that the study set out to compare.

    Args:
        found: of one panel; without any there is no table.
        runs: of the panel.
    """
    if not found:
        return None
    metrics = tuple(dict.fromkeys(comparison.metric for pair in found for comparison in pair.comparisons))
    return Grid(
        "",
        "pairs of runs on the same rows",
        f"Differences are first minus second, by the paired bootstrap over prompt families{_and_seeds(runs)}; "
        "p-values are corrected for the number of pairs after Holm. McNemar's exact test counts the rows that only "
        "one of the two decides rightly, for the first seed.",
        (
            Head("pair", numeric=False),
            Head("what follows", numeric=False),
            *(Head(words, METRIC_WORDS.get(key, key)) for key in metrics for words in ("difference", "p (Holm)")),
            Head("only first right", "McNemar"),
            Head("only second right", "McNemar"),
            Head("p (Holm)", "McNemar"),
        ),
        tuple(_pair_row(pair, metrics) for pair in found),
    )


def _and_seeds(runs: Sequence[StudyRun]) -> str:
    """Say what the bootstrap knows of seeds: with one seed of a run, nothing of what another would have given."""
    seeds = [len(run.seeds) for run in runs if run.seeds]
    if min(seeds, default=1) > 1:
        return " and seeds"
    return (
        ", of one seed each, so another training may change them"
        if max(seeds, default=1) == 1
        else " and seeds; of runs with one seed, another training may change them"
    )


def _pair_row(pair: StudyPair, metrics: Sequence[str]) -> tuple[Cell, ...]:
    by_metric = {comparison.metric: comparison.difference for comparison in pair.comparisons}
    cells = [Cell(f"{pair.first} – {pair.second}"), words(pair.sentence)]
    for key in metrics:
        p = pair.p_holm.get(key, math.nan)
        cells += [difference(by_metric.get(key, UNDEFINED)), value(p, phrases.p_value(p))]
    test = pair.mcnemar
    cells += [value(n, phrases.count(n)) for n in (test.only_first, test.only_second)]
    return (*cells, value(pair.mcnemar_holm, phrases.p_value(pair.mcnemar_holm)))


def error_shares(found: Sequence[ErrorShare], runs: Sequence[StudyRun], claim: str) -> Grid | None:
    """How often kinds of rows are decided wrongly.

    Args:
        found: of one panel; without any there is no table.
        runs: of the panel.
        claim: a sentence that the shares bear on, with a space after it; or empty.
    """
    if not found:
        return None
    columns = tuple(dict.fromkeys((share.kind, share.rows) for share in found))
    columns = tuple(sorted(columns, key=lambda column: tuple(_GROUPS).index(column[0])))
    sizes = {(share.kind, share.rows): share.n for share in found}
    by_run = {(share.run, share.kind, share.rows): share for share in found}
    known = {run.name: run for run in runs}
    return Grid(
        "",
        "what kinds of rows are decided wrongly",
        f"{claim}These are the shares. Read along a row: a kind stands out only where its interval leaves that of "
        "the other rows.",
        (
            Head("run", numeric=False),
            *(Head(f"{rows} (n = {phrases.count(sizes[kind, rows])})", _GROUPS[kind]) for kind, rows in columns),
        ),
        tuple(
            (
                named(known[name]) if name in known else Cell(name),
                *(_share(by_run.get((name, kind, rows))) for kind, rows in columns),
            )
            for name in dict.fromkeys(share.run for share in found)
        ),
    )


def _share(found: ErrorShare | None) -> Cell:
    return interval(UNDEFINED if found is None else found.share)


def agreement(found: Sequence[TeacherAgreement]) -> Grid:
    """Say how well the teacher agrees with scores that the data has."""
    return Grid(
        "table-teacher",
        "The teacher",
        "Rank correlation (Spearman's) of the scores that taught with those in the data, on rows with both.",
        (Head("score", numeric=False), Head("rows"), Head("rank correlation")),
        tuple(
            (Cell(row.name), value(row.n, phrases.count(row.n)), interval(row.rank_correlation)) for row in found
        ),
    )
