"""Arrays and what is to be known of them in one file: how results keep scores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adaptox.errors import storage_errors
from adaptox.records import FloatArray

ABOUT = "about"


def write(path: Path, about: object, arrays: Mapping[str, FloatArray]) -> None:
    """Write it, whole or not at all; numbers as single floats.

    Raises:
        StorageError: the disk refused.
    """
    stored: dict[str, Any] = {name: array.astype(np.float32) for name, array in arrays.items()}
    stored[ABOUT] = np.array(json.dumps(about))
    temporary = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **stored)
        os.replace(temporary, path)
