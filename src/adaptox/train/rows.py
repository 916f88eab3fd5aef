"""Examples → the rows and batches that the Trainer reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from adaptox import model
from adaptox.config import Config
from adaptox.encode import Encoder
from adaptox.labels import LabelSet
from adaptox.losses import Objective
from adaptox.records import BoolArray, Example, FloatArray
from adaptox.train.scale import Scale

# Lengths are compared with up to this much noise, so that the rows of a batch are others in each epoch.
_JITTER = 0.05


@dataclass(frozen=True, slots=True)
class Targets:
    """What is known of some examples.

    Attributes:
        truth: (examples, outputs), a label of 0 or 1, or a teacher's score; 0 where unknown.
        known: (examples, outputs), whether it is known.
    """

    truth: FloatArray
    known: BoolArray


def targets(examples: Sequence[Example], outputs: LabelSet, labels: Collection[str]) -> Targets:
    """Lay the labels of examples out as arrays.

    Args:
        examples: the rows.
        outputs: the columns.
        labels: which of them are learnt from labels; the others are unknown throughout.
    """
    return _laid_out([example.labels for example in examples], outputs, labels)


def _laid_out(found: Sequence[Mapping[str, float]], outputs: LabelSet, wanted: Collection[str]) -> Targets:
    truth = np.zeros((len(found), len(outputs)))
    known = np.zeros((len(found), len(outputs)), dtype=np.bool_)
    for column, name in enumerate(outputs):
        if name in wanted:
            known[:, column] = [name in values for values in found]
            truth[:, column] = [values.get(name, 0) for values in found]
    return Targets(truth, known)


def encoder_for(base: model.Base, config: Config) -> Encoder:
    """Make the encoder that reads as the settings say with a base's tokenizer.

    Raises:
        BaseModelError: the base reads fewer tokens than the settings ask for.
        ConfigError: the stride leaves a window no room to go on.
    """
    return Encoder(base.tokenizer, base.pad_token_id, config.encode, config.text, base.max_positions)


class Row(TypedDict):
    """One example: its token ids, and (outputs,) arrays of its labels, their weights, and a teacher's scores."""

    input_ids: tuple[int, ...]
    truth: FloatArray
    known: FloatArray
    soft: FloatArray
    soft_known: BoolArray


class Rows(Dataset[Row]):
    """Tokenised examples with their targets, in the order of the examples.

    Attributes:
        cut: how many are longer than what is read of them.

    Args:
        examples: prepared examples.
        encoder: tokenises what training reads of them.
        config: which labels and scores are learnt.
        scales: of the teacher's scores; name → scale, fitted on the training part.
        weighted: whether an example's labels count for its weight, or all alike.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        encoder: Encoder,
        config: Config,
        scales: Mapping[str, Scale],
        weighted: bool = False,
    ) -> None:
        read = encoder.one_window([example.conversation for example in examples])
        self._tokens = [window for one in read for window in one.windows]
        self.cut = sum(one.truncated for one in read)
        self._hard = targets(examples, config.outputs, config.labels)
        weights = np.array([example.weight if weighted else 1.0 for example in examples], dtype=np.float32)
        self._weights = self._hard.known * weights[:, None]
        found = [example.teacher for example in examples]
        self._soft = _laid_out(found, config.outputs, config.distill.targets)
        for column, name in enumerate(config.outputs):
            if name in scales:
                self._soft.truth[:, column] = scales[name](self._soft.truth[:, column])

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> Row:
        return Row(
            input_ids=self._tokens[index],
            truth=self._hard.truth[index],
            known=self._weights[index],
            soft=self._soft.truth[index],
            soft_known=self._soft.known[index],
        )

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(tokens) for tokens in self._tokens]

    @property
    def prior(self) -> torch.Tensor:
        """Share of positives among the known labels, weighted, shape (outputs,)."""
        total = self._weights.sum(axis=0)
        positive = (self._hard.truth * self._weights).sum(axis=0)
        return torch.from_numpy(positive / np.where(total == 0, 1, total)).float()

    def indifferent_loss(self, objective: Objective, device: torch.device) -> float:
        """Compute the loss of a model that gives every row the logit 0."""
        truth, soft = (torch.from_numpy(side.truth).float().to(device) for side in (self._hard, self._soft))
        known, soft_known = (torch.from_numpy(side).to(device) for side in (self._weights, self._soft.known))
        return float(objective(torch.zeros_like(truth), truth, known, soft, soft_known))


class Epochs(Dataset[Row]):
    """Rows in a new order each epoch.

    The order follows from the seed and the epoch alone, so that it is the same in every process, and after an
    interruption; transformers draws it from the global random state, where dropout has its hand in it.

    Args:
        rows: what is ordered.
        per_batch: rows that are computed together, over all devices.
        buckets: put rows of like length into the same batch, so that batches need little padding. The batches
            themselves come in random order: sorted, an epoch would end on its shortest rows, and the model with it.
        seed: of the order.
    """

    def __init__(self, rows: Rows, per_batch: int, buckets: bool, seed: int) -> None:
        self._rows = rows
        self._per_batch = per_batch
        self._buckets = buckets
        self._seed = seed
        self._order: list[int] = []
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch; called by accelerate."""
        generator = torch.Generator().manual_seed(int(np.random.default_rng((self._seed, epoch)).integers(2**62)))
        if self._buckets:
            self._order = _bucketed(self._rows.lengths, self._per_batch, generator)
        else:
            self._order = torch.randperm(len(self._rows), generator=generator).tolist()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        return self._rows[self._order[index]]


def _bucketed(lengths: Sequence[int], per_batch: int, generator: torch.Generator) -> list[int]:
    """Order rows so that each run of `per_batch` is of like length; a smaller last run stays last."""
    noise = 1 + _JITTER * (2 * torch.rand(len(lengths), generator=generator) - 1)
    order: list[int] = torch.argsort(torch.tensor(lengths) * noise).tolist()
    # The smaller run is of any length, and not always of the longest rows.
    left_out = int(torch.randint(len(order) // per_batch + 1, (), generator=generator)) * per_batch
    rest = len(order) % per_batch
    order = order[:left_out] + order[left_out + rest :] + order[left_out : left_out + rest]
    whole = len(order) // per_batch
    shuffled = torch.randperm(whole, generator=generator).tolist()
    return [index for batch in [*shuffled, whole] for index in order[batch * per_batch : (batch + 1) * per_batch]]


def longest_first(rows: Rows) -> Subset[Row]:
    """Order rows by length, so that batches need little padding."""
    lengths = rows.lengths
    return Subset(rows, sorted(range(len(rows)), key=lambda index: -lengths[index]))


class Collator:
    """Pads rows to the longest of a batch.

    Args:
        encoder: knows how to pad.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Give input_ids and attention_mask (batch, tokens), and the targets, each (batch, outputs)."""
        padded = self._encoder.pad([row["input_ids"] for row in rows])
        return {
            "input_ids": torch.from_numpy(padded.input_ids),
            "attention_mask": torch.from_numpy(padded.attention_mask),
            "truth": torch.from_numpy(np.stack([row["truth"] for row in rows])).float(),
            "known": torch.from_numpy(np.stack([row["known"] for row in rows])),
            "soft": torch.from_numpy(np.stack([row["soft"] for row in rows])).float(),
            "soft_known": torch.from_numpy(np.stack([row["soft_known"] for row in rows])),
        }
