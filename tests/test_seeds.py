"""benchmarks/seeds.py: a recipe over seeds, beside the one before."""

import json
from dataclasses import replace

import numpy as np
import pytest
import seeds

from adaptox.errors import InputError
from adaptox.evaluate import ScoredRows

ROWS = ScoredRows(
    ids=tuple(f"r{at}" for at in range(60)),
    probs=np.linspace(0.01, 0.99, 60),
    truth=np.array([int(at % 3 == 0 or at > 45) for at in range(60)]),
    groups=tuple(f"g{at // 2}" for at in range(60)),
    slices={"all": np.ones(60, dtype=bool)},
)


@pytest.fixture
def before(tmp_path):
    (tmp_path / "runs" / "all-s0").mkdir(parents=True)
    runs = [{"name": "all", "config": {"base": {"name": "runs/old"}}}]
    (tmp_path / "study.json").write_text(json.dumps({"title": "old", "commit": "abc", "runs": runs}))
    return tmp_path


def told(before, monkeypatch, old, numbers=(0, 1)):
    now = seeds.Voice({"test": ROWS, "folds": ROWS}, 0.5)
    monkeypatch.setattr(seeds, "voices", lambda _: (now, seeds.Voice({"test": old, "folds": old}, 0.5)))
    measured = {number: (now, seeds.measure(now)) for number in numbers}
    return seeds.against(before, "all", measured, dict.fromkeys(seeds.PARTS, "all"))


def test_a_recipe_is_compared_on_the_seeds_that_both_have(before, monkeypatch):
    found = told(before, monkeypatch, replace(ROWS, probs=ROWS.probs[::-1]))
    assert (found["seeds"], found["study"], found["config"]["base"]["name"]) == ([0], "old", "runs/old")
    assert found["test"]["auprc"]["value"] > 0
    assert "p_value" not in found["folds"]["auprc"]


def test_another_study_of_other_rows_or_none_is_refused(before, monkeypatch):
    other = replace(ROWS, groups=ROWS.ids)
    with pytest.raises(InputError, match="expected a study of the same rows"):
        told(before, monkeypatch, other)
    with pytest.raises(InputError, match=r"seeds among \[3\], got none"):
        told(before, monkeypatch, ROWS, numbers=(3,))
    (before / "study.json").unlink()
    with pytest.raises(InputError, match="holds no finished study"):
        told(before, monkeypatch, ROWS)
