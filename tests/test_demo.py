"""demo: the mission's story on embedded data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import tiny
from adaptox import config, demo
from adaptox.errors import InputError, InterruptedRunError

# What makes the demo's settings quick: a tiny base, few rows, one pass. Whether it learns is not asked here.
QUICK = {
    "train.epochs": 1,
    "train.allow_collapse": True,
    "encode.max_tokens": 32,
    "encode.stride": 8,
    "evaluate.resamples": 100,
}


@dataclass(frozen=True)
class Told:
    """A demo that was run, and what it said."""

    shown: demo.Demo
    said: list[str]
    out: Path


@pytest.fixture(scope="module")
def told(tmp_path_factory, tiny_bert) -> Told:
    comments, conversations = demo._comments, demo._conversations

    def shortened(settings, **more):
        source = {"reader": settings.sources[0].reader, "max_examples": 150}
        return config.override(settings, {**QUICK, "sources": [source], **more})

    out, said = tmp_path_factory.mktemp("demo"), []
    with pytest.MonkeyPatch.context() as shorter:
        shorter.setattr(demo, "_comments", lambda: shortened(comments(), **{"base.name": str(tiny_bert)}))
        shorter.setattr(demo, "_conversations", lambda *given: shortened(conversations(*given)))
        return Told(demo.run(out, say=said.append), said, out)


def test_the_story_is_told_step_by_step(told):
    assert [line[:3] for line in told.said] == ["1/3", "2/3", "3/3"]


def test_all_models_are_judged_on_the_same_rows_and_asked_the_same(told):
    shown = told.shown
    rows = {model.evaluation.rows.ids for model in shown.models}
    assert len(rows) == 1
    assert [model.trained for model in shown.models][:2] == [None, 100.0]
    assert shown.models[2].trained < 100
    assert [text for text, _ in shown.sentences] == list(demo.SENTENCES)
    assert all(len(verdicts) == len(shown.models) for _, verdicts in shown.sentences)


def test_the_report_to_open_is_there(told):
    assert told.shown.report == told.out / "lora" / "report.html"
    assert told.shown.report.is_file()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_has_a_line_for_each_model_and_its_intervals_below(told, monkeypatch, capsys, columns):
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(demo, "run", lambda *_: told.shown)
    ended = tiny.Shell(monkeypatch, capsys)("demo")
    assert ended.code == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ended.out).splitlines()
    assert lines[-1] == f"report {told.shown.report}"
    assert max(len(line.rstrip()) for line in lines[:-1]) <= columns
    for name in ("comment model, as it is", "adapted, all parameters", "adapted, LoRA"):
        row = next(number for number, line in enumerate(lines) if line.startswith(name))
        assert re.search(r"\.\d\d–(\.\d\d|1\.00)", lines[row + 1])
    assert any("Python process" in line for line in lines)


def test_a_demo_is_not_overwritten_unasked(told, monkeypatch, capsys):
    ended = tiny.Shell(monkeypatch, capsys)("demo", "--out", told.out)
    assert ended.code == 2
    assert "--overwrite starts over" in ended.err


def test_the_two_adaptations_differ_in_how_they_are_trained_alone(tmp_path):
    full = demo._conversations("all-parameters", tmp_path, "none").model_dump()
    lora = demo._conversations("lora", tmp_path, "lora").model_dump()
    assert {key for key in full if full[key] != lora[key]} == {"name", "adapter", "train"}


def test_the_demo_writes_to_a_folder_of_its_own(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        demo.run(tmp_path / "file")


def test_a_stopped_demo_says_how_to_start_over(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise InterruptedRunError("stopped at step 3 of 9; run the same command with --resume to go on")

    monkeypatch.setattr(demo, "adapt", stopped)
    with pytest.raises(InterruptedRunError, match=r"^the demo was stopped: --overwrite starts over$"):
        demo.run(tmp_path / "demo")
