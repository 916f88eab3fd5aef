"""Conversation → the one rendered text; training, evaluation and serving all read this one.

Normalisation follows Unicode's NFKC (https://unicode.org/reports/tr15/) and keeps a record of what changed,
since letters that only look alike are a known way around a filter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from adaptox.config import TextConfig
from adaptox.records import Conversation, Turn

# Pictographs of emoji sequences; none of them changes under NFKC.
_EMOJI = "[\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff]"
# Zero-width and direction marks, soft hyphen, fillers, tags, variation selectors, byte-order mark: they show
# nothing, and split words or hide text. The joiner and the selector of emoji stay within emoji.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef]"
    f"|(?<!{_EMOJI})\ufe0f|(?<!{_EMOJI})(?<!{_EMOJI}\ufe0f)\u200d|\u200d(?!{_EMOJI})"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SPACE = re.compile(r"\s+")
_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("control", lambda text: _CONTROL.sub(" ", text)),
    ("invisible", lambda text: _INVISIBLE.sub("", text)),
    ("compatibility", lambda text: unicodedata.normalize("NFKC", text)),
    ("space", lambda text: _SPACE.sub(" ", text).strip()),
)


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
    for name, step in _STEPS:
        changed = step(text)
        if changed != text:
            changes.append(name)
            text = changed
    return Rendered(text, tuple(changes))


def turns_read(conversation: Conversation, config: TextConfig) -> tuple[Turn, ...]:
    """Choose the turns that are read; at least one, even where none has the role that is asked for."""
    turns = conversation.turns
    if config.turns == "last-user":
        return tuple(turn for turn in turns if turn.role == "user")[-1:] or turns[-1:]
    if config.turns == "user":
        return tuple(turn for turn in turns if turn.role == "user") or turns
    if config.turns == "conversation":
        return tuple(turn for turn in turns if turn.role != "system") or turns
    return turns


def render(conversation: Conversation, config: TextConfig) -> Rendered:
    """Render a conversation as one text.

    A single turn is its content and nothing else, so that a comment and a first prompt look alike. Several turns
    stand in order, each behind its role.

    Args:
        conversation: one or more turns.
        config: which turns are read, and whether they are normalised.
    """
    turns = turns_read(conversation, config)
    text = turns[0].content if len(turns) == 1 else "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
    return normalise(text) if config.normalise else Rendered(text, ())
