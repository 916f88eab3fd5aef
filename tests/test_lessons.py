"""teach: teachers that the settings name, the folder that training reads, and the report on the teacher."""

from __future__ import annotations

import json
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from filelock import FileLock
from sklearn.metrics import roc_auc_score

import endpoint
import tiny
from adaptox import bundle as bundles
from adaptox import teach, train
from adaptox.adapt import adapt, cautions, make_lesson, plan_lesson, read_and_prepare
from adaptox.adapt import seen as known
from adaptox.adapt.known import by_model
from adaptox.config import EvaluateConfig, SourceConfig, override
from adaptox.errors import ConfigError, DataError, InputError, InterruptedRunError
from adaptox.records import WAITING, Conversation, Example, silent
from adaptox.teach import CrossFit, lessons
from adaptox.teach.crossfit import crossfit
from adaptox.train import soup

MEASURE = EvaluateConfig(resamples=100)
FOLDS = 3
QUICK = {"epochs": 1, "allow_collapse": True}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ADAPTOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def seen(monkeypatch):
    """List the ids that every network was trained on."""
    found, fit = [], train.fit

    def noting(network, encoder, rows, *rest, **more):
        found.append({row.id for row in rows})
        return fit(network, encoder, rows, *rest, **more)

    monkeypatch.setattr(soup, "fit", noting)
    return found


def config_of(base, csv, **teach):
    chosen = {"kind": "crossfit", "folds": FOLDS, "members": ["words"], **teach}
    return tiny.settings(base, csv, train=QUICK, teach=chosen)


def report(lesson):
    return report_of(lesson.folder)


def report_of(folder):
    return json.loads((folder / "teacher.json").read_text())


def learnt(config):
    parts = read_and_prepare(config).prepared
    return (*parts.train, *parts.validation)


# --- crossfit


def test_no_network_scores_a_row_that_it_or_a_relative_was_trained_on(tiny_bert, csv, tmp_path, seen):
    config = config_of(tiny_bert, csv, members=["settings"], seeds=[0, 1])
    make_lesson(config, tmp_path / "teacher")
    rows = learnt(config)
    everything = {row.id for row in rows}
    assert len(seen) == 2 * FOLDS
    for folds in (seen[:FOLDS], seen[FOLDS:]):
        left_out = [everything - fold for fold in folds]
        assert sorted(id_ for fold in left_out for id_ in fold) == sorted(everything)
    family = {row.id: row.group for row in rows}
    for fold in seen:
        assert not {family[id_] for id_ in everything - fold} & {family[id_] for id_ in fold}
    # Every seed has the same folds, so that members differ in their weights alone.
    assert seen[:FOLDS] == seen[FOLDS:]


def test_words_alone_find_what_words_give_away(tiny_bert, csv, tmp_path):
    config = config_of(tiny_bert, csv, members=["words", "characters"])
    lesson = make_lesson(config, tmp_path / "teacher")
    assert [one.name for one in lesson.judged] == ["words", "characters", "ensemble"]
    assert all(one.metrics["auroc"].value > 0.95 for one in lesson.judged)
    assert lesson.scored == lesson.rows == len(learnt(config))
    assert report(lesson)["judged_on"] == "training and validation rows, out of fold"


def test_test_rows_are_not_scored(tiny_bert, csv, tmp_path):
    config = config_of(tiny_bert, csv)
    make_lesson(config, tmp_path / "teacher")
    test = read_and_prepare(config).prepared.test
    with pytest.raises(DataError, match=r"knows none of the \d+ conversations"):
        lessons.read(test, tmp_path / "teacher", ["toxicity"], MEASURE, 0)


def test_rows_that_only_help_training_are_trained_on_and_not_scored(tiny_bert, csv, tmp_path, seen):
    more = tiny.write_csv(tmp_path / "more.csv", tiny.texts(30, seed=7))
    config = config_of(tiny_bert, csv, members=["settings"])
    both = [*config.sources, SourceConfig(path=str(more), use="train")]
    lesson = make_lesson(config.model_copy(update={"sources": tuple(both)}), tmp_path / "teacher")
    assert lesson.scored == len(learnt(config))
    assert all(sum(id_.startswith("more/") for id_ in fold) == 30 for fold in seen)


def test_words_hear_little_of_rows_that_weigh_little(tiny_bert, csv):
    config = config_of(tiny_bert, csv)
    rows = learnt(config)
    truth = [row.labels["toxicity"] for row in rows]

    def auroc(weight):
        denied = [
            replace(row, id=f"no/{row.id}", group=f"no/{row.group}", labels={"toxicity": 1 - value}, weight=weight)
            for row, value in zip(rows, truth, strict=True)
        ]
        found = crossfit(config, (*rows, *denied), silent)
        return roc_auc_score(truth, found.probs[: len(rows), 0])

    assert auroc(0.01) > 0.95 > 0.6 > auroc(1.0)


def test_a_network_is_trained_again_where_a_source_weighs_otherwise(tiny_bert, csv, tmp_path, seen):
    config = config_of(tiny_bert, csv, members=["settings"])
    for weight in (1.0, 0.5):
        sources = tuple(source.model_copy(update={"weight": weight}) for source in config.sources)
        make_lesson(config.model_copy(update={"sources": sources}), tmp_path / str(weight))
    assert len(seen) == 2 * FOLDS


def test_what_is_finished_is_not_trained_again(tiny_bert, csv, tmp_path, seen):
    first = make_lesson(config_of(tiny_bert, csv, members=["settings"]), tmp_path / "first")
    seen.clear()
    second = make_lesson(config_of(tiny_bert, csv, members=["words", "settings"]), tmp_path / "second")
    assert seen == []
    assert second.judged[1].metrics == first.judged[0].metrics


def test_a_teacher_waits_for_another_process_with_the_same_network(tiny_bert, csv, tmp_path, cache, monkeypatch):
    config = config_of(tiny_bert, csv, members=["settings"])
    first = make_lesson(config, tmp_path / "first")
    (folder,) = (place for place in (cache / "crossfit").iterdir() if place.is_dir())
    waits, goes_on, scored, score = Event(), Event(), Event(), CrossFit.score
    told = {(WAITING, 0): waits, (WAITING, 1): goes_on}

    def progress(stage, done, total):
        told.get((stage, done), Event()).set()

    def scoring(*given):
        scored.set()
        return score(*given)

    with ThreadPoolExecutor(1) as pool:
        with FileLock(folder.with_name(f"{folder.name}.lock")), monkeypatch.context() as watched:
            watched.setattr(CrossFit, "score", scoring)
            waiting = pool.submit(make_lesson, config, tmp_path / "second", progress=progress)
            assert waits.wait(60)
            assert not scored.wait(0.5)
            assert not goes_on.is_set()
        assert waiting.result(60).judged == first.judged
    assert goes_on.is_set()


def test_a_teacher_that_trains_is_refused_in_a_launch_of_several_processes(tiny_bert, csv, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="runs in one process: start it without torchrun"):
        make_lesson(config_of(tiny_bert, csv, members=["settings"]), tmp_path / "teacher")


def test_a_label_that_no_row_has_is_refused_before_anything_is_trained(tiny_bert, csv, tmp_path, seen):
    config = config_of(tiny_bert, csv, members=["settings"]).model_copy(update={"labels": ("toxicity", "rude")})
    with pytest.raises(DataError, match="expected rows of both classes of 'rude', got none: leave it out"):
        make_lesson(config, tmp_path / "teacher")
    assert seen == []


def test_an_interrupted_teacher_goes_on_with_the_next_fold(tiny_bert, csv, tmp_path, seen):
    config = config_of(tiny_bert, csv, members=["settings"])

    def stop(stage, done, total):
        if stage == "train" and len(seen) == FOLDS:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, InterruptedRunError)):
        make_lesson(config, tmp_path / "teacher", progress=stop)
    assert not (tmp_path / "teacher").exists()
    seen.clear()
    make_lesson(config, tmp_path / "teacher")
    assert len(seen) == 1


def test_a_stopped_teacher_says_how_to_go_on(tiny_bert, csv, tmp_path, monkeypatch):
    def stopped(*_):
        raise InterruptedRunError("stopped at step 3 of 9; run the same command with --resume to go on")

    monkeypatch.setattr(teach, "ask_teacher", stopped)
    with pytest.raises(InterruptedRunError, match=r"^stopped; the same command goes on with what is finished$"):
        make_lesson(config_of(tiny_bert, csv), tmp_path / "teacher")


def test_a_settings_file_is_another_member(tiny_bert, csv, tmp_path, seen):
    other = tmp_path / "other.toml"
    tiny.write_toml(
        other, tiny.settings(tiny_bert, csv, train=QUICK, adapter={"kind": "lora", "targets": ["query"]})
    )
    lesson = make_lesson(config_of(tiny_bert, csv, members=[str(other), "settings"]), tmp_path / "teacher")
    assert [one.name for one in lesson.judged] == [f"{other}, seed 0", "settings, seed 0", "ensemble"]
    assert len(seen) == 2 * FOLDS


def test_labels_that_the_ensemble_doubts_are_listed_and_kept(tiny_bert, tmp_path):
    rows = tiny.texts()
    wrong = {0, 1, 4}
    rows = [(text, 1 - rude if number in wrong else rude) for number, (text, rude) in enumerate(rows)]
    data = tiny.write_csv(tmp_path / "rows.csv", rows)
    config = config_of(tiny_bert, data, members=["words", "characters"])
    lesson = make_lesson(config, tmp_path / "teacher")
    listed = [json.loads(line) for line in (tmp_path / "teacher" / "label-faults.jsonl").read_text().splitlines()]
    assert len(listed) == lesson.doubted == report(lesson)["doubted"]
    known = {row.id: row for row in learnt(config)}
    mislabelled = {
        row.id for row in known.values() if row.conversation.turns[0].content in {rows[n][0] for n in wrong}
    }
    assert len(mislabelled & {one["id"] for one in listed[: len(wrong)]}) >= 2
    assert all(known[one["id"]].labels["toxicity"] == one["given"] for one in listed)
    assert lesson.rows == lesson.scored == len(known)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": ["wrods"]}, "expected words, characters, settings or a settings file, got 'wrods'"),
        ({"members": ["words", "words"]}, "name a member twice"),
        ({"targets": ["toxic"]}, "a crossfit teacher scores the labels: did you mean 'toxicity'"),
        ({"folds": 60}, r"teach\.folds = 60 needs as many families"),
        ({"kind": "model"}, r"needs teach\.model"),
        ({"kind": "column"}, "no column is mapped as a teacher's score: set sources.0.columns.teacher.NAME=COLUMN"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused_and_nothing_is_written(tiny_bert, csv, tmp_path, changes, message):
    with pytest.raises((ConfigError, DataError), match=message):
        make_lesson(config_of(tiny_bert, csv, **changes), tmp_path / "teacher")
    assert not (tmp_path / "teacher").exists()


def test_columns_of_a_teacher_that_are_empty_are_told_from_none(tiny_bert, csv):
    source = {"path": str(csv), "columns": {"teacher": {"toxicity": "score"}}}
    config = tiny.settings(tiny_bert, csv, sources=[source], teach={"kind": "column"})
    with pytest.raises(DataError, match=r"got none: fill the columns of columns\.teacher"):
        teach.ask_teacher((), config, silent)


# --- the folder


def test_training_reads_the_scores(tiny_bert, csv, tmp_path):
    config = config_of(tiny_bert, csv)
    make_lesson(config, tmp_path / "teacher")
    distill = {"teacher": str(tmp_path / "teacher"), "targets": ["toxicity"], "sigma": 0.0}
    taught = tiny.settings(tiny_bert, csv, train={"epochs": 6}, distill=distill)
    run = adapt(taught, tmp_path / "run")
    # It learnt from the teacher alone.
    assert run.evaluation.main.metrics["auroc"].value > 0.7
    assert not any("flattering" in note for note in run.notes)


def test_an_ensemble_that_learned_from_test_rows_teaches_nobody(tiny_bert, csv, tmp_path):
    make_lesson(config_of(tiny_bert, csv), tmp_path / "teacher")
    distill = {"teacher": str(tmp_path / "teacher"), "targets": ["toxicity"]}
    taught = tiny.settings(tiny_bert, csv, distill=distill, prepare={"seed": 5})
    with pytest.raises(
        DataError, match=r"learned from \d+ of the \d+ rows that are test rows here: it was made with"
    ):
        adapt(taught, tmp_path / "run")
    (tmp_path / "teacher" / "teacher.json").write_text("{")
    with pytest.raises(DataError, match=r"the teacher's folder .* is damaged"):
        adapt(taught, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_folds_taught_by_folds_are_said_to_be_flattered(tiny_bert, csv, tmp_path):
    make_lesson(config_of(tiny_bert, csv), tmp_path / "teacher")
    distill = {"teacher": str(tmp_path / "teacher"), "targets": ["toxicity"]}
    taught = tiny.settings(tiny_bert, csv, train=QUICK, distill=distill, threshold={"folds": 2})
    run = adapt(taught, tmp_path / "run")
    assert any("saw the labels of other folds" in note for note in run.notes)
    assert not lessons.is_crossfitted(tmp_path / "run")
    # A teacher that never read these labels flatters nobody.
    report_file = tmp_path / "teacher" / "teacher.json"
    report_file.write_text(json.dumps({**json.loads(report_file.read_text()), "kind": "moderation"}))
    assert not lessons.is_crossfitted(tmp_path / "teacher")


def test_a_row_that_was_not_scored_has_no_score(tiny_bert, csv, tmp_path):
    config = config_of(tiny_bert, csv)
    make_lesson(config, tmp_path / "teacher")
    rows = learnt(config)[:3]
    new = Example("new", Conversation.of("something else entirely"), {})
    taught = lessons.read((*rows, new), tmp_path / "teacher", ["toxicity"], MEASURE, 0).examples
    assert [set(row.teacher) for row in taught] == [{"toxicity"}] * 3 + [set()]
    assert [replace(row, teacher={}) for row in taught] == [replace(row, teacher={}) for row in (*rows, new)]


def test_an_unknown_target_names_the_nearest(tiny_bert, csv, tmp_path):
    make_lesson(config_of(tiny_bert, csv), tmp_path / "teacher")
    with pytest.raises(DataError, match="gives no score for 'toxic': did you mean 'toxicity'"):
        lessons.read((), tmp_path / "teacher", ["toxic"], MEASURE, 0)


@pytest.mark.parametrize("file", ["scores.parquet", "teacher.json"])
def test_a_damaged_folder_is_refused(tiny_bert, csv, tmp_path, file):
    config = config_of(tiny_bert, csv)
    make_lesson(config, tmp_path / "teacher")
    place = tmp_path / "teacher" / file
    place.write_bytes(place.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"is damaged .* run adaptox teach again"):
        lessons.read(learnt(config), tmp_path / "teacher", ["toxicity"], MEASURE, 0)


def test_a_folder_that_holds_scores_is_only_replaced_on_request(tiny_bert, csv, tmp_path):
    config = config_of(tiny_bert, csv)
    make_lesson(config, tmp_path / "teacher")
    with pytest.raises(InputError, match="already holds results"):
        make_lesson(config, tmp_path / "teacher")
    make_lesson(config, tmp_path / "teacher", overwrite=True)


# --- models and columns


def test_a_bundle_teaches_and_is_judged_on_validation(tiny_bert, csv, tmp_path):
    adapt(tiny.settings(tiny_bert, csv, train={"epochs": 6}), tmp_path / "run")
    config = config_of(tiny_bert, csv, kind="model", model=str(tmp_path / "run" / "bundle"))
    before = plan_lesson(config)
    lesson = make_lesson(config, tmp_path / "teacher")
    after = plan_lesson(config)
    assert (before.kept, after.kept) == (0, before.conversations)
    assert after.calls == 0
    assert lesson.targets == ("toxicity",)
    (judged,) = lesson.judged
    assert judged.n == len(read_and_prepare(config).prepared.validation)
    assert report(lesson)["judged_on"] == "validation rows"


def test_a_bundle_is_not_judged_on_rows_that_it_learned_from(tiny_bert, csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy = shutil.copy(csv, tmp_path / "copy.csv")
    folds = tiny.settings(tiny_bert, csv, train=QUICK, threshold={"folds": 2})
    adapt(folds, tmp_path / "run")
    bundle = str(tmp_path / "run" / "bundle")
    lesson = make_lesson(config_of(tiny_bert, copy, kind="model", model=bundle), tmp_path / "teacher")
    assert lesson.judged == ()
    assert (
        report(lesson)["judged_on"] == f"no rows: {bundle} learned from all of these, and would be praised for them"
    )
    other = tiny.write_csv(tmp_path / "other.csv", tiny.texts(60, seed=7))
    lesson = make_lesson(config_of(tiny_bert, other, kind="model", model=bundle), tmp_path / "of-others")
    assert report(lesson)["judged_on"] == "validation rows"
    assert lesson.judged
    # Of a copy split in another way, it learned from most.
    config = override(config_of(tiny_bert, copy, kind="model", model=bundle), {"seed": 1})
    rows = read_and_prepare(config).prepared.validation
    left = len(rows) - by_model(bundle).count(rows)
    lesson = make_lesson(config, tmp_path / "of-few")
    assert 0 < left < len(rows)
    assert f"{left} of {len(rows)} validation rows, those that {bundle} did not learn from" in lesson.judged_on
    assert all(judged.n == left for judged in lesson.judged)
    # Who learns from its scores is told, as of the bundle itself.
    for teacher in (bundle, str(lesson.folder)):
        taught = override(folds, {"distill.teacher": teacher, "distill.targets": ["toxicity"]})
        data = read_and_prepare(taught)
        pooled = (*data.prepared.train, *data.prepared.validation)
        (note,) = cautions(data, taught)
        assert note == (
            f"{teacher} learned from {len(pooled)} of the {len(pooled)} validation rows and hands on their labels, "
            "so the numbers on validation rows are flattering."
        )
        (note,) = known.notes(taught, pooled[:9], ())
        assert note == f"{teacher} learned from 9 of the 9 rows that are judged on."


def test_a_bundle_that_lists_no_rows_is_known_by_the_path_of_its_data(tiny_bert, csv, tmp_path):
    folds = tiny.settings(tiny_bert, csv, train=QUICK, threshold={"folds": 2})
    adapt(folds, tmp_path / "run")
    bundle = tmp_path / "run" / "bundle"
    (bundle / "learned.bin").unlink()
    lesson = make_lesson(config_of(tiny_bert, csv, kind="model", model=str(bundle)), tmp_path / "teacher")
    assert not (lesson.folder / "learned.bin").exists()
    assert lesson.judged == ()
    assert (
        report(lesson)["judged_on"]
        == f"no rows: {bundle} learned from some of these, and would be praised for them"
    )
    for teacher in (str(bundle), str(lesson.folder)):
        taught = override(folds, {"distill.teacher": teacher, "distill.targets": ["toxicity"]})
        (note,) = known.notes(taught, (), ())
        assert note.startswith(f"{teacher} learned from some of these sources, so rows that are judged on may be")
    # A published test part is kept apart from it, the training rows are not.
    told = report(lesson)
    told["learned"][0]["prepare"]["split"] = "official"
    (lesson.folder / "teacher.json").write_text(json.dumps(told))
    (note,) = known.notes(override(taught, {"prepare.split": "official"}), (), ())
    assert note.endswith("hands on their labels, so the numbers on validation rows are flattering.")


def test_a_teacher_without_targets_is_refused_and_an_empty_list_is_not(tiny_bert, csv, tmp_path):
    with pytest.raises(ConfigError, match=r"teacher is 'there', and no targets say which.*distill\.targets="):
        override(config_of(tiny_bert, csv), {"distill.teacher": "there"})
    alone = override(config_of(tiny_bert, csv), {"distill.teacher": "there", "distill.targets": []})
    assert override(alone, {"seed": 1}).distill.teacher == "there"


def test_the_command_that_learns_from_a_teacher_is_told_and_works(tiny_bert, csv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shell = tiny.Shell(monkeypatch, capsys)
    toml = tiny.write_toml(tmp_path / "words.toml", config_of(tiny_bert, csv))
    taught = shell("teach", str(toml), "--set", "teach.folds=2", "--set", "seed=3", "--out", "my teacher")
    assert taught.code == 0
    (line,) = (line for line in taught.out.splitlines() if line.startswith("train with it: "))
    program, *words = shlex.split(line.removeprefix("train with it: "))
    assert program == "adaptox"
    assert [word for word in words if word.startswith("seed=")] == ["seed=3"]
    done = shell(*words, "--out", "run")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "models.json").read_text())["teacher"]


def test_the_licences_of_a_teacher_bind_what_it_teaches(tiny_bert, toxic_bert, csv, tmp_path):
    adapt(tiny.settings(tiny_bert, csv, train=QUICK), tmp_path / "run")
    bundle = str(tmp_path / "run" / "bundle")
    for model in (bundle, str(toxic_bert)):
        lesson = make_lesson(config_of(tiny_bert, csv, kind="model", model=model), tmp_path / "teacher", True)
        assert report(lesson)["licences"] == ["unknown"]
    # Of an ensemble, it is its networks' bases that bring some along.
    quick = {"members": ["settings"], "folds": 2}
    lesson = make_lesson(config_of(bundle, csv, **quick), tmp_path / "ensemble")
    assert report(lesson)["licences"] == ["unknown"]
    assert report(make_lesson(config_of(bundle, csv), tmp_path / "words"))["licences"] == []
    # As a teacher under terms of its own would have it.
    told = {**report(lesson), "licences": ["CC-BY-NC-4.0"]}
    (lesson.folder / "teacher.json").write_text(json.dumps(told))
    distill = {"teacher": str(lesson.folder), "targets": ["toxicity"]}
    adapt(tiny.settings(tiny_bert, csv, train=QUICK, distill=distill), tmp_path / "taught")
    taught = tmp_path / "taught" / "bundle"
    assert "CC-BY-NC-4.0" in bundles.load(taught).manifest.licences
    card = (taught / "README.md").read_text()
    assert f"Trained on non-commercial data ({lesson.folder}, CC-BY-NC-4.0): the weights may not" in card


def test_a_classifier_in_the_hubs_layout_teaches_with_the_sigmoids_of_its_logits(toxic_bert, csv, tmp_path):
    config = config_of(toxic_bert, csv, kind="model", model=str(toxic_bert))
    given = teach.ask_teacher(learnt(config), config, lambda *_: None)
    scores = np.array([row.teacher["toxicity"] for row in given.examples])
    assert given.targets == ("toxicity",)
    assert ((scores > 0) & (scores < 1)).all()
    assert len(set(scores.round(9))) > 1


def test_a_classifier_without_such_an_output_is_refused(toxic_bert, csv):
    config = config_of(toxic_bert, csv, kind="model", model=str(toxic_bert), targets=["sexual/minors"])
    with pytest.raises(DataError, match=r"gives no score for 'sexual/minors'"):
        teach.ask_teacher(learnt(config), config, lambda *_: None)


def test_scores_that_the_data_has_are_judged_as_they_are(tiny_bert, tmp_path):
    rows = [(text, rude, 0.9 if rude else 0.2, 0.1) for text, rude in tiny.texts()]
    data = tiny.write_csv(tmp_path / "rows.csv", rows, ("text", "toxicity", "hate", "violence"))
    columns = {
        "text": "text",
        "labels": {"toxicity": "toxicity"},
        "teacher": {"hate": "hate", "violence": "violence"},
    }
    config = tiny.settings(
        tiny_bert, data, sources=[{"path": str(data), "columns": columns}], teach={"kind": "column"}
    )
    lesson = make_lesson(config, tmp_path / "teacher")
    assert lesson.targets == ("hate", "violence")
    found = {one.name: one.metrics["auprc"].value for one in lesson.judged}
    assert found["hate"] == found["highest of all"] == 1
    assert found["violence"] < 0.7


def test_a_score_that_is_missing_is_no_score(tiny_bert, tmp_path):
    rows = [
        (text, rude, 0.9 if rude else 0.2, 0.1 if at % 2 else "") for at, (text, rude) in enumerate(tiny.texts())
    ]
    data = tiny.write_csv(tmp_path / "rows.csv", rows, ("text", "toxicity", "hate", "violence"))
    columns = {
        "text": "text",
        "labels": {"toxicity": "toxicity"},
        "teacher": {"hate": "hate", "violence": "violence"},
    }
    source = {"path": str(data), "columns": columns}
    lesson = make_lesson(
        tiny.settings(tiny_bert, data, sources=[source], teach={"kind": "column"}), tmp_path / "out"
    )
    found = {one.name: one.n for one in lesson.judged}
    assert 0 < found["violence"] < found["hate"] == found["highest of all"]


# --- servers


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with endpoint.running() as server:
        yield server


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tiny.Shell(monkeypatch, capsys)


def asked(base, csv, server, kind="moderation", **changes):
    chosen = {"url": server.url, "model": "m", "calls_per_minute": 60_000, **changes}
    return config_of(base, csv, kind=kind, **chosen)


def test_a_moderation_server_is_asked_once_for_each_conversation(tiny_bert, csv, tmp_path, server, shell):
    config = asked(tiny_bert, csv, server)
    toml = str(tiny.write_toml(tmp_path / "asked.toml", config))
    conversations = len(learnt(config))
    dry = shell("teach", toml, "--dry-run")
    assert dry.code == 0
    assert f"{conversations} calls to the server" in dry.out
    assert server.asked == []
    first = shell("teach", toml, "--out", "first")
    assert first.code == 0
    assert len(server.asked) == len(set(server.asked)) == conversations
    again = shell("teach", toml, "--out", "second")
    assert f"{conversations} conversations were asked about before" in " ".join(again.out.split())
    assert len(server.asked) == conversations
    assert (tmp_path / "first" / "scores.parquet").read_bytes() == (
        tmp_path / "second" / "scores.parquet"
    ).read_bytes()


def test_a_chat_models_answer_has_the_targets_name(tiny_bert, csv, tmp_path, server):
    lesson = make_lesson(asked(tiny_bert, csv, server, kind="chat"), tmp_path / "teacher")
    assert lesson.targets == ("toxicity",)
    assert lesson.cost.calls == lesson.scored
    assert lesson.cost.prompt_tokens == 50 * lesson.scored
    assert report(lesson)["licences"] == [f"the terms of {server.url}"]
    with pytest.raises(ConfigError, match=r"expected one name in teach\.targets, got 2"):
        make_lesson(asked(tiny_bert, csv, server, kind="chat", targets=["a", "b"]), tmp_path / "other")


def test_a_target_that_the_server_does_not_know_names_the_nearest(tiny_bert, csv, tmp_path, server):
    with pytest.raises(DataError, match="the server gives no score for 'hat': did you mean 'hate'"):
        make_lesson(asked(tiny_bert, csv, server, targets=["hat"]), tmp_path / "teacher")
    assert not (tmp_path / "teacher").exists()


def test_a_conversation_that_fails_has_no_score_and_is_named_by_its_row(tiny_bert, csv, tmp_path, server, shell):
    config = asked(tiny_bert, csv, server)
    toml = str(tiny.write_toml(tmp_path / "asked.toml", config))
    odd = learnt(config)[3]
    server.plan[odd.conversation.turns[0].content] = [(400, {"error": {"message": "no"}})]
    first = shell("teach", toml, "--out", "teacher")
    assert first.code == 0
    assert "1 conversations failed and have no score; the same command with --overwrite asks" in first.out
    assert odd.id in first.out
    found = report_of(tmp_path / "teacher")
    assert found["cost"]["failed"] == [odd.id]
    assert found["scored"] == found["rows"] - 1
    shell("teach", toml, "--out", "teacher", "--overwrite")
    twice = {text for text in server.asked if server.asked.count(text) > 1}
    assert twice == {odd.conversation.turns[0].content}
    again = report_of(tmp_path / "teacher")
    assert (again["cost"]["failed"], again["scored"]) == ([], found["rows"])


def test_the_tokens_of_earlier_runs_are_told(tiny_bert, csv, tmp_path, server, shell):
    config = asked(tiny_bert, csv, server, kind="chat")
    toml = str(tiny.write_toml(tmp_path / "asked.toml", config))
    shell("teach", toml, "--out", "first")
    again = shell("teach", toml, "--out", "second")
    tokens = f"{51 * len(learnt(config)):,}"
    assert "0 calls, 0 of them retries, 0 tokens" in again.out
    assert f"those of earlier runs too, took {tokens} tokens" in again.out
    assert report_of(tmp_path / "second")["cost"]["prompt_tokens_in_all"] == 50 * len(learnt(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "https://openrouter.ai/v1"}, "the key of openrouter.ai in teach.key_variable"),
        ({"url": "https://api.openai.com/v1", "key_variable": "NO_SUCH_KEY"}, "NO_SUCH_KEY, got none"),
        ({"model": "", "kind": "chat"}, 'teach.model = "gpt-4.1-mini"'),
        ({"model": ""}, 'teach.model = "omni-moderation-latest"'),
        ({"kind": "chat", "targets": ["a", "b"]}, "expected one name in teach.targets, got 2"),
    ],
)
def test_a_dry_run_refuses_what_cannot_run(tiny_bert, csv, server, changes, message):
    with pytest.raises(ConfigError, match=message):
        plan_lesson(asked(tiny_bert, csv, server, **changes))
    assert server.asked == []


def test_a_dry_run_knows_the_scores_of_answers_that_are_kept(tiny_bert, csv, tmp_path, server):
    plan_lesson(asked(tiny_bert, csv, server, targets=["hat"]))  # nobody can tell yet
    make_lesson(asked(tiny_bert, csv, server), tmp_path / "teacher")
    with pytest.raises(DataError, match="the server gives no score for 'hat': did you mean 'hate'"):
        plan_lesson(asked(tiny_bert, csv, server, targets=["hat"]))


def test_a_server_that_says_nothing_of_anything_writes_no_folder(tiny_bert, csv, tmp_path, server):
    server.answer["completions"] = endpoint.chatted("I cannot")
    with pytest.raises(DataError, match="would say nothing of any conversation"):
        make_lesson(asked(tiny_bert, csv, server, kind="chat", most_declined=1.0), tmp_path / "teacher")
    assert not (tmp_path / "teacher").exists()
