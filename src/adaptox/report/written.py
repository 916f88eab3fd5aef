"""Story → files in the run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from adaptox.errors import storage_errors
from adaptox.report.figures import draw_all
from adaptox.report.page import render_html, render_markdown
from adaptox.report.values import RunStory


def write(story: RunStory, folder: Path) -> None:
    """Write ``report.html``, ``report.md`` and ``figures/`` into the run folder.

    All is rendered before the first byte is written, and each file appears whole under its name.

    Args:
        story: the run.
        folder: the run folder, which exists.

    Raises:
        MissingExtraError: matplotlib, jinja2 or scikit-learn is not installed.
        StorageError: the disk refused a file.
    """
    drawings = draw_all(story)
    files = {f"figures/{drawing.name}.{ending}": data for drawing in drawings for ending, data in drawing.files()}
    files["report.md"] = render_markdown(story, drawings).encode()
    files["report.html"] = render_html(story, drawings).encode()
    put(files, folder)


def put(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a report, each as a whole or not at all.

    Args:
        files: path below the folder → content; the folder ``figures`` is made.
        folder: where to, it exists.

    Raises:
        StorageError: the disk refused a file.
    """
    with storage_errors(folder):
        (folder / "figures").mkdir(exist_ok=True)
        for name, data in files.items():
            _put(folder / name, data)


def _put(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
