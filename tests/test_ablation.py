"""benchmarks/ablation.py: one change at a time, on folds."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import ablation
import kept_logits
import numpy as np
import pytest
from changes import read_changes

import tiny
from adaptox import config as settings
from adaptox.errors import ConfigError, DataError
from adaptox.evaluate import Comparison, Interval
from adaptox.records import Scores
from adaptox.teach import Held

ROOT = Path(__file__).parents[1]
FIRST = 'name = "first"\nwhat = "plain"'


@pytest.fixture
def plain(tmp_path, tiny_bert):
    data = tiny.write_csv(tmp_path / "mine.csv", tiny.texts())
    tiny.write_toml(tmp_path / "plain.toml", tiny.settings(tiny_bert, data, train={"epochs": 2}))
    return tmp_path


def write_changes(folder, *changes, folds="folds = 2"):
    tables = "".join(f"[[changes]]\n{change}\n" for change in changes)
    path = folder / "changes.toml"
    path.write_text(f'settings = "{folder}/plain.toml"\n{folds}\n{tables}', encoding="utf-8")
    return path


def test_changes_are_compared_with_what_they_are_made_to_and_trained_once(plain, monkeypatch, capsys):
    words = 'name = "words"\nwhat = "with words"\non = "first"\nset = { "lexicon.grams" = ["words"] }'
    longer = 'name = "longer"\nwhat = "longer"\non = "first"\nset = { "train.epochs" = 3 }'
    bent = 'name = "bent"\nwhat = "bent"\non = "first"\nset = { "threshold.calibration" = "beta" }'
    path, told, kept = write_changes(plain, FIRST, words, longer, bent), plain / "told.json", plain / "kept.npz"
    command = ["ablation.py", str(path), "--work", str(plain / "work"), "--kept", str(kept), "--out", str(told)]
    monkeypatch.setattr(sys, "argv", command)
    ablation.main()
    found = json.loads(told.read_text())
    first, words, longer, bent = found["changes"]
    assert (found["folds"], first["on"], words["on"], first["difference"]) == (2, None, "first", None)
    for one in (words, longer):
        gained = one["auprc"]["value"] - first["auprc"]["value"]
        assert one["difference"]["auprc"]["value"] == pytest.approx(gained)
    assert words["difference"]["auprc"]["p_holm"] is None  # weighed on these very rows
    assert 0 < longer["difference"]["auprc"]["p_holm"] <= 1
    assert (first["config"]["threshold"]["calibration"], bent["config"]["threshold"]["calibration"]) == (
        "platt",
        "beta",
    )
    assert bent["difference"]["f1"]["p_holm"] is None  # calibrated on these very rows
    # Words and a calibration stand beside the same networks.
    assert len(list((plain / "work").iterdir())) == 2

    monkeypatch.setattr("adaptox.train.fit_soup", lambda *_: pytest.fail("trained again"))
    (plain / "work").rename(plain / "gone")  # the kept logits are enough
    ablation.main()
    assert json.loads(told.read_text())["changes"] == found["changes"]
    kept.unlink()
    (plain / "gone").rename(plain / "work")  # and so are the folds
    ablation.main()
    assert json.loads(told.read_text())["changes"] == found["changes"]
    assert len(ablation.kept_logits.read(kept)) == 2

    # A part adds to what is kept.
    kept.unlink()
    monkeypatch.setattr(sys, "argv", [*command[:-2], "--only", "first"])
    capsys.readouterr()
    ablation.main()
    assert capsys.readouterr().out.startswith("first ")
    assert len(ablation.kept_logits.read(kept)) == 1
    monkeypatch.setattr(sys, "argv", [*command[:-2], "--only", "longer"])
    ablation.main()
    assert len(ablation.kept_logits.read(kept)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (('name = "a"\nwhat = "x"\non = "b"',), "'a' is made to 'b', which is not above it"),
        ((FIRST, FIRST), "'first' stands there twice"),
        ((f'{FIRST}\nlever = "fgn"',), "'first': no lever 'fgn'.*fgm"),
        ((f'{FIRST}\nset = {{ "train.epoch" = 1 }}',), "'first': .*epoch"),
        ((f'{FIRST}\nset = {{ "threshold.folds" = 5 }}',), "'first' sets 'threshold.folds'"),
        ((f'{FIRST}\nsett = {{ "train.epochs" = 5 }}',), "changes.0.sett"),
        ((f"{FIRST}\nset = 3",), "changes.0.set"),
        (('name = "a"',), "changes.0.what"),
        ((), "changes"),
    ],
)
def test_changes_that_cannot_be_measured_are_refused(plain, changes, said):
    with pytest.raises(ConfigError, match=said):
        read_changes(write_changes(plain, *changes))


def test_kept_logits_are_of_their_rows_and_base_alone(plain):
    (change,) = read_changes(write_changes(plain, FIRST))
    rows = ablation.read_rows((change,))["first"].train
    labels = change.config.outputs.names
    unknown = np.zeros(len(rows), dtype=int)
    scores = Scores(labels, np.arange(len(rows), dtype=float)[:, None], unknown, unknown.astype(bool))
    kept = kept_logits.Kept.of(Held(rows, scores, 1.0), change.config)
    assert (kept.held(rows[::-1], labels).scores.logits == scores.logits[::-1]).all()
    moved = (replace(rows[0], group="another family"), *rows[1:])
    for others, names in ((rows[1:], labels), (moved, labels), (rows, (*labels, "more"))):
        with pytest.raises(DataError, match="kept logits are of other rows or labels than these"):
            kept.held(others, names)
    assert kept_logits.key_of(change.config, rows) != kept_logits.key_of(change.config, moved)


def test_a_change_that_the_rows_had_a_say_in_is_not_tested(plain):
    told = 'name = "second"\nwhat = "x"\non = "first"\ntested = false'
    changes = read_changes(write_changes(plain, FIRST, told))
    assert [one.tested for one in changes] == [True, False]


def test_what_was_tried_beside_the_way_is_corrected_apart(plain, monkeypatch):
    way = [f'name = "way-{at}"\nwhat = "x"\non = "first"\nset = {{ "train.epochs" = 3 }}' for at in range(2)]
    beside = [one.replace("way", "beside") + "\nbeside = true" for one in way[:1]]
    changes = read_changes(write_changes(plain, FIRST, *way, *beside))
    monkeypatch.setattr(
        ablation.evaluate, "compare", lambda *_: Comparison("f1", "all", Interval(0, 0, 0), 0.01, "better")
    )
    found = {one.name: ablation.Measured(None, None, "") for one in changes}
    told = ablation.compared(changes, found)
    p_values = {name: one["f1"]["p_holm"] for name, one in told.items()}
    assert p_values == pytest.approx({"way-0": 0.04, "way-1": 0.04, "beside-0": 0.02})


def test_a_lever_has_networks_of_its_own_which_words_share(plain):
    pulled = 'name = "pulled"\nwhat = "x"\non = "first"\nlever = "token-dropping"'
    words = 'name = "words"\nwhat = "x"\non = "pulled"\nset = { "lexicon.grams" = ["words"] }'
    changes = read_changes(write_changes(plain, FIRST, pulled, words))
    assert [one.lever for one in changes] == [None, "token-dropping", "token-dropping"]
    parts, kept = ablation.read_rows(changes), {}
    first, _, _ = (ablation.measure(one, parts[one.name], plain / "work", kept) for one in changes)
    plain_key, pulled_key = kept
    assert pulled_key == f"{plain_key}-token-dropping"
    assert len(list((plain / "work").iterdir())) == 2
    assert not np.allclose(kept[pulled_key].logits, first.networks.logits)


def test_a_file_without_folds_is_refused(plain):
    with pytest.raises(ConfigError, match="folds"):
        read_changes(write_changes(plain, FIRST, folds="folds = 1"))
    with pytest.raises(ConfigError, match="no settings file at nowhere"):
        read_changes(Path("nowhere.toml"))


def test_a_change_of_the_rows_is_refused_before_anything_is_trained(plain):
    other = tiny.write_csv(plain / "other.csv", tiny.texts(seed=1))
    change = f'name = "other"\nwhat = "x"\non = "first"\nset = {{ sources = [{{ path = "{other}" }}] }}'
    with pytest.raises(ConfigError, match="'other' would be measured on other rows than 'first'"):
        ablation.read_rows(read_changes(write_changes(plain, FIRST, change)))


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--only", "frist"), "no change 'frist'"), (("--only", "first", "--out", "x.json"), "give one of the two")],
)
def test_a_part_is_a_known_one_and_writes_no_result(plain, monkeypatch, options, said):
    path = write_changes(plain, FIRST)
    monkeypatch.setattr(sys, "argv", ["ablation.py", str(path), "--work", str(plain / "work"), *options])
    with pytest.raises(ConfigError, match=said):
        ablation.main()
    assert not (plain / "work").exists()


def test_the_shipped_changes_lead_to_the_best_recipe(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = {one.name: one.config for one in read_changes(Path("benchmarks/ablation.toml"))}
    best = settings.load(ROOT / "configs" / "best.toml")
    for table in ("base", "adapter", "encode", "loss", "lexicon"):
        assert getattr(found["words"], table) == getattr(best, table), table
    # Patience ends no training with folds; what soups give is told by benchmarks/soups.py.
    told_apart = {"patience": best.train.patience, "soup": best.train.soup}
    assert found["words"].train.model_copy(update=told_apart) == best.train
    assert found["beta"].threshold.calibration == best.threshold.calibration
