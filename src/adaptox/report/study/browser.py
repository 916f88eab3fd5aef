"""The mistakes of a study, as data that the page's script shows."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable

from adaptox.report import phrases
from adaptox.report.mistakes import MAX_CHARS
from adaptox.report.study.values import LISTED_MISTAKES, StudyMistake, StudyStory
from adaptox.report.tables import Table

# Inside a script element, none of these may stand as they are: they could end it or start another.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def mistakes_json(story: StudyStory) -> str:
    """Write the mistakes as JSON that is safe inside a script element.

    Each has what a reader filters by, the text (cut where it is long), and a score as text and in percent for each
    run, in the order of the grid. Those that most runs make stand first.
    """
    ranked = sorted(story.mistakes, key=lambda mistake: -len(mistake.wrong))
    text = json.dumps([_entry(story, mistake) for mistake in ranked], separators=(",", ":"))
    for sign, escape in _ESCAPES.items():
        text = text.replace(sign, escape)
    return text


def _entry(story: StudyStory, mistake: StudyMistake) -> dict[str, object]:
    order = {run.name: place for place, run in enumerate(story.runs) if run.panel == mistake.panel}
    names = sorted(mistake.probs, key=lambda name: order.get(name, len(order)))
    omitted = max(0, len(mistake.text) - MAX_CHARS)
    return {
        "panel": mistake.panel,
        "id": mistake.id,
        "kind": mistake.kind,
        "tags": list(mistake.tags),
        "text": mistake.text[:MAX_CHARS],
        "omitted": f"… and {phrases.count(omitted)} more characters." if omitted else "",
        "errs": list(mistake.wrong),
        "scores": [
            [name, phrases.number(prob), round(100 * prob, 1) if math.isfinite(prob) else 0]
            for name in names
            for prob in [mistake.probs[name]]
        ],
    }


def filters(story: StudyStory) -> dict[str, tuple[str, ...]]:
    """Give the choices of each filter; a filter with one choice is of no use and left out."""
    found = story.mistakes
    choices = {
        "panel": tuple(panel for panel in story.panels if any(mistake.panel == panel for mistake in found)),
        "run": tuple(dict.fromkeys(run.name for run in story.runs)),
        "kind": _distinct(mistake.kind for mistake in found),
        "tag": _distinct(tag for mistake in found for tag in mistake.tags),
    }
    return {name: values for name, values in choices.items() if len(values) > 1 or (name == "tag" and values)}


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(values)))


def mistakes_sentence() -> str:
    """Say which mistakes are listed and counted."""
    return (
        f"Listed are rows that half of the runs or more decide wrongly, at most {LISTED_MISTAKES} of a panel, "
        "those that most runs decide wrongly first."
    )


def mistakes_table(story: StudyStory) -> Table:
    """Count the mistakes listed by panel, kind and how many runs make them; no text of an example."""
    counted = Counter((mistake.panel, mistake.kind, len(mistake.wrong)) for mistake in story.mistakes)
    several = len(story.panels) > 1
    rows = sorted(counted.items(), key=lambda item: (story.panels.index(item[0][0]), item[0][1], -item[0][2]))
    header = (*(("panel",) if several else ()), "kind", "runs that err", "rows")
    return Table(
        "",
        header,
        tuple(
            (*((panel,) if several else ()), kind, phrases.count(errs), phrases.count(n))
            for (panel, kind, errs), n in rows
        ),
        tuple(name in ("runs that err", "rows") for name in header),
    )
