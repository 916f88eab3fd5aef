"""The base that is made on first use: once on a machine, kept, and named like any other."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

import tiny
from adaptox import bundle as bundles
from adaptox import model
from adaptox import study as studies
from adaptox.adapt import adapt, make_lesson, needs
from adaptox.adapt import run as room
from adaptox.adapt.start import is_missing as is_start_missing
from adaptox.cli import console
from adaptox.config import START, Config, TeachConfig
from adaptox.errors import BaseModelError, InterruptedRunError, StorageError
from adaptox.model import start
from adaptox.records import WAITING
from adaptox.study.grid import StudyConfig


@pytest.fixture
def making(tmp_path, monkeypatch, tiny_bert) -> Config:
    """Let the base be made of a tiny network and a few rows, in a cache of its own."""
    rows = tiny.write_csv(tmp_path / "prompts.csv", tiny.texts(seed=1))
    chosen = tiny.settings(tiny_bert, rows, name=START)
    monkeypatch.setenv("ADAPTOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(start, "recipe", lambda: chosen)
    monkeypatch.setattr(room, "recipe", lambda: chosen)
    return chosen


@pytest.fixture
def config(tmp_path, making) -> Config:
    """Give settings that start from it."""
    return tiny.settings(Path(START), tiny.write_csv(tmp_path / "mine.csv", tiny.texts()))


@contextmanager
def as_pressed() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, as in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def watching(steps: list[int], stop_at: int = 0):
    """Give a progress callback that notes how long each training is, and may press Ctrl-C."""

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "train" and done == 1:
            steps.append(total)
        if stage == "train" and done == stop_at:
            signal.raise_signal(signal.SIGINT)

    return progress


def test_it_is_made_on_first_use_and_kept(tmp_path, making, config):
    assert is_start_missing(config)
    trained: list[int] = []
    first = adapt(config, tmp_path / "first", progress=watching(trained))
    assert len(trained) == 2
    assert first.baseline is not None
    assert not is_start_missing(config)
    made = bundles.load(start.place_of(START)).manifest
    assert made.metrics["config"]["name"] == START
    base = bundles.load(first.folder / "bundle").manifest.base
    assert (base["name"], base["lineage"][0]) == (START, needs.lineage(str(start.place_of(START)))[0])
    assert json.loads((first.folder / "models.json").read_text())["base"] == made.sha256
    again = adapt(config, tmp_path / "again", progress=watching(trained))
    assert len(trained) == 3
    assert again.evaluation.slices == first.evaluation.slices


def test_the_same_command_goes_on_with_one_that_was_stopped(tmp_path, config):
    stopped = pytest.raises(InterruptedRunError, match="while minilm-prompts was made; the same command goes on")
    with stopped, as_pressed():
        adapt(config, tmp_path / "run", progress=watching([], stop_at=25))
    assert is_start_missing(config)
    assert not (tmp_path / "run").exists()
    assert any(start.run_folder().joinpath("checkpoints").glob("checkpoint-*"))
    adapt(config, tmp_path / "run")
    assert not is_start_missing(config)
    assert not start.run_folder().joinpath("checkpoints").exists()


def test_one_that_was_begun_otherwise_is_made_anew(tmp_path, config):
    with pytest.raises(InterruptedRunError), as_pressed():
        adapt(config, tmp_path / "run", progress=watching([], stop_at=25))
    for state in start.run_folder().glob("checkpoints/*/rng_state.pth"):
        state.rename(state.with_name("rng_state_0.pth"))
    trained: list[int] = []
    adapt(config, tmp_path / "run", progress=watching(trained))
    assert len(trained) == 2


def test_who_waited_for_another_process_finds_it_made(tmp_path, making, config, capsys):
    adapt(making, tmp_path / "elsewhere")
    place = start.run_folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    another = FileLock(place.with_name(f"{place.name}.lock"))
    trained: list[int] = []

    with another.acquire(), console.progress() as show:

        def finish_meanwhile(stage, done, total):
            show(stage, done, total)
            watching(trained)(stage, done, total)
            if (stage, done) == (WAITING, 0):
                shutil.copytree(tmp_path / "elsewhere", place)
                another.release()

        adapt(config, tmp_path / "run", progress=finish_meanwhile)
    assert len(trained) == 1
    assert capsys.readouterr().err.count("another process is making what this one needs: waiting for it") == 1


def test_a_study_makes_it_before_it_tells_its_runs_apart(tmp_path, config, monkeypatch):
    common = config.model_dump(mode="json", exclude_unset=True)
    del common["name"]
    grid = StudyConfig.model_validate({"name": "grid", "common": common, "axes": {"adapter.kind": ["none"]}})
    missing = []

    class Stop(Exception):
        """The runs would be made now."""

    def note(_, given):
        missing.append(is_start_missing(given))
        raise Stop

    monkeypatch.setattr(studies.Keys, "key", note)
    with pytest.raises(Stop):
        studies.study(grid, tmp_path / "grid")
    assert missing == [False]


def test_a_teacher_makes_what_its_networks_start_from(tmp_path, config):
    with_words = config.model_copy(update={"teach": TeachConfig(folds=2, members=("words",))})
    make_lesson(with_words, tmp_path / "words")
    assert is_start_missing(config)
    both = config.model_copy(update={"teach": TeachConfig(folds=2, members=("words", "settings"))})
    lesson = make_lesson(both, tmp_path / "both")
    assert not is_start_missing(config)
    assert lesson.scored > 0


def test_other_prompts_make_another(making, monkeypatch):
    before = start.run_folder()
    assert before.parent.name == "bases"
    monkeypatch.setattr(start, "_DATA", ("prompts.jsonl",))
    assert start.run_folder() != before


def test_a_base_that_is_not_made_yet_says_how_it_is(making, config):
    with pytest.raises(BaseModelError, match=r"'minilm-prompts' is not made yet: `adaptox train DATA` makes it"):
        model.load_base(config.base, config.outputs, 0)


def test_a_cache_that_cannot_be_written_is_said_to_be_so(tmp_path, config, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ADAPTOX_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"ADAPTOX_CACHE names another place.*'minilm' does without"):
        adapt(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_line_says_that_it_is_made_first(tmp_path, config, monkeypatch, capsys):
    shell = tiny.Shell(monkeypatch, capsys)
    settings = tiny.write_toml(tmp_path / "mine.toml", config)
    ended = shell("train", settings, "--out", tmp_path / "run")
    assert ended.code == 0
    assert "base minilm-prompts is made first, once on this machine; --base minilm does without" in ended.err
    again = shell("train", settings, "--out", tmp_path / "again")
    assert again.code == 0
    assert "made first" not in again.err
