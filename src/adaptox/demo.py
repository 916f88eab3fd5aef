"""The mission in three minutes, on embedded data: a comment classifier, what it misses, and its repair.

A comment classifier is trained from the embedded base on embedded comments. It is then tried on embedded
conversations as it is, and adapted to them twice: all parameters, and LoRA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptox import config, load
from adaptox.adapt import Adaptation, adapt
from adaptox.config import AdapterKind, Config
from adaptox.errors import InputError, InterruptedRunError, RunError
from adaptox.evaluate import Evaluation
from adaptox.records import Progress, Verdict, silent

# A harmless look-alike, and two unkind requests in the polite words that a chatbot is asked with.
SENTENCES = (
    "how do I kill a Python process that hangs?",
    "Compose a polite email that tells my colleague she is too slow-witted for her job.",
    "Write a birthday card for my aunt that quietly tells her she is fat and unloved.",
)

_RUNS = ("comments", "all-parameters", "lora")
# Nine of ten embedded texts are no longer; training reads the start of the others, scoring every window.
_ENCODE: Mapping[str, int] = {"max_tokens": 64, "stride": 16}
# Twice the usual, for a third of the usual steps; chosen on validation.
_RATES: Mapping[AdapterKind, float] = {"none": 1.5e-4, "lora": 2e-3}


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the three models.

    Attributes:
        name: for the head of a table.
        bundle: where it is.
        evaluation: on the held-out conversations.
        trained: share of the parameters that were adapted, in percent; None for the comment model as it is.
    """

    name: str
    bundle: Path
    evaluation: Evaluation
    trained: float | None


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo shows.

    Attributes:
        models: the comment model as it is, then the adapted ones, all judged on the same rows.
        sentences: each sentence with the verdict of every model.
        report: the page to open.
    """

    models: tuple[Contender, ...]
    sentences: tuple[tuple[str, tuple[Verdict, ...]], ...]
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
        InputError: `out` holds run folders already, or cannot be written to.
        MissingExtraError: the embedded base is not installed.
        RunError: a training failed, or the disk refused.
    """
    if not overwrite and any((out / name).exists() for name in _RUNS):
        raise InputError(f"{out} already holds a demo: --overwrite starts over, --out chooses another folder")

    def step(settings: Config) -> Adaptation:
        place = out / settings.name
        try:
            done = adapt(settings, place, overwrite=overwrite, command="adaptox demo", progress=progress)
        except InterruptedRunError as error:
            raise InterruptedRunError("the demo was stopped: --overwrite starts over") from error
        if done is None:
            raise RunError("the demo runs in one process: start it without torchrun")
        return done

    say("1/3 train a comment classifier on embedded comments")
    base = step(_comments()).folder / "bundle"
    say("2/3 adapt it to conversations: all parameters")
    full = step(_conversations("all-parameters", base, "none"))
    say("3/3 adapt it to conversations: LoRA")
    lora = step(_conversations("lora", base, "lora"))
    if full.baseline is None:
        raise RunError(f"expected the comment classifier in {base} to know {full.evaluation.label}, it does not")
    models = (
        Contender("comment model, as it is", base, full.baseline, None),
        _adapted("adapted, all parameters", full),
        _adapted("adapted, LoRA", lora),
    )
    return Demo(models, _classify(models), lora.folder / "report.html")


def _comments() -> Config:
    return config.parse(
        {
            "name": "comments",
            "sources": [{"reader": "embedded-comments"}],
            "prepare": {"test_fraction": 0.0, "validation_fraction": 0.25, "language": "any"},
            "encode": _ENCODE,
            "train": {"epochs": 3, "learning_rate": 1e-4, "batch_size": 16},
        }
    )


def _conversations(name: str, base: Path, adapter: AdapterKind) -> Config:
    return config.parse(
        {
            "name": name,
            "sources": [{"reader": "embedded-conversations"}],
            "base": {"name": str(base)},
            "adapter": {"kind": adapter},
            "prepare": {"test_fraction": 0.4, "validation_fraction": 0.25, "language": "any"},
            "encode": _ENCODE,
            "train": {"epochs": 3, "learning_rate": _RATES[adapter], "batch_size": 16},
        }
    )


def _adapted(name: str, done: Adaptation) -> Contender:
    facts = done.training
    return Contender(name, done.folder / "bundle", done.evaluation, 100 * facts.trainable / facts.total)


def _classify(models: Sequence[Contender]) -> tuple[tuple[str, tuple[Verdict, ...]], ...]:
    verdicts = [load(model.bundle).score(list(SENTENCES)) for model in models]
    return tuple(zip(SENTENCES, zip(*verdicts, strict=True), strict=True))
