"""benchmarks/pooled.py: a recipe that was measured twice, as one."""

import json
from dataclasses import replace

import kept_scores
import numpy as np
import pooled
import pytest
import seeds

from adaptox import config as settings
from adaptox.errors import InputError
from adaptox.evaluate import ScoredRows

ROWS = ScoredRows(
    ids=tuple(f"r{at:02}" for at in range(60)),
    probs=np.zeros(60),
    truth=np.array([int(at % 3 == 0) for at in range(60)]),
    groups=tuple(f"g{at // 2}" for at in range(60)),
    slices={"all": np.ones(60, dtype=bool)},
)
CONFIG = {"threshold": {"folds": 3}}


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    monkeypatch.setattr(pooled, "rows_of", lambda config: dict.fromkeys(seeds.PARTS, ROWS))


@pytest.fixture
def result(tmp_path):
    def write(name, numbers, config=CONFIG, rows=ROWS):
        folder = tmp_path / name
        folder.mkdir()
        one = {"name": "all", "seeds": list(numbers), "config": settings.parse(config).model_dump(mode="json")}
        told = {"study": "best", "panels": [], "recipes": [one], "hardware": name, "commit": {"runs": f"of {name}"}}
        (folder / "seeds.json").write_text(json.dumps(told))
        heard = {}
        for number in numbers:
            noise = np.random.default_rng(len(name) + number).normal(size=60)
            probs = (1 / (1 + np.exp(-(2 * ROWS.truth - 1 + noise)))).astype(np.float32).astype(np.float64)
            scored = replace(rows, probs=probs)
            heard[number] = seeds.Voice(dict.fromkeys(seeds.PARTS, scored), 0.5)
        kept_scores.write(folder / kept_scores.FILE, kept_scores.Kept.of({"all": heard}))
        return folder, heard

    return write


def test_seeds_of_both_count_alike(result):
    (first, some), (second, more) = result("first", (0, 1)), result("again", (0, 1, 2))
    told = pooled.run([first, second], "all")
    (recipe,) = told["recipes"]
    alone = [seeds.measure(voice) for voice in (*some.values(), *more.values())]
    whole = recipe["with_words"]["test"]["all"]["f1"]
    assert recipe["seeds"] == [0, 1, 0, 1, 2]
    assert whole["seeds"] == [one.points["test"]["all"]["f1"] for one in alone]
    assert whole["value"] == pytest.approx(np.mean(whole["seeds"]))
    assert whole["low"] < whole["value"] < whole["high"]
    assert (told["of"], told["hardware"]) == (["first", "again"], "first and again")
    assert told["commit"]["runs"] == ["of first", "of again"]


def test_another_recipe_or_other_rows_are_refused(result):
    first, _ = result("first", (0,))
    slower, _ = result("slower", (0,), {**CONFIG, "train": {"epochs": 9}})
    apart, _ = result("apart", (0,), rows=replace(ROWS, groups=ROWS.ids))
    with pytest.raises(InputError, match=r"slower: expected .*first, got other settings of \['train'\]"):
        pooled.run([first, slower], "all")
    with pytest.raises(InputError, match="apart: expected a result of the same rows as the first"):
        pooled.run([first, apart], "all")
    with pytest.raises(InputError, match="expected the recipe 'lora', got all"):
        pooled.run([first], "lora")
