"""What goes in and comes out of teaching."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from adaptox.config import Config
from adaptox.evaluate import Interval
from adaptox.records import Conversation, Example, FloatArray, Progress

# Makes what a network of these settings starts from, where that is made on first use.
MakeStart = Callable[[Config, Progress], None]


def start_is_there(config: Config, progress: Progress) -> None:
    """Make nothing: whoever asks for the networks has made what they start from."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a teacher agrees with scores that the data already had.

    Attributes:
        name: of the score.
        n: rows that had one.
        rank_correlation: Spearman's, over these rows, with its bootstrap interval over prompt families; NaN where
            there are fewer than three rows or either side gives all of them the same score.
    """

    name: str
    n: int
    rank_correlation: Interval


@dataclass(frozen=True, slots=True)
class Member:
    """A teacher, or one of those that make it up.

    Attributes:
        name: what a report calls it.
        probs: (examples, labels), calibrated.
    """

    name: str
    probs: FloatArray


@dataclass(frozen=True, slots=True)
class Taught:
    """Examples with soft targets.

    Attributes:
        examples: as they came, but that `teacher` holds the bundle's calibrated probabilities of the targets alone.
        agreement: one for each target that the data had scores for, in the order of the targets.
    """

    examples: tuple[Example, ...]
    agreement: tuple[Agreement, ...]


def conversation_key(conversation: Conversation) -> str:
    """Give what scores of a conversation are kept under: the hash of its messages."""
    return hashlib.sha256(json.dumps(conversation.messages()).encode()).hexdigest()


def with_scores(examples: Sequence[Example], scored: Sequence[Mapping[str, float]]) -> tuple[Example, ...]:
    """Give each example its scores, in place of those that it has."""
    pairs = zip(examples, scored, strict=True)
    return tuple(replace(example, teacher=MappingProxyType(dict(scores))) for example, scores in pairs)
