"""What `adaptox teach` tells: what a teacher would have to do, what it gave, and how to learn from it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adaptox.cli import console
from adaptox.report.phrases import count, duration, with_interval

if TYPE_CHECKING:
    from adaptox.adapt import Lesson, Plan
    from adaptox.teach import Cost

_METRICS = {"auprc": "AUPRC", "auroc": "AUROC", "ece": "calibration error"}
# So many ids are named; all of them are in teacher.json.
_IDS = 10


def plan(planned: Plan) -> None:
    """Print what a teacher would have to do."""
    left = planned.conversations - planned.kept
    console.say(
        f"{count(planned.conversations)} conversations, {count(planned.kept)} scored before, {count(left)} to score"
    )
    if planned.calls:
        console.say(f"{count(planned.calls)} calls to the server, and retries on top")


def lesson(done: Lesson) -> None:
    """Print what a teacher gave, and how far it agrees with the labels."""
    console.say(f"{count(done.scored)} of {count(done.rows)} rows scored: {', '.join(done.targets)}", style="bold")
    if done.judged:
        first = done.judged[0]
        names = ("auprc", "auroc", "ece")
        alike = len({(one.n, one.positives) for one in done.judged}) == 1
        size = () if alike else ("rows", "positive")
        rows = [
            [
                one.name,
                *(() if alike else (count(one.n), count(one.positives))),
                *(with_interval(one.metrics[name]) for name in names),
            ]
            for one in done.judged
        ]
        console.table("", ("score", *size, *(_METRICS[name] for name in names)), rows)
        of = f": {count(first.n)}, {count(first.positives)} positive" if alike else " that have the score"
        console.paragraph(f"against {first.label}, on {done.judged_on}{of}")
    else:
        console.paragraph(f"judged on {done.judged_on}")
    if done.doubted is not None:
        console.say(f"{count(done.doubted)} labels are doubtful, listed in {done.folder / 'label-faults.jsonl'}")
    if done.cost is not None:
        _cost(done.cost)


def _cost(cost: Cost) -> None:
    """Print what a server was asked, and what has no answer."""
    tokens = cost.prompt_tokens + cost.completion_tokens
    in_all = cost.prompt_tokens_in_all + cost.completion_tokens_in_all
    console.say(
        f"{count(cost.calls)} calls, {count(cost.retries)} of them retries, {count(tokens)} tokens, "
        f"{duration(cost.wall_s)}; {count(cost.kept)} conversations were asked about before"
    )
    if in_all:
        console.say(f"all answers together, those of earlier runs too, took {count(in_all)} tokens")
    if cost.declined:
        console.say(f"the server would say nothing of {count(cost.declined)} conversations: they have no score")
    if cost.failed:
        more = ", …, all in teacher.json" if len(cost.failed) > _IDS else ""
        console.say(
            f"{count(len(cost.failed))} conversations failed and have no score; the same command with "
            f"--overwrite asks about them again: {', '.join(cost.failed[:_IDS])}{more}"
        )


def training_by(done: Lesson, given: str, changes: Sequence[str]) -> None:
    """Print where a teacher's scores are, and the command that learns from them."""
    learned = [f"distill.teacher={done.folder}", f"distill.targets={json.dumps(done.targets, ensure_ascii=False)}"]
    kept = [change for change in changes if not change.startswith("teach.")]
    sets = (part for change in (*kept, *learned) for part in ("--set", change))
    console.say(f"teacher {done.folder}")
    console.say(f"train with it: {shlex.join(['adaptox', 'train', given, *sets])}")
