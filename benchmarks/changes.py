"""The changes of an ablation, as its file has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import levers
from pydantic import Field, ValidationError

from adaptox import config as settings
from adaptox.config import Config, Section
from adaptox.errors import ConfigError, nearest

RESAMPLES = 5000  # enough for what remains of a p-value after Holm
# What the comparison needs to be the same for all; a calibration may be a change, as it trains no network.
_FIXED, _FREE = ("threshold", "evaluate", "prepare", "seed", "distill"), "threshold.calibration"


class ChangeConfig(Section):
    """One change as the file has it."""

    name: str
    what: str
    on: str | None = None
    """Name of what it is made to, above it; the first is made to nothing."""
    tested: bool = True
    """False where the rows left out had a say in it, as the words' shares have by themselves."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Dotted key of the settings → value."""
    beside: bool = False
    """True for what was tried beside the way to the best recipe: p-values of the two are corrected apart."""
    lever: str | None = None
    """What adaptox cannot be set to: a name of `levers.LEVERS`; it holds for what is made to this change, too."""


class AblationConfig(Section):
    """The file."""

    settings: str
    """Settings file to start from."""
    folds: int = Field(ge=2)
    changes: Annotated[tuple[ChangeConfig, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Change:
    """A change and the settings that it leads to.

    Attributes:
        name, what: as the file has them.
        ground: what it is made to.
        config: the settings.
        tested: the rows left out had no say in it.
        beside: tried beside the way to the best recipe.
        lever: that its networks are trained with, if any.
    """

    name: str
    what: str
    ground: Change | None
    config: Config
    tested: bool
    beside: bool
    lever: str | None


def read_changes(path: Path) -> tuple[Change, ...]:
    """Read the file.

    Raises:
        ConfigError: what is wrong in it, and in which change.
    """
    try:
        given = AblationConfig.model_validate(settings.read_toml(path, "benchmarks/ablation.toml"))
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(f"{path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}") from error
    plain = {
        "threshold.folds": given.folds,
        _FREE: "platt",
        "evaluate.resamples": RESAMPLES,
        "lexicon.grams": [],
    }
    start = settings.override(settings.load(Path(given.settings)), plain)
    found: dict[str, Change] = {}
    for one in given.changes:
        if one.name in found:
            raise ConfigError(f"{path}: {one.name!r} stands there twice")
        if one.on is not None and one.on not in found:
            hint = nearest(one.on, found)
            raise ConfigError(f"{path}: {one.name!r} is made to {one.on!r}, which is not above it: {hint}")
        fixed = [key for key in one.set if key.split(".")[0] in _FIXED and key != _FREE]
        if fixed:
            raise ConfigError(f"{path}: {one.name!r} sets {fixed[0]!r}, which has to be the same for all")
        ground = found[one.on] if one.on else None
        try:
            config = settings.override(ground.config if ground else start, one.set)
            lever = levers.check(one.lever) if one.lever else ground.lever if ground else None
        except ConfigError as error:
            raise ConfigError(f"{path}: {one.name!r}: {error}") from error
        tested = one.tested and (ground is None or _seen(config) == _seen(ground.config))
        found[one.name] = Change(one.name, one.what, ground, config, tested, one.beside, lever)
    return tuple(found.values())


def _seen(config: Config) -> object:
    """Give the settings of what is fitted to the rows left out, and so cannot be tested on them."""
    return config.lexicon, config.threshold.calibration
