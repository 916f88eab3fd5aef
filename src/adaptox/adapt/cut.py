"""Training rows that are longer than what training reads of them → what a reader is told, and what to change."""

from __future__ import annotations

from collections.abc import Sequence

from adaptox import model
from adaptox.config import Config
from adaptox.records import Example
from adaptox.train import Fitted

# The shares of rows from which a reader is told, and from which a collapse is first put down to it.
_SOME = 0.03
_MOST = 0.5
_READ = {
    "auto": "the end of a conversation, the beginning of a single turn",
    "head": "their beginning",
    "tail": "their end",
    "head-tail": "their beginning and their end",
}


def notes(fitted: Fitted, rows: Sequence[Example], base: model.Base, config: Config) -> tuple[str, ...]:
    """Say so where training left a part of more than a few rows unread.

    Args:
        fitted: counted them.
        rows: of the training part.
        base: says how much it can read.
        config: of the run.
    """
    if fitted.cut < max(1, _SOME * fitted.rows):
        return ()
    scoring = "all of them in windows" if config.encode.overflow == "windows" else "no more of them"
    ways = _ways(rows, base, config)
    more = f"; {ways} reads more" if ways else ""
    return (f"{_said(fitted, config)}, scoring reads {scoring}{more}.",)


def first_cause(fitted: Fitted, rows: Sequence[Example], base: model.Base, config: Config) -> str:
    """Name what was left unread as what to look at first after a collapse, if most rows were cut; else nothing."""
    if fitted.cut <= _MOST * fitted.rows:
        return ""
    ways = _ways(rows, base, config)
    return f"{_said(fitted, config)}{f'; first try {ways}' if ways else ''}. "


def _said(fitted: Fitted, config: Config) -> str:
    return (
        f"{fitted.cut} of {fitted.rows} training rows are longer than encode.max_tokens = "
        f"{config.encode.max_tokens}: training reads {_READ[config.encode.keep]} (encode.keep = "
        f"'{config.encode.keep}')"
    )


def _ways(rows: Sequence[Example], base: model.Base, config: Config) -> str:
    """List the settings that would change it."""
    talks = any(len(row.conversation.turns) > 1 for row in rows)
    ways = {
        f"a larger encode.max_tokens (up to {base.max_positions})": config.encode.max_tokens < base.max_positions,
        "encode.keep = 'auto'": talks and config.encode.keep == "head",
        "text.turns = 'last-user'": talks and config.text.turns != "last-user",
    }
    return " or ".join(way for way, helps in ways.items() if helps)
