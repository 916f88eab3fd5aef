"""demo: the mission's story on embedded data."""

from __future__ import annotations

import re

import pytest

import tiny
from adaptox import config, demo
from adaptox.errors import InputError

# What makes the demo's settings quick: a tiny base, few rows, one pass. Whether it learns anything is not asked here.
QUICK = {
    "train.epochs": 1,
    "train.allow_collapse": True,
    "encode.max_tokens": 32,
    "encode.stride": 8,
    "evaluate.resamples": 100,
}


@pytest.fixture
def quick(monkeypatch, tiny_bert):
    """Shorten the demo's three trainings."""
    comments, conversations = demo._comments, demo._conversations

    def shortened(settings, **more):
        source = {"reader": settings.sources[0].reader, "max_examples": 150}
        return config.override(settings, {**QUICK, "sources": [source], **more})

    monkeypatch.setattr(demo, "_comments", lambda: shortened(comments(), **{"base.name": str(tiny_bert)}))
    monkeypatch.setattr(demo, "_conversations", lambda *given: shortened(conversations(*given)))


def test_the_story_is_told_from_start_to_end(tmp_path, quick, monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    shell = tiny.Shell(monkeypatch, capsys)
    ended = shell("demo", "--out", "out")
    assert ended.code == 0
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ended.out)
    lines = printed.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    # Step by step, then a line for each model with its interval below, then the sentences, then the report.
    assert [line[:3] for line in lines[:3]] == ["1/3", "2/3", "3/3"]
    for name in ("comment model as it is", "adapted, all parameters", "adapted, LoRA"):
        row = next(number for number, line in enumerate(lines) if line.startswith(name))
        assert re.search(r"\.\d\d–(\.\d\d|1\.00)", lines[row + 1])
    assert "Python process" in printed
    assert lines[-1] == "report out/lora/report.html"
    assert (tmp_path / "out" / "lora" / "report.html").is_file()
    again = shell("demo", "--out", "out")
    assert again.code == 2
    assert "--overwrite starts over" in again.err


def test_all_models_are_judged_on_the_same_rows_and_asked_the_same(tmp_path, quick):
    said = []
    shown = demo.run(tmp_path, say=said.append)
    assert len(said) == 3
    rows = {model.evaluation.rows.ids for model in shown.models}
    assert len(rows) == 1
    assert [model.trained for model in shown.models][:2] == [None, 100.0]
    assert shown.models[2].trained < 100
    assert [text for text, _ in shown.sentences] == list(demo.SENTENCES)
    assert all(len(verdicts) == len(shown.models) for _, verdicts in shown.sentences)
    assert shown.report == tmp_path / "lora" / "report.html"


def test_the_two_adaptations_differ_in_how_they_are_trained_alone(tmp_path):
    full = demo._conversations("all-parameters", tmp_path, "none").model_dump()
    lora = demo._conversations("lora", tmp_path, "lora").model_dump()
    assert {key for key in full if full[key] != lora[key]} == {"name", "adapter", "train"}


def test_the_demo_writes_to_a_folder_of_its_own(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        demo.run(tmp_path / "file")
