"""What docs/RESULTS.md says of soups: the tables of benchmarks/soups.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seeds_block import COLUMNS, GAIN_HEADS, brackets, cell, gain_cells
from study_blocks import LEVEL, NOTHING_YET

from adaptox.report.phrases import number

_FILES = {
    "soups-best-pairs.json": "*prompts*, beta calibration: the best recipe",
    "soups-best.json": "*prompts*, Platt's calibration, the first five seeds",
    "soups-best-more.json": "another training of *prompts*, Platt's calibration, four more seeds",
    "soups.json": "`minilm-prompts`, Platt's calibration",
}
_SIDES = {"network_alone": "alone", "with_words": "with words"}


def soups(results: Path) -> str:
    """Set soups of several sizes side by side, with words, and say what each gains over single networks."""
    paths = {results / file: start for file, start in _FILES.items() if (results / file).is_file()}
    if not paths:
        return NOTHING_YET
    found = {start: json.loads(path.read_text(encoding="utf-8")) for path, start in paths.items()}
    heads = [head for *_, head in COLUMNS]
    lines = [
        f"| start | networks in the mean | soups | {' | '.join(heads)} |",
        f"|---|{'---:|' * (2 + len(heads))}",
    ]
    lines += [line for start, told in found.items() for line in _levels(start, told)]
    lines += ["", "What they gain over the single networks that they are the means of:", ""]
    lines += [
        f"| start | networks in the mean | {' | '.join(GAIN_HEADS)} |",
        f"|---|---|{'---:|' * len(GAIN_HEADS)}",
    ]
    lines += [line for start, told in found.items() for line in _gains(start, told)]
    files = ", ".join(f"[{path.stem}](docs/results/{path.name})" for path in paths)
    hardware = "; ".join(dict.fromkeys(told["hardware"] for told in found.values()))
    end = (
        f"The first table is with words. {brackets(next(iter(found.values())))} Soups of a size overlap, so ±, "
        f"brackets and p-values say too little; bold where p, after Holm for each line, is below "
        f"{number(LEVEL, 2)}. {hardware} "
        f"([script](benchmarks/soups.py); {files})."
    )
    return "\n".join([*lines, "", end])


def _levels(start: str, told: Mapping[str, Any]) -> Iterator[str]:
    for one in told["sizes"]:
        cells = [cell(one["with_words"], part, name, metric) for part, name, metric, _ in COLUMNS]
        yield f"| {start} | {one['size']} | {len(one['soups'])} | {' | '.join(cells)} |"


def _gains(start: str, told: Mapping[str, Any]) -> Iterator[str]:
    for one in told["sizes"][1:]:
        for side, words in _SIDES.items():
            cells = gain_cells(one["over_members"][side])
            yield f"| {start} | {one['size']}, {words} | {' | '.join(cells)} |"
