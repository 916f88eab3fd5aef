"""Calibration and thresholds of a finished bundle, learned anew on other rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import adaptox
import tiny
from adaptox import bundle as bundles
from adaptox.adapt import adapt, assess, decide_anew
from adaptox.config import parse
from adaptox.decide import Decider
from adaptox.errors import BundleError, ConfigError, DataError


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny.write_csv(tmp_path_factory.mktemp("data") / "rows.csv", tiny.texts())


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_bert, data) -> Path:
    """The folder of a run that came to its end."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert adapt(tiny.settings(tiny_bert, data), folder)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    return tiny.write_csv(tmp_path_factory.mktemp("fresh") / "fresh.csv", tiny.texts(seed=9))


def of(path: Path, **threshold):
    return parse({"sources": [{"path": str(path)}], "threshold": threshold})


def test_thresholds_move_and_the_weights_stay(done, fresh, tmp_path):
    config = of(fresh, policy="min-recall", min_recall=0.95)
    found = decide_anew(done / "bundle", config, tmp_path / "new")
    old, new = (bundles.load(folder).manifest for folder in (done / "bundle", tmp_path / "new"))
    kept = {name: old.files[name] for name in old.files if name != "README.md"}
    assert {name: new.files[name] for name in kept} == kept
    assert new.decider != old.decider
    assert Decider.from_json(new.decider) == found.after
    assert Decider.from_json(old.decider) == found.before
    cut = found.after.threshold("toxicity")
    assert cut.origin == "val: fewest false positives at a recall of at least 0.95"
    texts = tiny.texts(seed=9)
    verdicts = adaptox.load(tmp_path / "new").score([text for text, _ in texts])
    toxic = [verdict.flagged["toxicity"] for verdict, (_, label) in zip(verdicts, texts, strict=True) if label]
    assert np.mean(toxic) >= 0.95
    assert found.rows == {"toxicity": (tiny.ROWS, len(toxic))}
    assert found.notes == ()
    assert new.decided["rows"] == {"toxicity": {"n": tiny.ROWS, "positives": len(toxic)}}
    assert new.decided["policy"] == "min-recall"
    assert new.metrics == old.metrics
    card = (tmp_path / "new" / "README.md").read_text()
    assert f"of toxicity were learned anew on {tiny.ROWS} other rows" in card


def test_rows_that_it_learned_from_and_published_test_rows_set_no_threshold(done, data, tmp_path):
    own = tiny.texts()
    rows = [{"text": text, "toxicity": label} for text, label in own]
    rows += [{"text": text, "toxicity": label, "split": "train"} for text, label in tiny.texts(seed=9)]
    rows += [{"text": text, "toxicity": label, "split": "test"} for text, label in tiny.texts(seed=10)]
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text("".join(json.dumps({"split": "train", **row}) + "\n" for row in rows))
    found = decide_anew(done / "bundle", of(mixed), tmp_path / "new")
    learned = json.loads((done / "manifest.json").read_text())["parts"]["train"]["rows"]
    assert found.rows["toxicity"][0] == 2 * tiny.ROWS - learned
    assert found.notes == (
        f"{tiny.ROWS} rows of a published test split were left out.",
        f"{learned} rows that the bundle tiny learned from were left out; what it was measured on may be among the "
        "others.",
    )


def test_its_own_data_sets_no_threshold(done, data, tmp_path):
    with pytest.raises(
        DataError, match=r"tiny was trained on these sources, and what it did not learn from measured"
    ):
        decide_anew(done / "bundle", of(data), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_rows_of_one_class_and_rows_without_the_label_are_refused(done, tmp_path):
    calm = tiny.write_csv(tmp_path / "calm.csv", [(text, 0) for text, label in tiny.texts(seed=9) if not label])
    with pytest.raises(
        DataError, match=r"expected rows with and rows without toxicity .* of one class: add the other"
    ):
        decide_anew(done / "bundle", of(calm), tmp_path / "new")
    columns = {"text": "text", "labels": {"insult": "toxicity"}}
    renamed = parse({"sources": [{"path": str(calm), "columns": columns}]})
    with pytest.raises(DataError, match=r"expected rows with a label of the bundle \(toxicity\)"):
        decide_anew(done / "bundle", renamed, tmp_path / "new")


def test_a_bundle_is_replaced_only_when_asked_and_what_is_read_never(done, fresh, tmp_path):
    out = tmp_path / "new"
    decide_anew(done / "bundle", of(fresh), out)
    with pytest.raises(DataError, match="already holds a bundle: --overwrite replaces it"):
        decide_anew(done / "bundle", of(fresh), out)
    first = bundles.load(out).manifest.decider
    decide_anew(done / "bundle", of(fresh, policy="cost", miss_cost=9), out, overwrite=True)
    assert bundles.load(out).manifest.decider != first
    with pytest.raises(DataError, match="is what is read"):
        decide_anew(out, of(fresh), out, overwrite=True)
    with pytest.raises(BundleError, match="exists and is no bundle"):
        decide_anew(done / "bundle", of(fresh), done, overwrite=True)


def test_a_label_of_which_nothing_is_known_keeps_its_threshold(done):
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


def test_an_evaluation_says_where_thresholds_came_from_the_same_data(done, fresh, tmp_path):
    decide_anew(done / "bundle", of(fresh), tmp_path / "new")
    note = "The thresholds of the bundle tiny were learned anew on some of these sources."
    assert assess(tmp_path / "new", of(fresh), as_split=False).notes == (note,)
    assert assess(done / "bundle", of(fresh), as_split=False, against=tmp_path / "new").notes == (note,)
    elsewhere = tiny.write_csv(tmp_path / "elsewhere.csv", tiny.texts(seed=11))
    assert assess(tmp_path / "new", of(elsewhere), as_split=False).notes == ()


def test_on_the_command_line(monkeypatch, capsys, done, fresh, tmp_path):
    monkeypatch.chdir(tmp_path)
    shell = tiny.Shell(monkeypatch, capsys)
    ended = shell("decide", done / "bundle", fresh, "--out", "new", "--set", "threshold.policy=max-fpr")
    assert ended.code == 0
    assert "bundle new" in ended.out
    told = " ".join(shell("inspect", "new").out.split())
    assert f"decided anew on toxicity: {tiny.ROWS} rows" in told
    assert "before that, on all" in told
    refused = shell("decide", done / "bundle", fresh, "--out", "other", "--set", "train.epochs=3")
    assert refused.code == 2
    assert "decide reads sources and threshold alone" in refused.err


def test_settings_that_are_not_read_are_refused():
    from adaptox.cli.settings import settings_to_decide_by

    for change in ("threshold.folds=3", "text.turns=last", "labels=['x']"):
        with pytest.raises(ConfigError, match="decide reads sources and threshold alone"):
            settings_to_decide_by("mine.csv", [change])
