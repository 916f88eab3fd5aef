"""Studies: the grid, what is kept, what fails, and what the runs say together."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

import tiny
from adaptox import study as studies
from adaptox.adapt import read_and_prepare
from adaptox.adapt.folder import alone
from adaptox.config import EvaluateConfig
from adaptox.errors import ConfigError, DataError, InputError, InterruptedRunError, RunError
from adaptox.evaluate import METRICS, ScoredRows, holm, rows_from_parquet
from adaptox.records import silent
from adaptox.study import StudyConfig, load_study, pairs, plan, worker
from adaptox.study.keys import Keys
from adaptox.study.mistakes import _Cell, _share
from adaptox.study.pairs import resamples_for
from adaptox.study.panels import read_panels, whose
from adaptox.study.paper import PAPER
from adaptox.study.results import Result, _with_small, mean_draws, read_seed

ROOT = Path(__file__).parents[1]
SHIPPED = sorted((ROOT / "configs").glob("study*.toml"))


def tables(base: Path, data: Path, **changes: object) -> dict[str, object]:
    """Give the settings of a study of two runs on the tiny data."""
    common = tiny.settings(base, data).model_dump(mode="json", exclude_unset=True)
    del common["name"]
    return {
        "name": "tiny",
        "common": common,
        "axes": {"adapter": {"all": {}, "lora": {"adapter": {"kind": "lora"}, "train": {"learning_rate": 1e-2}}}},
        **changes,
    }


def make(base: Path, data: Path, out: Path, **changes: object) -> studies.StudyStory:
    return studies.study(StudyConfig.model_validate(tables(base, data, **changes)), out)


@pytest.fixture(scope="module")
def done(tiny_bert, csv, tmp_path_factory):
    """A study of two runs over two seeds, one of which fails."""
    out = tmp_path_factory.mktemp("study") / "out"
    axes = tables(tiny_bert, csv)["axes"]["adapter"] | {
        "broken": {"adapter": {"targets": ["nothing"], "kind": "lora"}}
    }
    story = make(tiny_bert, csv, out, axes={"adapter": axes}, seeds=[0, 1], against="all")
    return story, out


@pytest.fixture(autouse=True)
def without_page(done, monkeypatch):
    """Write the page of `done` alone: its figures take longer than the runs, and have tests of their own."""
    monkeypatch.setattr(studies, "write_study", lambda story, folder: None)


# The grid


def test_every_combination_is_planned_once_for_every_seed():
    config = StudyConfig.model_validate(
        {"seeds": [0, 3], "axes": {"data": {"a": {}, "b": {}}, "loss.kind": ["bce", "focal"]}}
    )
    runs = plan(config)
    assert [run.label for run in runs] == [
        f"{data}-{loss}-s{seed}" for data in "ab" for loss in ("bce", "focal") for seed in (0, 3)
    ]
    assert [run.config.loss.kind for run in runs[:3]] == ["bce", "bce", "focal"]
    assert {run.config.seed for run in runs} == {0, 3}


def test_all_seeds_share_one_split_of_the_data():
    runs = plan(StudyConfig.model_validate({"seeds": [4, 5], "axes": {"train.epochs": [1]}}))
    assert {run.config.data_seed for run in runs} == {0}


def test_any_setting_is_an_axis_in_one_line():
    axes = {"distill.sigma": [0, 0.5, 1], "adapter.targets": [["query"], ["query", "value"]]}
    runs = plan(StudyConfig.model_validate({"axes": axes}))
    assert [(run.config.distill.sigma, run.config.adapter.targets) for run in runs[1:3]] == [
        (0, ("query", "value")),
        (0.5, ("query",)),
    ]
    assert runs[1].name == "0-query+value"


def test_learning_rates_follow_the_kind_of_adapter_unless_they_are_set():
    axes = {"adapter": {"all": {}, "lora": {"adapter.kind": "lora"}}}
    rules = [{"when": {"adapter": "lora"}, "set": {"train.learning_rate": 3e-4}}]
    free, ruled = (plan(StudyConfig.model_validate({"axes": axes, "rules": r})) for r in ([], rules))
    assert [run.config.train.learning_rate for run in free] == [7e-5, 1e-3]
    assert [run.config.train.learning_rate for run in ruled] == [7e-5, 3e-4]


def test_a_rule_may_give_fewer_seeds():
    axes = {"data": {"sampled": {"prepare.sample": "balanced"}, "full": {}}}
    rules = [{"when": {"data": "full"}, "seeds": [0]}]
    runs = plan(StudyConfig.model_validate({"axes": axes, "seeds": [0, 1, 2], "rules": rules}))
    assert [run.label for run in runs] == ["sampled-s0", "sampled-s1", "sampled-s2", "full-s0"]


def test_a_collapse_is_recorded_and_not_an_error():
    runs = plan(StudyConfig.model_validate({"axes": {"train.epochs": [1]}}))
    assert all(run.config.train.allow_collapse for run in runs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"panel": "dat"}, "panel names no axis: did you mean 'data'"),
        ({"axes": {"seed": [1, 2]}}, "'seed' cannot be set for single runs: set seeds of the study"),
        ({"common": {"train": {"allow_collapse": False}}}, "'train.allow_collapse' cannot be set for single runs"),
        ({"axes": {"data": {"a": {"name": "x"}}}}, "'name' cannot be set for single runs: set names of the study"),
        ({"axes": {"train.epochs": []}}, "axes.train.epochs has no value"),
        ({"names": {"c": "C"}}, "names: no combination 'c': there are: a, b"),
        ({"rules": [{"when": {"dta": "a"}}]}, "rules.when names no axis: did you mean 'data'"),
        ({"rules": [{"when": {"data": "c"}}]}, "rules.when.data: there are: a, b"),
        ({"seeds": [1, 1]}, "seeds must differ, got 1, 1"),
    ],
)
def test_what_names_nothing_is_refused_with_what_there_is(changes, message):
    with pytest.raises(ValueError, match=message):
        StudyConfig.model_validate({"axes": {"data": {"a": {}, "b": {}}}, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": {"train.epoch": [1]}}, "run 1: unknown key 'train.epoch': did you mean 'epochs'"),
        ({"names": {"a": "x", "b": "x"}}, "two runs would be called x-s0: give them different `names`"),
        ({"against": "c"}, "against names no run: there are: a, b"),
    ],
)
def test_a_grid_that_cannot_be_laid_out_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        plan(StudyConfig.model_validate({"axes": {"data": {"a": {}, "b": {}}}, **changes}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("axes = 1 1", "is not valid TOML"),
        ("nme = 'x'\n[axes]\nseed = [1]", "unknown key 'nme': did you mean 'name'.*settings of runs go below"),
        ("name = 'x'", "axes: Field required"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path, text, message):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_study(path)
    with pytest.raises(ConfigError, match="expected a TOML file"):
        load_study(tmp_path / "nothing.toml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_study_that_ships_can_be_laid_out(path):
    study = load_study(path)
    assert study.name == path.stem
    assert plan(study)
    assert all((ROOT / settings).is_file() for settings in study.needs.values())


def test_the_studies_of_the_paper_have_its_eight_runs():
    for name in ("study", "study-as-written", "study-demo"):
        assert {run.name for run in plan(load_study(ROOT / f"configs/{name}.toml"))} == set(PAPER)


# The paper's own figures


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_f1_follows_from_its_precision_and_recall(name):
    for figures in (PAPER[name].small, PAPER[name].full):
        total = figures["precision"] + figures["recall"]
        expected = 2 * figures["precision"] * figures["recall"] / total if total else 0
        assert figures["f1"] == pytest.approx(expected, abs=2e-4)


# Runs


def test_a_failed_run_does_not_end_the_study_and_is_shown_as_what_it_is(done):
    story, out = done
    states = {run.name: (run.state, run.seeds) for run in story.runs}
    assert states["all"][1] == states["lora"][1] == (0, 1)
    assert states["broken"] == ("failed", ())
    broken = next(run for run in story.runs if run.name == "broken")
    assert "no linear module 'nothing'" in broken.notes[0]
    assert "broken" in (out / "study.html").read_text()


def test_the_result_file_holds_every_run_with_its_seeds_and_no_text(done, csv):
    story, out = done
    written = json.loads((out / "study.json").read_text())
    runs = {run["name"]: run for run in written["runs"]}
    assert set(runs["all"]["slices"]) == {"all", "small"}
    small = runs["all"]["slices"]["small"]
    assert small["n"] == 2 * small["positives"]
    for seed, evaluation in zip(runs["all"]["seeds"], story.runs[0].evaluations, strict=True):
        assert seed["metrics"]["f1"] == evaluation.main.metrics["f1"].value
    means = [np.mean([seed["metrics"]["auprc"] for seed in run["seeds"]]) for run in runs.values() if run["seeds"]]
    assert [runs[name]["slices"]["all"]["auprc"]["value"] for name in ("all", "lora")] == pytest.approx(means)
    text = tiny.texts()[0][0]
    assert text not in (out / "study.json").read_text()
    assert all([written["commit"], written["hardware"], written["panels"][0]["data_sha256"]])


def test_a_run_is_chosen_by_the_rows_that_set_its_threshold(done):
    story, out = done
    written = {run["name"]: run["validation_auprc"] for run in json.loads((out / "study.json").read_text())["runs"]}
    for name in ("all", "lora"):
        parts = [rows_from_parquet(out / "runs" / f"{name}-s{seed}" / "scores.parquet") for seed in (0, 1)]
        held = [part["validation"] for part in parts]
        expected = np.mean([average_precision_score(rows.truth, rows.probs) for rows in held])
        assert written[name] == pytest.approx(expected)
        assert next(run for run in story.runs if run.name == name).validation_auprc == written[name]
    assert written["broken"] is None


def test_pairs_are_compared_with_the_named_run_and_corrected(done):
    story, _ = done
    (pair,) = story.pairs
    assert (pair.first, pair.second) == ("lora", "all")
    assert pair.p_holm["f1"] == holm([pair.comparisons[1].p_value])[0]
    difference = story.runs[1].summary["all"]["f1"].value - story.runs[0].summary["all"]["f1"].value
    assert pair.comparisons[1].difference.value == pytest.approx(difference)
    assert pair.sentence.startswith("lora")


def test_runs_that_see_other_families_in_their_rows_are_not_compared(done):
    _, out = done
    config = EvaluateConfig(resamples=100)
    seeds = [read_seed(out / "runs" / f"{name}-s0", config, 0) for name in ("all", "lora")]
    runs = [SimpleNamespace(panel="", name=name) for name in ("all", "lora")]
    one, other = (Result(run, (seed,)) for run, seed in zip(runs, seeds, strict=True))
    assert len(list(pairs._couples([one, other], ""))) == 1
    rows = replace(seeds[1].own.rows, groups=("one family",) * len(seeds[1].own.rows.ids))
    elsewhere = replace(other, seeds=(replace(seeds[1], own=replace(seeds[1].own, rows=rows)),))
    assert list(pairs._couples([one, elsewhere], "")) == []
    sliced = replace(seeds[1].own, slices={"F": seeds[1].own.main})
    assert list(pairs._couples([one, replace(other, seeds=(replace(seeds[1], own=sliced),))], "")) == []


def test_a_finished_study_is_not_run_again(done, tiny_bert, csv, monkeypatch):
    _, out = done
    monkeypatch.setattr("adaptox.study.worker.adapt", lambda *_, **__: pytest.fail("a run was repeated"))
    before = json.loads((out / "study.json").read_text())
    again = make(tiny_bert, csv, out, seeds=[0, 1], against="all")
    runs = [run for run in before["runs"] if run["name"] != "broken"]
    assert [run.name for run in again.runs] == [run["name"] for run in runs]
    # Fewer pairs need fewer resamples, so intervals are others.
    after = json.loads((out / "study.json").read_text())["runs"]
    assert [(run["seeds"], run["config"]) for run in after] == [(run["seeds"], run["config"]) for run in runs]


def test_what_a_change_concerns_is_made_again_and_nothing_else(tiny_bert, csv):
    keys = Keys()
    first, second = plan(StudyConfig.model_validate(tables(tiny_bert, csv)))
    renamed, changed = (
        plan(StudyConfig.model_validate(tables(tiny_bert, csv, **{"names": {"lora": "x"}, "rules": rules})))
        for rules in ([], [{"when": {"adapter": "lora"}, "set": {"adapter.r": 2}}])
    )
    assert keys.key(first.config) == keys.key(changed[0].config) == keys.key(renamed[0].config)
    assert keys.key(second.config) == keys.key(renamed[1].config) != keys.key(changed[1].config)


def test_other_data_makes_another_key(tiny_bert, tmp_path):
    path = tiny.write_csv(tmp_path / "rows.csv", tiny.texts())
    (first, _) = plan(StudyConfig.model_validate(tables(tiny_bert, path)))
    before = Keys().key(first.config)
    tiny.write_csv(path, tiny.texts(seed=1))
    assert Keys().key(first.config) != before


def test_an_interrupted_study_ends_as_if_it_had_not_been(done, tiny_bert, csv, tmp_path):
    finished, _ = done
    out = tmp_path / "out"
    config = StudyConfig.model_validate(tables(tiny_bert, csv))

    def stop(board: studies.Board) -> None:
        state = next(run for run in board.runs if run.state != "done")
        if state.stage == "train" and state.done == 9:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="run the same command again to go on"):
        studies.study(config, out, watch=stop)
    with pytest.raises(InterruptedRunError):
        studies.study(config, out, watch=stop)
    story = studies.study(config, out)
    for run, other in zip(story.runs, finished.runs, strict=False):
        np.testing.assert_array_equal(run.evaluations[0].rows.probs, other.evaluations[0].rows.probs)


@pytest.mark.slow
def test_a_study_of_several_processes_that_is_stopped_and_killed_leaves_no_orphan_and_goes_on(
    tiny_bert, csv, tmp_path
):
    out, path, script = (tmp_path / name for name in ("out", "study.json", "script.py"))
    path.write_text(json.dumps(tables(tiny_bert, csv)))
    script.write_text(
        "import json, sys; from pathlib import Path; from adaptox import study as s\n"
        "if __name__ == '__main__':\n"
        "    config = s.StudyConfig.model_validate(json.loads(Path(sys.argv[1]).read_text()))\n"
        "    s.study(config, Path(sys.argv[2]), jobs=2)\n"
    )
    command = [sys.executable, str(script), str(path), str(out)]
    for deadly in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=_takes_ctrl_c)
        deadline = time.monotonic() + 120
        while not list(out.glob("runs/*/checkpoints")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(deadly)
        assert process.wait(60) != 0
        for folder in out.glob("runs/*/checkpoints"):
            shutil.rmtree(folder)
    subprocess.run(command, check=True, timeout=240)
    assert {run["state"] for run in json.loads((out / "study.json").read_text())["runs"]} <= {"done", "collapsed"}


def _takes_ctrl_c() -> None:
    """Undo what a shell does to its background jobs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_run_that_torch_gives_up_is_a_failed_one(tiny_bert, csv, tmp_path, monkeypatch):
    def too_large(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(worker, "adapt", too_large)
    (run, *_) = plan(StudyConfig.model_validate(tables(tiny_bert, csv)))
    ended = worker.make(worker.Order(run, tmp_path / "run", "key", "", 1, ""), lambda *_: None)
    assert ended.error == "OutOfMemoryError: CUDA out of memory"


def test_a_gpu_is_counted_among_those_that_are_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.setenv("ADAPTOX_VISIBLE_DEVICES", "2,3")  # so that it is put back
    monkeypatch.delenv("ADAPTOX_VISIBLE_DEVICES")
    for device, visible in (("cuda:1", "3"), ("cuda:0", "2"), ("cpu", ""), ("", "")):
        worker.choose_device(device)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    with pytest.raises(ConfigError, match=r"--device cuda:2: CUDA_VISIBLE_DEVICES = '2,3' shows 2 GPUs"):
        worker.choose_device("cuda:2")
    for device in ("cuda", "cuda:-1", "gpu0"):
        with pytest.raises(ConfigError, match=f"expected cpu or a GPU such as cuda:1, got '{device}'"):
            worker.choose_device(device)


def test_a_study_that_another_process_is_at_is_left_alone(tiny_bert, csv, tmp_path):
    with (
        alone(tmp_path / "out"),
        pytest.raises(InputError, match=r"another process is at work in .*out: wait for it"),
    ):
        make(tiny_bert, csv, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_study_in_which_every_run_fails_is_an_error(tiny_bert, csv, tmp_path):
    broken = {"adapter": {"a": {"adapter": {"kind": "lora", "targets": ["nothing"]}}}}
    with pytest.raises(RunError, match=r"every run of the study failed; the first one: adapter\.targets"):
        make(tiny_bert, csv, tmp_path / "out", axes=broken)


def test_a_folder_that_holds_something_else_is_left_alone(tiny_bert, csv, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else than a study"):
        make(tiny_bert, csv, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        make(tiny_bert, csv, tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# What is set beside


def test_another_study_gives_the_runs_as_they_were_before(done, tiny_bert, csv):
    story, out = done
    beside = str(out / "study.json")
    again = make(tiny_bert, csv, out, seeds=[0, 1], beside=beside)
    assert again.before_title == "tiny"
    assert again.before["", "lora"]["f1"].value == story.runs[1].summary["all"]["f1"].value


@pytest.mark.parametrize(("content", "message"), [(None, "no file"), ("{}", "is not the study.json of a study")])
def test_a_study_beside_that_cannot_be_read_is_refused_before_anything_is_run(
    tiny_bert, csv, tmp_path, content, message
):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        make(tiny_bert, csv, tmp_path / "out", beside=str(path))
    assert not (tmp_path / "out").exists()


def test_what_a_study_needs_is_made_first_and_once(tiny_bert, csv, tmp_path):
    settings = tiny.write_toml(tmp_path / "base.toml", tiny.settings(tiny_bert, csv))
    base = tmp_path / "base"
    needs = {str(base): str(settings)}
    axes = {"base.name": [str(base / "bundle")]}
    story = make(tiny_bert, csv, tmp_path / "out", needs=needs, axes=axes)
    assert story.runs[0].training[0].total
    before = (base / "metrics.json").stat().st_mtime_ns
    shutil.rmtree(tmp_path / "out")
    make(tiny_bert, csv, tmp_path / "out", needs=needs, axes=axes)
    assert (base / "metrics.json").stat().st_mtime_ns == before


def test_scores_of_a_teacher_are_made_first_and_once(tiny_bert, csv, tmp_path):
    given = tiny.settings(tiny_bert, csv, teach={"kind": "crossfit", "members": ["words"], "folds": 2})
    settings = tiny.write_toml(tmp_path / "teacher.toml", given)
    scores = tmp_path / "scores"
    needs = {str(scores): str(settings)}
    axes = {"teacher": {"words": {"distill": {"teacher": str(scores), "targets": ["toxicity"], "sigma": 0.5}}}}
    story = make(tiny_bert, csv, tmp_path / "out", needs=needs, axes=axes)
    assert story.runs[0].state != "failed"
    before = (scores / "teacher.json").stat().st_mtime_ns
    shutil.rmtree(tmp_path / "out")
    make(tiny_bert, csv, tmp_path / "out", needs=needs, axes=axes)
    assert (scores / "teacher.json").stat().st_mtime_ns == before
    tiny.write_toml(
        settings, tiny.settings(tiny_bert, csv, teach={"kind": "crossfit", "members": ["words"], "folds": 3})
    )
    changed = make(tiny_bert, csv, tmp_path / "out", needs=needs, axes=axes)
    assert any("was made with other settings" in note for note in changed.notes)
    assert (scores / "teacher.json").stat().st_mtime_ns == before


def test_a_random_split_says_what_it_leaks_to_each_way_to_sample(tiny_bert, tmp_path):
    copies = [(f"{text} {word}", label) for text, label in tiny.texts() for word in ("now", "please now")]
    data = tiny.write_csv(tmp_path / "copies.csv", copies)
    axes = {"data": {value: {"prepare.sample": value} for value in ("balanced", "all")}}
    common = {**tables(tiny_bert, data)["common"], "prepare": {"language": "any", "group": "none"}}
    runs = plan(StudyConfig.model_validate(tables(tiny_bert, data, axes=axes, common=common)))
    panel = read_panels(runs, silent)[""]
    leaks = {run.name: read_and_prepare(run.config).prepared.manifest.test_leak for run in runs}
    assert len({leak.rows for leak in leaks.values()}) == 2
    for name, leak in leaks.items():
        assert any(f"so {leak.rows} of " in note and f"rows that {name} " in note for note in panel.notes)
    # Whoever shares a test part is judged on the same rows, those that the larger sample repeats left out.
    assert {len(twins) for twins in panel.twins.values()} == {max(leak.rows for leak in leaks.values())}
    assert panel.twins.keys() == leaks.keys()


def test_runs_that_are_split_otherwise_share_no_near_copies(tiny_bert, tmp_path):
    copies = [(f"{text} {word}", label) for text, label in tiny.texts() for word in ("now", "please now")]
    data = tiny.write_csv(tmp_path / "copies.csv", copies)
    axes = {"group": {value: {"prepare.group": value} for value in ("family", "none")}}
    common = {**tables(tiny_bert, data)["common"], "prepare": {"language": "any"}}
    runs = plan(StudyConfig.model_validate(tables(tiny_bert, data, axes=axes, common=common)))
    twins = read_panels(runs, silent)[""].twins
    assert twins.keys() == {"none"}
    assert len(twins["none"]) == read_and_prepare(runs[1].config).prepared.manifest.test_leak.rows


def test_without_a_test_part_validation_is_held_against_training_alone(tiny_bert, csv):
    common = {**tables(tiny_bert, csv)["common"], "prepare": {"test_fraction": 0, "group": "none"}}
    runs = plan(StudyConfig.model_validate(tables(tiny_bert, csv, common=common)))
    panel = read_panels(runs, silent)[""]
    assert not any(panel.twins.values())
    assert panel.texts
    assert "There is no test part: the numbers are from validation, which also chose the weights." in panel.notes


@pytest.mark.parametrize(
    ("taught", "said"),
    [
        (None, "a model of ours, and not OpenAI's moderation."),
        ({"kind": "crossfit"}, "a model of ours, and not OpenAI's moderation."),
        ({"kind": "column"}, "the scores that the data has."),
        ({"kind": "moderation", "model": "m", "url": "http://here"}, "what m at http://here said."),
        ({"kind": "model", "model": "some/classifier"}, "made by some/classifier."),
    ],
)
def test_whose_a_teacher_is_follows_from_what_was_asked(tmp_path, taught, said):
    if taught:
        (tmp_path / "teacher.json").write_text(json.dumps({"kind": taught["kind"], "config": {"teach": taught}}))
    assert whose(tmp_path) == f"The teacher is {tmp_path}, {said}"


def test_rows_that_a_random_split_leaks_are_a_slice_and_a_kind_of_mistakes(tiny_bert, tmp_path):
    copies = [(f"{text} {word}", label) for text, label in tiny.texts() for word in ("now", "please now")]
    data = tiny.write_csv(
        tmp_path / "copies.csv", [*copies, *((f"{text} alone", y) for text, y in tiny.texts()[:9])]
    )
    common = {**tables(tiny_bert, data)["common"], "prepare": {"language": "any", "group": "none"}}
    story = make(tiny_bert, data, tmp_path / "out", common=common)
    for run in story.runs:
        everything, rest = (run.evaluations[0].slices[name] for name in ("all", "twin-free"))
        assert 0 < rest.n < everything.n
    leaked = [share.n for share in story.error_shares if share.rows == "near-copies of training rows"]
    assert sum(leaked) == len(story.runs) * (everything.n - rest.n)


@pytest.mark.parametrize(("of", "known"), [(1, False), (5, False), (6, True)])
def test_the_share_of_a_handful_of_rows_has_no_interval(of, known):
    among = np.arange(30) < of
    groups = tuple(f"family {n}" for n in range(30))
    own = SimpleNamespace(rows=SimpleNamespace(groups=groups), confidence=0.95)
    result = SimpleNamespace(run=SimpleNamespace(panel="", name="one"), seeds=[SimpleNamespace(own=own)])
    share = _share(_Cell(result, "miss", "all", among, np.zeros(30, dtype=np.bool_)), np.zeros(100)).share
    assert share.value == 0
    assert math.isfinite(share.low) == math.isfinite(share.high) == known


def test_every_teacher_of_a_panel_is_named_whichever_run_has_it(tiny_bert, csv):
    axes = {
        "teacher": {
            "nobody": {"distill.targets": []},
            **{name: {"distill.targets": ["toxicity"], "distill.teacher": name} for name in ("first", "second")},
        }
    }
    runs = plan(StudyConfig.model_validate(tables(tiny_bert, csv, axes=axes)))
    told = [note for note in read_panels(runs, silent)[""].notes if note.startswith("The teacher is")]
    assert [note.split(",")[0] for note in told] == ["The teacher is first", "The teacher is second"]


# Over the seeds


def test_the_mean_over_seeds_is_drawn_with_seeds_replaced():
    draws = [np.zeros(4000), np.ones(4000)]
    means = mean_draws(draws, seed=0)
    # As wide as seeds deviate: the standard error of the mean of 0 and 1 is 0.5, and two drawn from two show .35.
    values = np.sort(np.unique(means.round(6)))
    assert values == pytest.approx([0.5 - 0.5**0.5, 0.5, 0.5 + 0.5**0.5], abs=1e-6)
    shares = [float((means.round(6) == value).mean()) for value in values]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert float(means.std()) == pytest.approx(0.5, abs=0.02)


def test_test_rows_of_one_class_have_no_balanced_part():
    ids, none = tuple("abc"), np.zeros(3, dtype=np.int64)
    rows = ScoredRows(ids, np.full(3, 0.2), none, ids, {"all": np.ones(3, dtype=np.bool_)})
    assert _with_small(rows, 0) is rows


def test_one_seed_adds_nothing_to_what_families_do():
    draws = np.linspace(0, 1, 100)
    assert mean_draws([draws], seed=0) == pytest.approx(draws)


def test_one_seed_has_no_spread_and_two_have(done, tiny_bert, csv):
    story, out = done
    values = [evaluation.main.metrics["f1"].value for evaluation in story.runs[0].evaluations]
    assert story.runs[0].spread["f1"] == pytest.approx(np.std(values, ddof=1))
    single = make(tiny_bert, csv, out)
    assert all(math.isnan(single.runs[0].spread[metric]) for metric in METRICS)


def test_a_part_without_the_run_that_others_are_compared_with_compares_all():
    whole = load_study(ROOT / "configs" / "study-best.toml")
    assert studies.only(whole, {"adapter": "all"}).against == "all"
    part = studies.only(whole, {"adapter": "lora"})
    assert part.against == ""
    assert {run.name for run in studies.plan(part)} == {"lora"}


def test_a_part_of_a_grid_has_the_runs_that_the_whole_has_there():
    whole = load_study(ROOT / "configs" / "study.toml")
    part = studies.only(whole, {"protocol": "random", "data": "full"})
    found = {run.label: run.config for run in plan(part)}
    expected = {
        run.label: run.config for run in plan(whole) if run.panel == "random" and run.variants["data"] == "full"
    }
    assert found == expected
    assert len(found) == 4


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"protocl": "random"}, "--only names no axis: did you mean 'protocol'"),
        ({"protocol": "randm"}, "--only protocol: did you mean 'random'"),
    ],
)
def test_a_part_that_is_not_there_names_the_nearest(chosen, message):
    with pytest.raises(ConfigError, match=message):
        studies.only(load_study(ROOT / "configs" / "study.toml"), chosen)


@pytest.mark.parametrize(("runs", "against", "pairs"), [(8, "", 28), (8, "one", 7), (2, "", 1)])
def test_there_are_resamples_enough_for_a_clear_difference_to_show_after_correction(runs, against, pairs):
    resamples = resamples_for(runs, against)
    clearest = 2 / (resamples + 1)
    assert holm([clearest] + [1.0] * (pairs - 1))[0] < 0.05 / 3
