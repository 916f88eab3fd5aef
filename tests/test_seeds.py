"""benchmarks/seeds.py: a recipe over seeds, beside the one before."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adaptox.errors import InputError
from adaptox.evaluate import ScoredRows

ROWS = ScoredRows(
    ids=tuple(f"r{at}" for at in range(60)),
    probs=np.linspace(0.01, 0.99, 60),
    truth=np.array([int(at % 3 == 0 or at > 45) for at in range(60)]),
    groups=tuple(f"g{at // 2}" for at in range(60)),
    slices={"all": np.ones(60, dtype=bool)},
)


@pytest.fixture(scope="module")
def seeds():
    path = Path(__file__).parents[1] / "benchmarks" / "seeds.py"
    spec = importlib.util.spec_from_file_location("seeds", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def before(tmp_path):
    (tmp_path / "runs" / "all-s0").mkdir(parents=True)
    runs = [{"name": "all", "config": {"base": {"name": "runs/old"}}}]
    (tmp_path / "study.json").write_text(json.dumps({"title": "old", "commit": "abc", "runs": runs}))
    return tmp_path


def told(seeds, before, monkeypatch, old, numbers=(0, 1)):
    now = seeds.Voice({"test": ROWS, "folds": ROWS}, 0.5)
    monkeypatch.setattr(seeds, "voices", lambda _: (now, seeds.Voice({"test": old, "folds": old}, 0.5)))
    measured = {number: (now, seeds.measure(now)) for number in numbers}
    return seeds.against(before, "all", measured, dict.fromkeys(seeds.PARTS, "all"))


def test_a_recipe_is_compared_on_the_seeds_that_both_have(seeds, before, monkeypatch):
    found = told(seeds, before, monkeypatch, replace(ROWS, probs=ROWS.probs[::-1]))
    assert (found["seeds"], found["study"], found["config"]["base"]["name"]) == ([0], "old", "runs/old")
    assert found["test"]["auprc"]["value"] > 0
    assert "p_value" not in found["folds"]["auprc"]


def test_another_study_of_other_rows_or_none_is_refused(seeds, before, monkeypatch):
    other = replace(ROWS, groups=ROWS.ids)
    with pytest.raises(InputError, match="expected a study of the same rows"):
        told(seeds, before, monkeypatch, other)
    with pytest.raises(InputError, match=r"seeds among \[3\], got none"):
        told(seeds, before, monkeypatch, ROWS, numbers=(3,))
    (before / "study.json").unlink()
    with pytest.raises(InputError, match="holds no finished study"):
        told(seeds, before, monkeypatch, ROWS)
