"""Calibration and thresholds of a finished bundle, learned anew on other rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import adaptox
import tiny
from adaptox import bundle as bundles
from adaptox.adapt import Flagged, adapt, assess, decide_anew, read_and_prepare, seen
from adaptox.cli.settings import settings_to_decide_by
from adaptox.config import parse
from adaptox.decide import Decider
from adaptox.errors import BundleError, ConfigError, DataError, InputError


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_bert, csv) -> Path:
    """The folder of a run that came to its end."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert adapt(tiny.settings(tiny_bert, csv), folder)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    return tiny.write_csv(tmp_path_factory.mktemp("fresh") / "fresh.csv", tiny.texts(seed=9))


def of(path: Path, **threshold):
    return parse({"sources": [{"path": str(path)}], "threshold": threshold})


def anew(run: Path, path: Path, out: Path, overwrite: bool = False, **threshold):
    return decide_anew(run / "bundle", of(path, **threshold), False, out, overwrite)


def decided_of(folder: Path, rows: int, of: int, name: str = "tiny, decided anew") -> str:
    return f"Thresholds of the bundle {name} were learned anew on {rows} of these {of} rows."


def test_thresholds_move_and_the_weights_stay(done, fresh, tmp_path):
    found = anew(done, fresh, tmp_path / "new", policy="min-recall", min_recall=0.95)
    old, new = (bundles.load(folder).manifest for folder in (done / "bundle", tmp_path / "new"))
    kept = {name: old.files[name] for name in old.files if name != "README.md"}
    assert {name: new.files[name] for name in kept} == kept
    assert Decider.from_json(new.decider) == found.after
    assert Decider.from_json(old.decider) == found.before
    cut = found.after.threshold("toxicity")
    assert cut.origin == "anew: fewest false positives at a recall of at least 0.95"
    texts = tiny.texts(seed=9)
    verdicts = adaptox.load(tmp_path / "new").score([text for text, _ in texts])
    flagged = np.array([verdict.flagged["toxicity"] for verdict in verdicts])
    toxic = np.array([label == 1 for _, label in texts])
    was, now = found.changes["toxicity"]
    assert now == Flagged(len(texts), int(toxic.sum()), int(flagged.sum()), int((flagged & toxic).sum()))
    assert now.hits / now.positives >= 0.95
    assert (was.n, was.positives) == (now.n, now.positives)
    told = new.decided["toxicity"]
    assert (told["rows"], told["positives"]) == (now.n, now.positives)
    assert told["threshold"]["min_recall"] == 0.95
    assert (new.name, new.metrics) == ("tiny, decided anew", old.metrics)
    card = (tmp_path / "new" / "README.md").read_text()
    assert (
        f"- toxicity: {cut.value:.3f} ({cut.origin}), from {now.n} rows, {now.positives} of them positive" in card
    )


def test_published_test_rows_and_a_few_that_it_learned_from_set_no_threshold(done, tmp_path):
    rows = [{"text": text, "toxicity": label, "split": "train"} for text, label in tiny.texts(seed=9)]
    rows += [{"text": text, "toxicity": label, "split": "test"} for text, label in tiny.texts(seed=10)]
    rows += [{"text": text, "toxicity": label, "split": "train"} for text, label in tiny.texts()[:5]]
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = anew(done, mixed, tmp_path / "new")
    known = found.changes["toxicity"][0].n
    assert tiny.ROWS <= known < tiny.ROWS + 5
    assert found.notes[0] == f"{tiny.ROWS} rows of a published test split were left out."
    assert found.notes[1] == f"{tiny.ROWS + 5 - known} rows that the bundle tiny learned from were left out."
    mixed.write_text("".join(json.dumps({**row, "split": "test"}) + "\n" for row in rows))
    with pytest.raises(DataError, match=rf"got none among 0 beside {len(rows)} test rows, which set no threshold"):
        anew(done, mixed, tmp_path / "other")


def test_a_test_part_that_settings_make_sets_no_threshold(done, fresh, tmp_path):
    config = parse({"sources": [{"path": str(fresh)}], "prepare": {"test_fraction": 0.3, "language": "any"}})
    found = decide_anew(done / "bundle", config, True, tmp_path / "new")
    judged = assess(tmp_path / "new", config, as_split=True)
    test = judged.evaluation.main.n
    assert found.changes["toxicity"][0].n <= tiny.ROWS - test
    assert found.notes[0] == f"{test} rows of the test part that these settings make were left out."
    assert not any("Thresholds of" in note for note in judged.notes)


@pytest.mark.parametrize("way", ["its own", "a copy", "spelled out", "with others", "unlisted"])
def test_what_measured_a_bundle_sets_no_threshold_in_whatever_way_it_is_given(done, csv, fresh, tmp_path, way):
    bundle = shutil.copytree(done / "bundle", tmp_path / "bundle")
    columns = {"text": "text", "labels": {"toxicity": "toxicity"}}
    sources = [{"path": str(csv)}]
    if way == "a copy":
        sources = [{"path": str(shutil.copy(csv, tmp_path / "copy.csv"))}]
    elif way != "its own":
        sources = [{"path": str(csv), "columns": columns}]
    if way == "with others":
        sources.append({"path": str(fresh)})
    if way == "unlisted":
        (bundle / "learned.bin").unlink()
    with pytest.raises(DataError, match=r"tiny learned from .* is what it was measured on: give rows of their own"):
        decide_anew(bundle, parse({"sources": sources}), False, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_rows_of_one_class_and_rows_without_the_label_are_refused(done, tmp_path):
    calm = tiny.write_csv(tmp_path / "calm.csv", [(text, 0) for text, label in tiny.texts(seed=9) if not label])
    with pytest.raises(DataError, match=r"expected rows with and without toxicity, .* of one class: add the other"):
        anew(done, calm, tmp_path / "new")
    columns = {"text": "text", "labels": {"insult": "toxicity"}}
    renamed = parse({"sources": [{"path": str(calm), "columns": columns}]})
    with pytest.raises(DataError, match=r"expected rows with a label of the bundle \(toxicity\)"):
        decide_anew(done / "bundle", renamed, False, tmp_path / "new")
    unknown = parse({"sources": [{"path": str(calm)}], "labels": ["insult"]})
    with pytest.raises(ConfigError, match=r"the bundle tiny has no label 'insult': there are: toxicity"):
        decide_anew(done / "bundle", unknown, False, tmp_path / "new")


def test_few_rows_are_told_of(done, tmp_path):
    few = tiny.write_csv(tmp_path / "few.csv", tiny.texts(rows=20, seed=9))
    luck, unseen = anew(done, few, tmp_path / "new", policy="max-fpr").notes[-2:]
    assert luck.endswith("have toxicity: with so few its threshold is luck.")
    assert "rows without toxicity cannot show a false-positive rate of 0.01" in unseen


def test_a_bundle_is_replaced_only_when_asked_and_what_is_read_never(done, fresh, tmp_path, monkeypatch):
    out = tmp_path / "new"
    anew(done, fresh, out)
    with pytest.raises(InputError, match="already holds a bundle: --overwrite replaces it"):
        anew(done, fresh, out)
    first = bundles.load(out).manifest.decider
    anew(done, fresh, out, overwrite=True, policy="cost", miss_cost=9)
    assert bundles.load(out).manifest.decider != first
    with pytest.raises(InputError, match="--overwrite would remove"):
        decide_anew(out, of(fresh), False, out, overwrite=True)
    inside = shutil.copy(fresh, out / "mine.csv")
    with pytest.raises(InputError, match="--overwrite would remove"):
        anew(done, inside, out, overwrite=True)
    assert inside.is_file()
    with pytest.raises(BundleError, match="exists and is no bundle"):
        anew(done, fresh, done, overwrite=True)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    anew(done, fresh, Path())
    assert bundles.load(tmp_path / "empty").manifest.decided


def test_labels_of_which_nothing_is_learned_keep_what_they_had(done):
    decider = bundles.load(done / "bundle").manifest.decider
    both = Decider.from_json(
        {
            "labels": ["toxicity", "insult"],
            "temperatures": [2.0, 3.0],
            "offsets": [],
            "thresholds": [{**decider["thresholds"][0], "label": name} for name in ("toxicity", "insult")],
        }
    )
    other = Decider.from_json({**decider, "temperatures": [5.0], "offsets": [0.5]})
    assert both.updated(other).temperatures == (5.0, 3.0)
    assert both.updated(other).offsets == (0.5, 0.0)
    assert both.updated(other).thresholds == (other.thresholds[0], both.thresholds[1])


def test_several_labels_are_learned_one_after_the_other(tiny_bert, tmp_path):
    rows = [{"text": text, "toxicity": label, "insult": 1 - label} for text, label in tiny.texts()]
    write = {"run": rows, "a": None, "b": None}
    for number, name in enumerate(("a", "b")):
        texts = tiny.texts(seed=20 + number)
        write[name] = [{"text": text, "toxicity": label, "insult": 1 - label} for text, label in texts]
    for name, lines in write.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = tiny.settings(tiny_bert, tmp_path / "run.jsonl", labels=["toxicity", "insult"])
    assert adapt(config, tmp_path / "run")

    def learn(start: Path, label: str, csv: str, out: str):
        given = parse({"sources": [{"path": str(tmp_path / csv)}], "labels": [label]})
        return decide_anew(start, given, False, tmp_path / out)

    first = learn(tmp_path / "run" / "bundle", "toxicity", "a.jsonl", "first")
    assert list(first.changes) == ["toxicity"]
    assert first.after.threshold("insult") == first.before.threshold("insult")
    second = learn(tmp_path / "first", "insult", "b.jsonl", "second")
    assert second.after.threshold("toxicity") == first.after.threshold("toxicity")
    manifest = bundles.load(tmp_path / "second").manifest
    assert list(manifest.decided) == ["toxicity", "insult"]
    assert manifest.name == bundles.load(tmp_path / "first").manifest.name
    card = (tmp_path / "second" / "README.md").read_text()
    assert card.count("## Decided anew") == 1
    assert "- toxicity: " in card
    assert "- insult: " in card
    for name in ("a.jsonl", "b.jsonl"):
        (note,) = assess(tmp_path / "second", of(tmp_path / name), as_split=False).notes
        assert f"were learned anew on {tiny.ROWS} of these {tiny.ROWS} rows." in note


def test_rows_that_set_thresholds_are_known_wherever_they_lie(done, fresh, tiny_bert, tmp_path):
    anew(done, fresh, tmp_path / "new")
    copy = shutil.copy(fresh, tmp_path / "copy.csv")
    note = decided_of(tmp_path, tiny.ROWS, tiny.ROWS)
    assert assess(tmp_path / "new", of(copy), as_split=False).notes == (note,)
    assert assess(done / "bundle", of(copy), as_split=False, against=tmp_path / "new").notes == (note,)
    elsewhere = tiny.write_csv(tmp_path / "elsewhere.csv", tiny.texts(seed=11))
    assert assess(tmp_path / "new", of(elsewhere), as_split=False).notes == ()
    (tmp_path / "new" / "decided.bin").unlink()
    assert assess(tmp_path / "new", of(copy), as_split=False).notes == ()


def test_a_run_says_that_its_base_was_decided_on_rows_that_it_is_judged_on(done, fresh, tmp_path):
    anew(done, fresh, tmp_path / "new")
    config = tiny.settings(tmp_path / "new", fresh)
    judged = read_and_prepare(config).judged(config)
    (note,) = seen.notes(config, judged, ())
    assert note == decided_of(tmp_path, len(judged), len(judged))


def test_on_the_command_line(monkeypatch, capsys, done, fresh, tmp_path):
    monkeypatch.chdir(tmp_path)
    shell = tiny.Shell(monkeypatch, capsys)
    ended = shell("decide", done / "bundle", fresh, "--out", "new", "--set", "threshold.policy=max-fpr")
    assert ended.code == 0
    assert "bundle new" in ended.out
    assert "false-positive rate" in ended.out
    told = " ".join(shell("inspect", "new").out.split())
    assert f"decided anew on toxicity: {tiny.ROWS} rows" in told
    assert "before that, on all" in told
    refused = shell("decide", done / "bundle", fresh, "--out", "other", "--set", "train.epochs=3")
    assert refused.code == 2
    assert "decide reads sources, labels, seed, threshold alone" in refused.err


def test_settings_that_are_not_read_are_refused():
    for change in ("threshold.folds=3", "text.turns=last", "prepare.test_fraction=0.1"):
        with pytest.raises(ConfigError, match="decide reads sources, labels, seed, threshold alone"):
            settings_to_decide_by("mine.csv", [change])
