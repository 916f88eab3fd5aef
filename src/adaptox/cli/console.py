"""What people see: progress bars, tables, and errors in one line."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from adaptox import records
from adaptox.config import START

# Work that ends sooner shows no bar.
_PATIENCE_S = 2.0
# What reads a pipe wants whole lines.
_UNBROKEN = 10_000


@contextmanager
def progress() -> Iterator[records.Progress]:
    """Show what takes longer than two seconds; no bars when the error stream is no terminal.

    A base that is made first, and a wait for another process, are announced anyway.

    Yields:
        A callback for work that reports (stage, done, total).
    """
    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield _announce
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bars:
        tasks: dict[str, TaskID] = {}
        since: dict[str, float] = {}

        def report(stage: str, done: int, total: int) -> None:
            _announce(stage, done, total)
            if stage not in tasks:
                since[stage] = time.monotonic()
                tasks[stage] = bars.add_task(stage, total=total, visible=False)
            late = time.monotonic() - since[stage] > _PATIENCE_S
            bars.update(tasks[stage], completed=done, total=total, visible=late and done < total)
            if done >= total:
                bars.remove_task(tasks.pop(stage))

        yield report


def _announce(stage: str, done: int, total: int) -> None:
    if stage == START and done == 0:
        note(f"base {START} is made first, once on this machine; --base minilm does without")
    if stage == records.WAITING and done == 0:
        note("another process is making what this one needs: waiting for it")


def fail(message: str) -> None:
    """Print an error in one line, without a traceback."""
    line = Text.assemble(("error: ", "bold red"), one_line(message))
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


def note(message: str) -> None:
    """Print a remark beside the result, where a pipe does not read it."""
    Console(stderr=True, highlight=False).print(Text(message, style="dim"), soft_wrap=True)


def say(message: str, style: str = "") -> None:
    """Print a line of the result, however long it is."""
    _out().print(Text(message, style=style), soft_wrap=True)


def paragraph(message: str, indent: int = 0, style: str = "") -> None:
    """Print indented text, broken at the width of a terminal and nowhere else."""
    margin = " " * indent
    for line in message.splitlines():
        wrapped = textwrap.fill(
            line,
            width=_out().width,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
        say(wrapped, style)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], cut_first: bool = False) -> None:
    """Print a table; columns after the first are aligned right.

    Args:
        title: printed above; empty for none.
        columns: their heads.
        rows: the cells; they may hold several lines.
        cut_first: on a terminal, cut the first column to the width that is left instead of breaking its lines.
    """
    if title:
        say(title, style="bold")
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for position, column in enumerate(columns):
        # Only the first column may shrink; the others hold numbers and single words.
        grid.add_column(column, justify="right" if position else "left", no_wrap=position > 0)
    for first, *others in rows:
        cut = Text(first, no_wrap=cut_first, overflow="ellipsis" if cut_first else "fold")
        grid.add_row(cut, *(Text(cell) for cell in others))
    _out().print(grid)
    say("")


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(name, style="dim"), Text(value))
    _out().print(grid)


def one_line(text: str) -> str:
    """Put a text that somebody else wrote on one line, without characters that steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def is_piped() -> bool:
    """Tell whether something is piped into the standard input."""
    return not sys.stdin.isatty()


def _out() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNBROKEN
    return console
