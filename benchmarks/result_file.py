"""A result as a file of JSON, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

from adaptox.errors import storage_errors


def write(path: Path, result: object) -> None:
    """Write a result, and say where it is.

    Raises:
        StorageError: the disk refused.
        ValueError: a number is not finite, which JSON does not have.
    """
    content = json.dumps(result, indent=2, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, path)
    print(f"wrote {path}")
