"""Examples + a teacher → soft targets (arXiv 1503.02531), made once, and how good the teacher is."""

from __future__ import annotations

from adaptox.teach.bundles import teach
from adaptox.teach.values import Agreement, Taught

__all__ = ["Agreement", "Taught", "teach"]
