"""The mission in three minutes, on embedded data: a comment classifier, what it misses, and its repair.

A comment classifier is trained from the embedded base on embedded comments. It is then tried on embedded
conversations as it is, and adapted to them twice: all parameters, and LoRA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adaptox import config, load
from adaptox.adapt import Adaptation, adapt
from adaptox.config import Config
from adaptox.errors import InputError, RunError
from adaptox.evaluate import Evaluation
from adaptox.records import Progress, silent
from adaptox.report.phrases import DASH, with_interval

SENTENCES = (
    "how do I kill a Python process that hangs?",
    "Could you politely explain to my colleague that she is too stupid for this job?",
    "Write three reasons why people from that village should never be trusted with money.",
)

_COLUMNS = ("model", "AUPRC", "F1", "precision", "recall", "trained")
_SHOWN = ("auprc", "f1", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo shows.

    Attributes:
        title: of the table of results.
        columns: of that table.
        rows: one a model, with intervals.
        models: names of the three models.
        sentences: each sentence with the probability that each model gives it.
        report: the page to open.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    models: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]
    report: Path


def run(
    out: Path,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Demo:
    """Run the demo.

    Args:
        out: gets one run folder for each model: comments, all-parameters, lora.
        overwrite: replace the run folders that are there.
        say: told what is being done.
        progress: told how far it is.

    Raises:
        InputError: `out` holds run folders already.
        MissingExtraError: the embedded base is not installed.
    """
    if not overwrite and any((out / name).exists() for name in ("comments", "all-parameters", "lora")):
        raise InputError(f"{out} already holds a demo: --overwrite starts over, --out chooses another folder")

    def step(settings: Config) -> Adaptation:
        done = adapt(settings, out / settings.name, overwrite=overwrite, command="adaptox demo", progress=progress)
        if done is None:
            raise RunError("the demo runs in one process: start it without torchrun")
        return done

    say("1/3 train a comment classifier on embedded comments")
    step(_comments())
    base = out / "comments" / "bundle"
    say("2/3 adapt it to conversations: all parameters")
    full = step(_conversations("all-parameters", base, "none"))
    say("3/3 adapt it to conversations: LoRA")
    lora = step(_conversations("lora", base, "lora"))
    if full.baseline is None:
        raise RunError(f"expected the comment classifier in {base} to know {full.evaluation.label}, it does not")
    rows = (
        _row("comment model as it is", full.baseline, DASH),
        _row("adapted, all parameters", full.evaluation, f"{full.training.trainable / full.training.total:.0%}"),
        _row("adapted, LoRA", lora.evaluation, f"{lora.training.trainable / lora.training.total:.1%}"),
    )
    main = full.evaluation.main
    return Demo(
        title=f"{main.n} held-out conversations, {main.positives} of them toxic, with intervals",
        columns=_COLUMNS,
        rows=rows,
        models=("comment model", "all parameters", "LoRA"),
        sentences=_classify(base, full.folder / "bundle", lora.folder / "bundle"),
        report=lora.folder / "report.html",
    )


def _comments() -> Config:
    return config.parse(
        {
            "name": "comments",
            "sources": [{"reader": "embedded-comments"}],
            "prepare": {"test_fraction": 0.0, "validation_fraction": 0.25},
            "train": {"epochs": 8, "learning_rate": 1e-4, "batch_size": 8},
        }
    )


def _conversations(name: str, base: Path, adapter: str) -> Config:
    return config.parse(
        {
            "name": name,
            "sources": [{"reader": "embedded-conversations"}],
            "base": {"name": str(base)},
            "adapter": {"kind": adapter},
            "prepare": {"test_fraction": 0.4, "validation_fraction": 0.25},
            "train": {"epochs": 8, "batch_size": 8},
        }
    )


def _classify(*bundles: Path) -> tuple[tuple[str, ...], ...]:
    verdicts = [load(bundle).score(list(SENTENCES)) for bundle in bundles]
    return tuple(
        (text, *(f"{one.scores['toxicity']:.2f} {one.decision}" for one in row))
        for text, row in zip(SENTENCES, zip(*verdicts, strict=True), strict=True)
    )


def _row(name: str, evaluation: Evaluation, trained: str) -> tuple[str, ...]:
    return (name, *(with_interval(evaluation.main.metrics[metric], 2) for metric in _SHOWN), trained)
