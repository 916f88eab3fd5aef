"""The base `minilm-prompts`: where it is kept, and what a base's name means on this disk.

It is MiniLM taught by the prompts and conversations inside the package, so it needs no data of yours.
`adaptox.adapt` makes it when it is first used; 45 MB of weights would not fit into a package.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from adaptox.config import START, START_RECIPE, Config, cache_root, parse

_DATA = ("prompts.jsonl", "conversations.jsonl")


def recipe() -> Config:
    """Give the settings that it is made by."""
    return parse(dict(START_RECIPE))


def run_folder() -> Path:
    """Give the folder of the run that makes it, named after the recipe and the data inside this package."""
    texts = [hashlib.sha256(files("adaptox.data").joinpath(name).read_bytes()).hexdigest() for name in _DATA]
    read = json.dumps([version("adaptox"), recipe().model_dump(mode="json"), texts], sort_keys=True)
    key = hashlib.sha256(read.encode()).hexdigest()[:16]
    return cache_root() / "bases" / f"{START}-{key}"


def place_of(name: str) -> Path:
    """Give the folder that a base's name stands for; there may be none, if it is on the hub or not made yet."""
    return run_folder() / "bundle" if name == START else Path(os.path.expanduser(name))
