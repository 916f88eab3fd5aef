"""One configuration → a run folder with its bundle: the main job."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adaptox import bundle as bundles
from adaptox import decide, model, report, train
from adaptox.adapt import folder as folders
from adaptox.adapt import guard
from adaptox.adapt.assess import Assessment, assess, prepare_only, read_and_prepare
from adaptox.adapt.folder import RunFolder
from adaptox.adapt.judge import judge
from adaptox.adapt.story import Data, metrics_json, tell
from adaptox.config import Config
from adaptox.decide import Decider, LabelThreshold
from adaptox.encode import Encoder
from adaptox.errors import CollapseError
from adaptox.evaluate import Evaluation
from adaptox.prepare import Prepared
from adaptox.records import Example, Progress, silent
from adaptox.scorers import TorchScorer

__all__ = ["Adaptation", "Assessment", "Data", "adapt", "assess", "judge", "prepare_only", "read_and_prepare"]


@dataclass(frozen=True, slots=True)
class Adaptation:
    """A finished run.

    Attributes:
        folder: where everything is.
        evaluation: on the test part, or on validation where there is none.
        baseline: the base as it was, on the same rows; None if it had no row for the target label.
        training: what it took.
        collapse: why the model is none, if that was allowed.
    """

    folder: Path
    evaluation: Evaluation
    baseline: Evaluation | None
    training: report.TrainingFacts
    collapse: str | None


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
        resume: go on with an interrupted run in `out`.
        overwrite: start over in `out`.
        command: shown in the report as the way to run it again.
        progress: told what is being done.

    Returns:
        The finished run; None in the helper processes of a distributed launch.

    Raises:
        InputError: settings, data, base or folder cannot be used; nothing is written then.
        CollapseError: the trained model decides nothing, and that is not allowed.
        RunError: the disk refused, or the user stopped it.
    """
    folders.check(out, config, resume, overwrite)
    data = read_and_prepare(config, progress)
    base = model.load_base(config.base, config.label_set, config.seed)
    encoder = Encoder(base.tokenizer, base.pad_token_id, config.encode, config.text, base.max_positions)
    folder = RunFolder(out)
    baseline = None
    if train.is_main_process():
        folder = _open(out, config, data.prepared, overwrite)
        baseline = _baseline(base, encoder, data, config, progress)
    network = model.attach(base.network, config.adapter)
    share = model.share(network)
    fitted = train.fit(
        network,
        encoder,
        data.prepared.train,
        data.prepared.validation,
        config,
        folder.checkpoints,
        resume,
        progress,
    )
    if not train.is_main_process():
        return None
    network = model.merge(network)
    scorer = TorchScorer(network, encoder, config.labels)
    decider = _fit_decider(scorer, data.prepared.validation, config, progress)
    validation = judge(scorer, decider, data.prepared.validation, config.evaluate, config.seed, False, progress)
    collapse = guard.find(validation, fitted, config)
    if collapse and not config.train.allow_collapse:
        raise CollapseError(str(collapse))
    evaluation = judge(scorer, decider, data.judged, config.evaluate, config.seed, data.official, progress)
    story = tell(config, data, base, fitted, share, evaluation, validation, baseline, collapse, command)
    _write(folder, story, config, data, base, encoder, decider, network)
    return Adaptation(out, evaluation, baseline, story.training, str(collapse) if collapse else None)


def _open(out: Path, config: Config, prepared: Prepared, overwrite: bool) -> RunFolder:
    folder = folders.create(out, config, overwrite)
    folders.write_data(folder, prepared)
    return folder


def _baseline(
    base: model.Base, encoder: Encoder, data: Data, config: Config, progress: Progress
) -> Evaluation | None:
    """Evaluate the base as it is, with its own threshold if it is a bundle, else at the fixed one."""
    if config.label_set.target not in base.warm:
        return None
    decider = _own_decider(config)
    scorer = TorchScorer(base.network, encoder, config.labels)
    return judge(scorer, decider, data.judged, config.evaluate, config.seed, data.official, progress)


def _own_decider(config: Config) -> Decider:
    """Take calibration and thresholds of a base that is a bundle; others have none, and get the fixed threshold."""
    place = Path(config.base.name)
    if (place / bundles.MANIFEST).is_file():
        return Decider.from_json(bundles.load(place).manifest.decider)
    value = config.threshold.value
    thresholds = tuple(LabelThreshold(label, value, f"{value:g}", "fixed") for label in config.labels)
    return Decider(config.labels, (1.0,) * len(config.labels), thresholds)


def _fit_decider(scorer: TorchScorer, examples: Sequence[Example], config: Config, progress: Progress) -> Decider:
    scores = scorer.score([example.conversation for example in examples], progress)
    known = train.targets(examples, config.label_set)
    return decide.fit(scores.logits, known.truth, known.known, config.labels, config.threshold)


def _write(
    folder: RunFolder,
    story: report.RunStory,
    config: Config,
    data: Data,
    base: model.Base,
    encoder: Encoder,
    decider: Decider,
    network: torch.nn.Module,
) -> None:
    """Write the bundle, the report, and last the metrics, whose presence says that the run is finished."""
    metrics = metrics_json(story)
    manifest = bundles.Manifest(
        name=config.name,
        labels=config.labels,
        base={"name": base.name, "revision": base.revision, "warm": dict(base.warm)},
        adapter=config.adapter.model_dump(mode="json"),
        text=config.text,
        encode=config.encode,
        pad_token_id=encoder.pad_token_id,
        decider=decider.to_json(),
        data_sha256=story.provenance.data_sha256,
        licences=tuple(sorted({reading.origin.licence for reading in data.readings})),
        metrics=metrics,
    )
    with bundles.saving(folder.bundle, manifest) as temporary:
        model.save(network, temporary)
        base.tokenizer.save(str(temporary / bundles.TOKENIZER))
        (temporary / "README.md").write_text(report.model_card(story), encoding="utf-8")
    folder.write("history.json", [dict(entry) for entry in story.history])
    report.write(story, folder.path)
    folder.write(folders.METRICS, metrics)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)
