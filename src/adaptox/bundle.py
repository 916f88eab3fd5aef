"""The artefact: one folder that holds all that scoring needs. Save, load, verify.

```
bundle.json         what it is, and the sha256 of every file, of itself too
model.safetensors   weights          config.json   the network's shape
tokenizer.json      tokenizer        lexicon.json  n-grams whose logits are added, where there are some
README.md           model card, where there is one
learned.bin         a hash of each row that it learned from, which may be removed
decided.bin         the same of rows that its thresholds were learned anew on, if they were
```

A bundle is written to a temporary folder beside its place and renamed, so that a bundle is whole or absent. Weights
are safetensors; no pickle is written or read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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
LEXICON = "lexicon.json"
LEARNED = "learned.bin"
DECIDED = "decided.bin"
REQUIRED = (TOKENIZER, WEIGHTS, NETWORK)
# Hashes of short texts can be guessed, so whoever passes a bundle on may keep this to himself.
REMOVABLE = (LEARNED, DECIDED)

# Stands for the manifest's own hash while that is computed.
_UNSEALED = b"0" * 64


class Manifest(Section):
    """What `bundle.json` says."""

    sha256: str = ""
    """Hash of this manifest, computed with 64 zeros in its place."""
    schema_version: int = SCHEMA_VERSION
    """Version of this layout."""
    adaptox: str = Field(default_factory=lambda: version("adaptox"))
    """Version of the writer."""
    name: str
    """The run's name."""
    labels: tuple[str, ...]
    """Names of the logits, in order."""
    base: dict[str, Any]
    """Name, revision and warm-started rows of the base model; hashes and data of bundles that it came from."""
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
    decided: dict[str, Any] = Field(default_factory=dict)
    """Label whose calibration and threshold were learned anew after that → the rows, and the settings."""
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
    `folder` is untouched. What a killed process left beside `folder` is cleared away, or put back if it is the
    older bundle.

    Args:
        folder: the bundle's place; one process at a time may write there.
        manifest: everything but the hashes.

    Yields:
        The temporary folder.

    Raises:
        StorageError: the disk refused.
        BundleError: the body left a required file out, or `folder` holds something that is no bundle.
    """
    check_place(folder)
    with replacing(folder) as temporary:
        yield temporary
        _seal(temporary, manifest)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Write a folder as a whole or not at all; what is there is replaced, and stays until then.

    Args:
        folder: the place; what a kill left beside it is put back or removed.

    Yields:
        The temporary folder to write to.

    Raises:
        StorageError: the disk refused.
    """
    temporary, older = (folder.parent / f".{folder.name}.{suffix}" for suffix in ("part", "old"))
    try:
        with storage_errors(folder):
            if older.exists() and not folder.exists():
                older.rename(folder)
            for left in (temporary, older):
                shutil.rmtree(left, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            _swap(temporary, folder, older)
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
        manifest = _read_manifest(path)
        for name in sorted({*manifest.files, *REQUIRED}):
            if name not in REMOVABLE or (folder / name).exists():
                _verify(folder, name, manifest.files.get(name))
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be read: {error.strerror}: {error.filename}") from error
    return Bundle(folder, manifest)


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_place(folder: Path) -> None:
    """Keep a user's own files from being replaced by a bundle.

    Raises:
        BundleError: the folder holds something that is no bundle.
    """
    holds_something = folder.is_file() or (folder.is_dir() and any(folder.iterdir()))
    if holds_something and not (folder / MANIFEST).is_file():
        raise BundleError(f"{folder} exists and is no bundle: choose another folder")


def _read_manifest(path: Path) -> Manifest:
    try:
        written = path.read_bytes()
        data = json.loads(written)
        found = data.get("schema_version") if isinstance(data, Mapping) else None
        if found != SCHEMA_VERSION:
            raise BundleError(
                f"{path} has schema version {found}, this adaptox ({version('adaptox')}) reads {SCHEMA_VERSION}: "
                "write the bundle again or install the version that wrote it"
            )
        manifest = Manifest.model_validate(data)
    except (ValueError, ValidationError) as error:
        raise BundleError(f"{path} is damaged: {str(error).splitlines()[0]}; restore it or train again") from error
    if not manifest.sha256 or manifest.sha256 != _digest(written.replace(manifest.sha256.encode(), _UNSEALED, 1)):
        raise BundleError(f"{path} was changed after it was written; restore it or train again")
    return manifest


def _verify(folder: Path, name: str, expected: str | None) -> None:
    file = folder / name
    if not file.is_file():
        raise BundleError(f"bundle {folder} lacks {name}: copy the whole folder again")
    if sha256(file) != expected:
        raise BundleError(f"bundle {folder}: {name} was changed after it was written; restore it or train again")


def _seal(temporary: Path, manifest: Manifest) -> None:
    missing = [name for name in REQUIRED if not (temporary / name).is_file()]
    if missing:
        raise BundleError(f"a bundle needs {', '.join(missing)}, which was not written")
    written = sorted(temporary.iterdir())
    hashes = {path.name: sha256(path) for path in written}
    complete = manifest.model_copy(update={"sha256": _UNSEALED.decode(), "files": hashes})
    text = complete.model_dump_json(indent=2).encode() + b"\n"
    sealed = temporary / MANIFEST
    # The field stands first, so the first 64 zeros are its own.
    sealed.write_bytes(text.replace(_UNSEALED, _digest(text).encode(), 1))
    for path in (*written, sealed):
        # safetensors writes files that only their owner may read.
        path.chmod(sealed.stat().st_mode)
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())


def _swap(temporary: Path, folder: Path, older: Path) -> None:
    if not folder.exists():
        temporary.rename(folder)
        return
    folder.rename(older)
    try:
        temporary.rename(folder)
    except OSError:
        older.rename(folder)
        raise
    shutil.rmtree(older, ignore_errors=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
