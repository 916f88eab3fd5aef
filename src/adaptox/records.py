"""Frozen values that cross rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from adaptox.errors import DataError

Role = Literal["system", "user", "assistant"]
Split = Literal["train", "validation", "test"]
Decision = Literal["allow", "review", "block"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

# (stage, done, total): called now and then by work that takes time.
Progress = Callable[[str, int, int], None]
# The stage of who waits for another process that makes the same.
WAITING = "waiting for another process"

# Other names of roles: OpenAI's, and those of ShareGPT's form, {"from": …, "value": …}.
_ALIASES: Mapping[str, Role] = {"developer": "system", "human": "user", "gpt": "assistant"}
# What goes to a tool or comes from it: neither side of the conversation said it.
_SILENT_ROLES = ("tool", "function", "function_call", "observation")

_NOTHING: Mapping[str, float] = MappingProxyType({})


def silent(stage: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: who spoke, and what."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """One or more turns, oldest first."""

    turns: tuple[Turn, ...]

    @classmethod
    def of(cls, value: object) -> Conversation:
        """Read a text, or messages in OpenAI's chat form or in ShareGPT's.

        The role developer is read as system, human as user, gpt as assistant. What goes to a tool or comes from it
        is left out, and so are messages whose content is null; where nothing remains, it is an empty text.

        Args:
            value: a string, a conversation, or a sequence of ``{"role": …, "content": …}``, in ShareGPT's form
                ``{"from": …, "value": …}``; `content` is a string or OpenAI's list of parts, of which the text
                parts are kept. Half of a surrogate pair is replaced by U+FFFD.

        Raises:
            DataError: something else came, a message lacks a role or a content, or its role is another.
        """
        if isinstance(value, Conversation):
            return value
        if isinstance(value, str):
            return cls((Turn("user", _valid(value)),))
        if isinstance(value, Sequence) and value:
            turns = tuple(turn for message in value for turn in _turn(message))
            return cls(turns) if turns else cls.of("")
        raise DataError(
            "expected a text or a list of messages such as "
            f'[{{"role": "user", "content": "hello"}}], got {_shown(value)}'
        )

    def messages(self) -> list[dict[str, str]]:
        """Give the conversation back in OpenAI's chat form."""
        return [{"role": turn.role, "content": turn.content} for turn in self.turns]


def _turn(message: object) -> tuple[Turn, ...]:
    """Give what a message says, nothing for one that a tool wrote or that only calls a tool."""
    if isinstance(message, Mapping) and "role" not in message and {"from", "value"} <= message.keys():
        message = {"role": message["from"], "content": message["value"]}
    if not isinstance(message, Mapping) or "role" not in message:
        raise DataError(f'expected a message {{"role": …, "content": …}}, got {_shown(message)}')
    role = _role(message["role"])
    if role is None:
        return ()
    if "content" not in message and not (message.get("tool_calls") or message.get("function_call")):
        raise DataError(f'expected a message {{"role": …, "content": …}}, got {_shown(message)}')
    content = message.get("content")
    if content is None:
        return ()
    if isinstance(content, list | tuple):
        content = "\n".join(text for part in content for text in _part(part))
    if not isinstance(content, str):
        raise DataError(f"expected the content of a message to be a text, got {_shown(content)}")
    return (Turn(role, _valid(content)),)


def _role(name: object) -> Role | None:
    if name in _SILENT_ROLES:
        return None
    roles: dict[str, Role] = {role: role for role in get_args(Role)} | dict(_ALIASES)
    if not isinstance(name, str) or name not in roles:
        raise DataError(
            f"expected a role of {', '.join([*roles, *_SILENT_ROLES])}, got {_shown(name)}; name who spoke by "
            "one of these, such as user for a person and assistant for a model"
        )
    return roles[name]


def _part(part: object) -> tuple[str, ...]:
    """Give the text of a part of a message, nothing for an image or a sound."""
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        raise DataError(f'expected a part of a message {{"type": "text", "text": …}}, got {_shown(part)}')
    if part["type"] != "text":
        return ()
    if not isinstance(part.get("text"), str):
        raise DataError(f"expected the text of a part to be a text, got {_shown(part.get('text'))}")
    return (part["text"],)


def _valid(text: str) -> str:
    """Replace halves of surrogate pairs, left where an emoji was cut in two: no tokenizer or file takes them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text[:60]}… ({type(value).__name__})" if len(text) > 60 else f"{text} ({type(value).__name__})"


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled conversation.

    Attributes:
        id: unique within a run.
        conversation: what was said.
        labels: label name → 0 or 1; an absent name is unknown.
        teacher: label name → score in [0, 1] given by a teacher; an absent name is unknown.
        group: prompt family; set by `prepare`, until then the id.
        split: the split as published, or as `prepare` made it; None if there is none yet.
        source: where the row came from, e.g. ``toxic-chat``.
        annotated_by_human: whether a person labelled the row, None if that is not known.
        twin: a row of a published test split whose family also occurs in its train split.
        only_train: it may help training and nothing else: it is in no other part, and nothing is fitted on it.
        weight: of its labels where something is learned from them; above 0.
    """

    id: str
    conversation: Conversation
    labels: Mapping[str, int]
    teacher: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    group: str = ""
    split: Split | None = None
    source: str = ""
    annotated_by_human: bool | None = None
    twin: bool = False
    only_train: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where examples came from.

    Attributes:
        reader: the reader's name; ``base`` or ``teacher`` for data that a model brings along.
        location: hub id or path, as the user gave it.
        licence: SPDX name or a sentence; ``unknown`` where the data does not say.
        url: the data set's page, or empty.
        sha256: hash of the files read, or the hub's fingerprint.
        rows: how many examples were read.
        notes: gaps that a reader of the numbers must know.
    """

    reader: str
    location: str
    licence: str
    url: str
    sha256: str
    rows: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader gave: the examples, in file order, and where they came from."""

    examples: tuple[Example, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Scores:
    """What a scorer gave, one row an example, in input order.

    Attributes:
        labels: names of the columns.
        logits: (examples, labels), uncalibrated; the largest over a conversation's windows.
        windows: (examples,), how many windows were read.
        truncated: (examples,), whether tokens were left unread.
    """

    labels: tuple[str, ...]
    logits: FloatArray
    windows: IntArray
    truncated: BoolArray

    def column(self, label: str) -> FloatArray:
        """Give the logits of one label, shape (examples,)."""
        return self.logits[:, self.labels.index(label)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a user gets for one conversation.

    Attributes:
        id: the user's id, or the position in the input.
        scores: label → calibrated probability.
        decision: ``block`` if any label is at or above its threshold, else ``allow``; ``review`` where a
            policy has a band for it.
        flagged: label → at or above its threshold; labels that only a teacher knows are scored and not listed.
        truncated: tokens were left unread.
        windows: how many windows were read.
    """

    id: str
    scores: Mapping[str, float]
    decision: Decision
    flagged: Mapping[str, bool]
    truncated: bool
    windows: int

    def to_json(self) -> dict[str, object]:
        """Give the form that ``predict --json`` prints."""
        return {
            "id": self.id,
            "scores": dict(self.scores),
            "decision": self.decision,
            "flagged": dict(self.flagged),
            "truncated": self.truncated,
            "windows": self.windows,
        }
