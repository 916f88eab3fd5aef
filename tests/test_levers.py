"""benchmarks/levers.py: one change at a time, on folds, and the README's table of it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import tiny
from adaptox.errors import ConfigError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def levers():
    spec = importlib.util.spec_from_file_location("levers", ROOT / "benchmarks" / "levers.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write_levers(folder, *rows):
    tables = "".join(f"[[levers]]\n{row}\n" for row in rows)
    path = folder / "levers.toml"
    path.write_text(f'settings = "{folder}/plain.toml"\nfolds = 2\n{tables}', encoding="utf-8")
    return path


@pytest.fixture
def plain(tmp_path, tiny_bert):
    data = tiny.write_csv(tmp_path / "mine.csv", tiny.texts())
    tiny.write_toml(tmp_path / "plain.toml", tiny.settings(tiny_bert, data, train={"epochs": 2}))
    return tmp_path


def test_levers_are_compared_with_what_they_stand_on_and_trained_once(levers, plain, monkeypatch, capsys):
    path = write_levers(
        plain,
        'name = "first"\nwhat = "plain"',
        'name = "words"\nwhat = "with words"\non = "first"\nset = { "lexicon.grams" = ["words"] }',
    )
    told = plain / "levers.json"
    command = ["levers.py", str(path), "--work", str(plain / "work"), "--out", str(told)]
    monkeypatch.setattr(sys, "argv", command)
    levers.main()
    found = json.loads(told.read_text())
    first, words = found["levers"]
    assert (found["folds"], first["on"], words["on"], first["difference"]) == (2, None, "first", None)
    gained = words["auprc"]["value"] - first["auprc"]["value"]
    assert words["difference"]["auprc"]["value"] == pytest.approx(gained)
    assert 0 < words["difference"]["auprc"]["p_holm"] <= 1
    # Words stand beside the same networks.
    (folder,) = (plain / "work").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "fold-0.npz", "fold-1.npz"]

    monkeypatch.setattr("adaptox.train.fit_soup", lambda *_: pytest.fail("trained again"))
    levers.main()
    assert json.loads(told.read_text())["levers"] == found["levers"]

    monkeypatch.setattr(sys, "argv", [*command[:-2], "--only", "first"])
    capsys.readouterr()
    levers.main()
    assert capsys.readouterr().out.startswith("first ")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (('name = "a"\nwhat = "x"\non = "b"',), "'a' stands on 'b', which is not above it"),
        (('name = "a"\nwhat = "x"', 'name = "a"\nwhat = "y"'), "the lever 'a' stands there twice"),
        (('name = "a"\nwhat = "x"\nset = { "train.epoch" = 1 }',), "epoch"),
    ],
)
def test_levers_that_cannot_be_measured_are_refused(levers, plain, rows, said):
    with pytest.raises(ConfigError, match=said):
        levers.read_levers(write_levers(plain, *rows))


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--only", "secnd"), "no lever 'secnd'"), (("--only", "first", "--out", "x.json"), "give one of the two")],
)
def test_a_part_is_a_known_one_and_writes_no_result(levers, plain, monkeypatch, options, said):
    path = write_levers(plain, 'name = "first"\nwhat = "plain"')
    monkeypatch.setattr(sys, "argv", ["levers.py", str(path), "--work", str(plain / "work"), *options])
    with pytest.raises(ConfigError, match=said):
        levers.main()
    assert not (plain / "work").exists()


def test_the_shipped_levers_resolve(levers, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = levers.read_levers(Path("benchmarks/levers.toml"))
    assert found[0].on is None
    assert len({one.config.model_dump_json() for one in found}) == len(found)
