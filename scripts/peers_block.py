"""What docs/RESULTS.md says of other tools: the table of benchmarks/peers.py, and what others published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study_blocks import LEVEL, METRICS, NOTHING_YET, difference, interval_of

from adaptox.report.phrases import count, listed, number, parameters, with_interval

_OURS = "adaptox-recipe"
# The tool whose settings were chosen here.
_SET_UP = "setfit-best"
# What times are told in.
_UNIT = "trainer"


def peers(results: Path) -> str:
    """Set the tools side by side: how good each is, how far adaptox's recipe is from it, and what each costs.

    Nothing is said where they were not measured.
    """
    path = results / "peers.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    tools = found["contestants"]
    gained = {one["other"]: one for one in found["compared"] if one["ours"] == _OURS}
    heads = ["tool", "rows learned from", *(f"F: {name}" for name in METRICS.values()), "T: F1"]
    heads += [f"adaptox's recipe beside it: {name}" for name in METRICS.values()]
    heads += ["training time, Trainer = 1", "peak memory", "texts scored a second, Trainer = 1"]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    lines += [_line(name, one, gained.get(name), tools[_UNIT]) for name, one in tools.items()]
    main = next(iter(tools[_OURS]["slices"].values()))
    end = (
        f"ToxicChat's official test split ({count(main['n'])} rows, {count(main['positives'])} toxic), the same "
        f"rows to learn from, and for every network the same 22 M base; one seed ({found['seed']}). By its plain "
        "defaults adaptox sets a part of the rows aside to choose by. Each cuts where it learned to without the "
        "test rows, or at .5 where it learns no threshold. Differences by the paired bootstrap over families, bold "
        f"where p is below {number(LEVEL, 2)} after Holm. Times are ratios, each tool on one core; "
        "adaptox's hold reading, cleaning, thresholds, scoring the test split, report and bundle, and all of "
        f"the recipe's trainings. {_setfit(results) if _SET_UP in tools else ''}{found['hardware']} "
        "([script](benchmarks/peers.py), [result](docs/results/peers.json))."
    )
    return "\n".join(["What other tools make of the same rows:", "", *lines, "", end])


def published(results: Path) -> str:
    """Say what others publish of the same test split; nobody ran it here."""
    path = results / "published.json"
    if not path.is_file():
        return NOTHING_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    told = [
        f"{one['name']} ({one['what']}{_size(one['parameters'])}) has AUPRC {number(one['auprc'])} and F1 "
        f"{number(one['f1'])}"
        for one in found["systems"]
    ]
    return (
        f"Published, not run here, without intervals: on {found['of']}, {listed(told)} "
        f"([model card]({found['source']}))."
    )


def _setfit(results: Path) -> str:
    """Say how SetFit's settings were chosen, and how they did there."""
    path = results / "setfit-settings.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows, chosen = found["rows"], found["chosen"]
    return (
        f"SetFit's best is the best by AUPRC of {len(found['tried'])} settings on {count(rows['left_out'])} "
        f"training rows left out ({number(chosen['auprc'])} there; "
        "[all of them](docs/results/setfit-settings.json)). "
    )


def _size(weights: int | None) -> str:
    return f", {parameters(weights)} parameters" if weights else ""


def _line(name: str, one: Mapping[str, Any], gain: Mapping[str, Any] | None, unit: Mapping[str, Any]) -> str:
    whole, twin_free = (one["slices"][code] for code in ("F", "T"))
    cells = [
        f"{name}: {one['what']}",
        count(one["train_rows"]),
        *(with_interval(interval_of(whole[metric])) for metric in METRICS),
        with_interval(interval_of(twin_free["f1"])),
        *(difference(gain[metric]) if gain else "" for metric in METRICS),
        _ratio(one["train_s"] / unit["train_s"]),
        f"{one['peak_memory_mb'] / 1024:.1f} GiB",
        _ratio(one["rows_per_s"] / unit["rows_per_s"]),
    ]
    return f"| {' | '.join(cells)} |"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
