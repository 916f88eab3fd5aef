"""What is set beside a bundle: another on the same rows, or the thresholds that it had before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptox.cli import console
from adaptox.cli.tables import METRICS, stacked, threshold
from adaptox.evaluate import Evaluation
from adaptox.report.phrases import count, number, p_value, signed, signed_bracket

if TYPE_CHECKING:
    from adaptox.adapt import Against, DecidedAnew, Flagged


def against(ours: Evaluation, other: Against) -> None:
    """Print how a bundle and another do on the same rows, and what lies between them."""
    rows = [
        [
            METRICS[one.metric],
            stacked(ours.main.metrics[one.metric]),
            stacked(other.evaluation.main.metrics[one.metric]),
            f"{signed(one.difference.value)}\n{signed_bracket(one.difference).strip('[]')}".rstrip("\n"),
            f"p {p_value(adjusted)}\n{one.verdict}",
        ]
        for one, adjusted in zip(other.differences, other.p_values, strict=True)
    ]
    tested = other.decisions
    console.table(
        f"against {other.name}, on the same rows", ("", "this bundle", "the other", "difference", ""), rows
    )
    console.paragraph(
        f"threshold of the other {other.evaluation.threshold:.3f} ({other.evaluation.origin}); p after Holm. "
        f"This bundle alone is right on {count(tested.only_first)} rows, the other alone on "
        f"{count(tested.only_second)} (McNemar, which takes rows for independent: p {p_value(tested.p_value)})"
    )


def decided(done: DecidedAnew) -> None:
    """Print where a bundle's thresholds were and are, and what they flag."""
    for note in done.notes:
        console.note(note)
    for label, (was, now) in done.changes.items():
        console.say(f"{label}: {count(was.n)} rows, {count(was.positives)} positive", style="bold")
        for when, decider, found in (("before", done.before, was), ("now", done.after, now)):
            console.paragraph(f"threshold {when} {threshold(decider.threshold(label))}: {_flags(found)}", indent=2)
    console.paragraph(
        "thresholds are on calibrated scores, and these rows calibrated them anew; what is flagged of them now is "
        "a little too good"
    )


def _flags(found: Flagged) -> str:
    if not found.flagged:
        return "flags no row"
    negatives = found.n - found.positives
    shares = (found.hits / found.flagged, found.hits / found.positives, (found.flagged - found.hits) / negatives)
    precision, recall, false = (number(share) for share in shares)
    return f"flags {count(found.flagged)}, precision {precision}, recall {recall}, false-positive rate {false}"
