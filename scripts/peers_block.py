"""What README.md says of other tools on the same rows: the table of benchmarks/peers.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study_blocks import NOTHING_YET, interval_of

from adaptox.report.phrases import count, number, signed, signed_bracket, with_interval

_METRICS: Mapping[str, str] = {"auprc": "AUPRC", "f1": "F1"}
_LEVEL = 0.05  # of the corrected p-values
_OURS = "adaptox-recipe"
# What times are told in.
_UNIT = "trainer"


def peers(results: Path) -> str:
    """Set the tools side by side: how good each is, how far adaptox's recipe is from it, and what each costs."""
    path = results / "peers.json"
    if not path.is_file():
        return NOTHING_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    tools = found["contestants"]
    gained = {one["other"]: one for one in found["compared"] if one["ours"] == _OURS}
    heads = ["tool", "rows learned from", *(f"F: {name}" for name in _METRICS.values()), "T: F1"]
    heads += [f"adaptox's recipe beside it: {name}" for name in _METRICS.values()]
    heads += ["training time", "peak memory", "texts scored a second"]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    lines += [_line(name, one, gained.get(name), tools[_UNIT]) for name, one in tools.items()]
    main = next(iter(tools[_OURS]["slices"].values()))
    end = (
        f"ToxicChat's official test split ({count(main['n'])} rows, {count(main['positives'])} toxic), the same "
        f"training rows and the same 22 M base for every network, seed {found['seed']}; each cuts where it learned "
        "to without the test rows, or at .5 where it learns no threshold. Differences by the paired bootstrap over "
        f"families, bold where p is below {number(_LEVEL, 2)} after Holm. Times are ratios to the plain Trainer "
        "script's, measured one tool after another; adaptox's hold reading, cleaning, thresholds, report and "
        f"bundle, and the recipe's four trainings. {found['hardware']} "
        "([script](benchmarks/peers.py), [result](docs/results/peers.json))."
    )
    return "\n".join([*lines, "", end])


def _line(name: str, one: Mapping[str, Any], gain: Mapping[str, Any] | None, unit: Mapping[str, Any]) -> str:
    whole, twin_free = (one["slices"][code] for code in ("F", "T"))
    cells = [
        f"{name}: {one['what']}",
        count(one["train_rows"]),
        *(with_interval(interval_of(whole[metric])) for metric in _METRICS),
        with_interval(interval_of(twin_free["f1"])),
        *(_difference(gain[metric]) if gain else "" for metric in _METRICS),
        _ratio(one["train_s"] / unit["train_s"]),
        f"{one['peak_memory_mb'] / 1024:.1f} GiB",
        _ratio(one["rows_per_s"] / unit["rows_per_s"]),
    ]
    return f"| {' | '.join(cells)} |"


def _difference(gain: Mapping[str, Any]) -> str:
    told = f"{signed(gain['value'])} {signed_bracket(interval_of(gain))}"
    return f"**{told}**" if gain["p_holm"] < _LEVEL else told


def _ratio(value: float) -> str:
    return f"× {value:.2f}" if value < 10 else f"× {value:.0f}"
