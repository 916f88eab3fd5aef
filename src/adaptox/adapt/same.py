"""Whether a run that is resumed is still the one that was started: its settings, its data, its base and teacher."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adaptox.config import Config, parse, resolved_json, without_former_keys
from adaptox.errors import ConfigError, DataError
from adaptox.prepare import Prepared

# What may change between a run and its resumption, because training does not read it.
_FREE_TO_CHANGE = {"train.allow_collapse"}
_SHOWN_CHANGES = 3


def settings(path: Path, stored: Mapping[str, Any], config: Config) -> None:
    """Refuse other settings than those of the run in a folder.

    Raises:
        ConfigError: which differ.
    """
    before, now = dict(_leaves(_of_this_version(stored))), dict(_leaves(json.loads(resolved_json(config))))
    changed = sorted(key for key in {*before, *now} - _FREE_TO_CHANGE if before.get(key, ...) != now.get(key, ...))
    if changed:
        shown = ", ".join(
            f"{key} was {json.dumps(before.get(key))} and is {json.dumps(now.get(key))}"
            for key in changed[:_SHOWN_CHANGES]
        )
        more = f", and {len(changed) - _SHOWN_CHANGES} more" if len(changed) > _SHOWN_CHANGES else ""
        raise ConfigError(
            f"{path} was started with other settings ({shown}{more}): resume it with those, or start over with "
            "--overwrite"
        )


def _of_this_version(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out settings that there are no longer, and fill in later ones: their defaults keep what was."""
    known = without_former_keys(stored)
    try:
        filled: Mapping[str, Any] = json.loads(resolved_json(parse(known)))
    except ConfigError:  # it holds a value that is refused by now, which the comparison names
        defaults = dict(_leaves(json.loads(resolved_json(parse({})))))
        return {**defaults, **dict(_leaves(known))}
    return filled


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def data(stored: Path, prepared: Prepared) -> None:
    """Refuse other rows than those of a manifest that was stored.

    Raises:
        DataError: they are others.
    """
    if not stored.is_file():
        return
    before = json.loads(stored.read_text(encoding="utf-8")).get("sha256")
    if before != prepared.manifest.sha256:
        raise DataError(
            f"the data of {stored.parent} changed since the run was started, so rows it learned from may now be "
            "test rows: resume it with the same data, or start over with --overwrite"
        )


def models(stored: Path, now: Mapping[str, str]) -> None:
    """Refuse another base or teacher than those whose hashes were stored.

    Raises:
        DataError: which is another.
    """
    before = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else now
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        raise DataError(
            f"the {changed[0]} of {stored.parent} is another than when the run was started, so the rest of it "
            "would not fit what is finished: put the old one back, or start over with --overwrite"
        )
