"""A study while it runs: a table that is kept up to date on a terminal, a line for each run that ends elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from adaptox.cli import console
from adaptox.report.phrases import duration
from adaptox.study import Board, RunState, Watch

_STYLES = {"done": "green", "kept": "dim", "running": "bold", "failed": "bold red", "waiting": "dim"}
# More lines than this do not fit on a screen: of the others, only how many there are.
_SHOWN = 20


@contextmanager
def board() -> Iterator[Watch]:
    """Show how far a study is.

    Yields:
        A callback that takes the board.
    """
    errors = Console(stderr=True)
    said: set[str] = set()
    if not errors.is_terminal:
        yield lambda state: _say(state, said)
        return
    start = time.monotonic()
    with Live(console=errors, transient=True, refresh_per_second=2) as live:
        yield lambda state: live.update(_table(state, time.monotonic() - start))


def _say(state: Board, said: set[str]) -> None:
    for run in state.runs:
        if run.state in ("done", "failed") and run.label not in said:
            said.add(run.label)
            ended = sum(one.state in ("done", "kept", "failed") for one in state.runs)
            left = "" if state.left_s is None else f", about {duration(state.left_s)} left"
            what = f"failed: {run.error}" if run.error else f"done in {duration(run.wall_s)}"
            console.note(f"{ended} of {len(state.runs)}: {run.label} {what}{left}")


def _table(state: Board, since_s: float) -> Table:
    left = "" if state.left_s is None else f", about {duration(state.left_s)} left"
    ended = sum(run.state in ("done", "kept", "failed") for run in state.runs)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(f"{ended} of {len(state.runs)} runs, {duration(since_s)} so far{left}", style="bold"))
    first = sorted(state.runs, key=lambda run: ("running", "failed", "waiting", "done", "kept").index(run.state))
    for run in first[:_SHOWN]:
        grid.add_row(Text(run.label), Text(run.state, style=_STYLES[run.state]), Text(_detail(run)))
    if len(first) > _SHOWN:
        grid.add_row(Text(f"and {len(first) - _SHOWN} more", style="dim"))
    return grid


def _detail(run: RunState) -> str:
    if run.state == "running":
        return f"{run.stage} {run.done}/{run.total}"
    return run.error or (duration(run.wall_s) if run.wall_s else "")
