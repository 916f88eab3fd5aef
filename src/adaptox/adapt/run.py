"""The main job: one configuration → a run folder with its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from adaptox import model, report, train
from adaptox.adapt import cut, guard, known, start
from adaptox.adapt import folder as folders
from adaptox.adapt.data import Data, read_and_prepare, taught
from adaptox.adapt.finish import Made, finish
from adaptox.adapt.folder import RunFolder
from adaptox.adapt.held import check_rows, check_settings, train_and_hold
from adaptox.adapt.judge import Judged, conversations, judge_base, judge_model
from adaptox.adapt.story import Outcome, tell
from adaptox.adapt.words import Worded, learn_words, weigh_words
from adaptox.adapt.worse import told_if_worse
from adaptox.config import START, Config
from adaptox.decide import Calibration
from adaptox.encode import Encoder
from adaptox.errors import BusyError, InputError, InterruptedRunError
from adaptox.evaluate import Evaluation
from adaptox.model.start import recipe, run_folder
from adaptox.records import Progress, Scores, silent
from adaptox.scorers import TorchScorer


@dataclass(frozen=True, slots=True)
class Adaptation:
    """A finished run.

    Attributes:
        folder: where everything is.
        evaluation: on the test part, or on validation where there is none.
        evaluated_on: which of them, in words.
        baseline: the base as it was, on the same rows; None if it had no row for the target label.
        training: what it took.
        notes: what a reader of the numbers must know, such as a collapse that was allowed.
    """

    folder: Path
    evaluation: Evaluation
    evaluated_on: str
    baseline: Evaluation | None
    training: report.TrainingFacts
    notes: tuple[str, ...]


def adapt(
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Progress = silent,
) -> Adaptation | None:
    """Adapt a base to conversations: read, clean, split, train, learn a threshold, evaluate, report, bundle.

    Args:
        config: the run's settings.
        out: the run folder.
        resume: go on with an interrupted run in `out`; `is_finished` tells whether anything is left to do.
        overwrite: start over in `out`.
        command: shown in the report as the way to run it again.
        progress: told what is being done.

    Returns:
        The finished run; None in the other processes of a distributed launch.

    Raises:
        InputError: settings, data, base or folder cannot be used; nothing is written then.
        CollapseError: the trained model decides nothing, and that is not allowed.
        RunError: the disk refused, or the user stopped it.
    """
    main = train.is_main_process()
    if main:
        folders.check(out, config, resume, overwrite)
    check_settings(config)
    data = taught(read_and_prepare(config, progress), config, progress)
    parts = data.prepared
    check_rows(config, parts)
    learned = learn_words(config, parts) if main and config.lexicon.grams else None
    base = _load_base(config, progress)
    baseline = judge_base(base, data, config, progress) if main and config.evaluate.base else None
    base = model.with_prompt(base, config.adapter, config.seed)
    encoder = train.encoder_for(base, config)
    attached = model.attach(base.network, config.adapter, config.seed, base.prompt)
    share = model.share(attached)
    with folders.alone(out) if main else nullcontext():
        folder = folders.create(out, config, parts, resume, overwrite) if main else RunFolder(out)
        trained = train_and_hold(config, parts, attached, encoder, folder.checkpoints, resume, progress)
        fitted, held = trained.fitted, trained.held
        if held is None:
            return None
        folder.write(folders.HISTORY, [dict(entry) for entry in fitted.history])
        test = _score_test(trained.network, encoder, data, config, progress)
        network = judge_model(held, test, data, config, fitted.taught)
        unread = cut.first_cause(fitted, parts.train, base, config)
        collapse = guard.check(network.validation, fitted, config, unread)
        words = weigh_words(config, learned, held) if learned else None
        judged = _judge_words(words, test, data, config, fitted.taught) if words else network
        outcome = Outcome(share, fitted, baseline, judged, network, words, collapse)
        story = told_if_worse(tell(config, data, base, outcome, command), config)
        heard = words.heard if words else None
        made = Made(base, encoder, trained.network, heard, judged.decider, known.by_run(config, data))
        finish(folder, story, config, made, network)
        return Adaptation(out, judged.evaluation, story.evaluated_on, baseline, story.training, story.notes)


def _score_test(
    network: torch.nn.Module, encoder: Encoder, data: Data, config: Config, progress: Progress
) -> Scores | None:
    rows = conversations(data.prepared.test)
    return TorchScorer(network, encoder, config.outputs.names).score(rows, progress) if rows else None


def _judge_words(
    words: Worded, test: Scores | None, data: Data, config: Config, taught: Mapping[str, Calibration]
) -> Judged:
    summed = words.add(test, data.prepared.test, config) if test else None
    return judge_model(words.held, summed, data, config, taught)


def _load_base(config: Config, progress: Progress) -> model.Base:
    make_start(config, progress)
    return model.load_base(config.base, config.outputs, config.seed)


def make_start(config: Config, progress: Progress = silent) -> None:
    """Make the base `minilm-prompts` if the settings start from it and it is not there.

    It is kept for the next run, and goes on where an earlier process was stopped. The stage that `progress` is told
    has its name.

    Raises:
        StorageError: the cache cannot be written.
        InputError: as `adapt`; RunError likewise.
    """
    if not start.is_missing(config):
        return
    with start.alone(progress):
        if not start.is_missing(config):
            return
        if train.is_main_process():
            progress(START, 0, 1)
        try:
            _make_start(progress)
        except InterruptedRunError as error:
            raise InterruptedRunError(f"stopped while {START} was made; the same command goes on") from error
        train.wait_for_main_process()  # which writes the bundle
        if train.is_main_process():
            progress(START, 1, 1)


def _make_start(progress: Progress) -> None:
    begun = start.is_begun()
    try:
        adapt(recipe(), run_folder(), resume=begun, progress=progress)
    except BusyError:
        raise
    except InputError:
        if not begun:
            raise
        # What was begun cannot be gone on with, and nobody named this folder: it is made anew.
        adapt(recipe(), run_folder(), overwrite=True, progress=progress)
