"""cli: arguments → verbs, and what people and pipes read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tiny
from adaptox import adapt as room
from adaptox.adapt import adapt
from adaptox.adapt import run as running
from adaptox.cli import console, tables
from adaptox.cli.settings import OF_THE_BUNDLE, OF_TRAINING, settings
from adaptox.config import START, Config, EvaluateConfig
from adaptox.errors import ConfigError
from adaptox.evaluate import evaluate
from adaptox.records import Conversation, Example, Verdict
from adaptox.sources import catalogue

VERBS = ("train", "prepare", "evaluate", "decide", "predict", "study", "teach", "sources", "inspect", "demo")


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path) -> tiny.Shell:
    monkeypatch.chdir(tmp_path)
    return tiny.Shell(monkeypatch, capsys)


@pytest.fixture(scope="module")
def run(tmp_path_factory, toxic_bert, csv) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    adapt(tiny.settings(toxic_bert, csv, train={"epochs": 2, "allow_collapse": True}), folder)
    return folder


@pytest.fixture
def toml(tmp_path, toxic_bert, csv) -> Path:
    config = tiny.settings(toxic_bert, csv, train={"epochs": 2, "allow_collapse": True})
    return tiny.write_toml(tmp_path / "tiny.toml", config)


@pytest.fixture
def terminal(monkeypatch):
    """Let rich take the output for a terminal of some width."""

    def of(columns: int) -> None:
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))

    return of


def plain(text: str) -> str:
    """Take the colours out."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def widest(text: str) -> int:
    return max(len(line.rstrip()) for line in plain(text).splitlines())


# Help


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_shows_an_example_on_eighty_columns(shell, terminal, verb):
    terminal(80)
    ended = shell(verb, "--help")
    assert ended.code == 0
    assert widest(ended.out) <= 80
    examples = [line.strip() for line in plain(ended.out).splitlines() if f"adaptox {verb} " in f"{line} "]
    assert any("Example" in line for line in examples)


@pytest.mark.parametrize(
    ("verb", "data_alone", "folder"),
    [
        ("train", "is split anew, kept in English, and trained by the best recipe", "it is runs/NAME."),
        ("prepare", "is split anew, and kept in English.", "it is runs/NAME-data."),
        ("teach", "is split anew, kept in English, and its test part left unscored.", "it is runs/NAME-teacher."),
        ("evaluate", "is judged as it is, on its published test split", "Also write metrics and scores there."),
    ],
)
def test_the_help_of_a_verb_speaks_of_no_other(shell, verb, data_alone, folder):
    shown = " ".join(re.sub("[│╭╰─╮╯]", " ", shell(verb, "--help").out).split())
    assert f"Data named alone {data_alone}" in shown
    assert folder in shown
    assert ("trained by" in shown) == (verb == "train")


def test_without_a_verb_the_verbs_are_listed(shell):
    ended = shell()
    assert ended.code == 2
    assert all(f" {verb} " in ended.out for verb in VERBS)


def test_the_version_is_told(shell):
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", shell("--version").out)


@pytest.mark.parametrize("arguments", [["nonsense"], ["train"], ["train", "x.csv", "--sed", "1"]])
def test_a_command_that_makes_no_sense_exits_with_2_and_names_the_help(shell, arguments):
    ended = shell(*arguments)
    assert ended.code == 2
    assert "--help" in ended.err


def test_help_answers_without_loading_torch():
    code = "import adaptox.cli, sys; print({'torch', 'transformers', 'matplotlib', 'datasets'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Settings


def test_data_on_the_command_line_gives_settings_named_after_it():
    assert settings("data/mine.csv", (), {}).name == "mine"
    assert settings("data/mine.csv", (), {}).base.name == START
    # It learned from these, so no test row of theirs would be new to it.
    plain = settings("embedded-prompts", (), {}).base
    assert (plain.name, plain.pooling) == ("minilm", "mean")
    assert settings("data/mine.csv", (), {"base.name": "minilm"}).base == plain
    assert settings("data/mine.csv", ('base={name="minilm"}',), {}).base == plain
    assert settings("data/mine.csv", ("base.name=minilm", "base.pooling=own"), {}).base.pooling == "own"
    assert settings("data/mine.csv", (), {"base.name": "bert-base-uncased"}).base.pooling == "own"
    lora = {"base.name": "minilm", "adapter.kind": "lora"}
    assert settings("data/mine.csv", (), lora).adapter.targets == ("all-linear",)
    assert settings("data/mine.csv", ('adapter.targets=["query"]',), lora).adapter.targets == ("query",)
    assert settings("data/mine.csv", (), {"adapter.kind": "lora"}).adapter.targets == ("query", "key", "value")
    assert settings("lmsys/toxic-chat", (), {}).sources[0].path == "lmsys/toxic-chat"


def test_changes_are_read_as_toml_and_else_as_text():
    chosen = settings("x.csv", ["train.epochs=3", "base.name=minilm", 'labels=["toxicity", "hate"]'], {})
    assert (chosen.train.epochs, chosen.base.name, chosen.labels) == (3, "minilm", ("toxicity", "hate"))


def test_options_of_their_own_win_over_changes_and_absent_ones_change_nothing():
    assert settings("x.csv", ["seed=1"], {"seed": 2, "base.name": None}).seed == 2


@pytest.mark.parametrize("change", ["epochs", "=3", ""])
def test_a_change_needs_a_key_and_a_value(change):
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        settings("x.csv", [change], {})


# train


def test_training_prints_before_and_after_and_where_everything_is(shell, toml, tmp_path):
    ended = shell("train", toml, "--seed", "1", "--set", "train.epochs=1")
    assert ended.code == 0
    assert "base as it is" in ended.out
    assert "the held-out test part, before and after" in ended.out
    assert "\nall: the held-out test part\n" in ended.out
    assert "report runs/tiny/report.html" in ended.out
    assert (tmp_path / "runs" / "tiny" / "bundle" / "bundle.json").is_file()
    stored = json.loads((tmp_path / "runs" / "tiny" / "config.json").read_text())
    assert (stored["seed"], stored["train"]["epochs"]) == (1, 1)
    assert "adaptox train" in (tmp_path / "runs" / "tiny" / "report.md").read_text()


def test_data_can_be_trained_on_directly(shell, tmp_path, csv, toxic_bert, monkeypatch):
    monkeypatch.setattr(running, "finish", lambda *_: None)
    small = ["--set", "encode.max_tokens=64", "--set", "encode.stride=8", "--set", "prepare.language=any"]
    quick = ["--set", "train.epochs=1", "--set", "evaluate.resamples=100", "--allow-collapse"]
    ended = shell("train", csv, "--base", toxic_bert, "--adapter", "lora", *small, *quick, "--out", "here")
    assert ended.code == 0
    stored = json.loads((tmp_path / "here" / "config.json").read_text())
    assert stored["adapter"]["kind"] == "lora"
    assert stored["train"]["learning_rate"] == pytest.approx(1e-3)
    assert stored["train"]["allow_collapse"]


def test_a_finished_run_is_told_and_not_trained_again(shell, run, csv, toxic_bert, tmp_path, monkeypatch):
    config = tiny.settings(toxic_bert, csv, train={"epochs": 2, "allow_collapse": True})
    monkeypatch.setattr(room, "adapt", None)
    ended = shell("train", tiny.write_toml(tmp_path / "same.toml", config), "--out", run, "--resume")
    assert ended.code == 0
    assert "is finished already" in ended.out
    assert f"bundle {run / 'bundle'}" in ended.out


# predict


def test_a_verdict_in_json_has_the_agreed_form(shell, run):
    ended = shell("predict", run / "bundle", "you are kind", "--json")
    assert ended.code == 0
    assert ended.err == ""
    verdict = json.loads(ended.out)
    assert set(verdict) == {"id", "scores", "decision", "flagged", "truncated", "windows"}
    assert verdict["id"] == "0"
    assert 0 <= verdict["scores"]["toxicity"] <= 1
    assert verdict["decision"] in ("allow", "review", "block")
    assert verdict["flagged"] == {"toxicity": verdict["decision"] == "block"}
    assert (verdict["truncated"], verdict["windows"]) == (False, 1)


def test_a_file_of_texts_and_conversations_keeps_order_and_ids(shell, run, tmp_path):
    rows = [
        {"id": "b", "text": "a rather longer text about tea and bread and the market"},
        {"id": "a", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]},
        {"id": "c", "text": "short"},
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = shell("predict", run / "bundle", "chats.jsonl", "--json").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["b", "a", "c"]


def test_a_csv_and_standard_input_are_read_too(shell, run, tmp_path):
    tiny.write_csv(tmp_path / "two.csv", [("hello", 1), ("there", 2)], ("text", "id"))
    by_file = [json.loads(line) for line in shell("predict", run / "bundle", "two.csv", "--json").out.splitlines()]
    piped = shell("predict", run / "bundle", "-", "--json", stdin="hello\nthere\n").out
    unnamed = shell("predict", run / "bundle", "--json", stdin="hello\nthere\n").out
    assert [verdict["id"] for verdict in by_file] == ["1", "2"]
    assert piped == unnamed
    assert [json.loads(line)["scores"] for line in piped.splitlines()] == [v["scores"] for v in by_file]


@pytest.mark.parametrize("text", ["what is in report.csv today?", "x" * 5000, "a\0b"])
def test_what_is_no_path_is_a_text(shell, run, text):
    assert shell("predict", run / "bundle", text, "--json").code == 0


def test_people_get_a_table_and_nothing_that_steers_their_terminal(shell, run, tmp_path):
    (tmp_path / "odd.jsonl").write_text(json.dumps({"text": "red \x1b[31m alert\nsecond [bold]line[/]"}) + "\n")
    ended = shell("predict", run / "bundle", "odd.jsonl")
    assert "red  [31m alert second [bold]line[/]" in ended.out
    assert "toxicity" in ended.out
    assert "\x1b" not in ended.out


def test_a_long_text_is_cut_on_a_terminal_and_whole_in_a_pipe(shell, run, terminal):
    text = "tea and bread " * 20
    assert text.strip() in shell("predict", run / "bundle", text).out
    terminal(80)
    ended = shell("predict", run / "bundle", text)
    assert widest(ended.out) <= 80
    assert re.search(r"tea and.*…  +(allow|block) +0\.\d{3}$", plain(ended.out), re.MULTILINE)


def test_many_labels_are_named_where_they_are_flagged(capsys):
    scores = {"toxicity": 0.9, "harassment": 0.8, "hate": 0.1, "violence": 0.2}
    flagged = {name: value > 0.5 for name, value in scores.items()}
    verdict = Verdict("7", scores, "block", flagged, truncated=False, windows=1)
    mild = Verdict("8", scores, "allow", dict.fromkeys(scores, False), truncated=False, windows=1)
    tables.verdicts([("7", Conversation.of("hm")), ("8", Conversation.of("hm"))], [verdict, mild])
    written = capsys.readouterr().out
    assert "harassment" in written
    assert "violence" not in written
    assert re.search(r"hm +8 +allow +0\.900 +–", written)


# evaluate, prepare, inspect, sources


def test_evaluating_prints_a_table_and_writes_the_metrics(shell, run, csv, tmp_path):
    ended = shell("evaluate", run / "bundle", csv, "--out", "out", "--set", "evaluate.resamples=100")
    assert ended.code == 0
    assert "AUPRC" in ended.out
    assert "\nall: every row that was read\n" in ended.out
    assert "val: best expected F1" in ended.out
    assert "metrics out/metrics.json" in ended.out
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["slices"]["all"]["n"] == tiny.ROWS


def test_evaluating_against_another_bundle_prints_what_lies_between_them(shell, run, csv):
    small = ("--set", "evaluate.resamples=100")
    ended = shell("evaluate", run / "bundle", csv, "--against", run / "bundle", *small)
    assert ended.code == 0
    assert "on the same rows" in ended.out
    assert "not distinguishable" in ended.out
    assert "right on 0 rows, the other alone on 0 (McNemar, which takes" in " ".join(ended.out.split())
    missing = shell("evaluate", run / "bundle", csv, "--against", "nowhere", *small)
    assert missing.code == 2
    assert "expected a bundle in nowhere" in missing.err


def test_evaluating_in_json_prints_the_metrics_alone(shell, run, csv):
    ended = shell("evaluate", run / "bundle", csv, "--json", "--set", "evaluate.resamples=100")
    assert json.loads(ended.out)["label"] == "toxicity"
    assert ended.err == ""


def test_settings_are_evaluated_on_their_own_test_part(shell, run, toml):
    again = json.loads(shell("evaluate", run / "bundle", toml, "--json").out)["slices"]["all"]
    before = json.loads((run / "metrics.json").read_text())["slices"]["all"]
    assert again["n"] == before["n"] < tiny.ROWS
    assert again["auprc"] == pytest.approx(before["auprc"], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("threshold.value=0.9", "--set threshold.value: the bundle decides that, as it was trained"),
        ("text.turns=user", "--set text.turns: the bundle decides that"),
        ("encode={max_tokens=8}", "--set encode: the bundle decides that"),
        ("train.epochs=3", "--set train.epochs: evaluate does not train"),
        ("evaluate.base=false", "--set evaluate.base: evaluate does not train"),
    ],
)
def test_a_change_of_what_evaluating_does_not_read_is_refused(shell, change, said):
    ended = shell("evaluate", "bundle", "mine.csv", "--set", "seed=1", "--set", change)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_every_table_of_the_settings_is_read_or_refused_where_a_bundle_is_evaluated():
    read = {"name", "seed", "labels", "sources", "prepare", "evaluate"}
    assert {*OF_THE_BUNDLE, *OF_TRAINING} == Config.model_fields.keys() - read


def test_preparing_prints_the_parts(shell, csv, tmp_path):
    ended = shell("prepare", csv, "--set", "prepare.language=any")
    assert ended.code == 0
    assert re.search(r"train +\d+", ended.out)
    assert "0 rows dropped" in ended.out
    assert (tmp_path / "runs" / "rows-data" / "train.jsonl").is_file()


def test_a_bundle_is_inspected(shell, run):
    ended = shell("inspect", run / "bundle")
    assert "hashes verified" in ended.out
    assert re.search(r"threshold toxicity +0\.\d+ \(val: best expected F1\)", ended.out)
    assert re.search(r"on all +27 rows, 9 positive; AUPRC \.\d+ \[", ended.out)
    assert json.loads(shell("inspect", run / "bundle", "--json").out)["name"] == "tiny"


def test_a_file_that_was_removed_is_not_counted(shell, run, tmp_path):
    bundle = shutil.copytree(run / "bundle", tmp_path / "bundle")
    (bundle / "learned.bin").unlink()
    files = len(list(bundle.iterdir())) - 1  # its manifest
    assert f"{files}, hashes verified; learned.bin removed" in shell("inspect", bundle).out


def test_every_source_is_listed_with_its_licence_and_an_example(shell):
    ended = shell("sources")
    for info in catalogue():
        assert f"{info.reader}: {info.title}" in ended.out
        assert info.licence in ended.out
        assert f'reader = "{info.reader}"' in ended.out


# Widths


@pytest.mark.parametrize("columns", [80, 120])
def test_what_is_printed_fits_the_terminal(shell, run, csv, terminal, columns):
    terminal(columns)
    small = ["--set", "evaluate.resamples=100"]
    for command in (["sources"], ["inspect", run / "bundle"], ["evaluate", run / "bundle", csv, *small]):
        printed = plain(shell(*command).out)
        # Paths and addresses stay whole, so that they can be copied.
        lines = [line for line in printed.splitlines() if not re.search(r"/\S+/|https:", line)]
        assert widest("\n".join(lines)) <= columns


def test_five_slices_fit_eighty_columns(shell, run, terminal, capsys):
    terminal(80)
    result = adapt_result(run)
    tables.evaluations(dict.fromkeys(("F", "H", "T", "jailbreak", "non-jailbreak"), result))
    printed = capsys.readouterr().out
    assert widest(printed) <= 80
    assert "…" not in printed


@pytest.mark.parametrize(
    ("families", "said"), [(1, "no intervals"), (5, "no intervals"), (6, "below each number its")]
)
def test_an_interval_is_promised_only_where_there_are_families_for_it(capsys, families, said):
    rows = [
        Example(str(n), Conversation.of("hm"), {"toxicity": n % 2}, group=f"family {n % families}")
        for n in range(60)
    ]
    probs = np.linspace(0.1, 0.9, len(rows))
    tables.explain(evaluate(rows, probs, "toxicity", 0.5, "0.5", EvaluateConfig(resamples=100), 0), "these rows")
    last = " ".join(capsys.readouterr().out.split()).rpartition("(0.5) ")[2]
    assert last.startswith(said)
    assert ("fewer than 6 families of prompts that repeat one another" in last) == (families < 6)


def adapt_result(run: Path):
    from adaptox.evaluate import METRICS, Interval, SliceResult

    stored = json.loads((run / "metrics.json").read_text())["slices"]["all"]
    metrics = {name: Interval(**stored[name]) for name in METRICS}
    return SliceResult("all test rows", stored["n"], stored["positives"], metrics)


def test_a_pipe_gets_whole_lines(shell, run, csv, tmp_path):
    far = tmp_path / ("a-very-long-folder-name-" * 8)
    printed = shell("evaluate", run / "bundle", csv, "--out", far, "--set", "evaluate.resamples=100").out
    assert f"metrics {far / 'metrics.json'}\n" in printed


# Progress


def test_progress_is_silent_in_a_pipe(capsys):
    with console.progress() as progress:
        progress("train", 1, 2)
    assert capsys.readouterr().err == ""


def test_progress_is_shown_on_a_terminal_for_long_work_only(terminal, capsys, monkeypatch):
    terminal(80)
    with console.progress() as progress:
        progress("quick", 1, 2)
        progress("quick", 2, 2)
    assert "quick" not in capsys.readouterr().err
    monkeypatch.setattr(console, "_PATIENCE_S", -1.0)
    with console.progress() as progress:
        progress("slow", 1, 2)
        time.sleep(0.3)  # it draws ten times a second
    assert "slow" in capsys.readouterr().err


# Ends


def test_ctrl_c_is_a_failed_run(shell, run, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("adaptox.bundle.load", stop)
    ended = shell("inspect", run / "bundle")
    assert ended.code == 1
    assert ended.err == "error: stopped; nothing half-written is left\n"


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    with subprocess.Popen(
        [sys.executable, "-c", "from adaptox.cli import main; main()", "sources"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


# Studies


def test_a_study_tells_each_run_as_it_ends_and_prints_one_table(shell, toxic_bert, csv, tmp_path, monkeypatch):
    # The page has tests of its own, and its figures take longer than the runs.
    monkeypatch.setattr("adaptox.study.write_study", lambda story, folder: None)
    common = tiny.settings(toxic_bert, csv, train={"epochs": 1}).model_dump(mode="json", exclude_unset=True)
    del common["name"]
    grid = {"name": "tiny", "common": common, "axes": {"loss.kind": ["bce", "focal"]}}
    path = tiny.write_tables(tmp_path / "study.toml", grid)
    ended = shell("study", path, "--out", tmp_path / "out")
    assert ended.code == 0
    assert "1 of 2: bce-s0 done in" in ended.err
    assert re.search(r"^focal +\S*.* +1 ", ended.out, re.MULTILINE)
    assert f"report {tmp_path / 'out' / 'study.html'}" in ended.out
    again = shell("study", path, "--out", tmp_path / "out")
    assert "done in" not in again.err
    assert again.out == ended.out


def test_a_study_of_which_a_run_fails_exits_with_1_after_its_report_and_says_which(
    shell, toxic_bert, csv, tmp_path, monkeypatch
):
    monkeypatch.setattr("adaptox.study.write_study", lambda story, folder: None)
    common = tiny.settings(toxic_bert, csv, train={"epochs": 1}).model_dump(mode="json", exclude_unset=True)
    del common["name"]
    broken = {"adapter": {"kind": "lora", "targets": ["nothing"]}}
    grid = {"name": "tiny", "common": common, "axes": {"adapter": {"all": {}, "broken": broken}}}
    ended = shell("study", tiny.write_tables(tmp_path / "study.toml", grid), "--out", tmp_path / "out")
    assert ended.code == 1
    assert f"report {tmp_path / 'out' / 'study.html'}" in ended.out
    assert "error: 1 of 2 runs failed: broken-s0; the report says why" in ended.err


def test_a_study_that_is_not_there_is_one_line(shell):
    ended = shell("study", "nothing.toml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(
        "error: no settings file at nothing.toml: expected a TOML file such as configs/study.toml"
    )
