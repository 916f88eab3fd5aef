"""A study's settings → the runs that it is made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from adaptox import config as settings
from adaptox.config import Config, Section
from adaptox.errors import ConfigError, nearest

# Settings as they stand in TOML: dotted or nested keys.
Changes = dict[str, Any]
# What a study sets itself, and how it is told.
_OWN = {
    "seed": "set seeds of the study",
    "name": "set names of the study",
    "train.allow_collapse": "a collapse is a finding in every run of a study",
}


class Rule(Section):
    """Settings for the runs that have certain variants."""

    when: dict[str, str]
    """Axis → the value a run must have there."""
    set: Changes = Field(default_factory=dict)
    """The settings it then gets; later rules win."""
    seeds: tuple[int, ...] = ()
    """Its seeds; empty leaves those of the study."""


class StudyConfig(Section):
    """A grid of runs: every combination of the axes' values, for every seed."""

    name: str = "study"
    """Shown in the report; the default output folder is runs/NAME."""
    question: str = ""
    """What the study asks; stands at the head of its report."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    """Seeds of training. The data is split once, by prepare.seed, which is 0 unless `common` sets it."""
    panel: str = ""
    """The axis whose values get tables of their own, such as two ways to split the data."""
    panel_words: dict[str, str] = Field(default_factory=dict)
    """Value of the panel axis → what it is, in a clause."""
    against: str = ""
    """The run that every other is compared with; empty compares all pairs of a panel."""
    beside: str = ""
    """study.json of a finished study, whose runs of the same name are shown as `before`."""
    needs: dict[str, str] = Field(default_factory=dict)
    """Folder → its settings file: what is made first, unless it is there, such as a base, or, from a file with a
    `teach` table, a teacher's scores."""
    common: Changes = Field(default_factory=dict)
    """Settings of every run."""
    axes: dict[str, dict[str, Changes] | list[Any]] = Field(min_length=1)
    """Axis → its values: a table of named variants with their settings; or, for a setting's dotted key, a list."""
    rules: tuple[Rule, ...] = ()
    """Settings for some combinations."""
    names: dict[str, str] = Field(default_factory=dict)
    """Combination without the panel, such as full/lora/single → what the run is called."""

    @model_validator(mode="after")
    def _names_are_known(self) -> StudyConfig:
        if self.panel and self.panel not in self.axes:
            raise ValueError(f"panel names no axis: {nearest(self.panel, self.axes)}")
        for rule in self.rules:
            for axis, value in rule.when.items():
                if axis not in self.axes:
                    raise ValueError(f"rules.when names no axis: {nearest(axis, self.axes)}")
                if value not in _values(self.axes[axis]):
                    raise ValueError(f"rules.when.{axis}: {nearest(value, _values(self.axes[axis]))}")
        for axis, given in self.axes.items():
            if not given:
                raise ValueError(f"axes.{axis} has no value: expected a list, or a table of named variants")
        own = [key for key in self._changed() if key in _OWN]
        if own:
            raise ValueError(f"{own[0]!r} cannot be set for single runs: {_OWN[own[0]]}")
        known = {"/".join(chosen) for chosen in itertools.product(*map(_values, self._compared().values()))}
        for combination in self.names:
            if combination not in known:
                raise ValueError(f"names: no combination {combination!r}: {nearest(combination, known)}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must differ, got {', '.join(map(str, self.seeds))}")
        return self

    def _compared(self) -> dict[str, dict[str, Changes] | list[Any]]:
        """Give the axes that runs of one panel differ in."""
        return {axis: given for axis, given in self.axes.items() if axis != self.panel}

    def _changed(self) -> Iterator[str]:
        """Give the dotted key of every setting that something here sets."""
        for changes in (self.common, *(rule.set for rule in self.rules)):
            yield from dict(_dotted(changes))
        for axis, given in self.axes.items():
            if isinstance(given, dict):
                yield from (key for changes in given.values() for key, _ in _dotted(changes))
            else:
                yield axis


@dataclass(frozen=True, slots=True)
class Planned:
    """One run to be made.

    Attributes:
        name: of its configuration; unique within the panel.
        panel: value of the panel axis, or empty.
        variants: axis → value, the panel axis left out.
        seed: of its training.
        config: its settings.
    """

    name: str
    panel: str
    variants: Mapping[str, str]
    seed: int
    config: Config

    @property
    def label(self) -> str:
        """What it is called in the study's folder: letters, digits, dots and dashes."""
        parts = (*([self.panel] if self.panel else []), self.name, f"s{self.seed}")
        return "-".join("".join(c if c.isalnum() or c in ".-" else "-" for c in part) for part in parts)


def load_study(path: Path) -> StudyConfig:
    """Read a study's settings from a TOML file.

    Raises:
        ConfigError: no such file, no valid TOML, or settings that do not fit.
    """
    data = settings.read_toml(path, "configs/study.toml")
    try:
        return StudyConfig.model_validate(data)
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            hint = nearest(key, StudyConfig.model_fields)
            raise ConfigError(f"{path}: unknown key {key!r}: {hint}; settings of runs go below [common]") from error
        raise ConfigError(f"{path}: {key}: {detail['msg'].removeprefix('Value error, ')}") from error


def plan(study: StudyConfig) -> tuple[Planned, ...]:
    """Lay out every run: panel by panel, in the order of the axes, seed by seed.

    Raises:
        ConfigError: a setting that is unknown or of the wrong kind, or two combinations with one name.
    """
    axes = {axis: _values(given) for axis, given in study.axes.items()}
    order = [study.panel, *(axis for axis in axes if axis != study.panel)] if study.panel else list(axes)
    runs = []
    for values in itertools.product(*(axes[axis] for axis in order)):
        chosen = dict(zip(order, values, strict=True))
        panel = chosen.pop(study.panel, "")
        key = "/".join(chosen.values())
        name = study.names.get(key, key.replace("/", "-") or "run")
        everything = {**chosen, **({study.panel: panel} if study.panel else {})}
        rules = [
            rule for rule in study.rules if all(everything[axis] == value for axis, value in rule.when.items())
        ]
        seeds = next((rule.seeds for rule in reversed(rules) if rule.seeds), study.seeds)
        for seed in seeds:
            config = _config(study, everything, rules, name, seed)
            runs.append(Planned(name, panel, chosen, seed, config))
    labels = [run.label for run in runs]
    if study.against and study.against not in {run.name for run in runs}:
        raise ConfigError(f"against names no run: {nearest(study.against, {run.name for run in runs})}")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(f"two runs would be called {twice[0]}: give them different `names`")
    return tuple(runs)


def only(study: StudyConfig, chosen: Mapping[str, str]) -> StudyConfig:
    """Leave a part of a grid: one value of each axis that is named.

    Where the run that others are compared with is not in the part, all its pairs are.

    Args:
        study: the whole grid.
        chosen: axis → the value that is kept.

    Raises:
        ConfigError: an unknown axis or value.
    """
    axes = dict(study.axes)
    for axis, value in chosen.items():
        if axis not in axes:
            raise ConfigError(f"--only names no axis: {nearest(axis, axes)}")
        if value not in _values(axes[axis]):
            raise ConfigError(f"--only {axis}: {nearest(value, _values(axes[axis]))}")
        given = axes[axis]
        if isinstance(given, list):
            axes[axis] = [given[_values(given).index(value)]]
        else:
            axes[axis] = {value: given[value]}
    rules = tuple(
        rule for rule in study.rules if all(chosen.get(axis, value) == value for axis, value in rule.when.items())
    )
    part = study.model_copy(update={"axes": axes, "rules": rules, "against": ""})
    kept = study.against in {run.name for run in plan(part)}
    return part.model_copy(update={"against": study.against}) if kept else part


def _values(given: Mapping[str, Changes] | list[Any]) -> tuple[str, ...]:
    return tuple(given) if isinstance(given, Mapping) else tuple(_word(value) for value in given)


def _word(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _config(study: StudyConfig, chosen: Mapping[str, str], rules: Iterable[Rule], name: str, seed: int) -> Config:
    # Runs are compared with each other: the base they share would be judged again in every one.
    changes: dict[str, Any] = {"prepare.seed": 0, "evaluate.base": False, **dict(_dotted(study.common))}
    for axis, value in chosen.items():
        given = study.axes[axis]
        if isinstance(given, Mapping):
            changes.update(_dotted(given[value]))
        else:
            changes[axis] = given[_values(given).index(value)]
    for rule in rules:
        changes.update(_dotted(rule.set))
    # A model that decides nothing is a finding here, not an error.
    changes |= {"name": name, "seed": seed, "train.allow_collapse": True}
    try:
        return settings.override(settings.parse({}), changes)
    except ConfigError as error:
        raise ConfigError(f"run {name}: {str(error).removeprefix('the settings: ')}") from error


def _dotted(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
