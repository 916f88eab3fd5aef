"""Scores + truth → Evaluation."""

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap
from sklearn import metrics

from adaptox.config import EvaluateConfig
from adaptox.errors import CollapseError, DataError, MissingExtraError
from adaptox.evaluate import (
    METRICS,
    Provenance,
    ScoredRows,
    commit,
    compare,
    evaluate,
    hardware,
    holm,
    mcnemar,
    precision_recall,
    rows_from_parquet,
    rows_to_parquet,
    to_json,
)
from adaptox.evaluate import bootstrap as draws_of
from adaptox.evaluate.metrics import point_metrics
from adaptox.evaluate.resample import FEWEST_FAMILIES, draw_weights, interval
from adaptox.evaluate.weighted import sort_rows, weighted_metric, weighted_metrics
from adaptox.records import Conversation, Example

QUICK = EvaluateConfig(resamples=100)


def example(index, label, group="", **more):
    labels = {} if label is None else {"toxicity": int(label)}
    labels |= {"jailbreaking": more.pop("jailbreaking")} if "jailbreaking" in more else {}
    return Example(f"row{index}", Conversation.of("hello"), labels, group=group, **more)


def drawn(n, seed=0, noise=1.0):
    """Examples and probabilities that tell them apart more or less."""
    generator = np.random.default_rng(seed)
    truth = generator.random(n) < 0.3
    probs = 1 / (1 + np.exp(-(generator.normal(0, noise, n) + 2 * truth - 1)))
    return [example(index, label) for index, label in enumerate(truth)], np.round(probs, 2)


def evaluated(examples, probs, threshold=0.5, config=QUICK, **more):
    return evaluate(examples, np.array(probs), "toxicity", threshold, "0.5", config, seed=0, **more)


def sklearn_metrics(probs, truth, weights, threshold):
    called = probs >= threshold
    fpr, tpr, _ = metrics.roc_curve(truth, probs, sample_weight=weights, drop_intermediate=False)
    return {
        "auprc": metrics.average_precision_score(truth, probs, sample_weight=weights),
        "f1": metrics.f1_score(truth, called, sample_weight=weights),
        "precision": metrics.precision_score(truth, called, sample_weight=weights, zero_division=math.nan),
        "recall": metrics.recall_score(truth, called, sample_weight=weights),
        "accuracy": metrics.accuracy_score(truth, called, sample_weight=weights),
        "auroc": metrics.roc_auc_score(truth, probs, sample_weight=weights),
        "recall_at_fpr_01": tpr[fpr <= 0.01].max(),
        "brier": metrics.brier_score_loss(truth, probs, sample_weight=weights),
    }


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("threshold", [0.3, 0.8])
def test_weighted_metrics_equal_scikit_learn(decimals, threshold):
    generator = np.random.default_rng(decimals)
    n = 300
    truth = (generator.random(n) < 0.3).astype(int)
    probs = np.round(np.clip(generator.normal(0.3 + 0.3 * truth, 0.2), 0, 1), decimals)
    weights = generator.integers(0, 4, size=(5, n)).astype(float)
    rows = sort_rows(probs, truth, threshold)
    measured = weighted_metrics(rows, weights[:, rows.order])
    assert set(measured) == set(METRICS)
    for resample in range(5):
        for metric, value in sklearn_metrics(probs, truth, weights[resample], threshold).items():
            assert measured[metric][resample] == pytest.approx(value, abs=1e-12), metric
    for metric in METRICS:
        np.testing.assert_array_equal(weighted_metric(rows, weights[:, rows.order], metric), measured[metric])


def test_weights_of_one_give_the_point_values():
    examples, probs = drawn(500)
    truth = np.array([item.labels["toxicity"] for item in examples])
    rows = sort_rows(probs, truth, 0.4)
    measured = weighted_metrics(rows, np.ones((1, 500)))
    assert {name: values[0] for name, values in measured.items()} == pytest.approx(point_metrics(probs, truth, 0.4))


def test_a_small_case_by_hand():
    found = point_metrics(np.array([0.9, 0.8, 0.6, 0.1]), np.array([1, 0, 1, 0]), 0.7)
    assert found == pytest.approx(
        {
            "auprc": (1 + 2 / 3) / 2,
            "f1": 0.5,
            "precision": 0.5,
            "recall": 0.5,
            "accuracy": 0.5,
            "auroc": 0.75,
            "recall_at_fpr_01": 0.5,
            "brier": (0.01 + 0.64 + 0.16 + 0.01) / 4,
            "ece": (0.1 + 0.8 + 0.4 + 0.1) / 4,
        }
    )


def test_calibration_error_is_zero_where_shares_equal_scores():
    probs = np.repeat([0.25, 0.75], 40)
    truth = np.array([1, 0, 0, 0] * 10 + [1, 1, 1, 0] * 10)
    assert point_metrics(probs, truth, 0.5)["ece"] == pytest.approx(0)
    assert point_metrics(probs, 1 - truth, 0.5)["ece"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("truth", "undefined"),
    [(0, {"auprc", "f1", "recall", "auroc", "recall_at_fpr_01"}), (1, {"auprc", "auroc", "recall_at_fpr_01"})],
)
def test_what_one_class_leaves_undefined_is_nan_and_null(truth, undefined):
    evaluation = evaluated([example(index, truth) for index in range(4)], [0.1, 0.4, 0.6, 0.9])
    measured = evaluation.main.metrics
    assert {name for name, number in measured.items() if math.isnan(number.value)} == undefined
    written = to_json(evaluation, PROVENANCE)["slices"]["all"]
    assert all(written[name] == {"value": None, "low": None, "high": None} for name in undefined)


def test_precision_is_undefined_where_nothing_is_called_positive():
    measured = evaluated([example(0, 1), example(1, 0)], [0.1, 0.2]).main.metrics
    assert math.isnan(measured["precision"].value)
    assert measured["f1"].value == 0


def test_intervals_hold_the_value_and_narrow_with_more_rows():
    few, many = (evaluated(*drawn(n)).main.metrics for n in (100, 2000))
    for metric in METRICS:
        assert few[metric].low <= few[metric].value <= few[metric].high
        assert many[metric].high - many[metric].low < few[metric].high - few[metric].low, metric


def test_intervals_agree_with_scipy_where_every_row_is_its_own_family():
    examples, probs = drawn(400)
    right = (probs >= 0.5) == [item.labels["toxicity"] == 1 for item in examples]
    ours = evaluated(examples, probs, config=EvaluateConfig(resamples=4000)).main.metrics["accuracy"]
    theirs = bootstrap(
        (right,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


@pytest.mark.parametrize(("families", "known"), [(1, False), (FEWEST_FAMILIES - 1, False), (FEWEST_FAMILIES, True)])
def test_a_handful_of_families_gives_no_interval_and_no_verdict(families, known):
    examples, probs = drawn(90)
    grouped = [replace(item, group=f"family{index % families}") for index, item in enumerate(examples)]
    good, bad = evaluated(grouped, probs), evaluated(grouped, 1 - probs)
    assert math.isfinite(good.main.metrics["auprc"].value)
    assert math.isfinite(good.main.metrics["auprc"].low) == known
    verdict = compare(good, bad, "auprc", 200, 0)
    assert (verdict.verdict == "better") == known
    assert (verdict.p_value == 1) != known


def test_copies_in_one_family_are_no_evidence():
    examples, probs = drawn(100)
    copied = [
        example(f"{index}-{copy}", item.labels["toxicity"], group=f"family{index}")
        for copy in range(5)
        for index, item in enumerate(examples)
    ]
    alone, fivefold = evaluated(examples, probs), evaluated(copied, np.tile(probs, 5))
    width = {
        name: found.main.metrics["f1"].high - found.main.metrics["f1"].low
        for name, found in (("alone", alone), ("fivefold", fivefold))
    }
    assert width["fivefold"] == pytest.approx(width["alone"], rel=0.25)
    apart = evaluated(
        [example(index, item.labels["toxicity"]) for index, item in enumerate(copied)], np.tile(probs, 5)
    ).main.metrics["f1"]
    assert apart.high - apart.low < 0.7 * width["fivefold"]


def test_rows_of_a_family_are_drawn_together():
    for weights in draw_weights(["a", "b", "a", "c"], 120, seed=0):
        np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
        assert set((weights[:, 0] + weights[:, 1] + weights[:, 3]).tolist()) == {3.0}


def test_the_seed_decides_the_intervals():
    examples, probs = drawn(200)
    again = [evaluate(examples, probs, "toxicity", 0.5, "0.5", QUICK, seed) for seed in (3, 3, 4)]
    assert again[0].main.metrics == again[1].main.metrics
    assert again[0].main.metrics != again[2].main.metrics


def test_a_resample_without_a_value_is_not_counted():
    found = interval(0.5, np.array([math.nan, 0.4, 0.6]), 0.9)
    assert (found.low, found.high) == pytest.approx((0.41, 0.59))
    assert math.isnan(interval(0.5, np.array([math.nan]), 0.9).low)


def test_rows_with_an_unknown_label_are_left_out():
    found = evaluated([example(0, 1), example(1, None), example(2, 0)], [0.9, math.nan, 0.1])
    assert found.rows.ids == ("row0", "row2")
    assert (found.main.n, found.main.positives) == (2, 1)


def test_no_labelled_row_is_an_error():
    with pytest.raises(DataError, match=r"labelled with 'toxicity', got 1 rows without it: .*columns"):
        evaluated([example(0, None)], [0.5])


def test_scores_that_are_no_numbers_are_a_collapse():
    with pytest.raises(CollapseError, match="1 of 2"):
        evaluated([example(0, 1), example(1, 0)], [math.inf, 0.1])


def test_plain_data_has_one_slice():
    assert list(evaluated(*drawn(50)).slices) == ["all"]


def test_twins_and_jailbreaks_make_slices_of_their_own():
    rows = [example(0, 1, jailbreaking=1), example(1, 0, jailbreaking=0), example(2, 0, twin=True)]
    found = evaluated(rows, [0.9, 0.2, 0.1])
    assert {name: result.n for name, result in found.slices.items()} == {
        "all": 3,
        "twin-free": 2,
        "jailbreak": 1,
        "non-jailbreak": 1,
    }
    about_jailbreaks = evaluate(rows, np.array([0.9, 0.2, 0.1]), "jailbreaking", 0.5, "0.5", QUICK, 0)
    assert list(about_jailbreaks.slices) == ["all"]


def test_the_official_split_has_the_slices_of_the_contract():
    rows = [
        example(0, 1, annotated_by_human=True, jailbreaking=1),
        example(1, 0, annotated_by_human=True, jailbreaking=0, twin=True),
        example(2, 0, annotated_by_human=False, jailbreaking=0),
    ]
    found = evaluated(rows, [0.9, 0.2, 0.1], official=True)
    assert {name: result.n for name, result in found.slices.items()} == {
        "F": 3,
        "H": 2,
        "T": 2,
        "jailbreak": 1,
        "non-jailbreak": 2,
    }
    assert found.main is found.slices["F"]
    assert all(result.description for result in found.slices.values())


def test_a_model_is_not_distinguishable_from_itself():
    found = evaluated(*drawn(200))
    same = compare(found, found, "auprc", 200, seed=0)
    assert (same.difference.value, same.p_value, same.verdict) == (0, 1, "not distinguishable")
    assert mcnemar(found, found).p_value == 1


@pytest.mark.parametrize("metric", METRICS)
def test_the_sharper_model_is_better_by_every_metric(metric):
    examples, blurred = drawn(1500, noise=2.5)
    truth = np.array([item.labels["toxicity"] for item in examples])
    sharp = np.clip(0.05 + 0.9 * truth + np.random.default_rng(1).normal(0, 0.02, 1500), 0, 1)
    good, bad = evaluated(examples, sharp), evaluated(examples, blurred)
    assert compare(good, bad, metric, 200, seed=0).verdict == "better"
    worse = compare(bad, good, metric, 200, seed=0)
    assert worse.verdict == "worse"
    assert worse.p_value < 0.02
    assert worse.difference.value == pytest.approx(bad.main.metrics[metric].value - good.main.metrics[metric].value)


def test_the_order_of_the_rows_does_not_matter():
    examples, probs = drawn(300)
    _, others = drawn(300, seed=1)
    a, b = evaluated(examples, probs), evaluated(examples, others)
    turned = evaluated(examples[::-1], others[::-1])
    assert compare(a, turned, "f1", 100, seed=0) == compare(a, b, "f1", 100, seed=0)
    assert mcnemar(a, turned) == mcnemar(a, b)


def test_a_comparison_can_be_of_one_slice():
    rows = [example(index, index % 2, jailbreaking=index % 3 == 0) for index in range(60)]
    a = evaluated(rows, np.linspace(0, 1, 60))
    found = compare(a, a, "f1", 100, seed=0, slice_name="jailbreak")
    assert found.slice_name == "jailbreak"
    with pytest.raises(DataError, match="did you mean 'jailbreak'"):
        compare(a, a, "f1", 100, seed=0, slice_name="jailbrake")
    with pytest.raises(DataError, match="did you mean 'brier'"):
        compare(a, a, "briar", 100, seed=0)


def test_only_the_same_rows_can_be_compared():
    examples, probs = drawn(50)
    whole, part = evaluated(examples, probs), evaluated(examples[:40], probs[:40])
    with pytest.raises(DataError, match=r"50 and 40 rows, of which 10 occur in one only"):
        compare(whole, part, "f1", 100, seed=0)
    relabelled = evaluated(
        [example(index, 1 - row.labels["toxicity"]) for index, row in enumerate(examples)], probs
    )
    with pytest.raises(DataError, match="labels or prompt families differ"):
        mcnemar(whole, relabelled)


def test_mcnemar_counts_the_rows_where_one_is_right():
    rows = [example(index, 1) for index in range(12)]
    a = evaluated(rows, [0.9] * 10 + [0.1] * 2)
    b = evaluated(rows, [0.1] * 8 + [0.9] * 2 + [0.1, 0.9])
    found = mcnemar(a, b)
    assert (found.only_first, found.only_second) == (8, 1)
    assert found.p_value == pytest.approx(2 * (1 + 9) / 2**9)
    assert found.p_value == pytest.approx(binomtest(8, 9).pvalue)


def test_holm_equals_the_golden_numbers_of_r():
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") and p.adjust(c(0.5, 0.9), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()


def test_the_curve_runs_through_the_numbers_at_the_threshold():
    found = evaluated(*drawn(300), threshold=0.61)
    curve = precision_recall(found)
    at = np.searchsorted(curve.thresholds, 0.61)
    assert curve.precision[at] == pytest.approx(found.main.metrics["precision"].value)
    assert curve.recall[at] == pytest.approx(found.main.metrics["recall"].value)
    assert len(curve.thresholds) == len(curve.precision) == len(curve.recall)
    with pytest.raises(DataError, match="precision-recall curve, got none among 1"):
        precision_recall(evaluated([example(0, 0)], [0.5]))


PROVENANCE = Provenance("ab12", {"name": "tiny", "parameters": 3}, 7, "one core", "0.1.0", {"seed": 7})


def test_metrics_json_has_the_form_of_the_contract():
    written = json.loads(json.dumps(to_json(evaluated(*drawn(80)), PROVENANCE), allow_nan=False))
    assert list(written["slices"]["all"]) == ["n", "positives", *METRICS]
    assert set(written["slices"]["all"]["auprc"]) == {"value", "low", "high"}
    del written["slices"]
    assert written == {
        "label": "toxicity",
        "threshold": {"value": 0.5, "origin": "0.5"},
        "confidence": 0.95,
        "resamples": 100,
        "data": {"sha256": "ab12"},
        "model": {"name": "tiny", "parameters": 3},
        "seed": 7,
        "hardware": "one core",
        "commit": "0.1.0",
        "config": {"seed": 7},
    }


def test_hardware_names_processor_cores_and_memory(monkeypatch):
    monkeypatch.setattr("adaptox.evaluate.provenance._cores", lambda: 2)
    assert ", 2 cores, " in hardware()
    monkeypatch.setattr(Path, "read_text", _refuse)
    monkeypatch.setattr(os, "sysconf", _refuse)
    assert hardware().endswith(", 2 cores")
    monkeypatch.setattr("adaptox.evaluate.provenance._cores", lambda: 1)
    assert hardware().endswith(", 1 core")


def test_hardware_names_the_gpu_of_a_torch_in_use(monkeypatch):
    class Cuda:
        is_available = staticmethod(lambda: True)
        get_device_name = staticmethod(lambda: "NVIDIA H100")

    monkeypatch.setitem(sys.modules, "torch", type("Torch", (), {"cuda": Cuda}))
    assert hardware().endswith(", NVIDIA H100")


def _refuse(*_arguments, **_keywords):
    raise OSError


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_named_and_marked_when_the_tree_differs(tmp_path, monkeypatch):
    package = tmp_path / "src" / "adaptox"
    package.mkdir(parents=True)
    assert "(" not in commit(package)
    (package / "a.py").write_text("1")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for arguments in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    clean = commit(package)
    assert clean.endswith(")")
    assert "dirty" not in clean
    (package / "a.py").write_text("2")
    assert commit(package) == clean.replace(")", "-dirty)")
    assert "(" not in commit(tmp_path / "site-packages" / "adaptox")
    monkeypatch.setenv("PATH", "")
    assert "(" not in commit(package)


def test_importing_the_room_brings_in_nothing_heavy():
    code = (
        "import sys, adaptox.evaluate, adaptox.decide;"
        "print([n for n in ('torch', 'transformers', 'sklearn', 'scipy', 'peft') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("sklearn", lambda _: evaluated(*drawn(20))),
        ("sklearn.metrics", precision_recall),
        ("scipy.stats", lambda found: mcnemar(found, found)),
    ],
)
def test_a_missing_package_names_its_extra(package, use, monkeypatch):
    found = evaluated(*drawn(20))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"adaptox\[train\]"):
        use(found)


def test_a_thousand_resamples_of_toxic_chats_test_take_seconds():
    generator = np.random.default_rng(0)
    rows = [
        example(index, generator.random() < 0.07, annotated_by_human=bool(index % 2), jailbreaking=index % 50 == 0)
        for index in range(5083)
    ]
    start = process_time()
    evaluated(rows, generator.random(5083), config=EvaluateConfig(), official=True)
    assert process_time() - start < 10


# Scores that are kept


def test_kept_rows_are_read_back_as_they_were_part_by_part(tmp_path):
    test, validation = (
        ScoredRows(
            ids=tuple(f"{part}/{row}" for row in range(4)),
            probs=np.array([0.1, 0.25, 1 / 3, 1.0]),
            truth=np.array([0, 1, 0, 1]),
            groups=("a", "a", "b", "c"),
            slices={name: np.array(member) for name, member in slices.items()},
        )
        for part, slices in (
            ("test", {"F": [True] * 4, "H": [True, False, True, True]}),
            ("validation", {"all": [True] * 4}),
        )
    )
    path = tmp_path / "scores.parquet"
    path.write_bytes(rows_to_parquet({"test": test, "validation": validation}))
    read = rows_from_parquet(path)
    assert list(read) == ["test", "validation"]
    for part, rows in (("test", test), ("validation", validation)):
        assert (read[part].ids, read[part].groups) == (rows.ids, rows.groups)
        np.testing.assert_array_equal(read[part].probs, rows.probs)
        np.testing.assert_array_equal(read[part].truth, rows.truth)
        assert {name: member.tolist() for name, member in read[part].slices.items()} == {
            name: member.tolist() for name, member in rows.slices.items()
        }


def test_a_file_without_kept_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected the scores of a run in .*nothing"):
        rows_from_parquet(tmp_path / "nothing")
    (tmp_path / "other").write_text("x")
    with pytest.raises(DataError, match="run it again"):
        rows_from_parquet(tmp_path / "other")


def test_the_intervals_of_an_evaluation_are_those_of_its_draws():
    one = evaluated(*drawn(80))
    draws = draws_of(one.rows, one.threshold, one.resamples, seed=0)["all"]
    again = interval(one.main.metrics["auprc"].value, draws[METRICS.index("auprc")], one.confidence)
    assert again == one.main.metrics["auprc"]
