"""Story → study.html and study.md."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from adaptox.report.page import environment
from adaptox.report.study import sentences
from adaptox.report.study.browser import filters, mistakes_json, mistakes_sentence, mistakes_table
from adaptox.report.study.cells import Grid
from adaptox.report.study.figures import leak_figure, panel_figures
from adaptox.report.study.runs import of_panel, slugs
from adaptox.report.study.tables import panel_grids, shared_grids
from adaptox.report.study.values import StudyRun, StudyStory
from adaptox.report.tables import Table, nested_tables
from adaptox.report.theme import DARK_RUNS, RUNS, Drawing

_SCRIPT = "templates/study.js"
# Figures and tables of a panel as they are read: how good, at what cost, how sure, and why.
_ORDER = (
    "metrics",
    "repair",
    "training",
    "paper",
    "curves",
    "ranking",
    "scores",
    "thresholds",
    "slices",
    "pairs",
    "shares",
    "learning",
)


@dataclass(frozen=True, slots=True)
class PanelPart:
    """What the report says of one panel.

    Attributes:
        anchor: its id on the page.
        title: heading.
        words: what the panel is.
        rows: how many test rows it has, a sentence.
        troubles: name, state and notes of runs that collapsed or failed.
        grids: kind → table.
        figures: kind → figure.
    """

    anchor: str
    title: str
    words: str
    rows: str
    troubles: tuple[tuple[str, str, tuple[str, ...]], ...]
    grids: Mapping[str, Grid]
    figures: Mapping[str, Drawing]

    def parts(self) -> Iterator[tuple[Literal["figure", "grid"], Drawing | Grid]]:
        """Give the figures and tables in the order in which they are read."""
        for kind in _ORDER:
            if kind in self.figures:
                yield "figure", self.figures[kind]
            if kind in self.grids:
                yield "grid", self.grids[kind]


@dataclass(frozen=True, slots=True)
class StudyParts:
    """All that is computed once for both forms of the report.

    Attributes:
        panels: in order.
        shared: tables that hold for all panels: kind → table.
        leak: the same runs in every panel, None where there is one panel.
    """

    panels: tuple[PanelPart, ...]
    shared: Mapping[str, Grid]
    leak: Drawing | None

    def drawings(self) -> tuple[Drawing, ...]:
        """Give every figure."""
        across = () if self.leak is None else (self.leak,)
        return (*(drawing for panel in self.panels for drawing in panel.figures.values()), *across)


def gather(story: StudyStory) -> StudyParts:
    """Lay out the tables and draw the figures.

    Raises:
        MissingExtraError: matplotlib or scikit-learn is not installed.
    """
    endings = slugs(story)
    parts = []
    for panel in story.panels:
        runs = of_panel(story, panel)
        parts.append(
            PanelPart(
                anchor=f"panel{endings[panel]}",
                title=f"Panel: {panel}" if panel else "Results",
                words=sentences.sentence(story.panel_words.get(panel, "")),
                rows=sentences.rows_sentence(runs),
                troubles=tuple(sentences.troubles(runs)),
                grids=panel_grids(story, panel) if runs else {},
                figures=panel_figures(story, panel),
            )
        )
    return StudyParts(tuple(parts), shared_grids(story), leak_figure(story))


def render_study_html(story: StudyStory, parts: StudyParts) -> str:
    """Render the page: one file, nothing fetched, every text escaped, one script that is allowed by its hash.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    templates = environment(escape=True)
    # Read as it is, not rendered: the hash is of every byte between the tags.
    script = files("adaptox.report").joinpath(_SCRIPT).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return templates.get_template("study.html.j2").render(
        _context(story, parts),
        script=script,
        script_hash=f"sha256-{digest}",
        mistakes_json=mistakes_json(story),
        filters=filters(story),
        edge=_starts_group,
        configs=[_settings(run) for run in story.runs],
        run_colours=";".join(f"--run-{place}:{colour}" for place, colour in enumerate(RUNS, 1)),
        dark_run_colours=DARK_RUNS,
    )


def render_study_markdown(story: StudyStory, parts: StudyParts) -> str:
    """Render the report for a forge; it holds no text of an example.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    text = environment(escape=False).get_template("study.md.j2").render(_context(story, parts))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _context(story: StudyStory, parts: StudyParts) -> dict[str, Any]:
    return {
        "story": story,
        "parts": parts,
        "headline": sentences.headline(story),
        "states": sentences.states(story),
        "rivals": tuple(sentences.rivals(story)),
        "confidence": sentences.confidence(story),
        "mistakes_table": mistakes_table(story),
        "mistakes_sentence": mistakes_sentence(),
        "provenance": _provenance(story),
    }


def _starts_group(grid: Grid, column: int) -> bool:
    return column > 0 and grid.heads[column].group != grid.heads[column - 1].group


def _settings(run: StudyRun) -> dict[str, Any]:
    return {"name": run.name, "panel": run.panel, "state": run.state, "tables": nested_tables(run.config)}


def _provenance(story: StudyStory) -> Table:
    rows = [
        *((f"data {panel}".strip(), sha256) for panel, sha256 in story.data_sha256.items()),
        ("hardware", story.hardware),
        ("code", story.commit),
    ]
    return Table("", ("", ""), tuple(rows), (False, False))
