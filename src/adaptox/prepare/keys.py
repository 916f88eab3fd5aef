"""Keys of rows: short hashes of what was said, by which rows are known again in other files and formats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from adaptox.prepare.families import family_key
from adaptox.records import Conversation, Example

RowKeys = npt.NDArray[np.uint64]

# Of 100,000 rows against 100,000 others, one is taken for another with probability 5e-10.
_KEY_BYTES = 8
# A study asks for the same few thousand rows once for every run.
_REMEMBERED = 2**15


def row_keys(examples: Iterable[Example]) -> RowKeys:
    """Hash conversations as families compare them: normalised, case-folded, without the turns of the role system.

    Ids, labels and settings do not count, so a copy of a row has its key.

    Returns:
        (examples,) in the order of the examples.
    """
    return np.array([_key(example.conversation) for example in examples], dtype=np.uint64)


@lru_cache(_REMEMBERED)
def _key(conversation: Conversation) -> int:
    turns = [turn for turn in conversation.turns if turn.role != "system"] or conversation.turns
    said = json.dumps([[turn.role, family_key(turn.content)] for turn in turns])
    return int.from_bytes(hashlib.blake2b(said.encode(), digest_size=_KEY_BYTES).digest(), "little")
