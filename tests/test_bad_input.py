"""Every bad input ends in one line that a user can act on; nothing half-written stays."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tiny
from adaptox import report
from adaptox.adapt import adapt
from adaptox.adapt import run as room
from adaptox.cli import console

RUN_ERROR, INPUT_ERROR = 1, 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_bert) -> Path:
    """Give a finished run; do not change it."""
    folder = tmp_path_factory.mktemp("trained")
    data = tiny.write_csv(folder / "good.csv", tiny.texts())
    adapt(tiny.settings(tiny_bert, data), folder / "run")
    return folder / "run"


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path, tiny_bert, trained) -> tiny.Shell:
    """Give a command line in a folder full of traps."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").symlink_to(tiny_bert)
    shutil.copytree(trained, tmp_path / "run")
    write_traps(tmp_path, tiny_bert)
    return tiny.Shell(monkeypatch, capsys)


def write_traps(folder: Path, base: Path) -> None:
    rows = tiny.texts()
    tiny.write_csv(folder / "good.csv", rows)
    tiny.write_toml(folder / "good.toml", tiny.settings(Path("base"), Path("good.csv")))
    other = tiny.settings(Path("base"), Path("good.csv"), train={"epochs": 9})
    tiny.write_toml(folder / "other.toml", other)
    (folder / "empty.csv").write_text("")
    tiny.write_csv(folder / "header.csv", [])
    tiny.write_csv(folder / "columns.csv", rows, ("prompt_text", "rating"))
    tiny.write_csv(folder / "labels.csv", [*rows[:4], ("tea", 2)])
    lines = [json.dumps({"text": text, "toxicity": label}) for text, label in rows]
    (folder / "broken.jsonl").write_text("\n".join([*lines[:6], lines[6][:-3], *lines[7:]]))
    quoted = [f"{text},{label}" for text, label in rows]
    quoted[3] = f'"{quoted[3]}'
    (folder / "quote.csv").write_text("\n".join(["text,toxicity", *quoted]))
    (folder / "semicolons.csv").write_text(
        "".join(f"{text};{label}\n" for text, label in [("text", "toxic"), *rows])
    )
    (folder / "latin.csv").write_bytes("text,toxicity\ncafé,1\n".encode("latin-1"))
    tiny.write_csv(folder / "mild.csv", [(text, 0) for text, label in rows if not label])
    parts = [
        (text, label, "validation" if not label and n % 2 else "train") for n, (text, label) in enumerate(rows)
    ]
    parts += [(text, label, "test") for text, label in tiny.texts(9, seed=9)]
    tiny.write_csv(folder / "no-positive.csv", parts, ("text", "toxicity", "split"))
    official = {"split": "official"}
    no_positive = tiny.settings(Path("base"), Path("no-positive.csv"), prepare=official)
    tiny.write_toml(folder / "no-positive.toml", no_positive)
    tiny.write_csv(folder / "insults.csv", rows, ("text", "insult"))
    (folder / "key.toml").write_text("[train]\nepoch = 3\n")
    (folder / "broken.toml").write_text("[train\nepochs = 3\n")
    (folder / "bytes.toml").write_bytes(b"name = '\xff'\n")
    (folder / "nothing.toml").write_text("sources = []\n")
    (folder / "folder.toml").mkdir()
    (folder / "insults.toml").write_text(
        '[[sources]]\npath = "insults.csv"\ncolumns = {text = "text", labels = {insult = "insult"}}\n'
    )
    shutil.copytree(base, folder / "dumb")
    (folder / "dumb" / "tokenizer.json").unlink()
    shutil.copytree(folder / "run" / "bundle", folder / "changed")
    weights = folder / "changed" / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[len(changed) // 2] ^= 1
    weights.write_bytes(changed)
    shutil.copytree(folder / "run" / "bundle", folder / "cut")
    (folder / "cut" / "tokenizer.json").unlink()
    (folder / "notes").mkdir()
    (folder / "notes" / "config.json").write_text("{}")


def tree(folder: Path) -> dict[str, int]:
    """List every file with its size."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


# What is typed → what the error says.
CASES = {
    # Data
    "a missing file": ("train nowhere.csv", "no such file or folder: nowhere.csv"),
    "a file whose name is nearly right": ("train god.csv", "did you mean 'good.csv'?"),
    "an empty file": ("train empty.csv", "empty.csv is empty: expected a table with at least one row"),
    "a header and nothing else": ("train header.csv", "header.csv has a header but no row"),
    "columns of other names": ("train columns.csv", "(there are: prompt_text, rating)"),
    "no column of texts, and what to set": (
        "train columns.csv",
        "set columns.text of this source (for the first source: --set sources.0.columns.text=NAME)",
    ),
    "no column of labels, and what to set": (
        "train columns.csv --set sources.0.columns.text=prompt_text",
        "(for the first source: --set sources.0.columns.labels.toxicity=NAME)",
    ),
    "a column named by hand that is not there": (
        "train good.csv --set sources.0.columns.text=txet",
        "did you mean 'text'? (there are: text, toxicity); set columns.text of this source",
    ),
    "semicolons between cells": ("train semicolons.csv", "they seem separated by ';'"),
    "a label outside 0 and 1": (
        "train labels.csv",
        "(line 6): expected 0 or 1 in the label column",
    ),
    "broken JSON": ("train broken.jsonl", "broken.jsonl, line 7: broken JSON"),
    "an unterminated quote": ("train quote.csv", "quote.csv, line 5: "),
    "bytes that are not UTF-8": ("train latin.csv", "line 2: expected UTF-8, got the byte 0xe9"),
    "a class without rows": ("train mild.csv --set prepare.language=any", "with toxicity = 1"),
    "no positive in validation": (
        "train no-positive.csv --set prepare.split=official",
        "validation has no pos",
    ),
    "an unknown data set of the hub": ("train nobody/nothing", "'nobody/nothing'"),
    "an unknown embedded name": ("train embedded-nonsense", "embedded-nonsense"),
    "no source": ("train nothing.toml", "source"),
    "a folder without data": ("train notes", "expected files such as train.csv"),
    # Settings
    "settings that are not there": ("train absent.toml", "no settings file at absent.toml"),
    "settings that are a folder": ("train folder.toml", "no settings file at folder.toml"),
    "settings that are no TOML": ("train broken.toml", "broken.toml is not valid TOML"),
    "settings that are no text": ("train bytes.toml", "bytes.toml is not valid TOML"),
    "an unknown key": ("train key.toml", "unknown key 'train.epoch': did you mean 'epochs'?"),
    "an unknown key on the command line": ("train good.csv --set train.lr=1", "unknown key 'train.lr'"),
    "a change without a value": ("train good.csv --set epochs", "KEY=VALUE such as train.epochs=3, got 'epochs'"),
    "a value of the wrong kind": ("train good.csv --set train.epochs=many", "train.epochs: "),
    "an item that a list has not": (
        "train good.csv --set sources.1.path=x",
        "'sources' is a list, whose items are named by their number from 0: expected one of 0, got '1'",
    ),
    "a table set as a value": ("train good.csv --set seed.x=1", "seed: "),
    "a negative seed": ("train good.csv --seed -1", "seed: "),
    "an adapter that does not exist": ("train good.toml --set adapter.kind=lara", "adapter.kind: "),
    "an adapter on nothing": ('train good.toml --adapter lora --set adapter.targets=["x"]', "no linear module 'x'"),
    # Bases
    "an unknown base, offline": ("train good.toml --base nobody/nothing", "is not in the Hugging Face cache"),
    "a base without a tokenizer": ("train good.toml --base dumb", "dumb holds no tokenizer.json"),
    "a base that reads less": ("train good.toml --set encode.max_tokens=512", "this base reads at most 130 tokens"),
    "a damaged bundle as base": ("train good.toml --base changed", "model.safetensors was changed"),
    # Places to write
    "an out that is a file": ("train good.toml --out good.csv", "good.csv is a file: expected a folder"),
    "an out below a file": ("train good.toml --out good.csv/run", "good.csv is a file; choose another with --out"),
    "an out that holds something else": ("train good.toml --out notes", "something else than a run"),
    "something else, even overwriting": ("train good.toml --out notes --overwrite", "something else than a run"),
    "a run that is there": ("train good.toml --out run", "run already holds a run: --resume goes on with it"),
    "the settings of another run": ("train other.toml --out run --resume", "train.epochs was 6.0 and is 9.0"),
    "going on and starting over": ("train good.toml --out run --resume --overwrite", "choose one"),
    "overwriting the base": ("train good.toml --base run/bundle --out run --overwrite", "would remove run/bundle"),
    "prepared data in the place of a run": ("prepare good.toml --out run", "run already holds results"),
    # Bundles
    "a bundle that is not there": ("predict nowhere hello", "expected a bundle in nowhere"),
    "a bundle with one byte changed": ("predict changed hello", "model.safetensors was changed"),
    "a bundle that lacks a file": ("inspect cut", "bundle cut lacks tokenizer.json"),
    "a run in the place of a bundle": ("predict run hello", "did you mean run/bundle?"),
    "a bundle of a base": ("inspect base", "expected a bundle in base"),
    # Predicting
    "an absent file to predict on": ("predict run/bundle nowhere.csv", "no such file or folder: nowhere.csv"),
    "a folder to predict on": ("predict run/bundle notes", "expected a file, got the folder notes"),
    "an empty text": ("predict run/bundle ''", "expected a text to predict on, got an empty one"),
    "an empty standard input": ("predict run/bundle -", "standard input is empty"),
    "nothing in the pipe": ("predict run/bundle", "standard input is empty"),
    "a table without texts": (
        "predict run/bundle columns.csv",
        "rename the one that holds the text to text (there are: prompt_text, rating)",
    ),
    "a file of another kind": ("predict run/bundle base/config.json", "base/config.json"),
    # Evaluating
    "data without the bundle's label": ("evaluate run/bundle insults.toml", "toxicity"),
    "data without any label": ("evaluate run/bundle columns.csv", "there are: prompt_text, rating"),
    "a label that the bundle lacks": ('evaluate run/bundle good.csv --set labels=["hate"]', "has no label 'hate'"),
    "evaluating into the run": ("evaluate run/bundle good.csv --out run --overwrite", "would remove run/bundle"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_line_and_leaves_nothing(case, shell, tmp_path):
    typed, expected = CASES[case]
    before = tree(tmp_path)
    ended = shell(*split(typed))
    assert ended.code == INPUT_ERROR
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert expected in ended.err
    assert ended.out == ""
    assert tree(tmp_path) == before
    assert not (tmp_path / "runs").exists()


def split(typed: str) -> list[str]:
    """Split as a shell would, but leave double quotes alone."""
    return ["" if word == "''" else word for word in typed.split()]


# A run that fails


def assert_one_line(ended: tiny.Ended, words: str) -> None:
    assert ended.code == RUN_ERROR
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert words in ended.err


def test_a_collapse_says_what_to_change_and_overwriting_mends_it(shell, tmp_path, monkeypatch):
    still = ["--set", "train.learning_rate=1e-30", "--set", "train.head_learning_rate=1e-30", "--out", "still"]
    assert_one_line(shell("train", "good.toml", *still), "raise train.learning_rate")
    left = {path.name for path in (tmp_path / "still").iterdir()}
    assert left == {"config.json", "manifest.json", "models.json", "dropped.jsonl", "history.json", "checkpoints"}
    monkeypatch.setattr(room, "finish", lambda *_: None)
    assert shell("train", "good.toml", "--out", "still", "--overwrite").code == 0


# A full disk: a small file system of its own where this user may mount one, else a limit on the size of files


class SmallDisk:
    """A file system of 16 MB that can be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        with (self.path / "filler").open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        (self.path / "filler").unlink()


class SizeLimit:
    """A limit on the size of every file that this process writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@contextmanager
def mounted(path: Path) -> Iterator[bool]:
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "adaptox-test", str(path)]
    done = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", str(path)], check=True)


@pytest.fixture(params=[SmallDisk, SizeLimit])
def disk(request, tmp_path) -> Iterator[SmallDisk | SizeLimit]:
    if request.param is SizeLimit:
        limit = SizeLimit(tmp_path / "limited")
        limit.path.mkdir()
        yield limit
        limit.free()
        return
    with mounted(tmp_path / "small") as done:
        if not done:
            pytest.skip("this user may not mount a file system; the limit on file sizes stands in for it")
        yield SmallDisk(tmp_path / "small")


def during(stage: str, act: Callable[[], None]) -> Callable[[str, int, int], None]:
    """Give a progress callback that acts once, at the tenth step of a stage."""

    def progress(name: str, done: int, total: int) -> None:
        if name == stage and done == 10:
            act()

    return progress


def report_progress_to(monkeypatch: pytest.MonkeyPatch, callback: Callable[[str, int, int], None]) -> None:
    @contextmanager
    def progress() -> Iterator[Callable[[str, int, int], None]]:
        yield callback

    monkeypatch.setattr(console, "progress", progress)


def left_by(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_disk_that_fills_up_during_training(shell, disk, monkeypatch, trained):
    with monkeypatch.context() as watched:
        report_progress_to(watched, during("train", disk.fill))
        ended = shell("train", "good.toml", "--out", disk.path / "run")
    assert_one_line(ended, "free some space" if isinstance(disk, SmallDisk) else "raise it")
    assert left_by(disk.path / "run") == {
        "config.json",
        "manifest.json",
        "models.json",
        "dropped.jsonl",
        "checkpoints",
    }
    assert all((path / "trainer_state.json").is_file() for path in (disk.path / "run" / "checkpoints").iterdir())
    disk.free()
    assert shell("train", "good.toml", "--out", disk.path / "run", "--resume").code == 0
    assert same_result(disk.path / "run", trained)


@pytest.mark.parametrize("moment", ["the bundle", "the report"])
def test_a_disk_that_fills_up_while_the_result_is_written(shell, disk, monkeypatch, moment):
    room_, name = {"the bundle": (room, "finish"), "the report": (report, "write")}[moment]
    write = getattr(room_, name)

    def fill_and_write(*given: object) -> None:
        disk.fill()
        write(*given)

    with monkeypatch.context() as filled:
        filled.setattr(room_, name, fill_and_write)
        ended = shell(
            "train", "good.toml", "--out", disk.path / "run", "--set", "train.epochs=2", "--allow-collapse"
        )
    assert_one_line(ended, "cannot write")
    left = left_by(disk.path / "run")
    assert left >= {"config.json", "manifest.json", "models.json", "dropped.jsonl", "history.json", "checkpoints"}
    assert left <= {
        "config.json",
        "manifest.json",
        "models.json",
        "dropped.jsonl",
        "history.json",
        "checkpoints",
        "bundle",
        "figures",
    }
    disk.free()
    again = shell(
        "train", "good.toml", "--out", disk.path / "run", "--set", "train.epochs=2", "--allow-collapse", "--resume"
    )
    assert again.code == 0
    assert "checkpoints" not in left_by(disk.path / "run")
    assert (disk.path / "run" / "metrics.json").is_file()


def test_a_disk_that_is_full_from_the_start(shell, disk):
    disk.fill()
    for verb in (["train", "good.toml"], ["prepare", "good.toml"], ["evaluate", "run/bundle", "good.csv"]):
        assert_one_line(shell(*verb, "--out", disk.path / "new"), "cannot write")
        assert not left_by(disk.path) - {"filler"}
    disk.free()


def same_result(run: Path, other: Path) -> bool:
    results = [json.loads((folder / "metrics.json").read_text()) for folder in (run, other)]
    return all(results[0][key] == results[1][key] for key in ("slices", "validation", "threshold"))


# Ctrl-C


def test_ctrl_c_at_any_moment_names_the_way_to_go_on(shell, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    for stage in ("train", "score"):
        with monkeypatch.context() as watched:
            report_progress_to(
                watched, lambda name, *_, wanted=stage: name == wanted and signal.raise_signal(signal.SIGINT)
            )
            assert_one_line(shell("train", "good.toml", "--out", f"at-{stage}"), "--resume to go on")
    signal.signal(signal.SIGINT, before)


def test_a_process_stopped_by_ctrl_c_is_resumed_to_the_same_result(shell, tmp_path, trained):
    long = ["train", "good.toml", "--out", "long"]
    with subprocess.Popen(
        [sys.executable, "-c", "from adaptox.cli import main; main()", *long],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job would ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    ) as process:
        wait_for(tmp_path / "long" / "checkpoints", "checkpoint-*/trainer_state.json", process)
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
    assert process.returncode == RUN_ERROR
    assert error.startswith("error: stopped")
    assert error.count("\n") == 1
    assert "--resume" in error
    assert not (tmp_path / "long" / "metrics.json").exists()
    assert shell(*long, "--resume").code == 0
    assert same_result(tmp_path / "long", trained)


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < until, "no checkpoint"
        time.sleep(0.005)
