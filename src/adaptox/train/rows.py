"""Examples → the rows and batches that the Trainer reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset

from adaptox.encode import Encoder
from adaptox.labels import LabelSet
from adaptox.records import BoolArray, Example, FloatArray


@dataclass(frozen=True, slots=True)
class Targets:
    """What is known of some examples.

    Attributes:
        truth: (examples, labels), 0 or 1, and 0 where unknown.
        known: (examples, labels), whether the label is known.
    """

    truth: FloatArray
    known: BoolArray


def targets(examples: Sequence[Example], labels: LabelSet) -> Targets:
    """Lay the labels of examples out as arrays."""
    truth = np.zeros((len(examples), len(labels)))
    known = np.zeros((len(examples), len(labels)), dtype=np.bool_)
    for row, example in enumerate(examples):
        for column, name in enumerate(labels):
            if name in example.labels:
                truth[row, column] = example.labels[name]
                known[row, column] = True
    return Targets(truth, known)


class Row(TypedDict):
    """One example: its token ids, and (labels,) arrays of what is known of it."""

    input_ids: tuple[int, ...]
    truth: FloatArray
    known: BoolArray


class Rows(Dataset[Row]):
    """Tokenised examples with their targets.

    Args:
        examples: prepared examples.
        encoder: tokenises their first window.
        labels: which labels are learnt.
    """

    def __init__(self, examples: Sequence[Example], encoder: Encoder, labels: LabelSet) -> None:
        self._tokens = encoder.heads([example.conversation for example in examples])
        self.targets = targets(examples, labels)

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> Row:
        return Row(
            input_ids=self._tokens[index],
            truth=self.targets.truth[index],
            known=self.targets.known[index],
        )


class Collator:
    """Pads rows to the longest of a batch.

    Args:
        encoder: knows how to pad.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Give input_ids and attention_mask (batch, tokens), truth and known (batch, labels)."""
        padded = self._encoder.pad([row["input_ids"] for row in rows])
        return {
            "input_ids": torch.from_numpy(padded.input_ids),
            "attention_mask": torch.from_numpy(padded.attention_mask),
            "truth": torch.from_numpy(np.stack([row["truth"] for row in rows])).float(),
            "known": torch.from_numpy(np.stack([row["known"] for row in rows])),
        }
