"""Committed result files → the tables of the README."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from adaptox.errors import DataError
from adaptox.evaluate.values import Interval
from adaptox.report.phrases import DASH, count, number, parameters, with_interval
from adaptox.report.tables import COMPARED, Table, markdown

_HEADER = (
    "run",
    "rows",
    "n (positive)",
    "AUPRC",
    "F1",
    "precision",
    "recall",
    "threshold (origin)",
    "parameters (trained)",
    "hardware",
)
_NUMERIC = (False, False, True, True, True, True, True, False, True, False)


def render_results(results_dir: Path, slices: Collection[str] = ()) -> str:
    """Render every ``metrics.json`` below a folder as one Markdown table.

    A run is named after its folder and takes a line for each slice, after one for the base before adaptation; what
    holds for the whole run stands on its first line only.

    Args:
        results_dir: folder such as ``docs/results``, one folder in it for each run.
        slices: show these beside each run's main slice; empty shows all.

    Raises:
        DataError: there is no such file, or one is not in the form that `train` writes.
    """
    paths = sorted(results_dir.rglob("metrics.json"))
    if not paths:
        raise DataError(
            f"expected RUN/metrics.json below {results_dir}, found none: copy a run's metrics.json there"
        )
    rows: list[tuple[str, ...]] = []
    for path in paths:
        name = path.parent.relative_to(results_dir).as_posix()
        rows.extend(_run_rows(path.parent.name if name == "." else name, path, slices))
    return markdown(Table("", _HEADER, tuple(rows), _NUMERIC))


def _run_rows(name: str, path: Path, slices: Collection[str]) -> list[tuple[str, ...]]:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        rows = []
        if "baseline" in data:
            before = data["baseline"]
            main = next(iter(before["slices"]))
            rows.append((f"{name}, before", *_measured(main, before["slices"][main]), _threshold(before), "", ""))
        whole_run = (_threshold(data), _sizes(data), str(data["hardware"]))
        for place, (code, result) in enumerate(data["slices"].items()):
            if place and slices and code not in slices:
                continue
            part = f"{code}: {data['evaluated_on']}" if place == 0 and "evaluated_on" in data else code
            first = (name, whole_run) if place == 0 else ("", ("", "", ""))
            rows.append((first[0], *_measured(part, result), *first[1]))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DataError(
            f"{path} is not a metrics.json as train writes it ({type(error).__name__}: {error}): "
            "copy it again from the run folder"
        ) from error
    return rows


def _measured(part: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    scores = (with_interval(_interval(result.get(key))) for key in COMPARED)
    return (part, f"{count(result['n'])} ({count(result['positives'])})", *scores)


def _threshold(data: Mapping[str, Any]) -> str:
    return f"{number(_float(data['threshold']['value']))} ({data['threshold']['origin']})"


def _interval(entry: Mapping[str, object] | None) -> Interval:
    if entry is None:
        return Interval(math.nan, math.nan, math.nan)
    return Interval(_float(entry["value"]), _float(entry["low"]), _float(entry["high"]))


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _size(data: Mapping[str, Any]) -> str:
    total = data["model"].get("parameters")
    return DASH if total is None else parameters(int(total))


def _sizes(data: Mapping[str, Any]) -> str:
    trained = data["model"].get("trainable")
    return f"{_size(data)} ({DASH if trained is None else parameters(int(trained))})"


def insert_between_markers(text: str, name: str, block: str) -> str:
    """Replace what stands between ``<!-- results:NAME -->`` and ``<!-- /results:NAME -->``.

    Inserting the same block twice changes nothing more.

    Args:
        text: a Markdown document.
        name: which pair of markers.
        block: what is to stand between them, on lines of its own.

    Raises:
        DataError: the pair of markers does not stand in the text exactly once, in this order.
    """
    opening, closing = f"<!-- results:{name} -->", f"<!-- /results:{name} -->"
    start, end = text.find(opening), text.find(closing)
    if text.count(opening) != 1 or text.count(closing) != 1 or start > end:
        raise DataError(
            f"expected {opening} and then {closing} once each, got {text.count(opening)} and "
            f"{text.count(closing)}: put the pair where the table belongs"
        )
    return f"{text[: start + len(opening)]}\n{block.strip()}\n{text[end:]}"
