"""Story → model card, as https://huggingface.co/docs/hub/model-cards describes it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

from adaptox.errors import MissingExtraError
from adaptox.evaluate.values import Evaluation, SliceResult
from adaptox.records import Origin
from adaptox.report import phrases
from adaptox.report.page import FIRST_METRICS, origins_table
from adaptox.report.phrases import METRIC_WORDS, SLICE_REASONS, count, metric, rows_of, with_interval
from adaptox.report.tables import Table, markdown, markdown_cell
from adaptox.report.values import RunStory

_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?\s?commercial", re.IGNORECASE)
_SHARE_ALIKE = re.compile(r"\bsa\b|share-?\s?alike", re.IGNORECASE)
_UNKNOWN = re.compile(r"unknown|^\s*$", re.IGNORECASE)
_SPDX = re.compile(r"[A-Za-z0-9.+-]+\Z")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+\Z")


def model_card(story: RunStory) -> str:
    """Write the model card: front matter with the results for the hub, then what a user must know.

    Args:
        story: the run; no text of an example reaches the card.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
    """
    evaluation = story.evaluation
    things = markdown_cell(phrases.subject(evaluation.label))
    threshold = phrases.threshold_sentence(evaluation, story.tested)
    parts = (
        f"---\n{_front_matter(story)}\n---",
        f"# {markdown_cell(story.title)}",
        f"A classifier of {things} in chatbot conversations, made with adaptox.",
        f"**{markdown_cell(phrases.headline(evaluation))}** "
        f"Measured on {story.evaluated_on}. {markdown_cell(threshold)} "
        f"{phrases.confidence_sentence(evaluation)}",
        *(f"> {markdown_cell(note)}" for note in story.notes),
        "## Results",
        markdown(_results(evaluation, story.evaluated_on)).strip(),
        _reasons(evaluation),
        "## Intended use",
        _INTENDED.format(threshold=phrases.cut(evaluation.threshold)),
        "## Limits",
        _limits(story),
        "## Data and licence",
        licence_sentence(story.origins),
        markdown(origins_table(story)).strip(),
        "## Reproduce",
        f"````sh\n{story.command.replace('````', '')}\n````",
        f"Code {markdown_cell(story.provenance.commit)}, seed {story.provenance.seed}, data "
        f"`{story.provenance.data_sha256[:16]}`, on {markdown_cell(story.provenance.hardware)}.",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


_INTENDED = """\
Flagging chatbot prompts and conversations for review, and filtering data. Use the scores with the threshold stored
in the bundle ({threshold}), or fit another on your own validation rows; some of what it flags is harmless, so let
a person decide where a decision matters. It is not meant for judging people, nor as the only safeguard of a
product."""


_ALONE = (
    "Load it with adaptox: transformers alone reads its network, but not its windows, calibration, thresholds and "
    "words"
)
_NO_POOLER = (
    "; and since the head reads the mean of all tokens, which config.json tells adaptox alone, transformers would "
    "make up a pooler with random weights, and the scores would mean nothing."
)


def _limits(story: RunStory) -> str:
    main = story.evaluation.main
    recall, precision = metric(main, "recall"), metric(main, "precision")
    lines = [
        "Other platforms, languages and times than the data's are untested; expect lower numbers there.",
        "Words that name groups of people can raise the score of harmless texts; measure this on your own data.",
        "Letters that look alike and invisible characters are normalised, other disguises are not undone.",
    ]
    lines.append(_ALONE + (_NO_POOLER if story.provenance.model.get("pooling") == "mean" else "."))
    if story.words and story.words.weights:
        lines.append("lexicon.json holds n-grams of the training texts, in clear: mind what those texts were.")
    lines.append(
        "learned.bin holds a hash of each row that it learned from, by which adaptox says so where it is judged on "
        "one: who has a text can tell whether it is among them. It works without that file, too."
    )
    if math.isfinite(recall.value):
        lines.insert(0, f"It misses {_rest(recall.value)} of the positive rows of this test.")
    if math.isfinite(precision.value):
        lines.insert(1, f"Of its alarms on this test, {_rest(precision.value)} are false.")
    return "\n".join(f"- {line}" for line in lines)


def _rest(share: float) -> str:
    return f"{100 * (1 - share):.0f} %"


def _results(evaluation: Evaluation, evaluated_on: str) -> Table:
    header = ("rows", "n (positive)", *(METRIC_WORDS[name] for name in FIRST_METRICS))
    rows = tuple(
        (
            f"{code}: {rows_of(code, result, evaluated_on)}",
            f"{count(result.n)} ({count(result.positives)})",
            *(with_interval(metric(result, name)) for name in FIRST_METRICS),
        )
        for code, result in evaluation.slices.items()
    )
    return Table("", header, rows, (False, *(True for _ in header[1:])))


def _reasons(evaluation: Evaluation) -> str:
    return "\n".join(f"- {code}: {SLICE_REASONS[code]}" for code in evaluation.slices if code in SLICE_REASONS)


def licence_sentence(origins: Iterable[Origin]) -> str:
    """Say what the licences of the data mean for the weights.

    Args:
        origins: where the training rows came from.
    """
    origins = tuple(origins)
    sentences = [
        f"Trained on non-commercial data ({names}): the weights may not be used commercially."
        for names in [_named(origins, _NON_COMMERCIAL)]
        if names
    ]
    if names := _named(origins, _SHARE_ALIKE):
        sentences.append(f"Share-alike data ({names}): pass derived data on under the same licence.")
    if names := _named(origins, _UNKNOWN):
        sentences.append(
            f"The licence of some data is unknown ({names}): find it out before you publish the weights."
        )
    sentences.append("The licence of the base model holds as well.")
    return " ".join(sentences)


def _named(origins: tuple[Origin, ...], pattern: re.Pattern[str]) -> str:
    found = dict.fromkeys(
        f"{origin.location or origin.reader}, {origin.licence or 'unknown'}"
        for origin in origins
        if pattern.search(origin.licence)
    )
    return markdown_cell("; ".join(found))


def card_licence(origins: Iterable[Origin]) -> str:
    """Give the hub's licence identifier: the data's own where all agree, the non-commercial one, or ``other``.

    Args:
        origins: where the training rows came from.
    """
    licences = {origin.licence.strip().lower() for origin in origins}
    restricted = sorted(licence for licence in licences if _NON_COMMERCIAL.search(licence))
    candidates = restricted or sorted(licences)
    plain = len(candidates) == 1 and _SPDX.match(candidates[0]) and not _UNKNOWN.search(candidates[0])
    return candidates[0] if plain else "other"


def _front_matter(story: RunStory) -> str:
    try:
        from huggingface_hub import EvalResult, ModelCardData
    except ImportError as error:
        raise MissingExtraError("report", "train", "huggingface_hub") from error
    evaluation = story.evaluation
    hub_ids = [origin.location for origin in story.origins if _is_hub_id(origin.location)]
    results = [
        EvalResult(
            task_type="text-classification",
            # Of several sources, some may only help training.
            dataset_type=hub_ids[0] if hub_ids and len(story.origins) == 1 else "custom",
            dataset_name=f"{story.evaluated_on}, {code}",
            dataset_split="test" if story.tested else "validation",
            metric_type=name,
            metric_name=f"{METRIC_WORDS[name]} of {evaluation.label}",
            metric_value=round(metric(result, name).value, 4),
        )
        for code, result in evaluation.slices.items()
        for name in _defined(result)
    ]
    base = story.provenance.model.get("base")
    licence = card_licence(story.origins)
    card = ModelCardData(
        model_name=story.title,
        license=licence,
        license_name="see-the-section-on-data" if licence == "other" else None,
        base_model=base if isinstance(base, str) and _is_hub_id(base) else None,
        datasets=sorted(set(hub_ids)) or None,
        library_name="adaptox",
        # The hub's own pipeline would load it by transformers alone.
        pipeline_tag=None if story.provenance.model.get("pooling") == "mean" else "text-classification",
        metrics=list(FIRST_METRICS),
        tags=["moderation", evaluation.label, "adaptox"],
        eval_results=results or None,
    )
    return str(card.to_yaml())


def _is_hub_id(name: str) -> bool:
    """Tell whether a name is of the hub: a path on this disk may look the same, and is nobody's repository."""
    return bool(_HUB_ID.match(name)) and not Path(name).exists()


def _defined(result: SliceResult) -> tuple[str, ...]:
    return tuple(name for name in FIRST_METRICS if math.isfinite(metric(result, name).value))
