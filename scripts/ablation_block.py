"""What docs/RESULTS.md says of the way to the best recipe, and of what was tried beside: benchmarks/ablation.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from study_blocks import LEVEL, METRICS, NOTHING_YET, difference, interval_of

from adaptox.report.phrases import count, number, p_value, spread, with_interval

# Where the deviation between seeds stands that one seed is to be read with.
_SEEDS = Path("study-best") / "seeds.json"
# The last change on the way has whole seeds for members: it is measured by benchmarks/soups.py, over more than one.
_SOUPS, _SOUP, _SOUP_ON = "soups-best-pairs.json", 2, "beta"
# The change that levers were tried on, and its other seeds.
_START, _START_SEEDS = "start", Path("study-start") / "seeds.json"
_SCRIPT = "([script](benchmarks/ablation.py), [result](docs/results/ablation.json))"


def ablation(results: Path) -> str:
    """Show every change on the way: what it was made to, what it comes to, and what it gave there."""
    found, changes = _read(results, beside=False)
    if not changes:
        return NOTHING_YET
    first = changes[0]
    end = (
        f"{count(first['n'])} training rows, {count(first['positives'])} toxic, each scored by a network that was "
        f"trained without it and its family ({found['folds']} folds); the test split has no part in this. "
        f"Differences by the paired bootstrap over families ({count(found['resamples'])} resamples), p-values "
        f"after Holm, bold below {number(LEVEL, 2)}. One seed ({found['seed']}){_between_seeds(results)}. "
        "Thresholds were learned on these rows. Words are weighed on them, and the themes of the written prompts "
        "are what networks missed on them, which flatters both: neither has a p-value. "
        f"{_hardware(changes)} {_SCRIPT}."
    )
    return "\n".join([*_table([*_with_soups(changes, results / _SOUPS)]), "", end])


def _with_soups(changes: Sequence[Mapping[str, Any]], path: Path) -> Iterator[Mapping[str, Any]]:
    """Set soups after what they are made of, if they were measured; nothing is tested on folds."""
    for change in changes:
        yield change
        if change["name"] == _SOUP_ON and path.is_file():
            sizes = json.loads(path.read_text(encoding="utf-8"))["sizes"]
            one = next(one for one in sizes if one["size"] == _SOUP)
            gained = one["over_members"]["with_words"]["folds"]
            seeds = len({seed for soup in one["soups"] for seed in soup})
            yield {
                "name": "soup",
                "what": f"{_SOUP} trainings as one network, beside their members, over {seeds} seeds",
                "on": _SOUP_ON,
                **{metric: one["with_words"]["folds"]["all"][metric] for metric in METRICS},
                "difference": {metric: {**gained[metric], "p_holm": None} for metric in METRICS},
            }


def levers(results: Path) -> str:
    """Show every lever that was tried beside the way, likewise."""
    _, changes = _read(results, beside=True)
    if not changes:
        return NOTHING_YET
    end = (
        "The same rows, folds and bootstrap as above; p-values after Holm over this table, bold below "
        f"{number(LEVEL, 2)}. One seed each{_of_start(results)}. {_hardware(changes)} {_SCRIPT}."
    )
    return "\n".join([*_table(changes), "", end])


def _read(results: Path, beside: bool) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    path = results / "ablation.json"
    if not path.is_file():
        return {}, []
    found = json.loads(path.read_text(encoding="utf-8"))
    return found, [one for one in found["changes"] if one["beside"] == beside]


def _table(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    heads = ["change", "compared with"]
    heads += [head for name in METRICS.values() for head in (name, f"{name}: difference", f"{name}: p")]
    return [
        f"| {' | '.join(heads)} |",
        f"|---|---|{'---:|' * (len(heads) - 2)}",
        *(_line(one) for one in changes),
    ]


def _hardware(changes: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(dict.fromkeys(one["hardware"] for one in changes))


def _of_start(results: Path) -> str:
    """Say where the seed of what most levers are compared with stands among its seeds."""
    if not (results / _START_SEEDS).is_file():
        return ""
    recipe = json.loads((results / _START_SEEDS).read_text(encoding="utf-8"))["recipes"][0]
    told = [
        f"{name} {number(metric['value'])} {spread(metric['spread'])} (seed {recipe['seeds'][0]}: "
        f"{number(metric['seeds'][0])})"
        for name, metric in ((name, recipe["network_alone"]["folds"]["all"][key]) for key, name in METRICS.items())
    ]
    return (
        f", that of `{_START}`, of which {len(recipe['seeds'])} seeds come to {' and '.join(told)} on these rows: "
        "a difference that is no larger than what seeds make is none"
    )


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
