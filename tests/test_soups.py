"""benchmarks/soups.py: what the mean of several seeds' weights is worth."""

from __future__ import annotations

import json
import shutil

import pytest
import soups

import tiny
from adaptox.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def study(tiny_bert, tmp_path_factory):
    """Two seeds of one recipe."""
    return tiny.two_seeds(tiny_bert, tmp_path_factory.mktemp("soups"))


def test_a_soup_of_one_is_its_run_and_a_larger_one_is_compared_with_it(study, monkeypatch):
    monkeypatch.setattr(soups.benchmark, "RESAMPLES", 50)
    members = soups.Members.of(study, "all", study / "work")
    found = soups.run(members)
    single, both = found["sizes"]
    assert (single["size"], both["size"], both["soups"]) == (1, 2, [(0, 1)])
    for at, run in members.runs.items():
        own = json.loads((run / "metrics.json").read_text())
        for metric in ("auprc", "f1"):
            told = single["with_words"]["test"]["all"][metric]["seeds"][at]
            assert told == pytest.approx(own["slices"]["all"][metric]["value"], abs=1e-6)
            told = single["network_alone"]["folds"]["all"][metric]["seeds"][at]
            alone = own["lexicon"]["network_alone"]["validation"]["all"][metric]["value"]
            assert told == pytest.approx(alone, abs=1e-6)
    gain = both["over_members"]["network_alone"]["test"]["auprc"]
    means = [size["network_alone"]["test"]["all"]["auprc"]["value"] for size in (both, single)]
    assert gain["value"] == pytest.approx(means[0] - means[1])
    assert gain["low"] <= gain["value"] <= gain["high"]


def test_soups_can_be_decided_by_another_calibration(study):
    members = soups.Members.of(study, "all", study / "work", "temperature")
    assert members.config.threshold.calibration == "temperature"
    with pytest.raises(ConfigError, match=r"threshold\.calibration"):
        soups.Members.of(study, "all", study / "work", "warmth")


def test_what_was_scored_for_other_weights_is_not_taken(study, tmp_path):
    before = soups.Members.of(study, "all", tmp_path).work
    changed = shutil.copytree(study, tmp_path / "study")
    shutil.rmtree(changed / "runs" / "all-s1" / "bundle")
    shutil.copytree(changed / "runs" / "all-s0" / "bundle", changed / "runs" / "all-s1" / "bundle")
    assert soups.Members.of(changed, "all", tmp_path).work != before


def test_neighbouring_seeds_make_the_soups_of_a_size():
    assert soups.groups([0, 1, 2, 3], 2) == [(0, 1), (1, 2), (2, 3), (0, 3)]
    assert soups.groups([0, 1], 5) == [(0, 1)]


def test_a_recipe_without_seeds_is_refused(study, tmp_path):
    with pytest.raises(InputError, match=r"expected finished runs lora-s0, lora-s1, …, got 0"):
        soups.Members.of(study, "lora", tmp_path)
