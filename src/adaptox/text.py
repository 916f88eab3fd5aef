"""Conversation → the one rendered text; training, evaluation and serving all read this one.

Normalisation follows Unicode's NFKC (https://unicode.org/reports/tr15/) and keeps a record of what changed,
since letters that only look alike are a known way around a filter.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from adaptox.config import TextConfig
from adaptox.records import Conversation

# Zero-width and direction marks, soft hyphen, byte-order mark: invisible, and used to split words. The zero-width
# joiner stays where emoji need it.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text a model reads.

    Attributes:
        text: normalised.
        changes: what normalisation did: any of ``compatibility``, ``invisible``, ``control``, ``space``.
    """

    text: str
    changes: tuple[str, ...]


def normalise(text: str) -> Rendered:
    """Bring a text to NFKC, without invisible and control characters, with single spaces.

    Idempotent: normalising twice changes nothing more.
    """
    changes = []
    for name, step in (
        ("control", lambda value: _CONTROL.sub(" ", value)),
        ("invisible", lambda value: _INVISIBLE.sub("", value)),
        ("compatibility", lambda value: unicodedata.normalize("NFKC", value)),
        ("space", lambda value: _SPACE.sub(" ", value).strip()),
    ):
        changed = step(text)
        if changed != text:
            changes.append(name)
            text = changed
    return Rendered(text, tuple(changes))


def render(conversation: Conversation, config: TextConfig) -> Rendered:
    """Render a conversation as one text.

    A single turn is its content and nothing else, so that a comment and a first prompt look alike. Several turns
    stand in order, each behind its role.

    Args:
        conversation: one or more turns.
        config: which turns are read, and whether they are normalised.
    """
    turns = conversation.turns
    if config.turns == "last-user":
        turns = tuple(turn for turn in turns if turn.role == "user")[-1:] or turns[-1:]
    elif config.turns == "user":
        turns = tuple(turn for turn in turns if turn.role == "user") or turns
    text = turns[0].content if len(turns) == 1 else "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
    return normalise(text) if config.normalise else Rendered(text, ())
