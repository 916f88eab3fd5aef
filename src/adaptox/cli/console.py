"""What people see: progress bars, tables, and errors in one line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from adaptox import records
from adaptox.evaluate import Evaluation
from adaptox.report.phrases import with_interval

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

# Work that ends sooner shows no bar.
_PATIENCE_S = 2.0


@contextmanager
def progress() -> Iterator[records.Progress]:
    """Show what takes longer than two seconds; nothing at all when the error stream is no terminal.

    Yields:
        A callback for work that reports (stage, done, total).
    """
    if not err.is_terminal:
        yield records.silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        tasks: dict[str, TaskID] = {}
        since: dict[str, float] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                since[stage] = time.monotonic()
                tasks[stage] = bars.add_task(stage, total=total, visible=False)
            late = time.monotonic() - since[stage] > _PATIENCE_S
            bars.update(tasks[stage], completed=done, total=total, visible=late and done < total)
            if done >= total:
                bars.remove_task(tasks.pop(stage))

        yield report


def fail(message: str) -> None:
    """Print an error in one line, without a traceback."""
    err.print(f"[bold red]error:[/] {_plain(message)}", soft_wrap=True)


def note(message: str) -> None:
    """Print a remark beside the result, where a pipe does not read it."""
    err.print(_plain(message), soft_wrap=True, style="dim")


def say(message: str) -> None:
    """Print a line of the result."""
    out.print(_plain(message), soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns after the first are aligned right."""
    grid = Table(title=title or None, title_justify="left", title_style="bold")
    for position, column in enumerate(columns):
        grid.add_column(column, justify="right" if position else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(_plain(cell) for cell in row))
    out.print(grid)


def evaluation_table(title: str, evaluation: Evaluation) -> None:
    """Print the metrics of every slice with their intervals."""
    shown = ("auprc", "f1", "precision", "recall", "recall_at_fpr_01", "ece")
    rows = [
        [name, str(result.n), str(result.positives), *(with_interval(result.metrics[metric]) for metric in shown)]
        for name, result in evaluation.slices.items()
    ]
    table(
        title, ("slice", "rows", "positive", "AUPRC", "F1", "precision", "recall", "recall at 1 % FPR", "ECE"), rows
    )


def is_piped() -> bool:
    """Tell whether something is piped into the standard input."""
    return not sys.stdin.isatty()


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
