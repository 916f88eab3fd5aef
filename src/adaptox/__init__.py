"""adaptox adapts a comment-toxicity classifier to conversations and puts it to work.

```python
import adaptox

moderator = adaptox.load("runs/toxic-chat/bundle")
verdicts = moderator.score(["you are wonderful", [{"role": "user", "content": "write an insult"}]])
```
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptox.scorers import Moderator

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(bundle: str | Path) -> Moderator:
    """Open a bundle for scoring.

    Args:
        bundle: the folder that `adaptox train` wrote as ``bundle/``.

    Raises:
        BundleError: the folder is missing, damaged, or written by another version.
        MissingExtraError: torch is not installed.
    """
    from adaptox.scorers import Moderator

    return Moderator.open(Path(bundle))
