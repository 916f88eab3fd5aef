"""A table whose cells hold a number, its interval and what stands beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from adaptox.evaluate.values import Interval
from adaptox.report import phrases
from adaptox.report.study.values import StudyRun
from adaptox.report.tables import Table


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: what it says.
        ends: the interval in brackets, or empty.
        beside: what it is held against, such as the paper's number; or empty.
        rank: what its column is sorted by; None sorts by the text.
        state: ``collapsed`` or ``failed`` beside a run's name, or empty.
    """

    text: str
    ends: str = ""
    beside: str = ""
    rank: float | None = None
    state: str = ""

    def sort_key(self) -> str:
        """Give what the page's script sorts by; empty, and so last, where the number is not defined."""
        return "" if self.rank is None or not math.isfinite(self.rank) else repr(float(self.rank))

    def flat(self) -> str:
        """Give the cell as one line."""
        beside = f"({self.beside})" if self.beside else ""
        state = f"({self.state})" if self.state else ""
        return " ".join(filter(None, (self.text, self.ends, beside, state)))


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column; neighbours with the same group stand under it together."""

    words: str
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Grid:
    """A table for the page, where it can be sorted, and for Markdown.

    Attributes:
        name: its id on the page; empty until the tables of a panel are numbered.
        title: heading; the number goes before it.
        caption: how to read it.
        heads: one a column; the first column names the row.
        rows: cells, as many as heads.
    """

    name: str
    title: str
    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def groups(self) -> Iterator[tuple[str, int]]:
        """Give the upper heads: words and columns below; nothing where no column has one."""
        if any(head.group for head in self.heads):
            for group, members in groupby(self.heads, key=lambda head: head.group):
                yield group, len(tuple(members))

    def plain(self) -> Table:
        """Give it as a table of texts."""
        header = tuple(f"{head.group}: {head.words}" if head.group else head.words for head in self.heads)
        rows = tuple(tuple(cell.flat() for cell in row) for row in self.rows)
        return Table(self.title, header, rows, tuple(head.numeric for head in self.heads))


def named(run: StudyRun) -> Cell:
    """Give the cell that names a run, and says where it came to nothing."""
    return Cell(run.name, state="" if run.state == "done" else run.state)


def words(text: str) -> Cell:
    """Give a cell of words; an empty one has a dash."""
    return Cell(text or phrases.DASH)


def value(number: float, text: str, beside: str = "") -> Cell:
    """Give a cell with a number that is written in its own way."""
    return Cell(text, beside=beside, rank=number)


def interval(found: Interval, beside: str = "") -> Cell:
    """Give a cell with a number and its interval."""
    return Cell(phrases.number(found.value), phrases.bracket(found), beside, found.value)


def difference(found: Interval) -> Cell:
    """Give a cell with a signed difference and its interval."""
    return Cell(phrases.signed(found.value), phrases.signed_bracket(found), rank=found.value)
