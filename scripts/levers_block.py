"""What README.md says of the way to the best recipe: the table of benchmarks/levers.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study_blocks import NOTHING_YET, interval_of

from adaptox.report.phrases import count, p_value, signed, signed_bracket, with_interval

_LEVEL = 0.05  # of the corrected p-values


def levers(results: Path) -> str:
    """Show every lever: what it was made to, what it comes to, and what it gave there."""
    path = results / "levers.json"
    if not path.is_file():
        return NOTHING_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    heads = ("change", "to", "AUPRC", "difference", "p, corrected", "F1", "difference")
    lines = [f"| {' | '.join(heads)} |", f"|---|---|{'---:|' * (len(heads) - 2)}"]
    lines += [_line(one) for one in found["levers"]]
    first = found["levers"][0]
    end = (
        f"{count(first['n'])} training rows, {count(first['positives'])} toxic, {found['folds']} folds by prompt "
        f"family, seed {found['seed']}; the test split has no part in it. Differences by the paired bootstrap over "
        "families, p-values corrected for their number (Holm); bold where that leaves less than "
        f"{_LEVEL:g}. F1 at the threshold learned on the same rows; {found['hardware']} "
        "([script](benchmarks/levers.py), [result](docs/results/levers.json))."
    )
    return "\n".join([*lines, "", end])


def _line(one: Mapping[str, Any]) -> str:
    gained = one["difference"]
    cells = [
        one["what"],
        one["on"] or "",
        with_interval(interval_of(one["auprc"])),
        _difference(gained, "auprc"),
        p_value(gained["auprc"]["p_holm"]) if gained else "",
        with_interval(interval_of(one["f1"])),
        _difference(gained, "f1"),
    ]
    return f"| {one['name']}: {' | '.join(cells)} |"


def _difference(gained: Mapping[str, Any] | None, metric: str) -> str:
    if gained is None:
        return ""
    told = f"{signed(gained[metric]['value'])} {signed_bracket(interval_of(gained[metric]))}"
    return f"**{told}**" if gained[metric]["p_holm"] < _LEVEL else told
