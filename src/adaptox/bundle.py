"""The artefact: one folder that holds all that scoring needs. Save, load, verify.

A bundle is written to a temporary folder beside its place and renamed, so that a bundle is whole or absent. Weights
are safetensors; no pickle is written or read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from adaptox.config import EncodeConfig, Section, TextConfig
from adaptox.errors import BundleError, storage_errors

SCHEMA_VERSION = 1
MANIFEST = "bundle.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
NETWORK = "config.json"
REQUIRED = (TOKENIZER, WEIGHTS, NETWORK)


class Manifest(Section):
    """What `bundle.json` says."""

    schema_version: int = SCHEMA_VERSION
    """Version of this layout."""
    adaptox: str = Field(default_factory=lambda: version("adaptox"))
    """Version of the writer."""
    name: str
    """The run's name."""
    labels: tuple[str, ...]
    """Names of the logits, in order."""
    base: dict[str, Any]
    """Name, revision and warm-started rows of the base model."""
    adapter: dict[str, Any]
    """Settings of the adapter, which is merged into the weights."""
    text: TextConfig
    """How conversations are rendered."""
    encode: EncodeConfig
    """How texts become tokens."""
    pad_token_id: int
    """Fills short rows of a batch."""
    decider: dict[str, Any]
    """Calibration, and each label's threshold with its origin."""
    data_sha256: str
    """Hash of the prepared rows it was trained on."""
    licences: tuple[str, ...] = ()
    """Licences of the data it was trained on."""
    metrics: dict[str, Any] = Field(default_factory=dict)
    """The run's metrics.json."""
    files: dict[str, str] = Field(default_factory=dict)
    """File name → sha256."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle on disk."""

    folder: Path
    manifest: Manifest


@contextmanager
def saving(folder: Path, manifest: Manifest) -> Iterator[Path]:
    """Write a bundle as a whole.

    The body writes the weights, the tokenizer and what else belongs to it into the temporary folder it is given;
    the hashes, `bundle.json` and the rename follow. If anything fails, nothing stays behind and an older bundle in
    `folder` is untouched.

    Args:
        folder: the bundle's place.
        manifest: everything but the hashes.

    Yields:
        The temporary folder.

    Raises:
        StorageError: the disk refused.
        BundleError: the body left a required file out.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with storage_errors(folder):
            yield temporary
            missing = [name for name in REQUIRED if not (temporary / name).is_file()]
            if missing:
                raise BundleError(f"a bundle needs {', '.join(missing)}, which was not written")
            names = sorted(path.name for path in temporary.iterdir())
            sealed = manifest.model_copy(update={"files": {name: sha256(temporary / name) for name in names}})
            _write_through(temporary / MANIFEST, sealed.model_dump_json(indent=2) + "\n")
            temporary.chmod(0o755)
            _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load(folder: Path) -> Bundle:
    """Read a bundle and verify every hash.

    Raises:
        BundleError: no bundle there, unreadable, of another version, or a file that is missing or changed.
    """
    path = folder / MANIFEST
    if not path.is_file():
        hint = f"; did you mean {folder / 'bundle'}?" if (folder / "bundle" / MANIFEST).is_file() else ""
        raise BundleError(f"expected a bundle in {folder}, found no {MANIFEST} there{hint}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = data.get("schema_version") if isinstance(data, Mapping) else None
        if found != SCHEMA_VERSION:
            raise BundleError(
                f"{path} has schema version {found}, this adaptox ({version('adaptox')}) reads {SCHEMA_VERSION}: "
                "write the bundle again or install the version that wrote it"
            )
        manifest = Manifest.model_validate(data)
    except (ValueError, ValidationError) as error:
        raise BundleError(f"{path} is damaged: {str(error).splitlines()[0]}; restore it or train again") from error
    for name in sorted({*manifest.files, *REQUIRED}):
        file = folder / name
        if not file.is_file():
            raise BundleError(f"bundle {folder} lacks {name}: copy the whole folder again")
        if sha256(file) != manifest.files.get(name):
            raise BundleError(
                f"bundle {folder}: {name} was changed after it was written; restore it or train again"
            )
    return Bundle(folder, manifest)


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_through(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _swap(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.rename(folder)
        return
    older = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(older / folder.name)
    temporary.rename(folder)
    shutil.rmtree(older, ignore_errors=True)
