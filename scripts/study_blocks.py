"""What docs/RESULTS.md says of the studies: eight runs beside the paper's, and why some of them collapsed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adaptox.evaluate.values import Interval
from adaptox.report.phrases import count, number, signed, signed_bracket, with_interval
from adaptox.study.paper import PAPER
from adaptox.study.results import TWIN_FREE

NOTHING_YET = "*No result yet: `make docs` fills this in from [docs/results](docs/results/README.md).*"
AS_WRITTEN, REPAIRED, COLLAPSE, TEACHERS = "study-as-written", "study", "study-collapse", "study-teacher"
# The axes of configs/study-collapse.toml: where a run starts, and what alone is taken from the other one.
_NOTHING = "nothing"
_CHANGES: Mapping[str, str] = {
    "head": "the comment classifier's head is kept",
    "rate": "the learning rate is LoRA's own (1e-3, not 2e-5)",
    "pooler": "the pooler is trained, too",
    "steps": "five epochs with warm-up, and the best checkpoint",
    "teacher": "the teacher's scores are scaled",
}
_UNDONE: Mapping[str, str] = {
    "head": "a head that starts at random",
    "rate": "the learning rate of full training (2e-5)",
    "pooler": "a frozen pooler",
    "steps": "three epochs without warm-up, and the last checkpoint",
    "teacher": "raw scores of the teacher",
}

# What is compared, and what a reader is told to call it; the level of a p-value after Holm.
METRICS: Mapping[str, str] = {"auprc": "AUPRC", "f1": "F1"}
LEVEL = 0.05

Study = Mapping[str, Any]
Run = Mapping[str, Any]


def eight_runs(results: Path) -> str:
    """Set the paper's eight runs beside ours, as written and repaired: F1 on the full test set of its protocol."""
    studies = _studies(results, AS_WRITTEN, REPAIRED)
    if not studies:
        return NOTHING_YET
    _, repaired = studies
    first = repaired["panels"][0]["name"]
    before, after = (_by_name(study, lambda panel: panel == first) for study in studies)
    before_whole, after_whole = (_by_name(study, lambda panel: panel != first) for study in studies)
    columns = [
        ("paper: F1", {name: number(PAPER[name].full["f1"]) for name in after}),
        ("as written: F1", {name: _f1(run) for name, run in before.items()}),
        ("as written, families whole: F1", {name: _f1(run) for name, run in before_whole.items()}),
        ("repaired: F1", {name: _f1(run) for name, run in after.items()}),
        ("repaired, no near-copies: F1", {name: _f1(run, TWIN_FREE) for name, run in after.items() if _leaks(run)}),
        ("repaired: AUPRC", {name: _auprc(run) for name, run in after.items()}),
        ("repaired, families whole: F1", {name: _f1(run) for name, run in after_whole.items()}),
        ("repaired, families whole: AUPRC", {name: _auprc(run) for name, run in after_whole.items()}),
        ("repaired: seeds", {name: _seeds(run, after_whole.get(name, run)) for name, run in after.items()}),
    ]
    shown = [(head, cells) for head, cells in columns if cells]
    lines = [f"| run | {' | '.join(head for head, _ in shown)} |", f"|---|{'---:|' * len(shown)}"]
    lines += [f"| {name} | {' | '.join(cells[name] for _, cells in shown)} |" for name in after]
    main = _main(repaired["runs"][0])
    rows = f"{count(main['n'])} test rows, {count(main['positives'])} toxic"
    end = f"{repaired['panels'][0]['words'].capitalize()}; {rows}; {repaired['hardware']}."
    return "\n".join([*lines, "", f"{end} {_said(repaired)}".strip()])


def collapse(results: Path) -> str:
    """Say in two sentences which change heals the collapsed runs, and which brings the collapse back."""
    studies = _studies(results, COLLAPSE)
    if not studies:
        return NOTHING_YET
    (study,) = studies
    panels = {panel["name"]: panel["words"] for panel in study["panels"]}
    there = {(run["panel"], run["variants"]["start"], run["variants"]["changed"]): run for run in study["runs"]}

    def f1(panel: str, start: str, changed: str) -> float:
        return float(_main(there[panel, start, changed])["f1"]["value"])

    def strongest(start: str, sign: int) -> str:
        return max(_CHANGES, key=lambda changed: sign * sum(f1(panel, start, changed) for panel in panels))

    heals, breaks = strongest("as-written", 1), strongest("repaired", -1)
    others = max(f1(panel, "as-written", changed) for panel in panels for changed in _CHANGES if changed != heals)
    told = {}
    for start, changed in (("as-written", heals), ("repaired", breaks)):
        steps = [
            (words, there[panel, start, _NOTHING], there[panel, start, changed]) for panel, words in panels.items()
        ]
        told[start] = "; ".join(f"{words}: from {_f1(before)} to {_f1(after)}" for words, before, after in steps)
    sentences = (
        f"As written, one change does most: if {_CHANGES[heals]}, F1 rises ({told['as-written']}), and no other "
        f"change alone takes a run beyond {number(others)}. Back from the repaired runs, {_UNDONE[breaks]} costs "
        f"most ({told['repaired']})."
    )
    heads = [f"{words}: F1 (at a learned threshold), AUPRC" for words in panels.values()]
    lines = [f"| start | change | {' | '.join(heads)} |", f"|---|---|{'---:|' * len(heads)}"]
    for start, words in (("as-written", _CHANGES), ("repaired", _UNDONE)):
        for changed, what in {_NOTHING: "none", **words}.items():
            cells = [_both(there[panel, start, changed]) for panel in panels]
            lines.append(f"| {start.replace('-', ' ')} | {what} | {' | '.join(cells)} |")
    main = _main(study["runs"][0])
    end = (
        f"{count(main['n'])} test rows, {count(main['positives'])} toxic; balanced sample, families whole, one "
        "seed. Repaired runs here stop early and keep their best checkpoint; those of the table above, made later, "
        "keep the mean of several, and start from another training of the comment classifier."
    )
    said = " ".join(filter(None, (end, _said(study), _teachers(results))))
    return "\n".join([sentences, "", *lines, "", said])


def _teachers(results: Path) -> str:
    """Say whether a better teacher would have helped: the axes of configs/study-teacher.toml."""
    studies = _studies(results, TEACHERS)
    if not studies:
        return ""
    there = {(run["panel"], run["variants"]["teacher"]): run for run in studies[0]["runs"]}

    def told(start: str, words: str) -> str:
        nobody, *taught = (_main(there[start, teacher])["f1"] for teacher in ("nobody", "moderation", "words"))
        shown = " and ".join(with_interval(interval_of(f1)) for f1 in taught)
        return f"{words}, F1 is {with_interval(interval_of(nobody))} without a teacher, {shown} with these"

    strengths = [
        f"{words} ({number(_strength(results / folder / 'teacher.json', name))})"
        for folder, name, words in (
            ("moderation-scores", "highest of all", "the moderation teacher"),
            ("words-scores", "ensemble", "regressions on n-grams, out of fold"),
        )
    ]
    return (
        f"The teacher's own strength (AUPRC of toxicity on what it did not learn from): {', '.join(strengths)}. "
        f"{told('as-written', 'As written')}; {told('repaired', 'repaired')}."
    )


def _strength(path: Path, name: str) -> float:
    """Read how well one of a teacher's scores ranks toxicity."""
    judged = json.loads(path.read_text(encoding="utf-8"))["judged"]
    return next(float(one["auprc"]["value"]) for one in judged if one["name"] == name)


def interval_of(entry: Mapping[str, Any]) -> Interval:
    """Read a number with its interval from a result file."""
    return Interval(*(math.nan if entry[key] is None else entry[key] for key in ("value", "low", "high")))


def difference(entry: Mapping[str, Any]) -> str:
    """Write a paired difference with its interval, in bold where its p-value after Holm, if any, is small."""
    told = f"{signed(entry['value'])} {signed_bracket(interval_of(entry))}"
    p_holm = entry.get("p_holm")
    return f"**{told}**" if p_holm is not None and p_holm < LEVEL else told


def _said(study: Study) -> str:
    """Repeat what a reader of the numbers must know: whose the teacher is, and what leaks."""
    return " ".join(note for note in study["notes"] if note.startswith("The teacher is") or "near-copy" in note)


def _studies(results: Path, *names: str) -> list[Study]:
    paths = [results / name / "study.json" for name in names]
    if not all(path.is_file() for path in paths):
        return []
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _by_name(study: Study, wanted: Callable[[str], bool]) -> dict[str, Run]:
    return {run["name"]: run for run in study["runs"] if wanted(run["panel"])}


def _main(run: Run) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(iter(run["slices"].values()))
    return found


def _f1(run: Run, part: str = "") -> str:
    collapsed = " (collapsed)" if run["state"] == "collapsed" else ""
    return with_interval(interval_of((run["slices"][part] if part else _main(run))["f1"])) + collapsed


def _auprc(run: Run) -> str:
    return with_interval(interval_of(_main(run)["auprc"]))


def _leaks(run: Run) -> bool:
    return TWIN_FREE in run["slices"]


def _seeds(run: Run, whole: Run) -> str:
    """Say how many seeds stand behind a run, and behind the same with families whole if they differ."""
    return " and ".join(dict.fromkeys(str(len(one["seeds"])) for one in (run, whole)))


def _both(run: Run) -> str:
    learned = next(iter(run["slices_at_learned_threshold"].values()))["f1"]["value"]
    return f"{_f1(run)} ({number(learned)}), {number(_main(run)['auprc']['value'])}"
