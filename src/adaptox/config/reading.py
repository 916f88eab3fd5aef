"""Settings read, checked, changed and written, and the words for what is wrong with them."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from adaptox.config.sections import Config
from adaptox.errors import ConfigError, nearest


def parse(data: dict[str, Any], origin: str = "the settings") -> Config:
    """Check settings and fill in the defaults.

    Args:
        data: nested tables, as TOML or JSON gives them.
        origin: named in the error.

    Raises:
        ConfigError: a key is unknown, or a value is of the wrong kind; says what was expected.
    """
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {'; '.join(_explain(detail) for detail in _causes(error))}") from error


def without_former_keys(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of settings that a run stored what is no setting any more; values stay as they are, right or wrong.

    Args:
        stored: nested tables, as another version of adaptox wrote them.
    """
    known = copy.deepcopy(dict(stored))
    try:
        Config.model_validate(stored)
    except ValidationError as error:
        for detail in error.errors():
            if detail["type"] == "extra_forbidden":
                *path, last = detail["loc"]
                place: Any = known
                for part in path:
                    place = place[part]
                del place[last]
    return known


def load(path: Path) -> Config:
    """Read settings from a TOML file.

    Raises:
        ConfigError: no such file, no valid TOML, or settings that do not fit.
    """
    return parse(read_toml(path, "configs/toxic-chat.toml"), str(path))


def read_toml(path: Path, example: str) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: of the file.
        example: a file of its kind, named where there is none.

    Raises:
        ConfigError: no such file, or no valid TOML.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"no settings file at {path}: expected a TOML file such as {example}")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def override(config: Config, changes: dict[str, Any]) -> Config:
    """Give a copy with some keys changed.

    Learning rates that were left out follow what they depend on: the body's the adapter kind, the head's the
    body's.

    Args:
        config: what to start from.
        changes: dotted key → value, e.g. ``{"adapter.kind": "lora"}``; an item of a list is named by its number,
            from 0, as in ``sources.0.columns.text``.

    Raises:
        ConfigError: as `parse`; or a key leads into a value, or to an item that a list has not.
    """
    data = config.model_dump(exclude_unset=True, mode="json")
    defaults = config.model_dump(mode="json")
    for key, value in changes.items():
        _put(data, defaults, key, value)
    return parse(data)


def resolved_json(config: Config) -> str:
    """Give every setting with its value, defaults included, as JSON with sorted keys."""
    return json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def _put(data: dict[str, Any], defaults: dict[str, Any], key: str, value: Any) -> None:
    """Set what a dotted key names; a list that `data` leaves out starts as its default."""
    *path, last = key.split(".")
    place: Any = data
    default: Any = defaults
    name = ""
    for part in path:
        default = default.get(part) if isinstance(default, dict) else None
        if isinstance(place, dict):
            place.setdefault(part, copy.deepcopy(default) if isinstance(default, list) else {})
        place = place[_step(place, part, key, name)]
        name = part
        if not isinstance(place, dict | list):
            raise ConfigError(f"cannot set {key!r}: {part!r} is not a table of settings; set it as a whole")
    place[_step(place, last, key, name)] = copy.deepcopy(value)


def _step(place: dict[str, Any] | list[Any], part: str, key: str, name: str) -> Any:
    """Give what leads from a table or list to a part of it: the name of a key, or the number of an item."""
    if isinstance(place, dict):
        return part
    if part.isdecimal() and int(part) < len(place):
        return int(part)
    known = ", ".join(map(str, range(len(place)))) or "none, so set it as a whole"
    raise ConfigError(
        f"cannot set {key!r}: {name!r} is a list, whose items are named by their number from 0: expected one of "
        f"{known}, got {part!r}"
    )


def _causes(error: ValidationError) -> list[Any]:
    """Leave out that a list is too short where that is because something in it was refused."""
    details = error.errors()
    inner = {detail["loc"][:end] for detail in details for end in range(1, len(detail["loc"]))}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in inner]


def _explain(detail: Any) -> str:
    path = [str(part) for part in detail["loc"]]
    key = ".".join(path)
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key!r}: {nearest(path[-1], _known_keys(path[:-1]))}"
    if detail["type"] == "value_error":  # raised by a validator of ours, which says what came
        message = detail["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if path else message
    if detail["type"] == "tuple_type":
        return f"{key}: expected a list in square brackets, got {detail['input']!r}"
    return f"{key}: {detail['msg']}, got {detail['input']!r}"


def _known_keys(path: list[str]) -> tuple[str, ...]:
    section: type[BaseModel] = Config
    for part in path:
        if part.isdigit():
            continue
        annotation: Any = section.model_fields[part].annotation
        candidates = (annotation, *get_args(annotation))
        section = next(item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel))
    return tuple(section.model_fields)
