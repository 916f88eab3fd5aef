"""Story → report.html and report.md."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptox.errors import MissingExtraError
from adaptox.evaluate.values import Evaluation, Interval, SliceResult
from adaptox.report import phrases
from adaptox.report.mistakes import outcomes, worst_mistakes
from adaptox.report.phrases import METRIC_WORDS, SLICE_REASONS, count, metric
from adaptox.report.tables import Table, cell, markdown, markdown_cell, nested_tables
from adaptox.report.theme import Drawing
from adaptox.report.values import RunStory, TrainingFacts

if TYPE_CHECKING:
    from jinja2 import Environment

FIRST_METRICS = ("auprc", "f1", "precision", "recall")
OTHER_METRICS = ("accuracy", "auroc", "recall_at_fpr_01", "brier", "ece")
METRIC_REASONS = {
    "AUPRC": "the area under the precision-recall curve, one number for all thresholds",
    "F1": "the harmonic mean of precision and recall at the threshold",
    "AUROC": "how often a positive row scores above a negative one",
    "Brier": "the mean squared gap between score and truth, smaller is better",
    "calibration error": "how far scores are from shares, smaller is better",
}

# Keys of the manifest → what a reader calls them.
_DATA_WORDS = {
    "target": "label",
    "seed": "seed of splitting and sampling",
    "by_source": "parts by source",
    "families": "near-copies",
    "twins": "test rows with a near-copy in the published train split",
    "test_leak": "test rows with a near-copy among training or validation rows",
    "validation_leak": "validation rows with a near-copy among training rows",
    "families_kept_whole": "near-copies kept in one part",
    "sha256": "hash of the rows",
}
_FAMILY_WORDS = {
    "number": "families (rows that are near-copies of each other, or one row)",
    "largest": "rows of the largest family",
    "in_several_rows": "families of several rows",
    "rows_in_several": "rows in families of several",
}
_LEAK = {"rows", "positive", "of_rows", "of_positive"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One cell of a table of metrics.

    Attributes:
        text: the number.
        ends: its interval in brackets, or empty.
        interval: for the bar below the number, in percent of the cell's width; None where it is not defined.
    """

    text: str
    ends: str
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One line of a table of metrics."""

    name: str
    description: str
    size: str
    cells: tuple[Measured, ...]
    faint: bool


def render_html(story: RunStory, drawings: tuple[Drawing, ...]) -> str:
    """Render the page: one file, no script, nothing fetched, every text escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    return environment(escape=True).get_template("report.html.j2").render(_context(story, drawings))


def render_markdown(story: RunStory, drawings: tuple[Drawing, ...]) -> str:
    """Render the report for a terminal or a forge; it holds no text of an example.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    text = environment(escape=False).get_template("report.md.j2").render(_context(story, drawings))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def environment(escape: bool) -> Environment:
    """Give the templates, with the filters that they use.

    Args:
        escape: whether what is filled in is HTML's text; Markdown has filters of its own.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("report", "train", "jinja2") from error
    made = Environment(
        loader=PackageLoader("adaptox.report"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"md": markdown_cell, "table_md": markdown, "number": phrases.number, "count": count}
    return made


def _context(story: RunStory, drawings: tuple[Drawing, ...]) -> dict[str, Any]:
    evaluation = story.evaluation
    slices = [name for name in evaluation.slices if name in SLICE_REASONS]
    return {
        "story": story,
        "evaluation": evaluation,
        "headline": phrases.headline(evaluation),
        "before": None if story.baseline is None else phrases.headline(story.baseline),
        "threshold": phrases.threshold_sentence(evaluation, story.tested),
        "confidence": phrases.confidence_sentence(evaluation),
        "things": phrases.subject(evaluation.label),
        "outcomes": outcomes(evaluation),
        "first_header": [METRIC_WORDS[name] for name in FIRST_METRICS],
        "other_header": [METRIC_WORDS[name] for name in OTHER_METRICS],
        "first_rows": metric_rows(story, FIRST_METRICS),
        "other_rows": metric_rows(story, OTHER_METRICS),
        "metric_reasons": METRIC_REASONS,
        "slice_reasons": {name: SLICE_REASONS[name] for name in slices},
        "drawings": drawings,
        "mistakes": worst_mistakes(evaluation, story.texts),
        "training": training_table(story.training),
        "manifest": nested_tables(data_facts(story.manifest)),
        "origins": origins_table(story),
        "origin_notes": [note for origin in story.origins for note in origin.notes if note not in story.notes],
        "origin_links": [(o.location, o.url) for o in story.origins if o.url.startswith(("https://", "http://"))],
        "provenance": provenance_table(story),
        "settings": nested_tables(story.provenance.config),
    }


def data_facts(manifest: Mapping[str, object]) -> dict[str, object]:
    """Name what a manifest holds as a reader would; what there is none of is left out.

    Args:
        manifest: as `prepare` wrote it. Its settings stand whole in a section of their own.
    """
    facts = {}
    for key, value in manifest.items():
        if key == "config" or value is None:
            continue
        told: object = value
        if isinstance(value, Mapping) and value.keys() == _LEAK:
            if not value["of_rows"]:
                continue
            told = "{rows:,} of {of_rows:,} rows, {positive:,} of {of_positive:,} positive".format(**value)
        elif key == "families" and isinstance(value, Mapping):
            told = {_FAMILY_WORDS.get(name, name): number for name, number in value.items()}
        facts[_DATA_WORDS.get(key, key)] = told
    return facts


def metric_rows(story: RunStory, names: Iterable[str]) -> tuple[SliceRow, ...]:
    """Lay out the metrics of every slice, then the base as it was, then validation.

    Args:
        story: the run.
        names: the metrics that make the columns.
    """
    names = tuple(names)
    rows = [
        _slice_row(code, phrases.rows_of(code, result, story.evaluated_on), result, names, False)
        for code, result in story.evaluation.slices.items()
    ]
    if story.baseline is not None:
        rows.append(_slice_row("before", _before(story.baseline), story.baseline.main, names, True))
    if story.tested:
        words = _validated(story)
        rows.append(_slice_row("validation", words, story.validation.main, names, True))
    return tuple(rows)


def _validated(story: RunStory) -> str:
    settings = story.provenance.config.get("threshold")
    if isinstance(settings, Mapping) and settings.get("folds"):
        return "train rows, each scored by a model that did not see it; the threshold was chosen on them"
    trained = story.provenance.config.get("train")
    if isinstance(trained, Mapping) and not trained.get("keep_best", True):
        return "validation rows, on which the threshold was chosen"
    return "validation rows, on which the weights and the threshold were chosen"


def _before(baseline: Evaluation) -> str:
    main = next(iter(baseline.slices))
    return (
        f"the base before adaptation, on {main}; threshold {phrases.number(baseline.threshold)} ({baseline.origin})"
    )


def _slice_row(code: str, description: str, result: SliceResult, names: tuple[str, ...], faint: bool) -> SliceRow:
    cells = tuple(_measured(metric(result, name)) for name in names)
    return SliceRow(code, description, f"{count(result.n)} ({count(result.positives)})", cells, faint)


def _measured(interval: Interval) -> Measured:
    known = all(map(math.isfinite, (interval.value, interval.low, interval.high)))
    bar = Interval(*(100 * min(max(end, 0), 1) for end in (interval.value, interval.low, interval.high)))
    return Measured(phrases.number(interval.value), phrases.bracket(interval), bar if known else None)


def training_table(facts: TrainingFacts) -> Table:
    """Say what training took."""
    share = 100 * facts.trainable / facts.total if facts.total else math.nan
    rows = [
        ("time", phrases.duration(facts.wall_s)),
        ("speed", phrases.speed(facts.rows_per_s)),
        ("steps", f"{count(facts.steps)}, best at {count(facts.best_step)}"),
        ("best validation AUPRC", phrases.number(facts.best_auprc)),
        ("trained", f"{count(facts.trainable)} of {count(facts.total)} parameters ({share:.3g} %)"),
        ("precision", facts.precision),
        ("peak memory", phrases.megabytes(facts.peak_memory_mb)),
        ("warm start", ", ".join(f"{ours} from {theirs}" for ours, theirs in facts.warm.items()) or "none"),
    ]
    return Table("Training", ("", ""), tuple(rows), (False, False))


def origins_table(story: RunStory) -> Table:
    """Say where the data came from, and under which licence."""
    rows = tuple(
        (origin.location or origin.reader, count(origin.rows), origin.licence, origin.sha256[:16] or phrases.DASH)
        for origin in story.origins
    )
    return Table("Sources", ("source", "rows", "licence", "hash"), rows, (False, True, False, False))


def provenance_table(story: RunStory) -> Table:
    """Say what the numbers hang on."""
    provenance = story.provenance
    rows = [
        ("evaluated on", story.evaluated_on),
        ("data hash", provenance.data_sha256),
        *((f"model {key}", cell(value)) for key, value in provenance.model.items()),
        ("seed", str(provenance.seed)),
        ("hardware", provenance.hardware),
        ("code", provenance.commit),
    ]
    return Table("Provenance", ("", ""), tuple(rows), (False, False))
