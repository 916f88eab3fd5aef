"""docs/settings.md: every key of the settings, from their own docstrings."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from adaptox.config import LEARNING_RATES, Config, Section
from adaptox.study.grid import Rule, StudyConfig

GENERATED = "<!-- Written by scripts/render_docs.py (make docs); do not edit. -->\n\n"
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_TYPES = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}


def settings_page() -> str:
    """Render every key of the settings, table by table."""
    rates = ", ".join(f"{rate:g} for {kind}" for kind, rate in LEARNING_RATES.items())
    parts = [
        f"{GENERATED}# Settings\n\n"
        "Settings are written in TOML; [configs](../configs) has whole files. An unknown key is an error that "
        "names the nearest known one. The command line sets any of them: `--set train.epochs=3`.\n",
        f"## At the top\n\n{_rows(Config)}",
        *_tables(Config, ""),
        f"`train.learning_rate`, left out, is {rates}.\n",
        "# Studies\n\nA study's TOML file has these keys; `common`, the axes' values and the rules' `set` hold "
        f"keys from above, dotted or in tables.\n\n{_rows(StudyConfig)}",
        f"## [[rules]]\n\n{(Rule.__doc__ or '').strip()}\n\n{_rows(Rule)}",
    ]
    return "\n".join(parts)


def _tables(section: type[Section], prefix: str) -> Iterable[str]:
    """Render the tables within a table, each before those within it."""
    for key, field in section.model_fields.items():
        inner = _inner(field.annotation)
        if inner is None:
            continue
        name = f"{prefix}{key}"
        heading = f"[[{name}]]" if get_origin(field.annotation) is tuple else f"[{name}]"
        yield f"## {heading}\n\n{(inner.__doc__ or '').strip()}\n\n{_rows(inner)}"
        yield from _tables(inner, f"{name}.")


def _rows(section: type[Section]) -> str:
    lines = ["| key | type | default | what it does |", "|---|---|---|---|"]
    for key, field in section.model_fields.items():
        if _inner(field.annotation) is None:
            what = " ".join((field.description or "").split())
            cells = (f"`{key}`", _type(field), _default(field), what)
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _inner(annotation: Any) -> type[Section] | None:
    """Give the table that a key holds, alone or in a list; None for a plain key."""
    found = [item for item in (annotation, *get_args(annotation)) if isinstance(item, type)]
    return next((item for item in found if issubclass(item, Section)), None)


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {_toml(getattr(rule, name))}"
        for name, sign in _SIGNS.items()
        for rule in field.metadata
        if hasattr(rule, name)
    ]
    return " ".join([_type_name(field.annotation), ", ".join(bounds)]).strip()


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(item) for item in arguments if item is not type(None))
    if annotation is Any:
        return "setting"
    if origin in (tuple, list):
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"table of {_type_name(arguments[1])}"
    if origin is Annotated:
        return _type_name(arguments[0])
    return _TYPES[annotation.__name__]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "computed"
    default = field.get_default(call_default_factory=True)
    return "left out" if default is None else f"`{_toml(default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
