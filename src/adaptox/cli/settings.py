"""What stands on the command line → settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptox import config
from adaptox.config import Config
from adaptox.errors import ConfigError

# What a bundle brings with it, so that `evaluate` reads no such setting; and what only a training reads.
OF_THE_BUNDLE = ("text", "encode", "base", "adapter", "lexicon", "threshold")
OF_TRAINING = ("loss", "teach", "distill", "train")


def settings(given: str, changes: Sequence[str], options: Mapping[str, Any]) -> Config:
    """Read a TOML file, or take the best recipe for data named on the command line; then apply the changes.

    Args:
        given: a .toml file, or what a source's `path` may be.
        changes: KEY=VALUE, the value in TOML or a bare text; the last one wins.
        options: dotted key → value of options of their own, which win over changes; None is passed over.

    Raises:
        ConfigError: a file, key or value that cannot be used.
    """
    named = {key: value for key, value in options.items() if value is not None}
    changed = {**dict(_change(change) for change in changes), **named}
    if is_settings(given):
        return config.override(config.load(Path(given)), changed)
    named_alone = {"name": Path(given).stem or "run", "sources": [{"path": given}]}
    recipe = dict(config.RECIPE)
    if given in config.START_DATA:
        recipe["base"] = config.PLAIN_BASE
    return config.by_recipe(config.override(config.parse({**named_alone, **recipe}), changed))


def settings_to_judge_by(given: str, changes: Sequence[str]) -> Config:
    """Read settings as `settings` does, for judging a bundle that is finished.

    A settings file may hold what a training read, as it is the one that the bundle was trained with as a rule; a
    change that would change nothing is refused.

    Raises:
        ConfigError: as `settings`; or a change of what the bundle decides, or of what is only trained with.
    """
    for key in dict(_change(change) for change in changes):
        if key.split(".")[0] in OF_THE_BUNDLE:
            raise ConfigError(
                f"--set {key}: the bundle decides that, as it was trained; leave it out, or train with it "
                "(adaptox train)"
            )
        if key.split(".")[0] in OF_TRAINING or key == "evaluate.base":
            raise ConfigError(
                f"--set {key}: evaluate does not train; leave it out, or train with it (adaptox train)"
            )
    return settings(given, changes, {})


def settings_to_decide_by(given: str, changes: Sequence[str]) -> Config:
    """Read settings as `settings` does, for learning a finished bundle's thresholds anew.

    Raises:
        ConfigError: as `settings`; or a change of what is not read then.
    """
    read = ("sources", "labels", "seed", "threshold", *(["prepare"] if is_settings(given) else []))
    for key in dict(_change(change) for change in changes):
        if key.split(".")[0] not in read or key == "threshold.folds":
            raise ConfigError(
                f"--set {key}: decide reads {', '.join(read)} alone here, and trains nothing; leave it out, or "
                "train with it (adaptox train)"
            )
    return settings(given, changes, {})


def part_of_grid(only: Sequence[str]) -> dict[str, str]:
    """Read which part of a grid is asked for: axis → value.

    Args:
        only: AXIS=VALUE each.

    Raises:
        ConfigError: something else.
    """
    for text in only:
        if "=" not in text:
            raise ConfigError(f"--only expects AXIS=VALUE, such as data=sampled, got {text!r}")
    return {axis: value for axis, _, value in (text.partition("=") for text in only)}


def is_settings(given: str) -> bool:
    """Tell a settings file from data."""
    return given.lower().endswith(".toml")


def _change(change: str) -> tuple[str, Any]:
    key, equals, value = (part.strip() for part in change.partition("="))
    if not (key and equals):
        raise ConfigError(f"--set expects KEY=VALUE such as train.epochs=3, got {change!r}")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
