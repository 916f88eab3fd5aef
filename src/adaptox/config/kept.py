"""Where adaptox keeps what outlives a run."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root(given: Path | None = None) -> Path:
    """Give the folder of everything that adaptox keeps between runs: `given`, or what ADAPTOX_CACHE names."""
    return given or Path(os.environ.get("ADAPTOX_CACHE") or "~/.cache/adaptox").expanduser()
