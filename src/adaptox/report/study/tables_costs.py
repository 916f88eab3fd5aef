"""What was run, and what it took: the tables of settings and of training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from adaptox.report import phrases
from adaptox.report.study.cells import Cell, Grid, Head, named, value, words
from adaptox.report.study.runs import mean, twin
from adaptox.report.study.values import StudyRun, StudyStory
from adaptox.report.tables import cell
from adaptox.report.tables import words as spaced

# What a reader looks for first; told below the table where it is the same in every run.
_ALWAYS = (
    "base.name",
    "base.warm_start",
    "adapter.kind",
    "adapter.r",
    "adapter.alpha",
    "loss.kind",
    "distill.sigma",
    "train.epochs",
    "train.learning_rate",
    "train.batch_size",
    "encode.max_tokens",
    "threshold.policy",
)
_WHAT_AN_ADAPTER_SAVES = (
    " An adapter saves the gradients of the frozen weights, one of a step's three products with each of them, and "
    "their update; forward and back through the activations stay, and its own products come on top."
)
_NOT_SHOWN = ("name", "seed")
_LONGEST_LIST = 3


def configurations(story: StudyStory) -> Grid:
    """Table 1: the axes of the study, and every setting in which its runs differ."""
    first: dict[str, StudyRun] = {}
    for run in story.runs:
        first.setdefault(run.name, run)
    runs = tuple(first.values())
    settings = {run.name: dict(_leaves(run.config)) for run in runs}
    keys = tuple(dict.fromkeys(key for found in settings.values() for key in found))
    differing = tuple(key for key in keys if key not in _NOT_SHOWN and _distinct(settings, key) > 1)
    shared = [
        f"{_setting(key)} {text}"
        for key in _ALWAYS
        if key not in differing and (text := next((s[key] for s in settings.values() if key in s), ""))
    ]
    same = f" The same in every run: {', '.join(shared)}." if shared else ""
    return Grid(
        "table-1",
        "Table 1: configurations",
        f"The axes of the study, and each setting in which its runs differ.{same} All settings of every run stand "
        "at the end.",
        (
            Head("run", numeric=False),
            *(Head(spaced(axis), "axes", False) for axis in story.axes),
            *(Head(_setting(key), "settings", False) for key in differing),
        ),
        tuple(
            (
                Cell(run.name),
                *(words(run.variants.get(axis, "")) for axis in story.axes),
                *(_setting_cell(settings[run.name].get(key, "")) for key in differing),
            )
            for run in runs
        ),
    )


def _leaves(settings: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    for key, content in settings.items():
        name = f"{above}{key}"
        if isinstance(content, Mapping) and content:
            yield from _leaves(content, f"{name}.")
        elif isinstance(content, list | tuple) and len(content) > _LONGEST_LIST:
            yield name, f"{phrases.count(len(content))} names"
        elif isinstance(content, list | tuple) and any(isinstance(item, Mapping) for item in content):
            for place, item in enumerate(content, 1):
                yield from _leaves({str(place): item}, f"{name}.")
        else:
            yield name, cell(content)


def _distinct(settings: Mapping[str, Mapping[str, str]], key: str) -> int:
    return len({found.get(key, "") for found in settings.values() if found})


def _setting(key: str) -> str:
    return spaced(key.removesuffix(".name").replace(".", " "))


def _setting_cell(text: str) -> Cell:
    try:
        return Cell(text, rank=float(text.replace(",", "")))
    except ValueError:
        return words(text)


def training(story: StudyStory, runs: Sequence[StudyRun]) -> Grid:
    """What training took, and what an adapter saves.

    Args:
        story: with the paper's times.
        runs: of one panel.
    """
    paper = " The paper's times are from one T4 GPU." if story.paper else ""
    adapters = any(twin(run, runs) for run in runs)
    why = _WHAT_AN_ADAPTER_SAVES if adapters else ""
    return Grid(
        "",
        "training",
        "Means over the seeds; time is from the first step to the last evaluation. Savings are against the run "
        f"that differs in its adapter only and trains more parameters.{why}{paper}",
        (
            Head("run", numeric=False),
            Head("time"),
            Head("time saved"),
            Head("rows/s"),
            Head("steps"),
            Head("peak memory"),
            Head("memory saved"),
            Head("trained parameters"),
            Head("share"),
        ),
        tuple(_training_row(story, run, twin(run, runs)) for run in runs),
    )


def _training_row(story: StudyStory, run: StudyRun, larger: StudyRun | None) -> tuple[Cell, ...]:
    facts = run.training
    wall_s, memory, rows_per_s = _wall_s(run), _memory(run), mean(fact.rows_per_s for fact in facts)
    steps = mean(fact.steps for fact in facts)
    trained = facts[0].trainable if facts else math.nan
    portion = facts[0].trainable / facts[0].total if facts and facts[0].total else math.nan
    reported = story.paper.get(run.name)
    beside = f"paper {phrases.duration(reported.train_s)}" if reported else ""
    return (
        named(run),
        value(wall_s, phrases.duration(wall_s), beside),
        _saved(wall_s, math.nan if larger is None else _wall_s(larger), _paper_saving(story, run, larger)),
        value(rows_per_s, phrases.speed(rows_per_s).removesuffix(" rows/s")),
        value(steps, phrases.count(round(steps)) if facts else phrases.DASH),
        value(memory, phrases.megabytes(memory)),
        _saved(memory, math.nan if larger is None else _memory(larger), ""),
        value(trained, phrases.parameters(facts[0].trainable) if facts else phrases.DASH),
        value(portion, phrases.share(portion)),
    )


def _wall_s(run: StudyRun) -> float:
    return mean(fact.wall_s for fact in run.training)


def _memory(run: StudyRun) -> float:
    return mean(fact.peak_memory_mb for fact in run.training)


def _saved(ours: float, larger: float, beside: str) -> Cell:
    saving = 1 - ours / larger if larger else math.nan
    return value(saving, phrases.share(saving), beside)


def _paper_saving(story: StudyStory, run: StudyRun, larger: StudyRun | None) -> str:
    if larger is None or run.name not in story.paper or larger.name not in story.paper:
        return ""
    return f"paper {phrases.share(1 - story.paper[run.name].train_s / story.paper[larger.name].train_s)}"
