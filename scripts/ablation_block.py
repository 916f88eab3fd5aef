"""What docs/RESULTS.md says of the way to the best recipe: the table of benchmarks/ablation.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study_blocks import LEVEL, METRICS, NOTHING_YET, difference, interval_of

from adaptox.report.phrases import count, number, p_value, spread, with_interval

# Where the deviation between seeds stands that one seed is to be read with.
_SEEDS = Path("study-best") / "seeds.json"


def ablation(results: Path) -> str:
    """Show every change: what it was made to, what it comes to, and what it gave there."""
    path = results / "ablation.json"
    if not path.is_file():
        return NOTHING_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    heads = ["change", "compared with"]
    heads += [head for name in METRICS.values() for head in (name, f"{name}: difference", f"{name}: p")]
    lines = [f"| {' | '.join(heads)} |", f"|---|---|{'---:|' * (len(heads) - 2)}"]
    lines += [_line(one) for one in found["changes"]]
    first = found["changes"][0]
    hardware = "; ".join(dict.fromkeys(one.get("hardware") or found["hardware"] for one in found["changes"]))
    end = (
        f"{count(first['n'])} training rows, {count(first['positives'])} toxic, each scored by a network that was "
        f"trained without it and its family ({found['folds']} folds); the test split has no part in this. "
        f"Differences by the paired bootstrap over families ({count(found['resamples'])} resamples), p-values "
        f"after Holm, bold below {number(LEVEL, 2)}. One seed ({found['seed']}){_between_seeds(results)}. "
        "Thresholds were learned on these rows. Words are weighed on them, and the themes of the written prompts "
        "are what networks missed on them, which flatters both: neither has a p-value. "
        f"{hardware} ([script](benchmarks/ablation.py), [result](docs/results/ablation.json))."
    )
    return "\n".join([*lines, "", end])


def _between_seeds(results: Path) -> str:
    """Say how far seeds of one recipe lie apart on the same folds."""
    if not (results / _SEEDS).is_file():
        return ""
    recipe = json.loads((results / _SEEDS).read_text(encoding="utf-8"))["recipes"][0]
    deviation = recipe["network_alone"]["folds"]["all"]["auprc"]["spread"]
    return (
        f"; with all parameters, the AUPRC of {len(recipe['seeds'])} seeds deviates by {spread(deviation)} on them"
    )


def _line(one: Mapping[str, Any]) -> str:
    cells = [f"{one['name']}: {one['what']}", one["on"] or ""]
    for metric in METRICS:
        cells += [with_interval(interval_of(one[metric])), *_gain(one["difference"], metric)]
    return f"| {' | '.join(cells)} |"


def _gain(gained: Mapping[str, Any] | None, metric: str) -> tuple[str, str]:
    if gained is None:
        return "", ""
    p_holm = gained[metric]["p_holm"]
    return difference(gained[metric]), "" if p_holm is None else p_value(p_holm)
