"""Story of a study → files in its folder."""

from __future__ import annotations

from pathlib import Path

from adaptox.report.study.page import gather, render_study_html, render_study_markdown
from adaptox.report.study.values import StudyStory
from adaptox.report.written import put


def write_study(story: StudyStory, folder: Path) -> None:
    """Write ``study.html``, ``study.md`` and ``figures/`` into the study's folder.

    All is rendered before the first byte is written, and each file appears whole under its name.

    Args:
        story: the study.
        folder: its folder, which exists.

    Raises:
        MissingExtraError: matplotlib, jinja2 or scikit-learn is not installed.
        StorageError: the disk refused a file.
    """
    parts = gather(story)
    files = {
        f"figures/{drawing.name}.{ending}": data for drawing in parts.drawings() for ending, data in drawing.files()
    }
    files["study.md"] = render_study_markdown(story, parts).encode()
    files["study.html"] = render_study_html(story, parts).encode()
    put(files, folder)
