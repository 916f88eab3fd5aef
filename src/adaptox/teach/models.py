"""Examples + a classifier → its scores as soft targets, and how far they agree with scores that the data had."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from adaptox import bundle as bundles
from adaptox import model, train
from adaptox.bundle import Bundle
from adaptox.config import BaseConfig, Config, EvaluateConfig, cache_root
from adaptox.decide import Decider, sigmoid
from adaptox.errors import DataError, nearest
from adaptox.labels import LabelSet
from adaptox.records import Conversation, Example, FloatArray, Progress, silent
from adaptox.scorers import Moderator, TorchScorer, open_scorer
from adaptox.teach.agreement import agreements
from adaptox.teach.kept import Score, scored_once
from adaptox.teach.values import Taught, conversation_key, with_scores


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model that can teach.

    Attributes:
        name: as the user gave it.
        labels: what it scores.
        sha256: of everything that its scores depend on.
        start: loads it.
    """

    name: str
    labels: tuple[str, ...]
    sha256: str
    start: Callable[[], Score]

    def file(self, cache: Path | None) -> Path:
        """Name the file that its scores are kept in."""
        # Another version may render, cut or calibrate otherwise.
        return cache_root(cache) / "teacher" / f"{self.sha256}-{version('adaptox')}.parquet"


def teach(
    examples: Sequence[Example],
    bundle: Path,
    targets: Sequence[str],
    config: EvaluateConfig,
    seed: int,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Taught:
    """Let a bundle score examples, to learn from the scores (arXiv 1503.02531).

    The bundle reads conversations as it was trained to: its own rendering, windows and calibration. A conversation
    that it has scored before is not scored again.

    Args:
        examples: scores that they have are replaced.
        bundle: the folder of the teacher.
        targets: labels of the bundle.
        config: resamples and confidence of the agreement.
        seed: of its bootstrap.
        cache: folder of everything that adaptox keeps between runs; left out, it is what the environment variable
            ADAPTOX_CACHE names, or ~/.cache/adaptox.
        progress: told how many conversations are scored, of those that were not before.

    Raises:
        BundleError: missing, damaged, or of another version.
        DataError: the bundle has no label of that name.
        MissingExtraError: torch or pyarrow is not installed.
    """
    return teach_by(of_bundle(bundle), examples, targets, config, seed, cache, progress)


def teach_by(
    teacher: Classifier,
    examples: Sequence[Example],
    targets: Sequence[str],
    config: EvaluateConfig,
    seed: int,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Taught:
    """Let a classifier score examples; arguments and errors are those of `teach`."""
    labels = teacher.labels
    unknown = [name for name in targets if name not in labels]
    if unknown:
        raise DataError(
            f"the teacher {teacher.name} gives no score for {unknown[0]!r}: {nearest(unknown[0], labels)}"
        )
    keys = [conversation_key(example.conversation) for example in examples]
    conversations = {key: example.conversation for key, example in zip(keys, examples, strict=True)}
    probs = scored_once(teacher.file(cache), conversations, teacher.start, progress)
    columns = {name: labels.index(name) for name in targets}
    scored = [{name: probs[key][column] for name, column in columns.items()} for key in keys]
    return Taught(with_scores(examples, scored), agreements(targets, examples, scored, config, seed))


def of_bundle(folder: Path) -> Classifier:
    """Open a bundle as a teacher; its scores are its calibrated probabilities.

    Raises:
        BundleError: missing, damaged, or of another version.
    """
    bundle = bundles.load(folder)
    # The manifest's hash covers those of its other files, the weights among them.
    return Classifier(str(folder), bundle.manifest.labels, bundle.manifest.sha256, partial(_start_bundle, bundle))


def of_base(config: Config, targets: Sequence[str]) -> Classifier:
    """Open a classifier of the hub, or a folder of its layout, as a teacher; its scores are sigmoids of its logits.

    Args:
        config: `teach.model` names it; `text` and `encode` say how it reads.
        targets: our names of what it is to score.

    Raises:
        BaseModelError: it cannot be found or read.
        DataError: it has no output of such a name.
    """
    name, labels = config.teach.model, LabelSet(tuple(targets))
    base = model.load_base(BaseConfig(name=name), labels, config.seed)
    missing = [label for label in targets if label not in base.warm]
    if missing:
        own = base.warm.values() or ("none that adaptox knows",)
        raise DataError(
            f"the teacher {name} gives no score for {missing[0]!r}; of its outputs, these have one of our names: "
            f"{', '.join(own)}"
        )
    digest = hashlib.sha256(repr((name, base.revision, tuple(targets), config.text, config.encode)).encode())
    for weights in base.network.state_dict().values():
        digest.update(weights.numpy().tobytes())
    return Classifier(name, tuple(targets), digest.hexdigest(), partial(_start_base, base, config, tuple(targets)))


def _start_bundle(bundle: Bundle) -> Score:
    moderator = Moderator(open_scorer(bundle), Decider.from_json(bundle.manifest.decider), bundle)
    labels = bundle.manifest.labels

    def score(conversations: Sequence[Conversation], progress: Progress) -> FloatArray:
        verdicts = moderator.score(conversations, progress=progress)
        return np.array([[verdict.scores[label] for label in labels] for verdict in verdicts])

    return score


def _start_base(base: model.Base, config: Config, targets: tuple[str, ...]) -> Score:
    encoder = train.encoder_for(base, config)
    network: torch.nn.Module = base.network
    scorer = TorchScorer(network.to(model.device()), encoder, targets)

    def score(conversations: Sequence[Conversation], progress: Progress) -> FloatArray:
        return sigmoid(scorer.score(conversations, progress).logits)

    return score
