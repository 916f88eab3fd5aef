"""What the runs get wrong: the rows most of them miss, and kinds of rows that are missed more often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adaptox.evaluate import ScoredRows
from adaptox.evaluate.resample import FEWEST_FAMILIES, draw_weights, families, interval
from adaptox.records import BoolArray, FloatArray
from adaptox.report.study.values import LISTED_MISTAKES, ErrorShare, StudyMistake
from adaptox.study.results import TWIN_FREE, Result

_LONG_CHARS = 400
_TWIN_FREE = ("T", TWIN_FREE)  # of a published test split, of any other
# The paper says that technical prompts, on PyTorch or Kubernetes, are flagged because of their jargon.
_TECHNICAL = re.compile(
    r"\b(python|java(script)?|typescript|c\+\+|c#|rust|golang|php|sql|html|css|bash|powershell|linux|docker|kubernetes|"
    r"k8s|yaml|json|api|regex|pytorch|tensorflow|keras|numpy|pandas|cnn|neural network|compiler|algorithm|database|"
    r"function|github|git|terraform|ansible|nginx|wordpress|react|node\.?js|excel|vba|latex|code)\b",
    re.IGNORECASE,
)


def common_mistakes(results: Sequence[Result], texts: Mapping[str, Mapping[str, str]]) -> tuple[StudyMistake, ...]:
    """List the test rows that half of a panel's runs or more decide wrongly, those of most runs first.

    There are at most `LISTED_MISTAKES` of a panel.

    Args:
        results: of all panels; each run is judged by its first seed.
        texts: panel → example id → rendered text.
    """
    found: list[StudyMistake] = []
    for panel in dict.fromkeys(result.run.panel for result in results):
        runs = _on_the_same_rows(results, panel)
        if runs:
            found += _of_panel(panel, runs, texts[panel])
    return tuple(found)


def error_shares(
    results: Sequence[Result], texts: Mapping[str, Mapping[str, str]], seed: int
) -> tuple[ErrorShare, ...]:
    """Say how often each kind of row is decided wrongly, with intervals over families unless there are few.

    Args:
        results: of all panels; each run is judged by its first seed.
        texts: panel → example id → rendered text.
        seed: of the bootstrap.
    """
    shares: list[ErrorShare] = []
    for panel in dict.fromkeys(result.run.panel for result in results):
        runs = _on_the_same_rows(results, panel)
        if not runs:
            continue
        rows = runs[0].seeds[0].own.rows
        kinds = _kinds(rows, texts[panel])
        cells = [cell for result in runs for cell in _cells(result, kinds)]
        # Of each cell, the rows that are decided wrongly and all of them.
        masks = np.stack([mask for cell in cells for mask in (cell.wrong, cell.among)], axis=1).astype(np.float64)
        chunks = draw_weights(rows.groups, runs[0].seeds[0].own.resamples, seed)
        sums = np.concatenate([chunk @ masks for chunk in chunks])
        with np.errstate(invalid="ignore"):
            draws = sums[:, ::2] / sums[:, 1::2]
        shares += [_share(cell, draws[:, column]) for column, cell in enumerate(cells)]
    return tuple(shares)


def _on_the_same_rows(results: Sequence[Result], panel: str) -> list[Result]:
    runs = [result for result in results if result.run.panel == panel and result.seeds]
    return [result for result in runs if result.seeds[0].own.rows.ids == runs[0].seeds[0].own.rows.ids]


def _of_panel(panel: str, runs: Sequence[Result], texts: Mapping[str, str]) -> Iterator[StudyMistake]:
    rows = runs[0].seeds[0].own.rows
    wrong = np.stack([_wrong(result) for result in runs])
    counts = wrong.sum(axis=0)
    kinds = _kinds(rows, texts)
    tagged = {
        "technical": kinds["technical prompts"],
        **{n: rows.slices[n] for n in ("jailbreak",) if n in rows.slices},
    }
    if (twins := _twins(rows)) is not None:
        tagged["twin"] = twins
    order = sorted(np.flatnonzero(2 * counts >= len(runs)), key=lambda at: (-counts[at], rows.ids[at]))
    for at in order[:LISTED_MISTAKES]:
        yield StudyMistake(
            panel=panel,
            id=rows.ids[at],
            kind="miss" if rows.truth[at] else "false alarm",
            text=texts.get(rows.ids[at], ""),
            tags=tuple(name for name, member in tagged.items() if member[at]),
            probs={result.run.name: float(result.seeds[0].own.rows.probs[at]) for result in runs},
            wrong=tuple(result.run.name for result, own in zip(runs, wrong, strict=True) if own[at]),
        )


def _kinds(rows: ScoredRows, texts: Mapping[str, str]) -> dict[str, BoolArray]:
    def those(test: Callable[[str], bool]) -> BoolArray:
        return np.array([test(texts.get(id_, "")) for id_ in rows.ids], dtype=np.bool_)

    kinds = {
        "all": np.ones(len(rows.ids), dtype=np.bool_),
        "technical prompts": those(lambda text: bool(_TECHNICAL.search(text))),
        f"longer than {_LONG_CHARS} characters": those(lambda text: len(text) > _LONG_CHARS),
    }
    if "jailbreak" in rows.slices:
        kinds["jailbreak attempts"] = rows.slices["jailbreak"]
    if (twins := _twins(rows)) is not None:
        kinds["near-copies of training rows"] = twins
    return kinds


def _twins(rows: ScoredRows) -> BoolArray | None:
    """Give the rows with a near-copy in what was learned from; None where the split left none there."""
    return next((~rows.slices[name] for name in _TWIN_FREE if name in rows.slices), None)


@dataclass(frozen=True, slots=True)
class _Cell:
    """The rows of a kind and of one class, and those among them that a run decides wrongly; (rows,) each."""

    result: Result
    kind: Literal["miss", "false alarm"]
    name: str
    among: BoolArray
    wrong: BoolArray


def _cells(result: Result, kinds: Mapping[str, BoolArray]) -> Iterator[_Cell]:
    truth, wrong = result.seeds[0].own.rows.truth, _wrong(result)
    sides: tuple[tuple[Literal["miss", "false alarm"], int], ...] = (("false alarm", 0), ("miss", 1))
    for kind, value in sides:
        for name, member in kinds.items():
            among = member & (truth == value)
            if among.any():
                yield _Cell(result, kind, name, among, among & wrong)


def _share(cell: _Cell, draws: FloatArray) -> ErrorShare:
    run, own = cell.result.run, cell.result.seeds[0].own
    n = int(cell.among.sum())
    few = families(own.rows.groups, cell.among) < FEWEST_FAMILIES
    share = interval(float(cell.wrong.sum() / n), np.full_like(draws, np.nan) if few else draws, own.confidence)
    return ErrorShare(run.panel, run.name, cell.kind, cell.name, n, share)


def _wrong(result: Result) -> BoolArray:
    own = result.seeds[0].own
    wrong: BoolArray = (own.rows.probs >= own.threshold) != (own.rows.truth == 1)
    return wrong
