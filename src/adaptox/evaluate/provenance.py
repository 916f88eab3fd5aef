"""What ran, and on what."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def hardware() -> str:
    """Describe the machine: processor, cores, memory, and the GPU if torch is in use.

    Returns:
        Such as ``Intel Xeon Platinum 8488C, 2 cores, 8 GiB``.
    """
    cores = _cores()
    parts = [_processor(), "1 core" if cores == 1 else f"{cores} cores"]
    memory = _memory_bytes()
    if memory:
        parts.append(f"{memory / 2**30:.0f} GiB")
    # torch is looked at and never imported: without it there is no GPU to speak of.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def commit(package: Path = _PACKAGE) -> str:
    """Describe the code: adaptox's version, and the git commit if it runs from a checkout.

    Args:
        package: the folder of the package's source.

    Returns:
        Such as ``0.1.0 (1a2b3c4-dirty)``; ``dirty`` when a tracked file differs from the commit.
    """
    try:
        number = version("adaptox")
    except PackageNotFoundError:
        number = "unreleased"
    described = _describe(package)
    return f"{number} ({described})" if described else number


def _describe(package: Path) -> str:
    root = package.parents[1]
    # Installed below somebody else's checkout, git would describe theirs.
    if package.parent.name != "src" or not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
