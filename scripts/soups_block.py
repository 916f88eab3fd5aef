"""What docs/RESULTS.md says of soups: the table of benchmarks/soups.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seeds_block import COLUMNS, brackets, cell
from study_blocks import NOTHING_YET, interval_of

from adaptox.report.phrases import p_value, signed, signed_bracket

_FILES = {
    "soups-best-pairs.json": "All parameters from *prompts*, the best recipe, decided by beta calibration",
    "soups-best.json": "The same by Platt's calibration, the first five seeds",
    "soups-best-more.json": "The same from another training of *prompts*, four more seeds",
    "soups.json": "All parameters from `minilm-prompts`",
}
_SIDES = {"network_alone": "alone", "with_words": "with words"}


def soups(results: Path) -> str:
    """Set soups of several sizes side by side, with words, and say what each gains over single networks."""
    told = [_table(results / file, what) for file, what in _FILES.items() if (results / file).is_file()]
    return "\n\n".join(told) or NOTHING_YET


def _table(path: Path, what: str) -> str:
    found = json.loads(path.read_text(encoding="utf-8"))
    heads = [head for *_, head in COLUMNS]
    lines = [f"| networks in the mean | soups | {' | '.join(heads)} |", f"|---|---:|{'---:|' * len(heads)}"]
    for one in found["sizes"]:
        cells = [cell(one["with_words"], part, name, metric) for part, name, metric, _ in COLUMNS]
        lines.append(f"| {one['size']} | {len(one['soups'])} | {' | '.join(cells)} |")
    told = [_gain(one, side, words) for one in found["sizes"][1:] for side, words in _SIDES.items()]
    end = (
        f"Over single networks: {'; '.join(told)}. {brackets(found)} On folds nothing is tested. Soups of a size "
        f"overlap, so ±, brackets and p-values say too little; p is corrected within a line alone. "
        f"{found['hardware']} ([script](benchmarks/soups.py), [result](docs/results/{path.name}))."
    )
    return "\n".join([f"{what}, with words:", "", *lines, "", end])


def _gain(one: dict[str, Any], side: str, words: str) -> str:
    gain = one["over_members"][side]
    parts = []
    for part, name in (("test", "F"), ("folds", "folds")):
        for key, metric in (("auprc", "AUPRC"), ("f1", "F1")):
            told = gain[part][key]
            tested = f", p {p_value(told['p_holm'])} after Holm" if "p_holm" in told else ""
            parts.append(f"{metric} on {name} {signed(told['value'])} {signed_bracket(interval_of(told))}{tested}")
    return f"{one['size']} networks {words}, {', '.join(parts)}"
