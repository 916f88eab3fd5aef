"""benchmarks/ablation.py: one change at a time, on folds."""

import json
import sys
from pathlib import Path

import ablation
import numpy as np
import pytest

import tiny
from adaptox.errors import ConfigError, DataError

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
    path, told = write_changes(plain, FIRST, words, longer), plain / "told.json"
    command = ["ablation.py", str(path), "--work", str(plain / "work"), "--out", str(told)]
    monkeypatch.setattr(sys, "argv", command)
    ablation.main()
    found = json.loads(told.read_text())
    first, words, longer = found["changes"]
    assert (found["folds"], first["on"], words["on"], first["difference"]) == (2, None, "first", None)
    for one in (words, longer):
        gained = one["auprc"]["value"] - first["auprc"]["value"]
        assert one["difference"]["auprc"]["value"] == pytest.approx(gained)
    assert words["difference"]["auprc"]["p_holm"] is None  # weighed on these very rows
    assert 0 < longer["difference"]["auprc"]["p_holm"] <= 1
    # Words stand beside the same networks.
    assert len(list((plain / "work").iterdir())) == 2

    monkeypatch.setattr("adaptox.train.fit_soup", lambda *_: pytest.fail("trained again"))
    (plain / "work").rename(plain / "gone")  # the logits beside the result are enough
    ablation.main()
    assert json.loads(told.read_text())["changes"] == found["changes"]
    told.with_suffix(".npz").rename(plain / "gone.npz")
    (plain / "gone").rename(plain / "work")  # and so are the folds
    ablation.main()
    assert json.loads(told.read_text())["changes"] == found["changes"]
    shorter = write_changes(plain, FIRST)
    kept = ablation.kept_logits.read(told.with_suffix(".npz"))
    monkeypatch.setattr(sys, "argv", [command[0], str(shorter), *command[2:]])
    ablation.main()
    assert len(kept) == 2
    assert len(ablation.kept_logits.read(told.with_suffix(".npz"))) == 1  # what no change uses is not kept

    monkeypatch.setattr(sys, "argv", [*command[:-2], "--only", "first"])
    capsys.readouterr()
    ablation.main()
    assert capsys.readouterr().out.startswith("first ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (('name = "a"\nwhat = "x"\non = "b"',), "'a' is made to 'b', which is not above it"),
        ((FIRST, FIRST), "'first' stands there twice"),
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
        ablation.read_changes(write_changes(plain, *changes))


def test_logits_of_other_rows_are_refused():
    kept = ablation.Kept(np.zeros((3, 1)), 1.0, "a machine", "a commit")
    with pytest.raises(DataError, match="expected kept logits of 2 rows and 1 labels, got \\(3, 1\\)"):
        kept.held(["a row", "another"], ("toxicity",))


def test_a_file_without_folds_is_refused(plain):
    with pytest.raises(ConfigError, match="folds"):
        ablation.read_changes(write_changes(plain, FIRST, folds="folds = 1"))
    with pytest.raises(ConfigError, match="no settings file at nowhere"):
        ablation.read_changes(Path("nowhere.toml"))


def test_a_change_of_the_rows_is_refused_before_anything_is_trained(plain):
    other = tiny.write_csv(plain / "other.csv", tiny.texts(seed=1))
    change = f'name = "other"\nwhat = "x"\non = "first"\nset = {{ sources = [{{ path = "{other}" }}] }}'
    with pytest.raises(ConfigError, match="'other' would be measured on other rows than 'first'"):
        ablation.read_rows(ablation.read_changes(write_changes(plain, FIRST, change)))


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
    found = {one.name: one.config for one in ablation.read_changes(Path("benchmarks/ablation.toml"))}
    best = ablation.settings.load(ROOT / "configs" / "best.toml")
    for table in ("base", "adapter", "encode", "loss", "lexicon"):
        assert getattr(found["words"], table) == getattr(best, table), table
    # Patience ends no training with folds.
    assert found["words"].train.model_copy(update={"patience": best.train.patience}) == best.train
