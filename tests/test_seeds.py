"""benchmarks/seeds.py: a recipe over seeds, beside the one before."""

import json
from dataclasses import replace

import all_seeds
import kept_scores
import numpy as np
import pytest
import seeds

from adaptox.errors import ConfigError, DataError, InputError
from adaptox.evaluate import ScoredRows

ROWS = ScoredRows(
    ids=tuple(f"r{at}" for at in range(60)),
    probs=np.linspace(0.01, 0.99, 60),
    truth=np.array([int(at % 3 == 0 or at > 45) for at in range(60)]),
    groups=tuple(f"g{at // 2}" for at in range(60)),
    slices={"all": np.ones(60, dtype=bool)},
)

SIDES = (ROWS.truth * 0.8 + 0.1, 0.9 - ROWS.truth * 0.8)


@pytest.fixture
def before(tmp_path):
    told = {"study": "old", "commit": {"runs": "abc"}}
    recipes = [{"name": "all", "config": {"base": {"name": "runs/old"}}}]
    (tmp_path / "seeds.json").write_text(json.dumps({**told, "recipes": recipes}))
    return tmp_path


def keep(folder, old):
    voice = seeds.Voice(dict.fromkeys(seeds.PARTS, old), 0.5)
    kept_scores.write(folder / kept_scores.FILE, kept_scores.Kept.of({"all": {0: voice}}))


def told(before, numbers=(0, 1)):
    now = seeds.Voice({"test": ROWS, "folds": ROWS}, 0.5)
    measured = {number: (now, seeds.measure(now)) for number in numbers}
    return seeds.against(before, "all", measured, dict.fromkeys(seeds.PARTS, "all"))


def test_a_recipe_is_compared_on_the_seeds_that_both_have(before):
    keep(before, replace(ROWS, probs=ROWS.probs[::-1]))
    found = told(before)
    assert (found["seeds"], found["study"], found["config"]["base"]["name"]) == ([0], "old", "runs/old")
    assert found["test"]["auprc"]["value"] > 0
    assert 0 < found["test"]["auprc"]["p_holm"] <= 1
    assert "p_holm" not in found["folds"]["auprc"]


@pytest.mark.parametrize(("corrected", "verdict"), [(0.049, "better"), (0.051, "not distinguishable")])
def test_a_verdict_is_that_of_the_corrected_p_value(monkeypatch, corrected, verdict):
    good, bad = (seeds.Voice(dict.fromkeys(seeds.PARTS, replace(ROWS, probs=probs)), 0.5) for probs in SIDES)
    monkeypatch.setattr(seeds.evaluate, "holm", lambda p_values: [corrected] * len(p_values))
    found = seeds.gains([seeds.measure(good)], [seeds.measure(bad)], dict.fromkeys(seeds.PARTS, "all"))
    assert {gain["verdict"] for gain in found["test"].values()} == {verdict}


def test_an_earlier_result_without_any_of_the_recipes_is_refused(before, tmp_path):
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text(json.dumps({"runs": [{"name": "lora", "seeds": []}]}))
    with pytest.raises(InputError, match=r"expected a recipe of .*study, got all"):
        seeds.run(study, before)
    with pytest.raises(InputError, match=r"expected the recipe 'lara', got all"):
        seeds.run(study, before, "lara")


def test_a_recipe_is_compared_with_the_one_that_is_named(before, tmp_path, monkeypatch):
    keep(before, replace(ROWS, probs=ROWS.probs[::-1]))
    study = tmp_path / "study"
    study.mkdir()
    told = {"title": "new", "panels": [], "hardware": "", "commit": ""}
    runs = [{"name": "lora", "config": {}, "seeds": [{"seed": 0}, {"seed": 1}]}]
    (study / "study.json").write_text(json.dumps({**told, "runs": runs}))
    voice = seeds.Voice(dict.fromkeys(seeds.PARTS, ROWS), 0.5)
    monkeypatch.setattr(seeds, "voices", lambda folder: (voice, voice))
    (found,) = seeds.run(study, before, "all")[0]["recipes"]
    assert (found["name"], found["against"]["seeds"]) == ("lora", [0])
    assert found["against"]["test"]["auprc"]["value"] > 0


def test_an_earlier_result_of_other_rows_or_none_is_refused(before):
    with pytest.raises(DataError, match=r"cannot read the scores kept in .*scores\.npz"):
        told(before)
    keep(before, replace(ROWS, groups=ROWS.ids))
    with pytest.raises(InputError, match="expected a result of the same rows"):
        told(before)
    keep(before, ROWS)
    with pytest.raises(InputError, match=r"seeds among \[3\], got none"):
        told(before, numbers=(3,))
    (before / "seeds.json").unlink()
    with pytest.raises(InputError, match=r"holds no seeds\.json"):
        told(before)


def result(folder, numbers, rows=ROWS, epochs=3):
    """Write what seeds of a recipe said, the odd ones better than the even ones."""
    folder.mkdir()
    recipe = {
        "name": "all",
        "config": {
            "name": f"all-s{numbers[0]}",
            "seed": numbers[0],
            "train": {"epochs": epochs},
            "threshold": {"calibration": "platt"},
        },
    }
    told = {"study": "best", "panels": [], "hardware": "two cores", "commit": {"runs": folder.name}}
    (folder / "seeds.json").write_text(json.dumps({**told, "recipes": [recipe]}))
    said = {
        number: seeds.Voice(dict.fromkeys(seeds.PARTS, replace(rows, probs=SIDES[1 - number % 2])), 0.5)
        for number in numbers
    }
    kept_scores.write(folder / kept_scores.FILE, kept_scores.Kept.of({"all": said}))
    return folder


def test_all_seeds_of_a_recipe_are_told_together(tmp_path):
    rows = dict.fromkeys(seeds.PARTS, ROWS)
    both = [result(tmp_path / "one", [0, 1]), result(tmp_path / "two", [3])]
    told = all_seeds.run(both, "all", rows)
    (recipe,) = told["recipes"]
    assert recipe["seeds"] == [0, 1, 3]
    assert recipe["with_words"]["test"]["all"]["auprc"]["seeds"][1:] == [1.0, 1.0]
    values = recipe["with_words"]["test"]["all"]["f1"]
    assert values["value"] == pytest.approx(np.mean(values["seeds"]))
    assert recipe["ensemble"]["folds"]["all"]["auprc"]["value"] == 1.0
    assert told["commit"]["runs"] == "one and two"


def test_seeds_are_decided_anew_and_compared_with_themselves(tmp_path):
    rows = dict.fromkeys(seeds.PARTS, ROWS)
    told = all_seeds.run([result(tmp_path / "one", [0, 1])], "all", rows, "beta")
    (recipe,) = told["recipes"]
    assert recipe["config"]["threshold"]["calibration"] == "beta"
    assert recipe["against"]["config"]["threshold"]["calibration"] == "platt"
    assert (recipe["against"]["seeds"], recipe["against"]["commit"]) == ([0, 1], "one")
    # A calibration keeps the order of rows: what ranks them is as it was.
    assert recipe["against"]["test"]["auprc"]["value"] == 0.0
    before = all_seeds.run([tmp_path / "one"], "all", rows)["recipes"][0]
    gained = recipe["with_words"]["test"]["all"]["f1"]["value"] - before["with_words"]["test"]["all"]["f1"]["value"]
    assert recipe["against"]["test"]["f1"]["value"] == pytest.approx(gained)


def test_settings_of_another_version_are_no_hindrance_to_deciding_anew(tmp_path):
    folder = result(tmp_path / "one", [0])
    told = json.loads((folder / "seeds.json").read_text())
    told["recipes"][0]["config"]["loss"] = {"gone": 1}
    (folder / "seeds.json").write_text(json.dumps(told))
    found = all_seeds.run([folder], "all", dict.fromkeys(seeds.PARTS, ROWS), "beta")
    assert found["recipes"][0]["config"]["loss"] == {"gone": 1}
    with pytest.raises(ConfigError, match=r"threshold\.calibration"):
        all_seeds.run([folder], "all", dict.fromkeys(seeds.PARTS, ROWS), "bta")


def test_seeds_of_other_settings_or_twice_the_same_are_not_told_together(tmp_path):
    rows = dict.fromkeys(seeds.PARTS, ROWS)
    one = result(tmp_path / "one", [0, 1])
    with pytest.raises(InputError, match=r"two: expected seeds that no earlier folder has, got \[1\] again"):
        all_seeds.run([one, result(tmp_path / "two", [1, 2])], "all", rows)
    with pytest.raises(InputError, match=r"long: expected the settings of .*one, but for the seed"):
        all_seeds.run([one, result(tmp_path / "long", [4], epochs=9)], "all", rows)
    with pytest.raises(InputError, match="other: expected a result of the same rows"):
        all_seeds.run([one, result(tmp_path / "other", [4], replace(ROWS, groups=ROWS.ids))], "all", rows)
    with pytest.raises(InputError, match="one: expected the recipe 'lara', got all"):
        all_seeds.run([one], "lara", rows)
