"""Scores + decider → evaluation: one path for a run, the base that it started from, and a bundle on other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from adaptox import bundle as bundles
from adaptox import decide, model, train
from adaptox.adapt.data import Data
from adaptox.config import Config
from adaptox.decide import Calibration, Decider, LabelThreshold
from adaptox.errors import DataError
from adaptox.evaluate import Evaluation, evaluate
from adaptox.records import Conversation, Example, Progress, Scores, silent
from adaptox.scorers import Moderator, TorchScorer
from adaptox.teach import Held


def conversations(examples: Sequence[Example]) -> list[Conversation]:
    """Give what was said in each example."""
    return [example.conversation for example in examples]


def fit_decider(
    scores: Scores, examples: Sequence[Example], config: Config, taught: Mapping[str, Calibration]
) -> Decider:
    """Fit calibration and thresholds.

    Args:
        scores: of the validation examples.
        examples: those.
        config: labels and policy.
        taught: name of a teacher's score → its calibration, as `train.fit` gave it.

    Raises:
        DataError: the target label is of one class.
    """
    known = train.targets(examples, config.outputs, config.labels)
    scored = {name: calibration for name, calibration in taught.items() if name not in config.labels}
    return decide.fit(scores.logits, known.truth, known.known, config.outputs, config.threshold, scored)


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's way to decide, and how good it is.

    Attributes:
        decider: fitted on the rows that were held out.
        validation: on those rows.
        evaluation: on the test part, or on validation where there is none.
    """

    decider: Decider
    validation: Evaluation
    evaluation: Evaluation


def judge_model(
    held: Held,
    test: Scores | None,
    data: Data,
    config: Config,
    taught: Mapping[str, Calibration],
) -> Judged:
    """Fit a model's decider on the rows that were held out, and judge it there and on the test part.

    Args:
        held: those rows, with the model's scores.
        test: scores of the test part; None where there is none.
        data: of the run.
        config: its settings.
        taught: as for `fit_decider`.

    Raises:
        DataError: the target label is of one class.
    """
    decider = fit_decider(held.scores, held.examples, config, taught)
    validation = judge(held.scores, decider, held.examples, config)
    if test is None:
        return Judged(decider, validation, validation)
    return Judged(decider, validation, judge(test, decider, data.prepared.test, config, data.official))


def judge(
    scores: Scores,
    decider: Decider,
    examples: Sequence[Example],
    config: Config,
    official: bool = False,
    own_label: str | None = None,
) -> Evaluation:
    """Evaluate the target label.

    Args:
        scores: of the examples.
        decider: calibrates them, and holds the threshold.
        examples: with families and, on a published test split, twins marked.
        config: the target label, resamples, confidence, and the seed of the bootstrap.
        official: the examples are ToxicChat's test split, which has slices of its own.
        own_label: what the model calls the target label, if not by our name.

    Raises:
        DataError: no example has a known target label, or the model scores it without deciding.
    """
    target = config.label_set.target
    own = own_label or target
    threshold = decider.threshold(own)
    if threshold.value is None:
        raise DataError(f"{own!r} was learnt from a teacher's scores, so no threshold decides it: choose a label")
    logits = np.stack([scores.column(label) for label in decider.labels], axis=1)
    return evaluate(
        examples,
        decider.probs(logits)[:, decider.labels.index(own)],
        target,
        threshold.value,
        threshold.origin,
        config.evaluate,
        config.seed,
        official,
    )


def judge_base(base: model.Base, data: Data, config: Config, progress: Progress = silent) -> Evaluation | None:
    """Evaluate the base as it is.

    A bundle is judged with its own rendering, calibration and threshold; any other base has none of these, and gets
    those of this run and the fixed threshold. Either pools as it was made, whatever `base.pooling` asks for.

    Args:
        base: not adapted yet.
        data: of the run; the base is judged on what the adapted model will be judged on.
        config: the run's settings.
        progress: told how many are scored.

    Returns:
        None if the base has no row for the target label.

    Raises:
        BundleError: the base is a bundle, and damaged.
    """
    examples, official = data.judged(config), data.official
    own_label = base.warm.get(config.label_set.target)
    if own_label is None:
        return None
    place = model.place_of(base.name)
    if (place / bundles.MANIFEST).is_file():
        moderator = Moderator.open(place)
        decider = moderator.decider
        if decider.threshold(own_label).value is None:  # learnt from a teacher's scores alone, and never decided
            decider = replace(decider, thresholds=_fixed(decider.labels, config))
        scores = moderator.scorer.score(conversations(examples), progress)
        return judge(scores, decider, examples, config, official, own_label)
    if config.base.pooling != "own":
        base = model.load_base(config.base.model_copy(update={"pooling": "own"}), config.outputs, config.seed)
    network: torch.nn.Module = base.network
    scorer = TorchScorer(network.to(model.device()), train.encoder_for(base, config), config.outputs.names)
    scores = scorer.score(conversations(examples), progress)
    outputs = config.outputs.names
    undecided = Decider(outputs, (1.0,) * len(outputs), _fixed(outputs, config))
    return judge(scores, undecided, examples, config, official)


def _fixed(labels: Sequence[str], config: Config) -> tuple[LabelThreshold, ...]:
    value = config.threshold.value
    return tuple(LabelThreshold(label, value, f"{value:g}", "fixed") for label in labels)
