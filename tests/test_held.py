"""Cross-fitting: thresholds from every row, each scored by a model that did not see it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import tiny
import toy
from adaptox import config as settings
from adaptox import train
from adaptox.adapt import adapt, read_and_prepare
from adaptox.errors import ConfigError, DataError, InterruptedRunError
from adaptox.evaluate import rows_from_parquet
from adaptox.teach import folds_key
from adaptox.train import soup

FOLDS = 3


def config_of(base, csv, folds=FOLDS):
    quick = {"epochs": 3, "average": 2, "allow_collapse": True}
    return tiny.settings(base, csv, train=quick, threshold={"folds": folds})


@pytest.fixture(scope="module")
def done(tiny_bert, csv, tmp_path_factory):
    """A cross-fitted run, with the rows that every training of it saw."""
    seen, fit = [], train.fit

    def noting(network, encoder, rows, *rest, **more):
        seen.append({row.id for row in rows})
        return fit(network, encoder, rows, *rest, **more)

    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soup, "fit", noting)
        return adapt(config_of(tiny_bert, csv), out), seen


def test_the_final_model_is_trained_on_all_rows_but_the_test_part(done):
    run, seen = done
    parts = rows_from_parquet(run.folder / "scores.parquet")
    assert len(seen) == FOLDS + 1
    assert seen[-1] == set(parts["validation"].ids)
    assert not seen[-1] & set(parts["test"].ids)


def test_every_row_is_scored_once_by_a_model_that_saw_neither_it_nor_its_family(done):
    run, seen = done
    held = rows_from_parquet(run.folder / "scores.parquet")["validation"]
    assert len(set(held.ids)) == len(held.ids)
    family = dict(zip(held.ids, held.groups, strict=True))
    left_out = [seen[-1] - fold for fold in seen[:FOLDS]]
    assert sorted(id_ for fold in left_out for id_ in fold) == sorted(held.ids)
    for fold, trained in zip(left_out, seen[:FOLDS], strict=True):
        assert not {family[id_] for id_ in fold} & {family[id_] for id_ in trained}


def test_the_threshold_says_that_it_comes_from_folds(done):
    run, _ = done
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["threshold"]["origin"] == f"val: best expected F1, {FOLDS} folds"
    assert metrics["validation"]["all"]["n"] == len(
        rows_from_parquet(run.folder / "scores.parquet")["validation"].ids
    )
    assert "each scored by a model that did not see it" in (run.folder / "report.html").read_text()


def test_the_time_of_all_trainings_is_told(done):
    run, _ = done
    history = json.loads((run.folder / "history.json").read_text())
    assert run.training.wall_s > 0
    assert not any(key.startswith("eval_") for entry in history for key in entry)


@pytest.mark.parametrize("fold", [0, 2])
def test_a_cross_fitted_run_that_is_stopped_in_a_fold_ends_as_if_it_had_not_been(
    done, tiny_bert, csv, tmp_path, fold, monkeypatch
):
    begun = 0

    def stop(stage: str, at: int, total: int) -> None:
        nonlocal begun
        begun += stage == "train" and at == 1
        if stage == "train" and begun == fold + 1 and at == 9:
            raise KeyboardInterrupt

    chosen = config_of(tiny_bert, csv)
    with pytest.raises((InterruptedRunError, KeyboardInterrupt)):
        adapt(chosen, tmp_path / "run", progress=stop)
    fit, trained = train.fit, []
    monkeypatch.setattr(soup, "fit", lambda *given: trained.append(given) or fit(*given))
    adapt(chosen, tmp_path / "run", resume=True)
    assert len(trained) == FOLDS + 1 - fold  # finished folds are not trained again
    one, other = (rows_from_parquet(path / "scores.parquet") for path in (done[0].folder, tmp_path / "run"))
    for part in one:
        np.testing.assert_array_equal(one[part].probs, other[part].probs)


def test_more_folds_than_families_of_a_class_are_refused(tiny_bert, csv, tmp_path):
    (tmp_path / "run").mkdir()
    before = settings.resolved_json(config_of(tiny_bert, csv))
    (tmp_path / "run" / "config.json").write_text(before)
    with pytest.raises(DataError, match=r"threshold\.folds = 60 needs as many families .* got \d+: lower it"):
        adapt(config_of(tiny_bert, csv, folds=60), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "config.json").read_text() == before  # nothing was overwritten


def test_without_a_test_part_the_base_is_judged_on_the_rows_of_the_folds(toxic_bert, csv, tmp_path):
    chosen = settings.override(config_of(toxic_bert, csv, folds=2), {"prepare.test_fraction": 0.0})
    run = adapt(chosen, tmp_path / "run")
    parts = read_and_prepare(chosen).prepared
    assert run.evaluation.rows.ids == run.baseline.rows.ids
    assert set(run.evaluation.rows.ids) == {row.id for row in (*parts.train, *parts.validation)}
    assert any("each was scored by a model that did not see it" in note for note in run.notes)
    told = (tmp_path / "run" / "report.md").read_text()
    assert "The text was not kept" not in told
    assert "also chose the weights" not in told
    assert "on these same rows, so precision, recall and F1 are a little too good" in told
    assert "split: validation" in (tmp_path / "run" / "bundle" / "README.md").read_text()


def test_a_balanced_sample_has_no_folds(tiny_bert, csv, tmp_path):
    balanced = settings.override(config_of(tiny_bert, csv), {"prepare.sample": "balanced"})
    with pytest.raises(ConfigError, match=r"'balanced' makes positives too frequent: set threshold\.folds = 0"):
        adapt(balanced, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_fold_is_refused():
    with pytest.raises(ConfigError, match="folds must be 0, or at least 2, got 1"):
        settings.parse({"threshold": {"folds": 1}})


def test_scores_of_folds_are_kept_under_all_that_they_depend_on(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "weights").write_bytes(b"one")
    config = toy.config_of(base)
    rows = toy.examples(6, seed=0)
    known = folds_key(config, 2, rows)
    assert folds_key(config.model_copy(update={"name": "other"}), 2, rows) == known
    others = [
        folds_key(config, 3, rows),
        folds_key(config.model_copy(update={"seed": 1}), 2, rows),
        folds_key(settings.override(config, {"prepare.group": "none"}), 2, rows),
        folds_key(config, 2, rows[::-1]),
        folds_key(config, 2, [replace(rows[0], group="kin"), *rows[1:]]),
    ]
    (base / "weights").write_bytes(b"two")
    others.append(folds_key(config, 2, rows))
    assert len({known, *others}) == 7
