"""benchmarks/seeds.py: a recipe over seeds, beside the one before."""

import json
from dataclasses import replace

import kept_scores
import numpy as np
import pytest
import seeds

from adaptox.errors import DataError, InputError
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
