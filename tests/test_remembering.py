"""benchmarks/remembering.py: what a share of the base's weights gives back of what a network forgot."""

from __future__ import annotations

import json

import numpy as np
import pytest
import remembering
import soups

import tiny


@pytest.fixture(scope="module")
def place(tiny_bert, tmp_path_factory):
    """Two seeds of one recipe, and settings that the base might have been trained by."""
    place = tmp_path_factory.mktemp("remembering")
    tiny.two_seeds(tiny_bert, place)
    before = tiny.settings(tiny_bert, tiny.write_csv(place / "before.csv", tiny.texts(seed=1)))
    tiny.write_toml(place / "before.toml", before)
    return place


def test_shares_are_compared_with_the_networks_as_they_are(place, tmp_path, monkeypatch):
    monkeypatch.setattr(remembering.benchmark, "RESAMPLES", 50)
    members = soups.Members.of(place / "study", "all", tmp_path)
    mixer = remembering.Mixer.of(members, place / "before.toml")
    none, half = remembering.run(mixer, [0.5])["shares"]
    assert (none["share"], half["share"], none["with_words_gained"]) == (0.0, 0.5, None)
    for at, run in members.runs.items():
        own = json.loads((run / "metrics.json").read_text())["lexicon"]["network_alone"]["validation"]["all"]
        told = none["network_alone"]["folds"]["all"]["auprc"]["seeds"][at]
        assert told == pytest.approx(own["auprc"]["value"], abs=1e-6)
    for part in ("folds", "held out from the base"):
        means = [one["with_words"][part]["all"]["auprc"]["value"] for one in (half, none)]
        assert half["with_words_gained"][part]["auprc"]["value"] == pytest.approx(means[0] - means[1])
    assert none["with_words"]["held out from the base"]["all"]["n"] == len(mixer.before)

    # All of the base is the base, whatever was trained.
    assert np.allclose(mixer.logits(0, 1.0, 0), mixer.logits(1, 1.0, 0))
    assert not np.allclose(mixer.logits(0, 0.5, 0), mixer.logits(1, 0.5, 0))
