"""Logits → calibrated probabilities → decision."""

import json
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.calibration import _sigmoid_calibration as sklearn_platt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, fbeta_score, log_loss

from adaptox.config import ThresholdConfig
from adaptox.config.threshold_section import Policy
from adaptox.decide import (
    FEWEST_BENT,
    Calibration,
    Decider,
    LabelThreshold,
    best_at_fpr,
    best_at_precision,
    best_at_recall,
    best_expected_f1,
    best_f1,
    fit,
    fit_beta,
    fit_platt,
    fit_temperature,
    logit,
)
from adaptox.errors import BundleError, CollapseError, DataError
from adaptox.records import Scores

F1 = ThresholdConfig()


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def drawn(n, temperature=1.0, seed=0):
    """Logits whose probabilities are right once they are divided by the temperature."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(-1, 2, n)
    return honest * temperature, generator.random(n) < sigmoid(honest)


def decider(threshold=0.5, temperature=1.0, labels=("toxicity",)):
    return Decider(
        labels,
        (temperature,) * len(labels),
        tuple(LabelThreshold(label, threshold, "0.5", "fixed") for label in labels),
    )


def scores(logits, labels=("toxicity",)):
    logits = np.array(logits, dtype=float)
    n = len(logits)
    return Scores(labels, logits, np.ones(n, dtype=int), np.zeros(n, dtype=bool))


def fitted(logits, truth, config=F1, labels=("toxicity",), mask=None):
    logits, truth = np.atleast_2d(np.array(logits, float).T).T, np.atleast_2d(np.array(truth, int).T).T
    return fit(logits, truth, np.ones(truth.shape, bool) if mask is None else mask, labels, config)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_distorted_the_logits_is_found_again(temperature):
    logits, truth = drawn(20_000, temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_has_a_lower_log_loss():
    logits, truth = drawn(5_000, 2.0)
    found = fit_temperature(logits, truth)
    best = log_loss(truth, sigmoid(logits / found))
    assert all(best <= log_loss(truth, sigmoid(logits / other)) + 1e-6 for other in np.linspace(0.5, 5, 50))


def test_rows_separated_perfectly_do_not_become_certainties():
    logits = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    temperature = fit_temperature(logits, logits > 0)
    assert sigmoid(3 / temperature) < 0.99


@pytest.mark.parametrize(("sign", "bound"), [(1e-6, 0.05), (-1.0, 20.0)])
def test_the_temperature_stays_within_its_bounds(sign, bound):
    logits = np.array([-2.0, -1.0, 1.0, 2.0])
    assert fit_temperature(sign * logits, logits > 0) == pytest.approx(bound)


def test_calibration_can_be_left_out():
    logits, truth = drawn(500, 3.0)
    assert fitted(logits, truth, ThresholdConfig(calibration="none")).temperatures == (1.0,)


def test_temperature_changes_no_decision():
    logits, truth = drawn(500, 3.0)
    with_it, without = (
        fitted(logits, truth, ThresholdConfig(policy="f1", calibration=kind)) for kind in ("temperature", "none")
    )
    column = logits[:, None]
    np.testing.assert_array_equal(
        with_it.probs(column) >= with_it.thresholds[0].value, without.probs(column) >= without.thresholds[0].value
    )


# Scale and offset


def test_platt_finds_the_scale_and_the_offset_that_distorted_the_logits():
    honest, truth = drawn(20_000)
    found = fit_platt(2 * (honest + 1.5), truth)
    assert (found.temperature, found.offset) == pytest.approx((2, -1.5), abs=0.1)


def test_platt_agrees_with_scikit_learns():
    logits, truth = drawn(300, 3.0)
    slope, intercept = sklearn_platt(logits, truth.astype(int))
    found = fit_platt(logits, truth)
    assert (1 / found.temperature, found.offset) == pytest.approx((-slope, -intercept), abs=1e-5)


def test_platt_makes_up_for_a_balanced_training_part():
    honest, truth = drawn(20_000, seed=3)
    shifted = honest + 2.5
    probs = fitted(shifted, truth).probs(shifted[:, None])[:, 0]
    assert probs.mean() == pytest.approx(truth.mean(), abs=0.005)


def test_platt_survives_classes_that_are_kept_apart_perfectly_within_a_narrow_range():
    logits = np.array([0.5, 0.55, 0.6, 0.40, 0.41, 0.42, 0.39, 0.4, 0.43])
    truth = logits > 0.45
    found = fitted(logits, truth)
    np.testing.assert_array_equal(found.probs(logits[:, None])[:, 0] >= found.thresholds[0].value, truth)


def test_logits_that_rank_worse_than_chance_get_no_offset():
    logits, truth = drawn(500)
    assert fit_platt(-logits, truth).offset == 0


# A slope for either end


def bent(n, low, high, offset=0.0, seed=0):
    """Logits whose probabilities are right once they are bent."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, n)
    honest = high * np.logaddexp(0, logits) - low * np.logaddexp(0, -logits) + offset
    return logits, generator.random(n) < sigmoid(honest), sigmoid(honest)


@pytest.mark.parametrize(("low", "high"), [(0.6, 1.8), (1.5, 0.5), (1.0, 1.0)])
def test_beta_finds_two_slopes_where_platt_has_one(low, high):
    logits, truth, honest = bent(20_000, low, high, -0.5)
    off = {
        fit_one: np.abs(fit_one(logits, truth).probs(logits) - honest).mean() for fit_one in (fit_platt, fit_beta)
    }
    assert off[fit_beta] < 0.01
    assert low == high or off[fit_beta] < off[fit_platt] / 2


def test_beta_agrees_with_a_logistic_regression_on_both_ends():
    logits, truth, _ = bent(3_000, 0.6, 1.8)
    platt = fit_platt(logits, truth).probs(logits)
    ends = np.stack([np.log(platt), -np.log1p(-platt)], axis=1)
    plain = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(ends, truth)
    np.testing.assert_allclose(fit_beta(logits, truth).probs(logits), plain.predict_proba(ends)[:, 1], atol=2e-3)


@given(st.integers(0, 10_000), st.sampled_from([5, 30, 300]), st.sampled_from([-1.0, 0.01, 1.0, 30.0]))
@settings(deadline=None, max_examples=60)
def test_beta_keeps_the_order_and_is_never_worse_than_platt(seed, n, scale):
    generator = np.random.default_rng(seed)
    truth = np.arange(n) % 4 == 0
    logits = scale * (generator.standard_t(2, n) + truth)
    found, platt = fit_beta(logits, truth), fit_platt(logits, truth)
    probs = found.probs(np.sort(logits))
    assert np.isfinite(probs).all()
    assert (np.diff(probs) >= 0).all()
    smooth = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))
    losses = [
        -(smooth * np.log(p) + (1 - smooth) * np.log1p(-p)).mean()
        for p in (np.clip(one.probs(logits), 1e-12, 1 - 1e-12) for one in (found, platt))
    ]
    assert losses[0] <= losses[1] + 1e-9


def test_too_few_rows_of_a_class_are_not_bent():
    logits, truth, _ = bent(400, 0.6, 1.8)
    few = truth & (np.cumsum(truth) < FEWEST_BENT)
    kept = few | ~truth
    assert fit_beta(logits[kept], truth[kept]) == fit_platt(logits[kept], truth[kept])
    assert fit_beta(logits, truth).bend is not None


def test_a_bent_label_is_written_and_read_again_beside_one_that_is_not():
    logits, truth, _ = bent(2_000, 0.6, 1.8)
    both = np.stack([logits, logits], axis=1)
    known = np.stack([np.ones(2_000, bool), np.arange(2_000) < 30], axis=1)
    found = fitted(both, np.stack([truth, truth], axis=1), ThresholdConfig(calibration="beta"), ("a", "b"), known)
    assert found.bends[0] is not None
    assert found.bends[1] is None
    assert Decider.from_json(json.loads(json.dumps(found.to_json()))) == found
    np.testing.assert_allclose(found.probs(both)[:, 0], fit_beta(logits, truth).probs(logits))
    np.testing.assert_allclose(found.probs(both)[:, 1], fit_platt(logits[:30], truth[:30]).probs(logits))


def test_a_bundle_without_bends_is_as_it_was():
    logits, truth = drawn(400)
    assert "bends" not in fitted(logits, truth, ThresholdConfig(calibration="platt")).to_json()


def test_a_bend_comes_and_goes_with_the_label_that_is_decided_anew():
    logits, truth, _ = bent(2_000, 0.6, 1.8)
    with_it, without = (fitted(logits, truth, ThresholdConfig(calibration=kind)) for kind in ("beta", "platt"))
    assert without.updated(with_it) == with_it
    assert with_it.updated(without) == without


# A threshold that does not hang on a few rows


def test_expected_f1_is_best_where_the_probabilities_say_so():
    probs = np.array([0.9, 0.8, 0.6, 0.3, 0.1])
    expected = [2 * probs[:k].sum() / (k + probs.sum()) for k in range(1, 6)]
    found = best_expected_f1(probs, np.zeros(5, bool))
    assert (probs >= found).sum() == 1 + int(np.argmax(expected))


def test_expected_f1_moves_less_from_draw_to_draw_than_the_best_cut():
    draws = [drawn(600, seed=seed) for seed in range(40)]
    spread = {
        policy: np.std(
            [
                logit(
                    np.array([fitted(*one, ThresholdConfig(policy=policy, calibration="none")).thresholds[0].value])
                )
                for one in draws
            ]
        )
        for policy in ("f1", "expected-f1")
    }
    assert spread["expected-f1"] < spread["f1"] / 2


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0]), st.booleans()), min_size=2))
@settings(deadline=None)
def test_no_cut_has_a_better_f1(rows):
    probs, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if not truth.any():
        return
    found = f1_score(truth, probs >= best_f1(probs, truth))
    assert all(found >= f1_score(truth, probs >= cut) for cut in np.unique(probs))


def test_the_threshold_lies_halfway_in_logit_space():
    probs = sigmoid(np.array([-4.0, -2.0, 1.0, 3.0]))
    assert best_f1(probs, np.array([False, False, True, True])) == pytest.approx(sigmoid(-0.5))


def test_of_equal_cuts_the_one_that_flags_fewest_rows_wins():
    probs = np.array([0.9, 0.8, 0.7, 0.6])
    truth = np.array([True, False, False, True])  # F1 is 2/3 when one is flagged, and when four are
    assert 0.8 < best_f1(probs, truth) <= 0.9


def test_the_lowest_score_can_be_the_cut():
    assert best_f1(np.array([0.2, 0.2]), np.array([True, False])) == 0.2


def test_a_cut_between_saturated_scores_still_separates_them():
    low = np.nextafter(1.0, 0.0)
    assert low < best_f1(np.array([low, 1.0]), np.array([False, True])) <= 1.0
    assert 0.0 < best_f1(np.array([0.0, 5e-324]), np.array([False, True])) <= 5e-324


# A threshold within a bound


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0]), st.booleans()), min_size=2))
@settings(deadline=None)
def test_no_cut_within_the_bound_finds_more(rows):
    probs, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if truth.all() or not truth.any():
        return
    cuts = [probs >= cut for cut in np.unique(probs)]

    few = [flagged for flagged in cuts if flagged[~truth].mean() <= 0.25]
    found = probs >= best_at_fpr(probs, truth, 0.25)
    assert found[truth].mean() >= max((flagged[truth].mean() for flagged in few), default=0)
    assert found[~truth].mean() <= 0.25 or probs.max() == 1

    sure = [flagged for flagged in cuts if truth[flagged].mean() >= 0.75]
    found = probs >= best_at_precision(probs, truth, 0.75)
    assert found[truth].mean() >= max((flagged[truth].mean() for flagged in sure), default=0)
    assert truth[found].mean() >= 0.75 or not sure

    enough = [flagged for flagged in cuts if flagged[truth].mean() >= 0.75]
    found = probs >= best_at_recall(probs, truth, 0.75)
    assert found[truth].mean() >= 0.75
    assert found.sum() == min(flagged.sum() for flagged in enough)

    best = max(fbeta_score(truth, flagged, beta=2) for flagged in cuts)
    assert fbeta_score(truth, probs >= best_f1(probs, truth, 2), beta=2) == pytest.approx(best)


def test_a_share_that_no_float_has_is_reached_by_the_row_that_reaches_it():
    probs = np.linspace(0.99, 0.01, 100)
    assert (probs >= best_at_recall(probs, np.ones(100, dtype=bool), 0.55)).sum() == 55


def test_a_bound_is_kept_and_named():
    logits, truth = drawn(2000)
    plain = fitted(logits, truth).probs(logits[:, None])[:, 0]
    cut = fitted(logits, truth, ThresholdConfig(policy="max-fpr", max_fpr=0.02)).thresholds[0]
    assert 0.01 < (plain[truth == 0] >= cut.value).mean() <= 0.02
    assert cut.origin == "val: most recall at a false-positive rate of at most 0.02"
    cut = fitted(logits, truth, ThresholdConfig(policy="min-precision", min_precision=0.8)).thresholds[0]
    assert 0.8 <= truth[plain >= cut.value].mean() < 0.85
    assert cut.origin == "val: most recall at a precision of at least 0.8"
    cut = fitted(logits, truth, ThresholdConfig(policy="min-recall", min_recall=0.95)).thresholds[0]
    assert 0.95 <= (plain[truth == 1] >= cut.value).mean() < 0.96
    assert cut.origin == "val: fewest false positives at a recall of at least 0.95"


@pytest.mark.parametrize("policy", sorted({*get_args(Policy)} - {"fixed"}))
@pytest.mark.parametrize("kept", [True, False])
def test_an_origin_can_stand_in_a_sentence(policy, kept):
    logits, truth = drawn(200) if kept else (np.array([3.0, 2.0, 1.0, -1.0]), np.array([0, 1, 0, 1]))
    _, origin = fitted(logits, truth, ThresholdConfig(policy=policy)).thresholds[0].origin.split(": ")
    assert ", " not in origin


def test_recall_can_weigh_more_and_a_miss_can_cost_more():
    logits, truth = drawn(2000)
    one, two, cost = (
        fitted(logits, truth, ThresholdConfig(**given)).thresholds[0]
        for given in ({}, {"beta": 2}, {"policy": "cost", "miss_cost": 9})
    )
    assert two.value < one.value
    assert two.origin == "val: best expected F2"
    assert cost.value == pytest.approx(0.1)
    assert cost.origin == "val: least expected cost where a miss costs 9 false positives"
    probs = fitted(logits, truth).probs(logits[:, None])[:, 0]

    def costs(cut):
        return 9 * ((probs < cut) & (truth == 1)).sum() + ((probs >= cut) & (truth == 0)).sum()

    assert costs(cost.value) < min(costs(one.value), costs(0.02))


def test_a_bound_that_no_cut_keeps_is_told_of():
    logits, truth = np.array([3.0, 2.0, 1.0, -1.0, -2.0]), np.array([0, 1, 0, 1, 0])
    raw = {"calibration": "none"}
    cut = fitted(logits, truth, ThresholdConfig(policy="max-fpr", max_fpr=0.1, **raw)).thresholds[0]
    assert cut.origin == "val: fewest false positives (nothing is flagged; no cut that finds a row keeps to 0.1)"
    assert sigmoid(3.0) < cut.value < sigmoid(3.0) + 1e-9
    certain = fitted(np.array([90.0, 2.0, -1.0]), np.array([0, 1, 0]), ThresholdConfig(policy="max-fpr", **raw))
    assert certain.thresholds[0].value == 1.0
    assert certain.thresholds[0].origin == "val: lowest false-positive rate there is (0.5; 0.01 was asked for)"
    cut = fitted(logits, truth, ThresholdConfig(policy="min-precision", min_precision=0.95, **raw)).thresholds[0]
    assert cut.origin == "val: highest precision there is (0.5; 0.95 was asked for)"
    assert sigmoid(1.0) < cut.value < sigmoid(2.0)


@pytest.mark.parametrize("name", ["max_fpr", "min_precision", "min_recall", "miss_cost"])
def test_a_number_that_the_policy_does_not_read_is_refused(name):
    with pytest.raises(ValidationError, match="alone, got 'expected-f1': set that, or leave"):
        ThresholdConfig(**{name: 0.5})
    with pytest.raises(ValidationError, match="policy = 'expected-f1' or 'f1' alone, got 'cost'"):
        ThresholdConfig(policy="cost", beta=2)


def test_the_origin_says_where_a_threshold_came_from():
    logits, truth = drawn(200)
    assert fitted(logits, truth).threshold("toxicity").origin == "val: best expected F1"
    assert fitted(logits, truth, ThresholdConfig(policy="f1")).threshold("toxicity").origin == "val: best F1"
    fixed = fitted(logits, truth, ThresholdConfig(policy="fixed", value=0.3)).threshold("toxicity")
    assert (fixed.value, fixed.origin, fixed.policy) == (0.3, "0.3", "fixed")


def test_unknown_rows_are_not_read():
    logits, truth = drawn(400)
    known = np.arange(400) < 200
    garbled = np.where(known, truth, -1)
    assert fitted(logits, garbled, mask=known[:, None]) == fitted(logits[:200], truth[:200])


@pytest.mark.parametrize(("truth", "missing"), [(0, "no positive"), (1, "no negative")])
def test_a_target_of_one_class_cannot_be_fitted(truth, missing):
    with pytest.raises(DataError, match=f"{missing} of 'toxicity' in validation.*validation_fraction"):
        fitted([0.1, 0.2], [truth, truth])


def test_a_fixed_threshold_needs_no_positive():
    assert fitted([0.1, 0.2], [0, 0], ThresholdConfig(policy="fixed")).temperatures == (1.0,)


def test_another_label_of_one_class_falls_back_and_says_so():
    logits, truth = drawn(200)
    both = np.stack([logits, logits, logits], axis=1)
    targets = np.stack([truth, np.zeros(200), truth], axis=1).astype(int)
    mask = np.ones(both.shape, bool)
    mask[:, 2] = False
    found = fit(both, targets, mask, ("toxicity", "hate", "violence"), F1)
    assert found.threshold("hate") == LabelThreshold("hate", 0.5, "0.5 (no positive in validation)", "fixed")
    assert found.threshold("violence").origin == "0.5 (no labelled row in validation)"
    assert found.temperatures[1:] == (1.0, 1.0)


def test_scores_that_are_no_numbers_are_a_collapse():
    with pytest.raises(CollapseError, match=r"1 of 2 .*learning_rate"):
        fitted([math.nan, 1.0], [0, 1])


def test_probabilities_of_huge_logits_are_0_and_1():
    np.testing.assert_array_equal(decider().probs(np.array([[-1e5], [0.0], [1e5]])), [[0.0], [0.5], [1.0]])


def test_a_row_at_the_threshold_is_blocked():
    below, at = decider().apply(scores([[-0.01], [0.0]]), ["a", "b"])
    assert (below.decision, below.flagged) == ("allow", {"toxicity": False})
    assert (at.decision, at.flagged, at.scores, at.id) == ("block", {"toxicity": True}, {"toxicity": 0.5}, "b")


def test_any_flagged_label_blocks_and_columns_are_matched_by_name():
    swapped = scores([[5.0, -5.0]], ("hate", "toxicity"))
    (verdict,) = decider(labels=("toxicity", "hate")).apply(swapped, ["a"])
    assert verdict.flagged == {"toxicity": False, "hate": True}
    assert verdict.decision == "block"
    json.dumps(verdict.to_json())


def test_no_rows_give_no_verdicts():
    assert decider().apply(scores(np.empty((0, 1))), []) == ()


def test_scores_without_a_label_do_not_belong_to_this_bundle():
    with pytest.raises(BundleError, match="expected scores for toxicity, got hate"):
        decider().apply(scores([[1.0]], ("hate",)), ["a"])
    with pytest.raises(BundleError, match="no threshold for label 'hate'"):
        decider().threshold("hate")


def test_what_is_written_is_read_again():
    logits, truth = drawn(300, 2.0)
    found = fitted(logits, truth)
    assert Decider.from_json(json.loads(json.dumps(found.to_json()))) == found


# --- labels that only a teacher knows

TAUGHT = ("toxicity", "hate", "violence")


def with_taught(logits, truth):
    """Fit the first label; the other two are scored only."""
    columns = np.stack([logits, 2 * logits, logits - 1], axis=1)
    known = np.zeros(columns.shape, bool)
    known[:, 0] = True
    # What stands where nothing is known may be anything.
    targets = np.where(known, np.asarray(truth, int)[:, None], -7)
    return fit(columns, targets, known, TAUGHT, F1, {"hate": Calibration(), "violence": Calibration(0.5, -2.0)})


def test_a_label_that_only_a_teacher_knows_keeps_its_calibration_and_gets_no_threshold():
    logits, truth = drawn(400, 3.0)
    found = with_taught(logits, truth)
    assert found.temperatures[0] == fitted(logits, truth).temperatures[0] != 1.0
    assert (found.temperatures[1:], found.offsets[1:]) == ((1.0, 0.5), (0.0, -2.0))
    assert found.threshold("toxicity") == fitted(logits, truth).threshold("toxicity")
    assert found.threshold("hate") == LabelThreshold("hate", None, "scored only", "none")
    expected = sigmoid(np.array([2.0, -3.0 / 0.5 - 2.0]))
    np.testing.assert_allclose(found.probs(np.array([[0.0, 2.0, -3.0]]))[0, 1:], expected)


def test_a_label_without_a_threshold_is_scored_never_flagged_and_blocks_nothing():
    found = with_taught(*drawn(400))
    mild, rude = found.apply(scores([[-9.0, 50.0, 50.0], [9.0, -50.0, -50.0]], TAUGHT), ["a", "b"])
    assert mild.scores["hate"] == mild.scores["violence"] == pytest.approx(1)
    assert (mild.decision, mild.flagged) == ("allow", {"toxicity": False})
    assert (rude.decision, rude.flagged) == ("block", {"toxicity": True})
    assert set(mild.to_json()["scores"]) == set(TAUGHT)


def test_a_missing_threshold_is_written_as_null_and_read_again():
    found = with_taught(*drawn(400))
    written = json.dumps(found.to_json())
    assert json.loads(written)["thresholds"][1] == {
        "label": "hate",
        "value": None,
        "origin": "scored only",
        "policy": "none",
    }
    assert Decider.from_json(json.loads(written)) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperatures": [0.0]}, "temperatures.0: .*greater than 0"),
        ({"temperatures": [math.nan]}, r"temperatures\.0: "),
        ({"temperatures": ["1"]}, r"temperatures\.0: "),
        ({"temperatures": []}, "0 temperatures"),
        ({"bends": [None, None]}, "2 bends"),
        ({"bends": [{"low": 0.0, "high": 1.0, "offset": 0.0}]}, "bends.0.low: .*greater than 0"),
        ({"bends": [{"low": 1.0, "high": math.inf, "offset": 0.0}]}, "bends.0.high: "),
        ({"labels": []}, "labels: "),
        ({"labels": ["hate"]}, "thresholds for toxicity"),
        ({"thresholds": [{"label": "toxicity", "value": 1.5, "origin": "", "policy": "f1"}]}, "thresholds.0.value"),
        ({"thresholds": None}, "thresholds: "),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(BundleError, match=message):
        Decider.from_json({**decider().to_json(), **change})


@pytest.mark.parametrize("data", [None, [], {}, "x"])
def test_something_else_is_refused(data):
    with pytest.raises(BundleError, match="train the bundle again"):
        Decider.from_json(data)
