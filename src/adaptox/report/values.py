"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptox.evaluate.values import Comparison, Evaluation, Provenance
from adaptox.records import Origin


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What training took and gave.

    Attributes:
        wall_s: seconds from the first step to the last evaluation.
        rows_per_s: training rows a second.
        steps: updates made.
        best_step: the update whose weights were kept.
        best_auprc: validation AUPRC at that update.
        trainable: parameters that were trained.
        total: all parameters.
        precision: ``fp32`` or ``bf16``.
        peak_memory_mb: highest resident or device memory, None if it was not measured.
        warm: our label name → the base's label whose row of the head it started from.
    """

    wall_s: float
    rows_per_s: float
    steps: int
    best_step: int
    best_auprc: float
    trainable: int
    total: int
    precision: str
    peak_memory_mb: float | None
    warm: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WordsFacts:
    """What words beside the network gave.

    Attributes:
        weights: of the n-grams.
        shares: label → kind of n-grams → what a logit of it counts for beside one of the network.
        validation: of the network alone, on the rows that the shares were fitted on.
        evaluation: of the network alone, on the rows that the result is about.
        gains: sum less network, on the validation rows.
    """

    weights: int
    shares: Mapping[str, Mapping[str, float]]
    validation: Evaluation
    evaluation: Evaluation
    gains: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class RunStory:
    """All that the report of one run needs.

    Attributes:
        title: the run's name.
        evaluation: of the test rows; of validation where there is no test.
        evaluated_on: ``the official test split``, ``the held-out test part``, ``validation`` or ``rows left out of
            folds``.
        validation: of the validation rows, on which the threshold was chosen.
        baseline: the base as it was before adaptation, on the same rows as `evaluation`.
        history: the Trainer's log, oldest entry first.
        texts: example id → rendered text, for the mistakes; an id may be absent.
        manifest: what `prepare` did, in JSON types.
        origins: where the data came from.
        provenance: hashes, settings, hardware.
        training: what training took.
        notes: what a reader of the numbers must know first.
        command: how to run it again.
        agreement: of a teaching bundle with scores that the data had: name, n, and Spearman's correlation's ends.
        words: what words beside the network gave; None where they have no say.
    """

    title: str
    evaluation: Evaluation
    evaluated_on: str
    validation: Evaluation
    baseline: Evaluation | None
    history: tuple[Mapping[str, float], ...]
    texts: Mapping[str, str]
    manifest: Mapping[str, object]
    origins: tuple[Origin, ...]
    provenance: Provenance
    training: TrainingFacts
    notes: tuple[str, ...]
    command: str
    agreement: tuple[Mapping[str, object], ...] = ()
    words: WordsFacts | None = None

    @property
    def tested(self) -> bool:
        """Whether the result is of rows that had no say in the threshold."""
        return self.evaluation is not self.validation
