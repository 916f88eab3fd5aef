"""Arguments → verbs. Heavy imports stay inside each verb, so that --help answers at once."""

from __future__ import annotations

import os
import sys

from adaptox.cli import console
from adaptox.cli.verbs import app
from adaptox.errors import AdaptoxError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; exit with 0 done, 1 a run failed, 2 the user's input."""
    _quieten()
    try:
        app()
    except AdaptoxError as error:
        console.fail(str(error))
        sys.exit(error.exit_code)


def _quieten() -> None:
    """Keep libraries from talking over the result."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
