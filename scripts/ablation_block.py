"""What README.md says of the way to the best recipe: the table of benchmarks/ablation.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study_blocks import NOTHING_YET, interval_of

from adaptox.report.phrases import count, number, p_value, signed, signed_bracket, with_interval

_METRICS: Mapping[str, str] = {"auprc": "AUPRC", "f1": "F1"}
_LEVEL = 0.05  # of the corrected p-values


def ablation(results: Path) -> str:
    """Show every change: what it was made to, what it comes to, and what it gave there."""
    path = results / "ablation.json"
    if not path.is_file():
        return NOTHING_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    heads = ["change", "compared with"]
    heads += [head for name in _METRICS.values() for head in (name, f"{name}: difference", f"{name}: p")]
    lines = [f"| {' | '.join(heads)} |", f"|---|---|{'---:|' * (len(heads) - 2)}"]
    lines += [_line(one) for one in found["changes"]]
    first = found["changes"][0]
    hardware = "; ".join(dict.fromkeys(one["hardware"] for one in found["changes"]))
    end = (
        f"{count(first['n'])} training rows, {count(first['positives'])} toxic, each scored by a network that saw "
        f"neither it nor its family ({found['folds']} folds, seed {found['seed']}); the test split has no part in "
        f"this. Differences by the paired bootstrap over families ({count(found['resamples'])} resamples), "
        f"p-values after Holm, bold below {number(_LEVEL, 2)}. Words are weighed, and the thresholds of F1 "
        "learned, on these rows, which flatters a little; so words have no p-value. The themes of the written "
        "prompts were taken from what networks miss on these rows, which flatters that stage, too. "
        f"{hardware} ([script](benchmarks/ablation.py), [result](docs/results/ablation.json))."
    )
    return "\n".join([*lines, "", end])


def _line(one: Mapping[str, Any]) -> str:
    cells = [f"{one['name']}: {one['what']}", one["on"] or ""]
    for metric in _METRICS:
        cells += [with_interval(interval_of(one[metric])), *_gain(one["difference"], metric)]
    return f"| {' | '.join(cells)} |"


def _gain(gained: Mapping[str, Any] | None, metric: str) -> tuple[str, str]:
    if gained is None:
        return "", ""
    told = f"{signed(gained[metric]['value'])} {signed_bracket(interval_of(gained[metric]))}"
    p_holm = gained[metric]["p_holm"]
    if p_holm is None:
        return told, ""
    return f"**{told}**" if p_holm < _LEVEL else told, p_value(p_holm)
