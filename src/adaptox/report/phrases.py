"""Numbers and results in words; the only place that formats a number for a reader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from adaptox.evaluate import FEWEST_FAMILIES, few_families
from adaptox.evaluate.values import Comparison, Evaluation, Interval, SliceResult
from adaptox.labels import JAILBREAKING, TOXICITY

DASH = "\N{EN DASH}"
_GAP = "\N{NO-BREAK SPACE}"
_UNDEFINED = Interval(math.nan, math.nan, math.nan)

METRIC_WORDS: Mapping[str, str] = {
    "auprc": "AUPRC",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "recall_at_fpr_01": f"recall at 1{_GAP}% false alarms",
    "brier": "Brier",
    "ece": "calibration error",
}

# Why a slice is looked at; which rows it holds is said by its own description.
SLICE_REASONS: Mapping[str, str] = {
    "F": "the rows that published systems are compared on",
    "H": "only what people labelled; automatic screening took the other rows for harmless",
    "T": "without rows that nearly repeat a training row: nothing here can be recalled from memory",
    "human": "only what people labelled; automatic screening took the other rows for harmless",
    "jailbreak": "attempts to talk a chatbot out of its rules",
    "non-jailbreak": "everything but jailbreak attempts",
}


def metric(result: SliceResult, name: str) -> Interval:
    """Give a metric of a slice, NaN where it was not computed."""
    return result.metrics.get(name, _UNDEFINED)


def rows_of(code: str, result: SliceResult, evaluated_on: str) -> str:
    """Say which rows a slice holds; that of all rows holds those that were evaluated, and not all of the data."""
    return evaluated_on if code == "all" else result.description


def number(value: float, digits: int = 3) -> str:
    """Write a number below one the short way: ``.785``; a dash where it is not defined."""
    if not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def cut(threshold: float) -> str:
    """Write a threshold as `number` does, but one close to 0 by its first two digits."""
    return number(threshold) if threshold == 0 or threshold >= 0.001 else f"{threshold:.1e}"


def bracket(interval: Interval, digits: int = 3) -> str:
    """Write the ends of an interval: ``[.752-.815]`` with an en dash; empty where they are not defined."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return ""
    return f"[{number(interval.low, digits)}{DASH}{number(interval.high, digits)}]"


def with_interval(interval: Interval, digits: int = 3) -> str:
    """Write a number and its interval; a dash where it is not defined."""
    return f"{number(interval.value, digits)} {bracket(interval, digits)}".strip()


def percent(interval: Interval) -> str:
    """Write a share as ``81 % [77-85]`` with an en dash; a dash where it is not defined."""
    if not math.isfinite(interval.value):
        return DASH
    ends = ""
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        ends = f"{_GAP}[{100 * interval.low:.0f}{DASH}{100 * interval.high:.0f}]"
    return f"{100 * interval.value:.0f}{_GAP}%{ends}"


def count(value: int) -> str:
    """Write a count with thousands apart: ``5,083``."""
    return f"{value:,}"


def parameters(value: int) -> str:
    """Write a number of parameters: ``22.7 M``, ``13 k``, ``0``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.0f}{_GAP}{unit}" if scaled >= 100 else f"{scaled:.1f}{_GAP}{unit}"
    return str(value)


def speed(rows_per_s: float) -> str:
    """Write a speed: ``51.3 rows/s``."""
    return f"{rows_per_s:,.1f} rows/s" if math.isfinite(rows_per_s) else DASH


def megabytes(value: float | None) -> str:
    """Write an amount of memory: ``2,712 MB``; a dash where it was not measured."""
    return f"{value:,.0f} MB" if value is not None and math.isfinite(value) else DASH


def share(value: float) -> str:
    """Write a share of anything, small ones too, as ``14 %`` or ``0.31 %``; a dash where it is not defined."""
    if not math.isfinite(value):
        return DASH
    text = f"{100 * value:.0f}" if abs(value) >= 0.1 or value == 0 else f"{100 * value:.2g}"
    return f"{text}{_GAP}%"


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign: ``+.012``."""
    text = number(value, digits)
    return f"+{text}" if math.isfinite(value) and round(value, digits) > 0 else text


def signed_bracket(interval: Interval, digits: int = 3) -> str:
    """Write the ends of a difference's interval: ``[-.003 to +.027]``; empty where they are not defined."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return ""
    return f"[{signed(interval.low, digits)} to {signed(interval.high, digits)}]"


def spread(value: float, digits: int = 3) -> str:
    """Write a standard deviation: ``± .004``; empty where it is not defined."""
    return f"±{_GAP}{number(value, digits)}" if math.isfinite(value) else ""


def p_value(value: float) -> str:
    """Write a p-value for a cell: ``.034``, ``< .001``."""
    return f"<{_GAP}.001" if value < 0.001 else number(value)


def listed(names: Sequence[str]) -> str:
    """Join names for a sentence: ``A``, ``A and B``, ``A, B and C``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def duration(seconds: float) -> str:
    """Write a duration: ``8 min 12 s``."""
    if not math.isfinite(seconds):
        return DASH
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{_GAP}h {minutes}{_GAP}min"
    return f"{minutes}{_GAP}min {rest}{_GAP}s" if minutes else f"{rest}{_GAP}s"


def subject(label: str) -> str:
    """Say what a label is about, in the plural."""
    known = {TOXICITY: "toxic prompts", JAILBREAKING: "jailbreak attempts"}
    return known.get(label, f"prompts labelled {label}")


def headline(evaluation: Evaluation) -> str:
    """Say the main result in one sentence, with its intervals.

    Args:
        evaluation: of any label; a slice of one class gives a sentence that says so.
    """
    main, things = evaluation.main, subject(evaluation.label)
    recall, precision = metric(main, "recall"), metric(main, "precision")
    if main.n == 0:
        return "There was no row to evaluate."
    if main.positives == 0:
        return f"There were no {things} among the {count(main.n)} rows, so nothing can be said about finding them."
    alarms = (
        f"is right in {percent(precision)} of its alarms"
        if math.isfinite(precision.value) and _raises_alarms(evaluation)
        else "raises no alarm at all"
    )
    f1, auprc = (
        f"{words} {with_interval(metric(main, name), 2)}" for name, words in (("f1", "F1"), ("auprc", "AUPRC"))
    )
    scores = f"{f1.replace(' ', _GAP)}, {auprc.replace(' ', _GAP)}"
    return f"Finds {percent(recall)} of {things} and {alarms}; {scores}."


def _raises_alarms(evaluation: Evaluation) -> bool:
    return bool((evaluation.rows.probs >= evaluation.threshold).any())


def threshold_sentence(evaluation: Evaluation, tested: bool) -> str:
    """Say where the threshold lies and where it came from; `tested` if these rows had no say in it."""
    value = cut(evaluation.threshold)
    if not evaluation.origin.startswith("val"):
        return f"A row is flagged at a calibrated score of {value} or more; the threshold was set, not learned."
    policy, _, folds = (evaluation.origin.partition(":")[2].strip() or "validation").partition(", ")
    learned = f"A row is flagged at a calibrated score of {value} or more, the threshold with the {policy}"
    if not tested:
        return f"{learned} on these same rows, so precision, recall and F1 are a little too good."
    rows = f"training rows, in {folds}, each scored by a model that did not see it" if folds else "validation rows"
    return f"{learned} on {rows}; the test rows had no say in it."


def words_sentence(weights: int, gain: Comparison) -> str:
    """Say what words beside the network gave.

    Args:
        weights: of the n-grams; 0 if none is heard.
        gain: sum less network.
    """
    if not weights:
        return "Words were tried beside the network, and have no say: they ranked no row better."
    difference = f"{signed(gain.difference.value)} {signed_bracket(gain.difference)}".strip()
    return (
        f"Words are heard beside the network ({parameters(weights)} weights of n-grams, added to its logit): "
        f"{METRIC_WORDS[gain.metric]} {difference} on the rows that neither saw and that weighed them."
    )


def confidence_sentence(evaluation: Evaluation) -> str:
    """Say what the brackets are, or why there are none."""
    few = [name for name in few_families(evaluation.rows) if name in evaluation.slices]
    too_few = f"are of fewer than {FEWEST_FAMILIES} prompt families"
    if len(few) == len(evaluation.slices):
        return f"There are no intervals, as the rows {too_few}."
    brackets = (
        f"Brackets are {100 * evaluation.confidence:.0f}{_GAP}% intervals from {count(evaluation.resamples)} "
        "bootstrap resamples of whole prompt families."
    )
    return f"{brackets} There are none for {listed(few)}, whose rows {too_few}." if few else brackets
