"""Levers of training that did not earn a place in adaptox, kept so that anyone can measure them again.

`pulled` puts one into adaptox for as long as a block lasts, by replacing what the lever changes. They are made for
BERT, the architecture of the default base, and for one training at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from transformers import Trainer

from adaptox import model
from adaptox.config import DistillConfig, TeachConfig, TrainConfig
from adaptox.encode import Encoder
from adaptox.errors import ConfigError, nearest
from adaptox.records import Example
from adaptox.teach import CrossFit, Held
from adaptox.teach.crossfit import crossfit
from adaptox.train import fitting, settings
from adaptox.train.rows import Epochs, Row
from adaptox.train.trainer import TARGETS, ModerationTrainer

# A layer learns at so much of the rate of the one above it.
_DECAY = 0.85
# The length of FGM's step, in mean norms of a token's embedding.
_STEP = 0.5
# How many dropouts, and what share of the pooled text each drops.
_SAMPLES, _DROPOUT = 5, 0.3
# The share of tokens that a reading leaves out.
_DROPPED = 0.1
# Width of the layer that attention weighs tokens by.
_ATTENTION = 128
# A teacher: folds within those of the student, a network with words and characters, half of the loss.
_TEACHER = TeachConfig(kind="crossfit", folds=3, seeds=(0,), members=("words", "characters", "settings"))
_SIGMA = 0.5


@contextmanager
def pulled(name: str | None) -> Iterator[None]:
    """Train and score with a lever for as long as the block lasts.

    Args:
        name: of the lever; None pulls none.

    Raises:
        ConfigError: no lever is called so.
    """
    with ExitStack() as stack:
        for owner, attribute, replacement in LEVERS[check(name)]() if name else ():
            stack.enter_context(patch.object(owner, attribute, replacement))
        yield


def check(name: str) -> str:
    """Give the name of a lever back.

    Raises:
        ConfigError: no lever is called so.
    """
    if name not in LEVERS:
        raise ConfigError(f"no lever {name!r}: {nearest(name, LEVERS)}")
    return name


Patch = tuple[Any, str, Callable[..., Any]]


def _fgm() -> list[Patch]:
    """Learn each batch a second time with the embeddings moved to where its loss grows.

    The usual shortcut of arXiv 1605.07725: one step of the whole table for a batch, not one for each text.
    """
    step = Trainer.training_step

    def training_step(self: Trainer, network: Any, inputs: dict[str, Any], count: Any = None) -> Any:
        loss = step(self, network, inputs, count)
        weight = network.get_input_embeddings().weight
        norm = weight.grad.norm()
        if torch.isfinite(norm) and norm > 0:
            move = _STEP * weight.detach().norm(dim=1).mean() * weight.grad / norm
            before = weight.detach().clone()
            weight.data.add_(move)
            step(self, network, inputs, count)
            weight.data.copy_(before)
        return loss

    return [(ModerationTrainer, "training_step", training_step)]


def _r_drop() -> list[Patch]:
    """Read every row twice, and let two dropouts agree (R-Drop, arXiv 2106.14448)."""
    plain = ModerationTrainer.compute_loss

    def compute_loss(self: Any, network: Any, inputs: dict[str, Any], *options: Any, **named: Any) -> Any:
        if not network.training:
            return plain(self, network, inputs, *options, **named)
        # Side by side in one pass, so that each copy has a dropout of its own.
        tokens = {name: torch.cat([inputs[name]] * 2) for name in ("input_ids", "attention_mask")}
        targets = [inputs[name] for name in TARGETS]
        one, other = network(**tokens).logits.float().chunk(2)
        agreed = (self._objective(one, *targets) + self._objective(other, *targets)) / 2
        return agreed + divergence(one, other)

    return [(ModerationTrainer, "compute_loss", compute_loss)]


def divergence(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Give the mean of KL(p, q) and KL(q, p) over rows and outputs.

    Between Bernoulli distributions with logits a and b that is (s(a) - s(b)) · (a - b) / 2.

    Args:
        one: (batch, outputs) logits.
        other: the same rows under another dropout.
    """
    return ((one.sigmoid() - other.sigmoid()) * (one - other)).mean() / 2


def _multi_sample_dropout() -> list[Patch]:
    """Take the mean loss of several dropouts before the head (arXiv 1905.09788)."""
    plain = ModerationTrainer.compute_loss

    def compute_loss(self: Any, network: Any, inputs: dict[str, Any], *options: Any, **named: Any) -> Any:
        if not network.training:
            return plain(self, network, inputs, *options, **named)
        tokens = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        targets = [inputs[name] for name in TARGETS]
        with self.accelerator.autocast():
            pooled = network.bert(**tokens).pooler_output
            samples = [torch.nn.functional.dropout(pooled, _DROPOUT) for _ in range(_SAMPLES)]
            logits = [network.classifier(sample).float() for sample in samples]
        return torch.stack([self._objective(one, *targets) for one in logits]).mean()

    return [(ModerationTrainer, "compute_loss", compute_loss)]


def _layer_decay() -> list[Patch]:
    """Let lower layers learn more slowly, embeddings most (arXiv 1801.06146)."""
    plain = settings.make_optimizer

    def make_optimizer(network: Any, config: TrainConfig) -> torch.optim.Optimizer:
        layers = network.config.num_hidden_layers
        depth = {
            parameter: layers - int(name.split(".layer.")[1].split(".")[0]) - 1 if ".layer." in name else layers
            for name, parameter in network.named_parameters()
            if ".encoder." in name or ".embeddings." in name
        }
        optimizer = plain(network, config)
        groups = [
            {**group, "params": [parameter], "lr": group["lr"] * _DECAY ** depth.get(parameter, 0)}
            for group in optimizer.param_groups
            for parameter in group["params"]
        ]
        return torch.optim.AdamW(groups, fused=True)

    return [(fitting, "make_optimizer", make_optimizer)]


class _AttentionPooler(torch.nn.Module):
    """A mean of all tokens in place of BERT's pooler, weighed by a small network, at first all alike.

    Args:
        width: of a token's vector.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        last = torch.nn.Linear(_ATTENTION, 1)
        torch.nn.init.zeros_(last.weight)
        self.score = torch.nn.Sequential(torch.nn.Linear(width, _ATTENTION), torch.nn.Tanh(), last)
        self.mask = torch.empty(0)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Pool (batch, tokens, width) to (batch, width)."""
        scores = self.score(hidden).squeeze(-1).float()
        weights = scores.masked_fill(self.mask == 0, -torch.inf).softmax(dim=1)
        mean: torch.Tensor = (weights.unsqueeze(-1) * hidden).sum(dim=1)
        return mean


def _attention_pooling() -> list[Patch]:
    """Give the head all tokens, weighed by attention (one hop of arXiv 1703.03130)."""
    attach = model.attach

    def pooled(network: Any, config: Any, seed: int, *options: Any) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network.bert.pooler = _AttentionPooler(network.config.hidden_size)
        network.bert.register_forward_pre_hook(
            lambda bert, _, given: setattr(bert.pooler, "mask", given["attention_mask"]), with_kwargs=True
        )
        return attach(network, config, seed, *options)

    return [(model, "attach", pooled)]


class _FirstToken(torch.nn.Module):
    """The first token's vector as it is, in place of BERT's pooler, which sends it through a layer of its own."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Pool (batch, tokens, width) to (batch, width)."""
        return hidden[:, 0]


def _first_token() -> list[Patch]:
    """Give the head the first token without a pooler's layer between them."""
    attach = model.attach

    def pooled(network: Any, *options: Any) -> torch.nn.Module:
        network.bert.pooler = _FirstToken()
        return attach(network, *options)

    return [(model, "attach", pooled)]


def _head_and_tail() -> list[Patch]:
    """Learn from the beginning and the end of a long text (arXiv 1905.05583); scoring reads all of it."""
    return [(Encoder, "keep_of", lambda self, conversation: "head-tail")]


def _token_dropping() -> list[Patch]:
    """Leave a tenth of the tokens out whenever a row is learned from, others each time (EDA, arXiv 1901.11196)."""
    plain = Epochs.__getitem__

    def read(self: Epochs, index: int) -> Row:
        row = plain(self, index)
        first, *inner, last = row["input_ids"]
        stays = torch.rand(len(inner)) >= _DROPPED
        left = [token for token, stay in zip(inner, stays, strict=True) if stay]
        return Row({**row, "input_ids": (first, *(left or inner), last)})

    return [(Epochs, "__getitem__", read)]


def _ensemble_teacher(temperature: float) -> list[Patch]:
    """Learn from an ensemble, too (arXiv 1503.02531), which every fold cross-fits on what it learns from alone.

    One that is cross-fitted once, on all rows, has read the labels of those left out, and hands them on.
    """
    plain = CrossFit._fold

    def fold(self: CrossFit, number: int, rest: Sequence[Example], held: Sequence[Example]) -> Held | None:
        if self.setting != "folds":  # of the ensemble itself
            return plain(self, number, rest, held)
        target = self.config.label_set.target
        taught = crossfit(self.config.model_copy(update={"teach": _TEACHER}), rest, self.progress)
        column = self.config.labels.index(target)
        scores = {row.id: float(probs[column]) for row, probs in zip(taught.examples, taught.probs, strict=True)}
        lessons = [replace(row, teacher={target: scores[row.id]} if row.id in scores else {}) for row in rest]
        distill = DistillConfig(targets=(target,), sigma=_SIGMA, temperature=temperature)
        student = replace(self, config=self.config.model_copy(update={"distill": distill}))
        return plain(student, number, lessons, held)

    return [(CrossFit, "_fold", fold)]


# Logits are kept under a lever's name: one that is changed needs another.
LEVERS: dict[str, Callable[[], list[Patch]]] = {
    "fgm": _fgm,
    "r-drop": _r_drop,
    "multi-sample-dropout": _multi_sample_dropout,
    "layer-decay": _layer_decay,
    "attention-pooling": _attention_pooling,
    "first-token": _first_token,
    "head-and-tail": _head_and_tail,
    "token-dropping": _token_dropping,
    "ensemble-teacher": partial(_ensemble_teacher, 1.0),
    "ensemble-teacher-at-2": partial(_ensemble_teacher, 2.0),
    "ensemble-teacher-at-4": partial(_ensemble_teacher, 4.0),
}
