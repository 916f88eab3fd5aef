"""The artefact on disk: whole or absent, and unchanged or refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adaptox import bundle
from adaptox.config import EncodeConfig, TextConfig
from adaptox.errors import BundleError, StorageError

CONTENT = {bundle.WEIGHTS: b"weights", bundle.TOKENIZER: b"{}", bundle.NETWORK: b"{}", "README.md": b"# Card"}


def manifest(name="first"):
    return bundle.Manifest(
        name=name,
        labels=("toxicity",),
        base={"name": "tiny"},
        adapter={"kind": "none"},
        text=TextConfig(),
        encode=EncodeConfig(),
        pad_token_id=0,
        decider={},
        data_sha256="0" * 64,
    )


def write(folder: Path, name="first", content=CONTENT) -> Path:
    with bundle.saving(folder, manifest(name)) as temporary:
        for file, data in content.items():
            (temporary / file).write_bytes(data)
    return folder


@pytest.fixture
def saved(tmp_path):
    return write(tmp_path / "bundle")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- saving


def test_what_was_saved_is_loaded(saved):
    loaded = bundle.load(saved)
    assert loaded.folder == saved
    assert names(saved) == sorted([*CONTENT, bundle.MANIFEST])
    assert loaded.manifest.name == "first"
    assert loaded.manifest.files.keys() == CONTENT.keys()
    assert loaded.manifest.data_sha256 == "0" * 64


def test_folders_on_the_way_are_made_and_nothing_is_left_beside(tmp_path):
    write(tmp_path / "a" / "b" / "bundle")
    assert names(tmp_path / "a" / "b") == ["bundle"]


def test_files_can_be_read_by_whom_an_ordinary_file_can(tmp_path):
    with bundle.saving(tmp_path / "bundle", manifest()) as temporary:
        for file, data in CONTENT.items():
            (temporary / file).write_bytes(data)
            (temporary / file).chmod(0o600)
    (tmp_path / "ordinary").touch()
    expected = (tmp_path / "ordinary").stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / "bundle").iterdir()} == {expected}
    (tmp_path / "folder").mkdir()
    assert (tmp_path / "bundle").stat().st_mode == (tmp_path / "folder").stat().st_mode


def test_a_newer_bundle_replaces_the_older_one_whole(saved, tmp_path):
    write(saved, "second", {name: data for name, data in CONTENT.items() if name != "README.md"})
    assert bundle.load(saved).manifest.name == "second"
    assert "README.md" not in names(saved)
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize("older", [True, False])
def test_a_failure_leaves_nothing_and_keeps_the_older_bundle(tmp_path, older):
    if older:
        write(tmp_path / "bundle")
    half = CONTENT | {bundle.WEIGHTS: None}
    with pytest.raises(TypeError):
        write(tmp_path / "bundle", "second", half)
    assert names(tmp_path) == (["bundle"] if older else [])
    assert not older or bundle.load(tmp_path / "bundle").manifest.name == "first"


def test_a_bundle_that_lacks_a_file_is_not_written(tmp_path):
    with pytest.raises(BundleError, match=r"needs model.safetensors"):
        write(tmp_path / "bundle", content={bundle.TOKENIZER: b"", bundle.NETWORK: b""})
    assert names(tmp_path) == []


def test_a_rename_that_fails_brings_the_older_bundle_back(saved, tmp_path, monkeypatch):
    rename = Path.rename

    def refuse(path, target):
        if path.name == ".bundle.part":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        write(saved, "second")
    assert names(tmp_path) == ["bundle"]
    assert bundle.load(saved).manifest.name == "first"


def test_what_a_killed_process_left_is_cleared_away(saved, tmp_path):
    # Killed while it wrote, and killed between the two renames.
    (tmp_path / ".bundle.part").mkdir()
    (tmp_path / ".bundle.part" / "half").touch()
    saved.rename(tmp_path / ".bundle.old")
    with pytest.raises(ZeroDivisionError), bundle.saving(saved, manifest()):
        raise ZeroDivisionError
    assert names(tmp_path) == ["bundle"]
    assert bundle.load(saved).manifest.name == "first"


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_is_no_bundle_is_never_replaced(tmp_path, place):
    target = tmp_path / "thesis"
    if place == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "chapter").write_text("mine")
    with pytest.raises(BundleError, match="exists and is no bundle: choose another folder"):
        write(target)
    assert (target if place == "file" else target / "chapter").read_text() == "mine"
    assert names(tmp_path) == ["thesis"]


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of half a megabyte, if this process may."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if not (mount and unmount) or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a small tmpfs")
    yield place
    subprocess.run([unmount, str(place)], check=True)


@pytest.mark.parametrize("older", [True, False])
def test_a_full_disk_leaves_nothing_and_keeps_the_older_bundle(small_disk, older):
    if older:
        write(small_disk / "bundle")
    with pytest.raises(StorageError, match=r"bundle: the disk is full; free some space"):
        write(small_disk / "bundle", "second", CONTENT | {bundle.WEIGHTS: bytes(600_000)})
    assert names(small_disk) == (["bundle"] if older else [])
    assert not older or bundle.load(small_disk / "bundle").manifest.name == "first"


# --- loading


@pytest.mark.parametrize("file", [*CONTENT, bundle.MANIFEST])
def test_one_changed_byte_is_found_in_every_file(saved, file):
    path = saved / file
    content = path.read_bytes()
    for position in {0, len(content) // 3, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(BundleError, match=file):
            bundle.load(saved)
    path.write_bytes(content)
    assert bundle.load(saved)


def test_a_changed_byte_anywhere_in_the_manifest_is_found(saved):
    path = saved / bundle.MANIFEST
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        with pytest.raises(BundleError, match=r"bundle\.json"):
            bundle.load(saved)


@pytest.mark.parametrize("file", CONTENT)
def test_a_missing_file_is_named(saved, file):
    (saved / file).unlink()
    with pytest.raises(BundleError, match=f"lacks {file}: copy the whole folder again"):
        bundle.load(saved)


def test_the_hashes_of_rows_may_be_removed_and_not_changed(tmp_path):
    place = write(tmp_path / "bundle", content=CONTENT | {bundle.LEARNED: bytes(16)})
    assert bundle.load(place).manifest.files.keys() == {*CONTENT, bundle.LEARNED}
    (place / bundle.LEARNED).write_bytes(bytes(8))
    with pytest.raises(BundleError, match=r"learned\.bin was changed after it was written"):
        bundle.load(place)
    (place / bundle.LEARNED).unlink()
    assert bundle.load(place)


def test_an_extra_file_is_no_harm(saved):
    (saved / "notes.txt").write_text("ours")
    assert bundle.load(saved)


def test_another_version_is_named_with_ours(saved):
    path = saved / bundle.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(BundleError, match=r"schema version 99, this adaptox \(\S+\) reads 1"):
        bundle.load(saved)


def test_a_setting_that_came_later_has_its_default(saved):
    path = saved / bundle.MANIFEST
    written = json.loads(path.read_text())
    del written["encode"]["keep"]
    unsealed = json.dumps({**written, "sha256": "0" * 64}).encode()
    sha256 = hashlib.sha256(unsealed).hexdigest()
    path.write_bytes(unsealed.replace(b"0" * 64, sha256.encode(), 1))
    assert bundle.load(saved).manifest.encode == EncodeConfig(keep="auto")


@pytest.mark.parametrize("text", ["{", "[1]", '"bundle"', '{"schema_version": 1}', "\xff"])
def test_a_manifest_that_cannot_be_read_is_refused_in_one_line(saved, text):
    (saved / bundle.MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match=r"bundle\.json (is damaged|has schema version None)") as raised:
        bundle.load(saved)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(saved):
    (saved / bundle.WEIGHTS).chmod(0)
    with pytest.raises(BundleError, match=r"cannot be read: Permission denied: .*model.safetensors"):
        bundle.load(saved)


def test_a_run_folder_leads_to_its_bundle(saved, tmp_path):
    with pytest.raises(BundleError, match=rf"found no bundle.json there; did you mean {saved}\?"):
        bundle.load(tmp_path)
    with pytest.raises(BundleError, match=r"found no bundle.json there$"):
        bundle.load(tmp_path / "nowhere")


# --- serve light


def test_light_rooms_and_the_help_load_no_heavy_package():
    script = """
import sys
import adaptox.bundle, adaptox.config, adaptox.decide, adaptox.evaluate, adaptox.records, adaptox.scorers
from adaptox.cli import main
sys.argv = ["adaptox", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
heavy = {"torch", "transformers", "peft", "datasets", "ray", "fastapi", "starlette"} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout
