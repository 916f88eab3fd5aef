"""What the report of a study is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adaptox.evaluate.values import Comparison, Evaluation, Interval, McNemar
from adaptox.report.values import TrainingFacts

# Metric name (see evaluate's METRICS) → mean over the seeds, with an interval over families and seeds.
Summary = Mapping[str, Interval]

LISTED_MISTAKES = 150
"""At most so many rows of a panel stand in its list of mistakes."""


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One configuration, over its seeds.

    Attributes:
        name: such as ``LoRA-Full``; unique within its panel.
        panel: the value of the study's panel axis; empty where there is none.
        variants: axis → value.
        state: ``failed`` if no seed came to a model; ``collapsed`` if a model decides nothing.
        notes: why it collapsed or failed, a sentence a seed.
        seeds: those that came to a model; `evaluations`, `learned`, `training` and `histories` have one entry each,
            in this order.
        evaluations: on the test rows, at the run's own threshold.
        learned: the same scores at the threshold that is learned on validation by default.
        validation_auprc: over the seeds, on the rows that set their thresholds; NaN where there are none. Runs are
            chosen by it, so that the test rows only measure.
        training: what it took.
        histories: the Trainer's logs, oldest entry first.
        summary: slice → metrics at the run's own threshold, over the seeds.
        summary_learned: slice → metrics at the learned threshold, over the seeds.
        spread: metric → standard deviation over the seeds on the main slice, at the run's own threshold; NaN for a
            single seed.
        config: the resolved settings of the first seed.
        failed: folder names of the runs that came to no model.
    """

    name: str
    panel: str
    variants: Mapping[str, str]
    state: Literal["done", "collapsed", "failed"]
    notes: tuple[str, ...]
    seeds: tuple[int, ...]
    evaluations: tuple[Evaluation, ...]
    learned: tuple[Evaluation, ...]
    validation_auprc: float
    training: tuple[TrainingFacts, ...]
    histories: tuple[tuple[Mapping[str, float], ...], ...]
    summary: Mapping[str, Summary]
    summary_learned: Mapping[str, Summary]
    spread: Mapping[str, float]
    config: Mapping[str, object]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyPair:
    """Two runs of a panel on the same rows.

    Attributes:
        panel: of both.
        first: name of the run that the verdict is about.
        second: name of the run it is compared with.
        comparisons: one a metric, by the paired bootstrap over families and seeds; each verdict holds after Holm's
            correction.
        p_holm: metric → p-value after Holm's correction over all pairs of the panel.
        mcnemar: exact test of the decisions of the first seed.
        mcnemar_holm: its p-value after Holm's correction.
        sentence: what follows, in words.
    """

    panel: str
    first: str
    second: str
    comparisons: tuple[Comparison, ...]
    p_holm: Mapping[str, float]
    mcnemar: McNemar
    mcnemar_holm: float
    sentence: str


@dataclass(frozen=True, slots=True)
class StudyMistake:
    """A test row that several runs decide wrongly.

    Attributes:
        panel: whose test rows it belongs to.
        id: the example's id.
        kind: what it is to the runs that are wrong.
        text: as rendered.
        tags: any of ``jailbreak``, ``twin``, ``technical``.
        probs: run name → calibrated probability, of the first seed.
        wrong: names of the runs that decide it wrongly.
    """

    panel: str
    id: str
    kind: Literal["miss", "false alarm"]
    text: str
    tags: tuple[str, ...]
    probs: Mapping[str, float]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorShare:
    """How often a kind of row is decided wrongly.

    Attributes:
        panel: whose test rows.
        run: name of the run.
        kind: ``false alarm`` among negatives, ``miss`` among positives.
        rows: which rows, such as ``technical prompts`` or ``longer than 400 characters``.
        n: how many of them have that truth.
        share: wrong ones among them.
    """

    panel: str
    run: str
    kind: Literal["miss", "false alarm"]
    rows: str
    n: int
    share: Interval


@dataclass(frozen=True, slots=True)
class PaperRun:
    """What the study's paper reports of one of its eight runs.

    Attributes:
        small: metric → value on its small test set (accuracy, precision, recall, f1).
        full: metric → value on its full test set.
        train_s: seconds of training on a T4.
    """

    small: Mapping[str, float]
    full: Mapping[str, float]
    train_s: float


@dataclass(frozen=True, slots=True)
class TeacherAgreement:
    """How well the teacher that was used agrees with scores that the data has.

    Attributes:
        name: of the score.
        n: rows with both.
        rank_correlation: Spearman's, with its bootstrap interval.
    """

    name: str
    n: int
    rank_correlation: Interval


@dataclass(frozen=True, slots=True)
class StudyStory:
    """All that the report of a study needs.

    Attributes:
        title: the study's name.
        question: what it asks, in a sentence or two, as its settings say it.
        panels: values of the panel axis in order; one empty name where there is none.
        panel_words: panel → what it is, in a clause.
        axes: axis → its values in order; without the panel axis.
        runs: panel by panel, in the order of the grid.
        pairs: panel by panel.
        mistakes: the ones that most runs make first.
        error_shares: for the check of claims about kinds of prompts.
        paper: run name → what the paper reports; empty where no run is named as in it.
        before: (panel, run name) → metrics at the run's own threshold on the main slice, in the study that this one
            is set beside; empty where there is none.
        before_title: that study's name.
        teachers: panel → whose the scores are that its runs learned from; panels without a teacher are left out.
        agreement: of the teacher; empty where no bundle taught.
        notes: what a reader must know first, such as gaps of the data and whose the teacher is.
        hardware: of this machine.
        commit: of the code.
        data_sha256: panel → hash of the prepared rows.
        command: how to run it again.
        resamples: of the bootstrap.
        confidence: of the intervals.
    """

    title: str
    question: str
    panels: tuple[str, ...]
    panel_words: Mapping[str, str]
    axes: Mapping[str, tuple[str, ...]]
    runs: tuple[StudyRun, ...]
    pairs: tuple[StudyPair, ...]
    mistakes: tuple[StudyMistake, ...]
    error_shares: tuple[ErrorShare, ...]
    paper: Mapping[str, PaperRun]
    before: Mapping[tuple[str, str], Summary]
    before_title: str
    teachers: Mapping[str, str]
    agreement: tuple[TeacherAgreement, ...]
    notes: tuple[str, ...]
    hardware: str
    commit: str
    data_sha256: Mapping[str, str]
    command: str
    resamples: int
    confidence: float
