"""benchmarks/fewer_rows.py: what a run would have made of fewer rows."""

from __future__ import annotations

import json
import sys

import fewer_rows
import pytest

import tiny
from adaptox.adapt import adapt
from adaptox.errors import InputError


@pytest.fixture(scope="module")
def run(tiny_bert, tmp_path_factory):
    place = tmp_path_factory.mktemp("fewer")
    data = tiny.write_csv(place / "rows.csv", tiny.texts())
    config = tiny.settings(
        tiny_bert, data, threshold={"folds": 2}, lexicon={"grams": ["words"]}, train={"allow_collapse": True}
    )
    adapt(config, place / "run")
    return place / "run"


def test_a_run_is_compared_with_what_it_makes_of_half_of_its_rows(run, tmp_path, monkeypatch):
    monkeypatch.setattr(fewer_rows, "RESAMPLES", 50)
    out = tmp_path / "told.json"
    command = ["fewer_rows.py", str(run), "--work", str(tmp_path / "work"), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    fewer_rows.main()
    ((whole, half),) = [one["curve"] for one in json.loads(out.read_text())["runs"]]
    own = json.loads((run / "metrics.json").read_text())["lexicon"]["network_alone"]["validation"]["all"]
    assert whole["auprc"]["value"] == pytest.approx(own["auprc"]["value"], abs=1e-6)
    assert half["difference"]["auprc"]["value"] == pytest.approx(half["auprc"]["value"] - whole["auprc"]["value"])
    assert half["toxic_rows_learned_from"] == pytest.approx(whole["toxic_rows_learned_from"] / 2, abs=1)
    assert half["n"] == whole["n"]

    monkeypatch.setattr("adaptox.train.fit_soup", lambda *_: pytest.fail("trained again"))
    told = out.read_bytes()
    fewer_rows.main()
    assert out.read_bytes() == told


def test_a_part_keeps_families_whole_and_rows_without_the_label(run):
    found = fewer_rows.Run.of(run)
    kept = {row.id for row in fewer_rows.one_of(found.rows, 3, found.config)}
    families = {row.group for row in found.rows if row.id in kept}
    assert kept == {row.id for row in found.rows if row.group in families}
    assert fewer_rows.one_of(found.rows, 1, found.config) == list(found.rows)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is no finished run: adaptox train --resume finishes it"):
        fewer_rows.Run.of(tmp_path)
