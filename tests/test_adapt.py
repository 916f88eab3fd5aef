"""adapt: one configuration → a run folder with its bundle."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from safetensors.torch import load_file, save_file

import adaptox
import tiny
from adaptox import bundle as bundles
from adaptox import model, prepare
from adaptox.adapt import (
    Adaptation,
    adapt,
    assess,
    cut,
    held,
    is_finished,
    known,
    make_lesson,
    needs,
    prepare_only,
    read_and_prepare,
    seen,
    story,
)
from adaptox.adapt import folder as folders
from adaptox.adapt import run as room
from adaptox.adapt.judge import judge_base
from adaptox.config import Config
from adaptox.decide import Decider
from adaptox.errors import (
    CollapseError,
    ConfigError,
    DataError,
    InputError,
    InterruptedRunError,
    StorageError,
)
from adaptox.evaluate import METRICS, Evaluation, rows_from_parquet
from adaptox.prepare import Prepared
from adaptox.records import Conversation, Example, silent
from adaptox.text import render

assessing = importlib.import_module("adaptox.adapt.assess")  # the room's function has its name

UNFINISHED = {"config.json", "manifest.json", "dropped.jsonl", "models.json", "history.json", "checkpoints"}
RESULTS = {"metrics.json", "scores.parquet", "report.html", "report.md", "figures", "bundle"}
FINISHED = UNFINISHED - {"checkpoints"} | RESULTS


@dataclass(frozen=True)
class Done:
    """A run that came to its end, and what it was started with."""

    config: Config
    adaptation: Adaptation

    @property
    def folder(self) -> Path:
        return self.adaptation.folder

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    @property
    def metrics(self) -> dict:
        return json.loads((self.folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_bert, csv) -> Done:
    config = tiny.settings(tiny_bert, csv)
    finished = adapt(config, tmp_path_factory.mktemp("runs") / "tiny", command="adaptox train rows.csv")
    assert finished is not None
    return Done(config, finished)


@pytest.fixture
def unreported(monkeypatch) -> None:
    """Stop runs before bundle and report, which take longer than a tiny training."""
    monkeypatch.setattr(room, "finish", lambda *_: None)


def names(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


def numbers(metrics: dict) -> dict:
    """Give what two runs of the same settings must share."""
    return {key: metrics[key] for key in ("slices", "validation", "threshold", "data", "seed")}


def stop_at(step: int) -> Callable[[str, int, int], None]:
    """Give a progress callback that presses Ctrl-C."""

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "train" and done == step:
            signal.raise_signal(signal.SIGINT)

    return progress


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Take Ctrl-C as a terminal's program does; a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# The run folder


def test_a_run_leaves_these_files_and_no_others(done):
    assert names(done.folder) == FINISHED
    assert names(done.bundle) == {*bundles.REQUIRED, "bundle.json", "learned.bin", "README.md"}
    assert {path.suffix for path in (done.folder / "figures").iterdir()} == {".png", ".svg"}


def test_metrics_json_is_as_the_contract_has_it(done):
    metrics = done.metrics
    assert metrics["label"] == "toxicity"
    assert set(metrics["slices"]) == {"all"}
    result = metrics["slices"]["all"]
    assert result["n"] == len(done.adaptation.evaluation.rows.ids)
    assert 0 < result["positives"] < result["n"]
    for name in METRICS:
        assert set(result[name]) == {"value", "low", "high"}
        assert result[name]["low"] <= result[name]["value"] <= result[name]["high"]
    assert metrics["threshold"]["origin"] == "val: best expected F1"
    assert 0 < metrics["threshold"]["value"] < 1
    assert metrics["seed"] == 0
    assert metrics["hardware"]
    assert metrics["commit"].startswith(adaptox.__version__)
    assert metrics["config"] == done.config.model_dump(mode="json")
    assert metrics["evaluated_on"] == "the held-out test part"
    assert metrics["training"]["steps"] > 0


def test_metrics_json_names_the_data_and_the_weights_by_their_hashes(done):
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert done.metrics["data"]["sha256"] == manifest["sha256"]
    assert done.metrics["model"]["weights_sha256"] == bundles.sha256(done.bundle / "model.safetensors")
    assert done.metrics["model"]["trainable"] == done.metrics["model"]["parameters"] > 0


def test_the_resolved_settings_hold_every_default(done):
    stored = json.loads((done.folder / "config.json").read_text())
    assert stored == done.config.model_dump(mode="json")
    assert stored["train"]["weight_decay"] == done.config.train.weight_decay


def test_the_history_is_the_trainings_own(done):
    history = json.loads((done.folder / "history.json").read_text())
    scored = [entry["eval_auprc"] for entry in history if "eval_auprc" in entry]
    assert len(scored) == 6
    assert max(scored) == pytest.approx(done.adaptation.training.best_auprc)
    assert any("loss" in entry for entry in history)


def test_the_bundle_scores_as_the_run_did(done):
    moderator = adaptox.load(done.bundle)
    test = {example.id: example for example in read_and_prepare(done.config).prepared.test}
    rows = done.adaptation.evaluation.rows
    verdicts = moderator.score([test[id_].conversation for id_ in rows.ids])
    found = tiny.uncalibrated([verdict.scores["toxicity"] for verdict in verdicts], moderator.decider)
    np.testing.assert_allclose(found, tiny.uncalibrated(rows.probs, moderator.decider), atol=1e-6)
    flagged = rows.probs >= done.adaptation.evaluation.threshold
    assert [verdict.flagged["toxicity"] for verdict in verdicts] == flagged.tolist()


def test_the_report_shows_the_command_that_made_it(done):
    assert "adaptox train rows.csv" in (done.folder / "report.md").read_text()


def test_a_run_without_a_test_part_is_judged_on_validation_and_says_so(tmp_path, tiny_bert, csv, unreported):
    config = tiny.settings(tiny_bert, csv, prepare={"test_fraction": 0.0})
    finished = adapt(config, tmp_path / "run")
    validation = read_and_prepare(config).prepared.validation
    assert set(finished.evaluation.rows.ids) == {example.id for example in validation}
    assert any("no test part" in note for note in finished.notes)


def test_a_random_split_says_how_much_it_leaks(tmp_path, tiny_bert, unreported):
    # Every text twice, so that rows split at random have near-copies on both sides.
    twice = [row for text, label in tiny.texts(60) for row in ((text, label), (f"{text}!", label))]
    copies = tiny.write_csv(tmp_path / "copies.csv", twice)
    config = tiny.settings(tiny_bert, copies, prepare={"group": "none", "drop_repeats": False})
    finished = adapt(config, tmp_path / "run")
    assert any("near-copy in train" in note for note in finished.notes)


@pytest.mark.parametrize(("foreign", "told"), [(10, True), (9, False), (0, False)])
def test_many_rows_in_other_languages_are_told_of(foreign, told):
    step = SimpleNamespace(name="language", before=SimpleNamespace(rows=100), dropped=SimpleNamespace(rows=foreign))
    data = SimpleNamespace(prepared=SimpleNamespace(manifest=SimpleNamespace(steps=(step,))))
    assert any("10 of 100 rows are not English" in note for note in story._foreign(data)) == told


def test_helper_processes_of_a_launch_write_nothing_themselves(tmp_path, tiny_bert, csv, monkeypatch):
    asked = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(room.train, "fit_soup", lambda *given: (None, asked.append(given)))
    assert adapt(tiny.settings(tiny_bert, csv), tmp_path / "run") is None
    assert len(asked) == 1
    assert not (tmp_path / "run").exists()


# Starting, stopping, going on


def test_an_interrupted_run_ends_as_if_nothing_had_happened(tmp_path, done, interruptible):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedRunError, match="--resume"):
        adapt(done.config, folder, progress=stop_at(20))
    assert names(folder) == UNFINISHED - {"history.json"}
    seen = []
    adapt(done.config, folder, resume=True, progress=lambda stage, at, _: seen.append((stage, at)))
    assert min(at for stage, at in seen if stage == "train") > 7, "training started over"
    assert names(folder) == FINISHED
    resumed = json.loads((folder / "metrics.json").read_text())
    assert numbers(resumed) == numbers(done.metrics)


def test_a_run_that_was_killed_while_it_wrote_its_bundle_is_tidied_and_finished(tmp_path, done, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as killed:
        killed.setattr(room, "finish", lambda *_: None)
        adapt(done.config, folder)
    (folder / ".bundle.part").mkdir()
    (folder / ".bundle.part" / "config.json").write_text("{")
    (folder / ".metrics.json.part").write_text("{")
    adapt(done.config, folder, resume=True)
    assert names(folder) == FINISHED


def test_resuming_what_never_began_begins_it(tmp_path, tiny_bert, csv, unreported):
    assert adapt(tiny.settings(tiny_bert, csv), tmp_path / "run", resume=True) is not None


def test_a_finished_run_is_known_and_not_run_again(done):
    assert is_finished(done.folder, done.config)
    with pytest.raises(InputError, match="is finished"):
        adapt(done.config, done.folder, resume=True)


def test_a_place_without_a_run_is_not_finished(tmp_path, done):
    assert not is_finished(tmp_path, done.config)
    assert not is_finished(tmp_path / "nothing", done.config)


def test_a_run_is_not_started_twice(done):
    with pytest.raises(InputError, match="already holds a run: --resume goes on with it, --overwrite starts over"):
        adapt(done.config, done.folder)


def test_a_run_that_came_in_between_is_not_entered(done):
    prepared = read_and_prepare(done.config).prepared
    before = (done.folder / "config.json").read_bytes()
    with pytest.raises(InputError, match="already holds a run"):
        folders.create(done.folder, done.config, prepared, resume=False, overwrite=False)
    assert (done.folder / "config.json").read_bytes() == before


def test_the_folder_one_stands_in_can_be_a_run(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with folders.alone(Path(".")):
        assert (tmp_path / ".here.lock").is_file()
    assert not (tmp_path / ".here.lock").exists()


@pytest.mark.parametrize("how", [{"resume": True}, {"overwrite": True}])
def test_a_run_that_another_process_is_at_is_left_alone(tmp_path, done, how):
    run = tmp_path / "run"
    shutil.copytree(done.folder, run)
    (run / "metrics.json").unlink()
    (run / "checkpoints").mkdir()
    with FileLock(tmp_path / ".run.lock"):
        before = {file: file.stat().st_mtime_ns for file in run.rglob("*")}
        with pytest.raises(InputError, match=r"another process is at work in .*run: wait for it"):
            adapt(done.config, run, **how)
        assert {file: file.stat().st_mtime_ns for file in run.rglob("*")} == before


def test_overwriting_starts_over(tmp_path, tiny_bert, csv, unreported):
    config = tiny.settings(tiny_bert, csv)
    adapt(config, tmp_path / "run")
    (tmp_path / "run" / "stale.txt").write_text("old")
    adapt(tiny.settings(tiny_bert, csv, seed=1), tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run" / "stale.txt").exists()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["seed"] == 1


def test_resuming_with_other_settings_names_them(done, tiny_bert, csv):
    other = tiny.settings(tiny_bert, csv, train={"epochs": 7}, seed=3)
    with pytest.raises(ConfigError, match=r"seed was 0 and is 3, train\.epochs was 6\.0 and is 7\.0"):
        adapt(other, done.folder, resume=True)


def test_a_setting_that_came_later_counts_as_its_default(done, tmp_path):
    shutil.copytree(done.folder, tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    del settings["lexicon"], settings["adapter"]["prompt_tokens"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    assert is_finished(tmp_path / "run", done.config)


def test_a_setting_that_there_is_no_longer_does_not_count(done, tmp_path):
    shutil.copytree(done.folder, tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    settings["loss"]["gone"], settings["gone"], settings["sources"][0]["gone"] = 0.0, {"of": 1}, True
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    assert is_finished(tmp_path / "run", done.config)
    settings["seed"], settings["loss"]["kind"] = 3, "gone"
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r'\(loss\.kind was "gone" and is "bce", seed was 3 and is 0\)'):
        is_finished(tmp_path / "run", done.config)


def test_going_on_and_starting_over_exclude_each_other(done):
    with pytest.raises(ConfigError, match="choose one"):
        adapt(done.config, done.folder, resume=True, overwrite=True)


@pytest.mark.parametrize("name", ["config.json", "notes.txt"])
def test_a_folder_of_something_else_is_never_touched(tmp_path, done, name):
    # A model's folder has a config.json, too.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="something else than a run"):
        adapt(done.config, tmp_path / "mine", overwrite=True)
    assert names(tmp_path / "mine") == {name}


def test_overwriting_never_removes_what_the_run_reads(done, csv):
    from_itself = tiny.settings(done.bundle, csv)
    with pytest.raises(InputError, match="--overwrite would remove"):
        adapt(from_itself, done.folder, overwrite=True)
    assert names(done.folder) == FINISHED


def test_overwriting_never_removes_a_teacher(done, csv):
    taught = tiny.settings(done.folder, csv, distill={"teacher": str(done.bundle), "targets": ["toxicity"]})
    with pytest.raises(InputError, match="--overwrite would remove"):
        adapt(taught, done.folder, overwrite=True)
    member = adaptox.config.override(done.config, {"teach.members": ["words", str(done.folder / "config.json")]})
    with pytest.raises(InputError, match="--overwrite would remove"):
        make_lesson(member, done.folder, overwrite=True)
    assert names(done.folder) == FINISHED


def test_a_run_goes_on_with_the_base_it_was_started_with_alone(tmp_path, done, csv, interruptible):
    base = tmp_path / "base"
    shutil.copytree(done.bundle, base)
    config = tiny.settings(base, csv)
    with pytest.raises(InterruptedRunError):
        adapt(config, tmp_path / "run", progress=stop_at(5))
    with bundles.saving(base, bundles.load(base).manifest.model_copy(update={"name": "made anew"})) as place:
        for file in done.bundle.iterdir():
            shutil.copy(file, place)
        (place / bundles.MANIFEST).unlink()
    with pytest.raises(DataError, match=r"the base of .* is another than when the run was started"):
        adapt(config, tmp_path / "run", resume=True)


def test_a_folder_that_cannot_be_filled_is_not_left_behind(tmp_path, done, monkeypatch):
    def refuse(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("adaptox.adapt.folder.write_data", refuse)
    with pytest.raises(StorageError):
        adapt(done.config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_input_that_turns_out_useless_leaves_no_folder(tmp_path, tiny_bert, csv):
    no_such_target = tiny.settings(tiny_bert, csv, adapter={"kind": "lora", "targets": ["nonsense"]})
    with pytest.raises(ConfigError, match="nonsense"):
        adapt(no_such_target, tmp_path / "run")
    misspelt = tiny.settings(tiny_bert, csv, labels=["toxicity", "toxicty2"])
    with pytest.raises(DataError, match=r"no row to learn from has the label 'toxicty2'.*did you mean 'toxicity'"):
        adapt(misspelt, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_label_that_validation_alone_has_is_learned_with_folds_and_only_then(tiny_bert, csv):
    row = Example("one", Conversation.of("a text"), {"toxicity": 1})
    parts = Prepared((row,), (replace(row, id="two", labels={"toxicity": 0, "insult": 1}),), (), (), None)
    config = tiny.settings(tiny_bert, csv, labels=["toxicity", "insult"])
    with pytest.raises(DataError, match="no row to learn from has the label 'insult'"):
        held.check_rows(config, parts)
    with pytest.raises(DataError, match="needs as many families"):  # the label is there; there are too few rows
        held.check_rows(adaptox.config.override(config, {"threshold.folds": 2}), parts)


# Rows that are too long to be read whole


def chats(path: Path, turns: int) -> Path:
    """Write conversations of as many turns, the last of which is what the label is about."""
    fillers = [text for text, label in tiny.texts(600, seed=1) if not label]
    rows = []
    for number, (text, label) in enumerate(tiny.texts()):
        said = [fillers[(number * turns + turn) % len(fillers)] for turn in range(turns - 1)]
        roles = ("user", "assistant")
        talk = [{"role": roles[at % 2], "content": one} for at, one in enumerate((*said, text))]
        rows.append({"messages": talk, "toxicity": label})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_that_training_cuts_are_told_of_wherever_notes_are(tmp_path, tiny_bert):
    chatted = chats(tmp_path / "chats.jsonl", 9)
    config = tiny.settings(tiny_bert, chatted, train={"epochs": 1, "allow_collapse": True})
    finished = adapt(config, tmp_path / "run")
    (told,) = [note for note in finished.notes if "encode.max_tokens" in note]
    train = json.loads((tmp_path / "run" / "manifest.json").read_text())["parts"]["train"]["rows"]
    assert told == (
        f"{train} of {train} training rows are longer than encode.max_tokens = 64: training reads the end of a "
        "conversation, the beginning of a single turn (encode.keep = 'auto'), scoring reads all of them in "
        "windows; a larger encode.max_tokens (up to 130) or text.turns = 'last-user' reads more."
    )
    for file in ("report.md", "report.html", "bundle/README.md"):
        assert "training rows are longer than encode.max_tokens" in (tmp_path / "run" / file).read_text()


def unread(cut_rows, *, overflow="windows", keep="auto", turns="all", roles=("user", "assistant"), longest=512):
    """Tell of 100 rows, so many of them too long."""
    fitted, base = SimpleNamespace(rows=100, cut=cut_rows), SimpleNamespace(max_positions=longest)
    rows = [SimpleNamespace(conversation=SimpleNamespace(turns=roles))]
    config = adaptox.config.parse({"encode": {"overflow": overflow, "keep": keep}, "text": {"turns": turns}})
    return cut.notes(fitted, rows, base, config), cut.first_cause(fitted, rows, base, config)


@pytest.mark.parametrize(
    ("rows", "told", "first"), [(0, 0, ""), (2, 0, ""), (3, 1, ""), (50, 1, ""), (51, 1, "51 of")]
)
def test_a_few_rows_are_not_told_of_and_most_are_the_first_cause_of_a_collapse(rows, told, first):
    notes, cause = unread(rows)
    assert len(notes) == told
    assert cause[:5] == first


def test_what_helps_against_cut_rows_depends_on_what_they_are():
    assert "; first try a larger encode.max_tokens (up to 512) or text.turns = 'last-user'. " in unread(60)[1]
    assert "; first try a larger encode.max_tokens (up to 512). " in unread(60, roles=("user",))[1]
    assert "(up to 512) or encode.keep = 'auto' or text.turns" in unread(60, keep="head")[1]
    assert unread(60, turns="last-user", longest=256)[1].endswith("(encode.keep = 'auto'). ")
    assert "reads no more of them" in unread(60, overflow="truncate")[0][0]


# The collapse guard


def flipped_validation(path: Path) -> Path:
    """Write data whose validation part means the opposite of its training part."""
    rows = []
    for number, (text, label) in enumerate(tiny.texts(150)):
        split = ("train", "train", "train", "validation", "test")[number // 3 % 5]
        rows.append((text, 1 - label if split == "validation" else label, split))
    return tiny.write_csv(path, rows, ("text", "toxicity", "split"))


def test_a_head_that_did_not_move_is_no_result(tmp_path, tiny_bert, csv):
    still = tiny.settings(tiny_bert, csv, train={"epochs": 1, "learning_rate": 1e-30, "head_learning_rate": 1e-30})
    with pytest.raises(CollapseError, match=r"head's weights did not move.*raise train\.learning_rate"):
        adapt(still, tmp_path / "run")
    assert names(tmp_path / "run") == UNFINISHED


def test_a_ranking_worse_than_chance_is_no_result(tmp_path, tiny_bert):
    data = flipped_validation(tmp_path / "flipped.csv")
    config = tiny.settings(
        tiny_bert, data, prepare={"split": "official"}, train={"keep_best": False, "patience": 99, "epochs": 10}
    )
    with pytest.raises(CollapseError, match=r"AUROC is 0\.\d+, below chance.*check that 1 means toxicity"):
        adapt(config, tmp_path / "run")


def test_one_answer_for_everything_is_no_result(tmp_path, tiny_bert, csv):
    config = tiny.settings(tiny_bert, csv, threshold={"policy": "fixed", "value": 0.999, "calibration": "none"})
    with pytest.raises(CollapseError, match=r"called negative at the threshold 0\.999.*threshold\.policy = 'f1'"):
        adapt(config, tmp_path / "run")


@pytest.mark.parametrize("miss_cost", [1000, 0.001])
def test_a_cost_may_flag_every_row_or_none(tmp_path, tiny_bert, csv, unreported, miss_cost):
    given = {"policy": "cost", "miss_cost": miss_cost}
    assert adapt(tiny.settings(tiny_bert, csv, threshold=given), tmp_path / "run")


def test_a_collapse_is_first_put_down_to_what_training_did_not_read(tmp_path, tiny_bert):
    threshold = {"policy": "fixed", "value": 0.999, "calibration": "none"}
    chatted = chats(tmp_path / "chats.jsonl", 9)
    config = tiny.settings(tiny_bert, chatted, encode={"keep": "head"}, threshold=threshold, train={"epochs": 1})
    with pytest.raises(
        CollapseError, match=r"\. \d+ of \d+ training rows are longer .* first try .*train\.learning_rate is"
    ):
        adapt(config, tmp_path / "run")


def test_a_collapse_can_be_recorded_by_going_on_with_the_run(tmp_path, tiny_bert, csv):
    threshold = {"policy": "fixed", "value": 0.999, "calibration": "none"}
    config = tiny.settings(tiny_bert, csv, train={"epochs": 4}, threshold=threshold)
    with pytest.raises(CollapseError, match="--resume --allow-collapse"):
        adapt(config, tmp_path / "run")
    allowed = tiny.settings(tiny_bert, csv, train={"epochs": 4, "allow_collapse": True}, threshold=threshold)
    finished = adapt(allowed, tmp_path / "run", resume=True)
    notes = json.loads((tmp_path / "run" / "metrics.json").read_text())["notes"]
    assert notes[0].startswith("Collapsed: Every one of the")
    assert notes[0] in finished.notes
    assert notes[0] in (tmp_path / "run" / "report.md").read_text()


def test_a_frozen_head_is_not_expected_to_move(tmp_path, toxic_bert, csv, unreported):
    frozen = {"kind": "lora", "train_head": False}
    config = tiny.settings(toxic_bert, csv, adapter=frozen, train={"allow_collapse": True, "epochs": 2})
    finished = adapt(config, tmp_path / "run")
    assert not any("did not move" in note for note in finished.notes)


# The base as it is


def judged_base(config: Config):
    base = model.load_base(config.base, config.label_set, config.seed)
    return judge_base(base, read_and_prepare(config), config)


def test_a_bare_encoder_has_no_start_line(done):
    assert done.adaptation.baseline is None
    assert "baseline" not in done.metrics


def test_a_classifier_is_judged_as_it_is_at_the_fixed_threshold(toxic_bert, csv):
    before = judged_base(tiny.settings(toxic_bert, csv))
    assert (before.threshold, before.origin) == (0.5, "0.5")


def test_a_classifier_is_judged_as_it_pools_itself_whatever_the_run_asks_for(toxic_bert, csv):
    before, asked = (
        judged_base(tiny.settings(toxic_bert, csv, base={"name": str(toxic_bert), "pooling": pooling}))
        for pooling in ("own", "mean")
    )
    assert asked.rows.probs.tolist() == before.rows.probs.tolist()


def test_a_classifier_without_warm_start_has_no_start_line(toxic_bert, csv):
    assert judged_base(tiny.settings(toxic_bert, csv, base={"name": str(toxic_bert), "warm_start": False})) is None


def assert_scored_alike(before: Evaluation, done: Done) -> None:
    decider = adaptox.load(done.bundle).decider
    one, other = (tiny.uncalibrated(found.rows.probs, decider) for found in (before, done.adaptation.evaluation))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_bundle_is_judged_with_its_own_calibration_and_threshold(done, csv):
    before = judged_base(tiny.settings(done.bundle, csv))
    assert before.origin == "val: best expected F1"
    assert before.threshold == done.adaptation.evaluation.threshold
    assert_scored_alike(before, done)


def test_a_bundle_as_base_reads_as_it_was_trained_to(done, csv):
    # The new run reads 8 tokens of each text; its base read 64.
    before = judged_base(tiny.settings(done.bundle, csv, encode={"max_tokens": 8, "stride": 0}))
    assert_scored_alike(before, done)


# A bundle on other data


@pytest.fixture
def toxic_chat(tmp_path) -> Path:
    """Write a folder in ToxicChat's layout: 60 rows in train, 40 in test, one of them a near-copy."""
    header = ("user_input", "model_output", "human_annotation", "toxicity", "jailbreaking", "openai_moderation")
    rows = [
        (text, "…", number % 2 == 0, label, int(number % 5 == 0), "[]")
        for number, (text, label) in enumerate(tiny.texts(100, seed=5))
    ]
    folder = tmp_path / "chat" / "data" / "0124"
    folder.mkdir(parents=True)
    tiny.write_csv(folder / "toxic-chat_annotation_train.csv", rows[:60], header)
    twin = (f"{rows[0][0]}!", *rows[0][1:])
    tiny.write_csv(folder / "toxic-chat_annotation_test.csv", [*rows[60:99], twin], header)
    return tmp_path / "chat"


def other(csv: Path, **tables) -> Config:
    return adaptox.config.parse({"sources": [{"path": str(csv)}], "evaluate": {"resamples": 100}, **tables})


def of(manifest: bundles.Manifest) -> bundles.Bundle:
    """Give a bundle that lists no rows, as those of an older adaptox."""
    return bundles.Bundle(Path("nowhere"), manifest)


def test_toxic_chat_is_judged_on_its_test_split_with_its_slices(done, toxic_chat):
    metrics = assess(done.bundle, other(toxic_chat), as_split=False).metrics
    sizes = {name: result["n"] for name, result in metrics["slices"].items()}
    assert sizes == {"F": 40, "H": 21, "T": 39, "jailbreak": 9, "non-jailbreak": 31}


def test_part_of_toxic_chat_is_not_taken_for_its_test_split(done, toxic_chat):
    alone = toxic_chat / "data" / "0124" / "toxic-chat_annotation_test.csv"
    slices = assess(done.bundle, other(alone), as_split=False).metrics["slices"]
    assert slices["all"]["n"] == 40
    assert "F" not in slices
    helped = [{"path": str(toxic_chat)}, {"path": "embedded-comments", "use": "train", "max_examples": 5}]
    both = adaptox.config.parse({"sources": helped})
    assert "F" in assess(done.bundle, both, as_split=False).metrics["slices"]
    sample = adaptox.config.parse({"sources": [{"path": str(toxic_chat), "max_examples": 50}]})
    assert "all" in assess(done.bundle, sample, as_split=False).metrics["slices"]


# What a bundle learned from


def count_of(part: str, done: Done) -> int:
    return json.loads((done.folder / "manifest.json").read_text())["parts"][part]["rows"]


@pytest.fixture
def unlisted(done, tmp_path) -> Path:
    """Give the bundle as whoever wants no hash of a private row passed on hands it out."""
    copy = shutil.copytree(done.bundle, tmp_path / "passed on")
    (copy / "learned.bin").unlink()
    return copy


def test_a_key_is_of_what_was_said_and_the_same_in_every_version():
    said = ("What a  Nice day", "what a nice day ")
    hidden = [{"role": "system", "content": "be kind"}, {"role": "user", "content": said[0]}]
    answered = [{"role": "user", "content": said[0]}, {"role": "assistant", "content": "indeed"}]
    rows = [Example(f"{n}", Conversation.of(it), {}) for n, it in enumerate((*said, hidden, answered))]
    assert prepare.row_keys(rows).tolist() == [3415351284333387550] * 3 + [1398856445400529731]
    assert prepare.row_keys(()).tolist() == []


def test_own_rows_are_known_in_another_file_another_folder_and_other_words_for_them(
    done, csv, tmp_path, monkeypatch
):
    rows = [(f"  {text.upper()} ", label) for text, label in tiny.texts()]
    shouted = tiny.write_csv(tmp_path / "shouted.csv", rows)
    copy = shutil.copy(csv, tmp_path / "copy.csv")
    monkeypatch.chdir(tmp_path)
    trained = count_of("train", done)
    learned = (f"The bundle tiny learned from {trained} of these {tiny.ROWS} rows.",)
    for path in (csv, copy, "copy.csv", shouted):
        assert assess(done.bundle, other(path), as_split=False).notes == learned
    assert (
        assess(done.bundle, other(tiny.write_csv(tmp_path / "new.csv", tiny.texts(seed=9))), as_split=False).notes
        == ()
    )


def test_a_file_whose_rows_are_made_of_other_columns_is_known_by_its_path(done, csv):
    columns = {"text": "toxicity", "labels": {"toxicity": "toxicity"}}
    read = other(csv, sources=[{"path": str(csv), "columns": columns}])
    learned = known.by_bundle(bundles.load(done.bundle))
    assert seen.unsure(read, learned, 0) == learned.listed
    assert seen.unsure(read, learned, 1) == ()
    assert seen.unsure(other(csv), learned, 0) == ()


def test_a_copy_that_is_split_in_another_way_has_rows_of_its_bundle_in_the_test_part(done, csv, tmp_path):
    copy = shutil.copy(csv, tmp_path / "copy.csv")
    renamed = adaptox.config.override(done.config, {"sources": [{"path": str(copy)}], "seed": 5})
    told = assess(done.bundle, renamed, as_split=True)
    (note,) = told.notes
    listed = known.by_bundle(bundles.load(done.bundle))
    seen_before = listed.count(read_and_prepare(renamed).prepared.test)
    assert seen_before
    rows = len(told.evaluation.rows.ids)
    assert note == f"The bundle tiny learned from {seen_before} of these {rows} test rows."


def test_a_bundle_that_lists_no_rows_knows_the_path_of_its_data_however_that_is_typed_and_read(
    done, csv, unlisted, monkeypatch
):
    monkeypatch.chdir(csv.parent)
    learned = ("The bundle tiny learned from some of these rows.",)
    columns = {"text": "text", "labels": {"toxicity": "toxicity"}}
    for source in ({"path": csv.name}, {"path": f"./{csv.name}"}, {"path": str(csv), "columns": columns}):
        assert assess(unlisted, adaptox.config.parse({"sources": [source]}), as_split=False).notes == learned
    mapped = adaptox.config.override(done.config, {"sources": [{"path": csv.name, "columns": columns}], "seed": 5})
    (note,) = assess(unlisted, mapped, as_split=True).notes
    assert note == "The bundle tiny learned from some of these sources: test rows may be among what it saw."


def test_a_bundle_lists_what_it_learned_from_and_what_its_base_did(done, unlisted, tiny_bert, tmp_path):
    parts = read_and_prepare(done.config).prepared
    listed = known.by_bundle(bundles.load(done.bundle))
    assert listed.find(parts.train).all()
    assert not listed.find((*parts.validation, *parts.test)).any()
    assert listed.unlisted == ()
    path = done.bundle / "learned.bin"
    assert path.stat().st_size == 8 * len(parts.train)
    assert path.read_bytes() == known.pack(prepare.row_keys(parts.train))
    new = tiny.write_csv(tmp_path / "new.csv", tiny.texts(seed=9))
    onward = tiny.settings(done.bundle, new)
    ours = read_and_prepare(onward)
    both = known.by_run(onward, ours)
    assert set(both) == {*prepare.row_keys(parts.train), *prepare.row_keys(ours.prepared.train)}
    folds = adaptox.config.override(onward, {"threshold.folds": 2, "base.name": str(tiny_bert)})
    everything = (*ours.prepared.train, *ours.prepared.validation)
    assert set(known.by_run(folds, ours)) == set(prepare.row_keys(everything))
    # A base that lists nothing is known by the place of its data, in what comes of it, too.
    assert [stage["listed"] for stage in seen.learned_by(str(done.bundle))] == [True]
    assert [stage["listed"] for stage in seen.learned_by(str(unlisted))] == [False]


def test_rows_that_a_published_split_has_in_both_parts_are_not_listed(tiny_bert, toxic_chat):
    train = toxic_chat / "data" / "0124" / "toxic-chat_annotation_train.csv"
    text, label = tiny.texts(100, seed=5)[60]  # the first row of test
    train.write_text(f"{train.read_text()}{text},…,True,{label},0,[]\n")
    official = tiny.settings(tiny_bert, toxic_chat, prepare={"split": "official"}, threshold={"folds": 2})
    data = read_and_prepare(official)
    parts = data.prepared
    trained, test = (set(prepare.row_keys(part)) for part in ((*parts.train, *parts.validation), parts.test))
    assert len(trained & test) == 1
    assert set(known.by_run(official, data)) == trained - test
    # Of rows without a published split, of which nobody decided that, and where the split is ours, they are.
    (reading,) = data.readings
    unpublished = replace(reading, examples=tuple(replace(row, split=None) for row in reading.examples))
    assert set(known.by_run(official, replace(data, readings=(unpublished,)))) == trained
    assert set(known.by_run(adaptox.config.override(official, {"prepare.split": "resplit"}), data)) == trained


def test_a_base_that_learned_from_rows_that_are_judged_on_is_told_of(done, csv, unlisted, tmp_path):
    copy = shutil.copy(csv, tmp_path / "copy.csv")
    moved = {"sources": [{"path": str(copy)}], "seed": 1, "base.name": str(done.bundle)}
    onward = adaptox.config.override(done.config, moved)
    read = read_and_prepare(onward)
    (note,) = story.cautions(read, onward)
    count = known.by_model(str(done.bundle)).count(read.prepared.test)
    assert note == f"{done.bundle} learned from {count} of the {len(read.prepared.test)} rows that are judged on."
    # Split as it was, no test row is among them.
    onward = adaptox.config.override(done.config, {"base.name": str(done.bundle)})
    assert story.cautions(read_and_prepare(onward), onward) == ()
    onward = adaptox.config.override(done.config, {"base.name": str(unlisted)})
    (note,) = story.cautions(read_and_prepare(onward), onward)
    assert note.startswith(f"{unlisted} learned from some of these sources, so rows that are judged on may")
    helps = {"sources": [{"path": str(csv), "use": "train"}], "base.name": str(unlisted)}
    assert seen.notes(adaptox.config.override(done.config, helps), (), ()) == ()
    assert seen.notes(done.config, read.prepared.test, ()) == ()


def test_a_teacher_that_learned_from_validation_rows_is_told_of(done, csv):
    taught = {"distill.teacher": str(done.bundle), "distill.targets": ["toxicity"]}
    same = adaptox.config.override(done.config, taught)
    assert story.cautions(read_and_prepare(same), same) == ()
    changed = adaptox.config.override(same, {"prepare.validation_fraction": 0.4})
    read = read_and_prepare(changed)
    (note,) = story.cautions(read, changed)
    rows = read.prepared.validation
    assert note == (
        f"{done.bundle} learned from {known.by_model(str(done.bundle)).count(rows)} of the {len(rows)} validation "
        "rows and hands on their labels, so the numbers on validation rows are flattering."
    )


def test_trainings_that_keep_the_published_split_leave_its_test_part_alone(done):
    stages = known.stages(bundles.load(done.bundle).manifest)
    published = adaptox.config.override(done.config, {"prepare.split": "official"})
    trained = published.model_dump(mode="json")
    assert seen.is_kept_apart(published, [trained])
    assert not seen.is_kept_apart(published, stages)
    trained["sources"][0]["use"] = "train"
    assert not seen.is_kept_apart(published, [trained])
    named, unnamed = ({"reader": "toxic-chat", "path": path} for path in ("lmsys/toxic-chat", ""))
    assert seen.shares_sources(adaptox.config.parse({"sources": [named]}), [{"sources": [unnamed]}])


def test_a_folder_shares_the_data_of_a_file_in_it_and_a_bundle_that_of_its_base(done, csv, tmp_path):
    manifest = bundles.load(done.bundle).manifest
    assert manifest.base["learned"] == []  # its base is no bundle
    assert seen.shares_sources(other(csv.parent), known.stages(manifest))
    assert not seen.shares_sources(other(csv.parent / "others.csv"), known.stages(manifest))
    onward = adaptox.config.override(other(tmp_path / "new.csv"), {"base.name": str(done.bundle)})
    learned = seen.learned_before(onward)
    assert [stage["sources"][0]["path"] for stage in learned] == [str(csv)]
    trained = {"config": onward.model_dump(mode="json")}
    later = known.stages(manifest.model_copy(update={"metrics": trained, "base": {"learned": learned}}))
    assert seen.shares_sources(other(csv), later)
    assert not seen.left_test_alone(other(csv), later)
    learned[0]["prepare"]["split"] = "official"
    assert seen.left_test_alone(other(csv), later)


def test_a_setting_that_came_later_changes_no_lineage():
    plain = needs._chosen({"base": {"name": "minilm"}})
    assert plain == needs._chosen({"base": {"name": "minilm", "pooling": "own"}, "encode": {"keep": "auto"}})
    assert plain != needs._chosen({"base": {"name": "minilm", "pooling": "mean"}})
    assert needs._chosen({"a setting that was": 1}) == {"a setting that was": 1}


def test_other_data_is_judged_whole(done, csv):
    metrics = assess(done.bundle, other(csv), as_split=False).metrics
    assert metrics["slices"]["all"]["n"] == tiny.ROWS
    assert set(metrics["slices"]) == {"all"}
    assert metrics["notes"] == [
        f"The bundle tiny learned from {count_of('train', done)} of these {tiny.ROWS} rows."
    ]


@pytest.mark.parametrize(
    ("changes", "differing"),
    [({"seed": 1}, "seed"), ({"prepare.test_fraction": 0.5}, "prepare"), ({"prepare.seed": 3}, "prepare")],
)
def test_rows_that_a_bundle_learned_from_never_become_its_test_rows(done, changes, differing):
    with pytest.raises(ConfigError, match=rf"split in another way \({differing}\): rows it learned from would be"):
        assess(done.bundle, adaptox.config.override(done.config, changes), as_split=True)


def test_what_changes_no_test_row_is_taken_from_the_bundles_settings(done):
    changes = {"prepare.sample": "balanced", "prepare.validation_fraction": 0.4}
    rows = assess(done.bundle, adaptox.config.override(done.config, changes), as_split=True).evaluation.rows
    assert set(rows.ids) == set(done.adaptation.evaluation.rows.ids)


def test_a_bundle_of_a_resplit_is_not_judged_on_the_published_test_part(
    tmp_path, tiny_bert, toxic_chat, unreported
):
    quick = {"epochs": 1, "allow_collapse": True}
    config = tiny.settings(tiny_bert, toxic_chat, train=quick)
    trained = dict(metrics={"config": config.model_dump(mode="json")}, data_sha256="of the resplit")
    official = adaptox.config.override(config, {"prepare.split": "official"})
    manifest = bundles.Manifest.model_construct(name="resplit", labels=("toxicity",), base={}, **trained)
    with pytest.raises(ConfigError, match=r"split in another way \(prepare\)"):
        assessing._test_part(official, manifest, silent)
    told = assessing._all_rows(official, manifest, silent)
    assert told.seen_by(of(manifest), official) == ("The bundle resplit learned from some of these rows.",)
    again = {"metrics": {"config": official.model_dump(mode="json")}}
    published = bundles.Manifest.model_construct(
        name="official", labels=("toxicity",), base={}, **{**trained, **again}
    )
    assert len(assessing._test_part(official, published, silent).examples) == 40
    assert assessing._all_rows(official, published, silent).seen_by(of(published), official) == ()


def test_another_label_is_judged_on_other_data_that_knows_it_alone(done, tmp_path):
    rows = [(text, label) for text, label in tiny.texts(seed=9)]
    path = tiny.write_csv(tmp_path / "rude.csv", rows, ("text", "rude"))
    columns = {"text": "text", "labels": {"rude": "rude"}}
    config = tiny.settings("minilm", path, sources=[{"path": str(path), "columns": columns}], labels=["rude"])
    both = bundles.load(done.bundle).manifest.model_copy(update={"labels": ("toxicity", "rude")})
    assert assessing._test_part(config, both, silent).examples


def test_settings_without_a_test_part_evaluate_nothing(done, csv, tmp_path):
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_bytes(csv.read_bytes())
    none = tiny.settings("minilm", elsewhere, prepare={"test_fraction": 0.0})
    with pytest.raises(DataError, match="make no test part, so there is nothing to evaluate on"):
        assess(done.bundle, none, as_split=True)
    manifest = bundles.load(done.bundle).manifest
    whole = adaptox.config.override(done.config, {"prepare.test_fraction": 0.0})
    trained = {**manifest.metrics, "config": whole.model_dump(mode="json")}
    sha256 = read_and_prepare(whole).prepared.manifest.sha256
    learned = manifest.model_copy(update={"metrics": trained, "data_sha256": sha256})
    with pytest.raises(DataError, match=r"learned from all of these sources, .* name other data"):
        assessing._test_part(whole, learned, silent)


def test_the_settings_of_a_run_give_its_own_result_again(done):
    metrics = assess(done.bundle, done.config, as_split=True).metrics
    for name in METRICS:
        again, before = metrics["slices"]["all"][name], done.metrics["slices"]["all"][name]
        assert again == pytest.approx(before, abs=1e-3)
    assert metrics["data"]["sha256"] == prepare.data_sha256(
        read_and_prepare(done.config).prepared.test, done.config.text
    )


def test_a_result_says_which_model_and_which_settings_it_is_of(tmp_path, done, csv):
    metrics = assess(done.bundle, other(csv, seed=4), as_split=False, out=tmp_path / "out").metrics
    assert metrics["model"] == {
        "name": "tiny",
        "base": done.config.base.name,
        "adapter": "none",
        "parameters": done.metrics["model"]["parameters"],
        "trainable": done.metrics["model"]["trainable"],
        "weights_sha256": done.metrics["model"]["weights_sha256"],
    }
    assert metrics["seed"] == 4
    # Only what an evaluation reads: no learning rate, no base that is not this bundle's.
    assert set(metrics["config"]) == {"sources", "labels", "seed", "text", "encode", "evaluate"}
    assert metrics["config"]["encode"]["max_tokens"] == 64
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    assert names(tmp_path / "out") == {"metrics.json", "config.json", "scores.parquet"}


def test_results_are_replaced_only_when_asked(tmp_path, done, csv):
    out = tmp_path / "out"
    assess(done.bundle, other(csv), as_split=False, out=out)
    with pytest.raises(InputError, match="already holds results"):
        assess(done.bundle, other(csv), as_split=False, out=out)
    assess(done.bundle, other(csv), as_split=False, out=out, overwrite=True)
    with pytest.raises(InputError, match="--overwrite would remove"):
        assess(done.bundle, other(csv), as_split=False, out=done.folder, overwrite=True)
    assert names(done.folder) == FINISHED


def test_a_label_of_the_data_that_the_bundle_lacks_is_refused_and_the_other_way_round(done, tmp_path, csv):
    with pytest.raises(ConfigError, match=r"no label 'insult': there are: toxicity"):
        assess(done.bundle, other(csv, labels=["insult"]), as_split=False)
    columns = {"text": "text", "labels": {"insult": "toxicity"}}
    renamed = adaptox.config.parse({"sources": [{"path": str(csv), "columns": columns}]})
    with pytest.raises(DataError, match=r"expected rows with the bundle's label 'toxicity', got none"):
        assess(done.bundle, renamed, as_split=False)


def contrary(done, folder: Path, **changes) -> Path:
    """A bundle whose head says the opposite."""
    bundle = bundles.load(done.bundle)
    with bundles.saving(folder, bundle.manifest.model_copy(update={"name": "contrary", **changes})) as place:
        for file in set(bundle.manifest.files) - {bundles.WEIGHTS}:
            shutil.copy(done.bundle / file, place / file)
        weights = load_file(done.bundle / bundles.WEIGHTS)
        for name in ("classifier.weight", "classifier.bias"):
            weights[name] = -weights[name]
        save_file(weights, place / bundles.WEIGHTS, {"format": "pt"})
    return folder


def test_two_bundles_are_compared_on_the_same_rows(done, csv, tmp_path):
    worse = contrary(done, tmp_path / "contrary")
    both = assess(done.bundle, other(csv), as_split=False, out=tmp_path / "out", against=worse)
    alone = [assess(folder, other(csv), as_split=False).evaluation for folder in (done.bundle, worse)]
    assert both.evaluation.main == alone[0].main
    found = both.against
    assert found.evaluation.main == alone[1].main
    assert [one.metric for one in found.differences] == ["auprc", "f1", "recall_at_fpr_01"]
    for one in found.differences:
        first, second = (side.main.metrics[one.metric].value for side in alone)
        assert one.difference.value == pytest.approx(first - second)
    assert found.differences[0].verdict == "better"
    assert found.p_values[0] >= found.differences[0].p_value
    learned = count_of("train", done)
    assert both.notes == tuple(
        f"The bundle {name} learned from {learned} of these {tiny.ROWS} rows." for name in ("tiny", "contrary")
    )
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())["against"]
    assert told == found.to_json()
    assert told["name"] == "contrary"
    assert told["weights_sha256"] == bundles.load(worse).manifest.files[bundles.WEIGHTS]
    assert told["slices"]["all"]["n"] == tiny.ROWS
    kept = rows_from_parquet(tmp_path / "out" / "scores.parquet")
    np.testing.assert_array_equal(kept["test"].probs, alone[0].rows.probs)
    np.testing.assert_array_equal(kept["test, against"].probs, alone[1].rows.probs)


def test_a_bundle_set_against_itself_differs_in_nothing(done, csv):
    found = assess(done.bundle, other(csv), as_split=False, against=done.bundle).against
    assert {one.difference.value for one in found.differences} == {0}
    assert {one.verdict for one in found.differences} == {"not distinguishable"}
    assert (found.decisions.only_first, found.decisions.only_second) == (0, 0)


def test_both_bundles_are_told_of_alike(done, csv, unlisted, tmp_path):
    for given, as_split in ((other(csv), False), (done.config, True)):
        one = assess(unlisted, given, as_split=as_split).notes
        both = assess(unlisted, given, as_split=as_split, against=unlisted).notes
        assert both == (*one, *one)


def test_a_bundle_of_another_label_is_not_set_against(done, csv, tmp_path):
    decider = bundles.load(done.bundle).manifest.decider
    renamed = {**decider, "labels": ["insult"], "thresholds": [{**decider["thresholds"][0], "label": "insult"}]}
    foreign = contrary(done, tmp_path / "foreign", labels=("insult",), decider=renamed)
    with pytest.raises(ConfigError, match=r"bundle contrary has no label 'toxicity': there are: insult"):
        assess(done.bundle, other(csv), as_split=False, against=foreign)


# Several labels


def test_the_first_label_is_judged_and_every_label_gets_a_threshold(tmp_path, tiny_bert):
    rows = [(text, label, number % 4 == 0) for number, (text, label) in enumerate(tiny.texts())]
    columns = {"text": "text", "labels": {"toxicity": "rude", "harassment": "other"}}
    path = tiny.write_csv(tmp_path / "two.csv", rows, ("text", "rude", "other"))
    source = {"path": str(path), "columns": columns}
    config = tiny.settings(
        tiny_bert, path, sources=[source], labels=["toxicity", "harassment"], train={"allow_collapse": True}
    )
    adapt(config, tmp_path / "run")
    decider = Decider.from_json(bundles.load(tmp_path / "run" / "bundle").manifest.decider)
    assert [threshold.label for threshold in decider.thresholds] == ["toxicity", "harassment"]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["label"] == "toxicity"
    second = adaptox.config.override(config, {"labels": ["harassment"]})
    assert assess(tmp_path / "run" / "bundle", second, as_split=False).evaluation.label == "harassment"
    # Another label is judged on the same rows, split as for the first.
    split = assess(tmp_path / "run" / "bundle", second, as_split=True).evaluation
    assert split.label == "harassment"
    assert set(split.rows.ids) == {row.id for row in read_and_prepare(config).prepared.test}


# Preparing alone


def test_preparing_writes_each_part_and_what_was_dropped(tmp_path, tiny_bert, csv):
    config = tiny.settings(tiny_bert, csv)
    prepared = prepare_only(config, tmp_path / "data")
    assert names(tmp_path / "data") == {
        *("config.json", "manifest.json", "dropped.jsonl"),
        *("train.jsonl", "validation.jsonl", "test.jsonl"),
    }
    rows = [json.loads(line) for line in (tmp_path / "data" / "test.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [example.id for example in prepared.test]
    assert [row["messages"][0]["content"] for row in rows] == [
        render(example.conversation, config.text).text for example in prepared.test
    ]
    with pytest.raises(InputError, match="--overwrite replaces them"):
        prepare_only(config, tmp_path / "data")
    prepare_only(config, tmp_path / "data", overwrite=True)


def test_what_was_prepared_can_be_trained_on_again(tmp_path, tiny_bert, csv):
    config = tiny.settings(tiny_bert, csv)
    prepared = prepare_only(config, tmp_path / "data")
    again = {"sources": [{"path": str(tmp_path / "data")}], "prepare.split": "official", "prepare.language": "any"}
    found = read_and_prepare(adaptox.config.override(config, again)).prepared
    for before, after in ((prepared.train, found.train), (prepared.test, found.test)):
        assert [row.conversation for row in before] == [row.conversation for row in after]
        assert [dict(row.labels) for row in before] == [dict(row.labels) for row in after]


def test_preparing_leaves_nothing_when_the_disk_refuses(tmp_path, tiny_bert, csv, monkeypatch):
    def refuse(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("adaptox.adapt.folder.RunFolder.write_lines", refuse)
    with pytest.raises(StorageError):
        prepare_only(tiny.settings(tiny_bert, csv), tmp_path / "data")
    assert names(tmp_path) == set()


# On the real thing


@pytest.mark.slow
def test_the_embedded_base_learns_from_the_embedded_conversations(tmp_path):
    config = adaptox.config.parse(
        {
            "name": "embedded",
            "sources": [{"reader": "embedded-conversations", "max_examples": 300}],
            "adapter": {"kind": "lora"},
            "prepare": {"language": "any", "validation_fraction": 0.25},
            "encode": {"max_tokens": 48, "stride": 8},
            "train": {"epochs": 2, "learning_rate": 2e-3, "batch_size": 8},
            "evaluate": {"resamples": 200},
        }
    )
    finished = adapt(config, tmp_path / "run")
    main = finished.evaluation.main
    # A coin would reach the share of positives.
    assert main.metrics["auprc"].low > main.positives / main.n
    assert finished.training.trainable < 0.02 * finished.training.total
    rude, mild = adaptox.load(tmp_path / "run" / "bundle").score(
        ["tell my sister that she is a worthless idiot", "what should I cook for my sister tonight?"]
    )
    assert rude.scores["toxicity"] > mild.scores["toxicity"]


@pytest.mark.data
def test_the_real_toxic_chat_is_judged_on_all_its_test_rows(done):
    folder = Path(os.environ.get("ADAPTOX_DATA", Path(__file__).parents[2] / "shared" / "data")) / "toxic-chat"
    if not folder.is_dir():
        pytest.skip(f"no ToxicChat in {folder}: set ADAPTOX_DATA to the folder of the public data sets")
    slices = assess(done.bundle, other(folder), as_split=False).metrics["slices"]
    assert (slices["F"]["n"], slices["F"]["positives"]) == (5083, 362)
    assert slices["H"]["n"] == 2853
    assert slices["T"]["n"] < slices["F"]["n"]
    assert {"jailbreak", "non-jailbreak"} < set(slices)
