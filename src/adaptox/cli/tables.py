"""Results → tables of eighty columns: an interval stands under its number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptox import bundle as bundles
from adaptox.cli import console
from adaptox.decide import Decider, LabelThreshold
from adaptox.errors import RunError
from adaptox.evaluate import FEWEST_FAMILIES, Evaluation, Interval, SliceResult, few_families
from adaptox.records import Conversation, Verdict
from adaptox.report.phrases import (
    DASH,
    bracket,
    count,
    duration,
    listed,
    metric,
    number,
    rows_of,
    with_interval,
)

if TYPE_CHECKING:
    from adaptox.adapt import Adaptation, Assessment
    from adaptox.demo import Demo
    from adaptox.prepare import Manifest
    from adaptox.report.study.values import StudyRun, StudyStory

# As short as a table of eighty columns needs them.
METRICS: Mapping[str, str] = {
    "auprc": "AUPRC",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "recall_at_fpr_01": "recall at 1% FPR",
    "brier": "Brier",
    "ece": "calibration error",
}
_STUDY_METRICS = ("auprc", "f1", "precision", "recall")
_DEMO_METRICS = ("auprc", "f1", "precision", "recall")
# More labels than this do not fit beside a text.
_LABEL_COLUMNS = 3


def evaluations(columns: Mapping[str, SliceResult]) -> None:
    """Print the metrics of results side by side.

    Args:
        columns: head → result.
    """
    rows = [
        ["rows", *(count(result.n) for result in columns.values())],
        ["positive", *(count(result.positives) for result in columns.values())],
    ]
    rows += [[words, *(_cell(result, name) for result in columns.values())] for name, words in METRICS.items()]
    console.table("", ("", *columns), rows)


def explain(evaluation: Evaluation, on: str) -> None:
    """Say what the columns of an evaluation are, all rows those of `on`, and which threshold stands in them."""
    for name in evaluation.slices:
        console.paragraph(f"{name}: {rows_of(name, evaluation.slices[name], on)}")
    console.paragraph(f"threshold {evaluation.threshold:.3f} ({evaluation.origin})")
    console.paragraph(_sure(evaluation))


def assessment(done: Assessment) -> None:
    """Print how good a bundle is on other data."""
    for note in done.notes:
        console.note(note)
    evaluations(done.evaluation.slices)
    explain(done.evaluation, done.evaluated_on)


def run(done: Adaptation) -> None:
    """Print what a run took and gave."""
    facts, after = done.training, done.evaluation
    share = f"{count(facts.trainable)} of {count(facts.total)} parameters ({facts.trainable / facts.total:.1%})"
    console.note(f"trained {share} in {duration(facts.wall_s)}, {facts.rows_per_s:.0f} rows/s, {facts.precision}")
    for note in done.notes:
        console.note(note)
    if done.baseline is not None:
        first = rows_of(next(iter(after.slices)), after.main, done.evaluated_on)
        console.say(f"{first}, before and after", style="bold")
        evaluations({"base as it is": done.baseline.main, "adapted": after.main})
    if done.baseline is None or len(after.slices) > 1:
        evaluations(after.slices)
    explain(after, done.evaluated_on)


def parts(manifest: Manifest, dropped: int) -> None:
    """Print how many rows each part has."""
    rows = [
        [name, count(part.rows), count(part.positive), count(part.unknown)] for name, part in manifest.parts.items()
    ]
    console.table("", ("part", "rows", f"{manifest.target} = 1", "unlabelled"), rows)
    console.say(f"{count(dropped)} rows dropped, listed in dropped.jsonl")


def bundle(folder: Path, manifest: bundles.Manifest) -> None:
    """Print what a bundle's manifest says."""
    decider = Decider.from_json(manifest.decider)
    trained_on = f"{manifest.data_sha256[:12]}… ({', '.join(manifest.licences) or 'licence unknown'})"
    thresholds = [(f"threshold {cut.label}", threshold(cut)) for cut in decider.thresholds]
    results = [
        (f"on {name}", f"{result['n']} rows, {result['positives']} positive; {_numbers(result)}")
        for name, result in manifest.metrics.get("slices", {}).items()
    ]
    if manifest.decided:
        results = [(f"before that, {name}", told) for name, told in results]
        anew = [
            f"{label}: {told['rows']} rows, {told['positives']} positive"
            for label, told in manifest.decided.items()
        ]
        thresholds.append(("decided anew on", "; ".join(anew)))
    words = bundles.LEXICON in manifest.files
    console.say(str(folder), style="bold")
    console.facts(
        [
            ("name", manifest.name),
            ("written by", f"adaptox {manifest.adaptox}"),
            ("base", str(manifest.base["name"])),
            ("adapter", str(manifest.adapter["kind"])),
            *([("words", f"{bundles.LEXICON}, logits added to the network's")] if words else []),
            ("data", trained_on),
            ("reads", f"{manifest.encode.max_tokens} tokens at a time, longer texts: {manifest.encode.overflow}"),
            ("files", _files(folder, manifest)),
            *thresholds,
            *results,
        ]
    )


def _files(folder: Path, manifest: bundles.Manifest) -> str:
    removed = [name for name in manifest.files if not (folder / name).is_file()]
    gone = f"; {listed(removed)} removed" if removed else ""
    return f"{len(manifest.files) - len(removed)}, hashes verified{gone}"


def verdicts(named: Sequence[tuple[str, Conversation]], found: Sequence[Verdict]) -> None:
    """Print what was decided about each text; of a conversation, its last turn is shown."""
    labels = tuple(found[0].scores)
    shown = labels if len(labels) <= _LABEL_COLUMNS else labels[:1]
    heads = ["text", *(["id"] if len(found) > 1 else []), "decision", *shown]
    if shown != labels:
        heads.append("flagged")
    rows = []
    for (id_, conversation), verdict in zip(named, found, strict=True):
        cells = [console.one_line(conversation.turns[-1].content)]
        if len(found) > 1:
            cells.append(console.one_line(id_))
        cells += [verdict.decision, *(f"{verdict.scores[label]:.3f}" for label in shown)]
        if shown != labels:
            cells.append("\n".join(label for label, flag in verdict.flagged.items() if flag) or DASH)
        rows.append(cells)
    console.table("", heads, rows, cut_first=True)


def demo(shown: Demo) -> None:
    """Print the demo's models side by side, and what each says about three sentences."""
    first = shown.models[0].evaluation
    console.say("")
    console.table(
        f"{first.main.n} held-out conversations, {first.main.positives} of them toxic",
        ("model", *(METRICS[name] for name in _DEMO_METRICS), "trained"),
        [
            [
                model.name,
                *(_cell(model.evaluation.main, name, 2) for name in _DEMO_METRICS),
                DASH if model.trained is None else f"{model.trained:.{0 if model.trained >= 10 else 1}f} %",
            ]
            for model in shown.models
        ],
    )
    console.paragraph(f"{_sure(first)}; trained: share of the parameters")
    console.say("")
    console.table(
        "What they say: the probability that it is toxic, and the decision",
        ("", *(model.name.replace(", ", ",\n") for model in shown.models)),
        [
            [text, *(f"{verdict.scores[first.label]:.2f} {verdict.decision}" for verdict in found)]
            for text, found in shown.sentences
        ],
    )


def study(story: StudyStory) -> None:
    """Print every run of a study, panel by panel, over its seeds."""
    for panel in story.panels:
        rows = [_study_row(run) for run in story.runs if run.panel == panel]
        heads = ("run", "seeds", *(METRICS[name] for name in _STUDY_METRICS), "F1, learned threshold")
        console.table(story.panel_words.get(panel, panel), heads, rows)
    for run in story.runs:
        for note in run.notes:
            console.note(f"{run.name}: {note}")


def check_all_done(story: StudyStory) -> None:
    """Let a study of which runs failed end as what it is, after its report is written.

    Raises:
        RunError: which of its runs failed.
    """
    failed = [label for run in story.runs for label in run.failed]
    if failed:
        made = len(failed) + sum(len(run.seeds) for run in story.runs)
        raise RunError(
            f"{len(failed)} of {made} runs failed: {', '.join(failed)}; the report says why, and the same command "
            "makes them again"
        )


def _study_row(run: StudyRun) -> list[str]:
    if not run.summary:
        return [f"{run.name} ({run.state})", "0", *[DASH] * (len(_STUDY_METRICS) + 1)]
    own, learned = next(iter(run.summary.values())), next(iter(run.summary_learned.values()))
    name = run.name if run.state == "done" else f"{run.name} ({run.state})"
    cells = [stacked(own[metric]) for metric in _STUDY_METRICS]
    return [name, str(len(run.seeds)), *cells, stacked(learned["f1"])]


def threshold(cut: LabelThreshold) -> str:
    """Write a threshold with its origin."""
    return cut.origin if cut.value is None else f"{cut.value:.3f} ({cut.origin})"


def _cell(result: SliceResult, name: str, digits: int = 3) -> str:
    return stacked(metric(result, name), digits)


def stacked(measured: Interval, digits: int = 3) -> str:
    """Write a number with its interval below it."""
    return f"{number(measured.value, digits)}\n{bracket(measured, digits).strip('[]')}".rstrip("\n")


def _numbers(result: Mapping[str, Any]) -> str:
    """Write the two main numbers of a slice as metrics.json has them."""
    found = ((name, Interval(**_defined(result[name]))) for name in ("auprc", "f1") if name in result)
    return ", ".join(f"{METRICS[name]} {with_interval(measured)}" for name, measured in found)


def _defined(stored: Mapping[str, float | None]) -> dict[str, float]:
    return {end: math.nan if value is None else value for end, value in stored.items()}


def _sure(evaluation: Evaluation) -> str:
    """Say what stands below a number, or why nothing does."""
    few = [name for name in few_families(evaluation.rows) if name in evaluation.slices]
    too_few = f"fewer than {FEWEST_FAMILIES} families of prompts that repeat one another"
    if len(few) == len(evaluation.slices):
        return f"no intervals: the rows are of {too_few}"
    size = f"{100 * evaluation.confidence:.0f} % interval, from {count(evaluation.resamples)} bootstrap resamples"
    return f"below each number its {size}{f'; {listed(few)}: none, as of {too_few}' if few else ''}"
