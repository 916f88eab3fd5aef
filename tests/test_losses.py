"""Each loss against a formula in plain math, and what holds for all of them."""

from __future__ import annotations

import math

import pytest
import torch

from adaptox import losses
from adaptox.config import DistillConfig, LossConfig

LOGITS = [[2.0, -1.0], [0.5, 3.0], [-4.0, 0.0]]
TARGETS = [[1, 0], [0, 1], [0, 1]]
MASK = [[True, True], [True, False], [True, True]]
PRIOR = (0.2, 0.05)

ALL = {
    "bce": losses.masked_bce,
    "pos-weight": losses.build(LossConfig(kind="pos-weight"), torch.tensor(PRIOR)),
    "focal": losses.build(LossConfig(kind="focal"), torch.tensor(PRIOR)),
    "asymmetric": losses.build(LossConfig(kind="asymmetric"), torch.tensor(PRIOR)),
    "logit-adjusted": losses.build(LossConfig(kind="logit-adjusted"), torch.tensor(PRIOR)),
}
every_loss = pytest.mark.parametrize("loss", ALL.values(), ids=ALL.keys())


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def mean_over_known(one):
    """Average `one(logit, target, column)` over the known entries."""
    values = [
        one(LOGITS[row][column], TARGETS[row][column], column)
        for row in range(3)
        for column in range(2)
        if MASK[row][column]
    ]
    return sum(values) / len(values)


def batch(dtype=torch.float64):
    return torch.tensor(LOGITS, dtype=dtype), torch.tensor(TARGETS, dtype=dtype), torch.tensor(MASK)


def test_bce_of_one_undecided_logit_is_log_two():
    one = torch.ones(1, 1)
    assert losses.masked_bce(0 * one, one, one.bool()).item() == pytest.approx(math.log(2))


def test_bce_matches_its_formula():
    expected = mean_over_known(lambda z, y, _: -math.log(sigmoid(z)) if y else -math.log(1 - sigmoid(z)))
    assert expected == pytest.approx(0.425113, abs=1e-6)
    assert losses.masked_bce(*batch()).item() == pytest.approx(expected)


def test_pos_weight_weighs_positives_only_by_label():
    weights = (4.0, 19.0)
    expected = mean_over_known(
        lambda z, y, column: -weights[column] * math.log(sigmoid(z)) if y else -math.log(1 - sigmoid(z))
    )
    assert losses.masked_bce(*batch(), torch.tensor(weights)).item() == pytest.approx(expected)


def test_focal_matches_its_formula():
    def one(z, y, _):
        p = sigmoid(z) if y else 1 - sigmoid(z)
        return -((1 - p) ** 2.5) * math.log(p)

    assert losses.focal(*batch(), gamma=2.5).item() == pytest.approx(mean_over_known(one))


@pytest.mark.parametrize("clip", [0.0, 0.05, 0.3])
@pytest.mark.parametrize(("gamma_negative", "gamma_positive"), [(4.0, 0.0), (2.0, 1.0), (0.5, 0.5)])
def test_asymmetric_matches_its_formula(gamma_negative, gamma_positive, clip):
    def one(z, y, _):
        p = sigmoid(z)
        q = max(p - clip, 0)
        return -((1 - p) ** gamma_positive) * math.log(p) if y else -(q**gamma_negative) * math.log(1 - q)

    actual = losses.asymmetric(*batch(), gamma_negative, gamma_positive, clip)
    assert actual.item() == pytest.approx(mean_over_known(one))


def test_logit_adjustment_matches_its_formula():
    def one(z, y, column):
        p = sigmoid(z + 0.7 * math.log(PRIOR[column] / (1 - PRIOR[column])))
        return -math.log(p) if y else -math.log(1 - p)

    odds = torch.logit(torch.tensor(PRIOR, dtype=torch.float64))
    assert losses.logit_adjusted(*batch(), odds, tau=0.7).item() == pytest.approx(mean_over_known(one))


def test_neutral_constants_reduce_to_bce():
    plain = losses.masked_bce(*batch()).item()
    assert losses.focal(*batch(), gamma=0).item() == pytest.approx(plain)
    assert losses.asymmetric(*batch(), 0.0, 0.0, clip=0.0).item() == pytest.approx(plain)
    assert losses.logit_adjusted(*batch(), torch.tensor([-3.0, 1.0]), tau=0).item() == pytest.approx(plain)
    assert losses.masked_bce(*batch(), torch.ones(2)).item() == pytest.approx(plain)


@every_loss
def test_gradients_are_right(loss):
    logits, targets, mask = batch()
    assert torch.autograd.gradcheck(lambda z: loss(z, targets, mask), logits.requires_grad_())


@every_loss
def test_masking_an_example_equals_leaving_it_out(loss):
    logits, targets, _ = batch()
    mask = torch.tensor([[True, True], [False, False], [True, True]])
    assert loss(logits, targets, mask).item() == pytest.approx(
        loss(logits[[0, 2]], targets[[0, 2]], mask[[0, 2]]).item()
    )


@every_loss
def test_a_weight_multiplies_the_loss_of_a_label(loss):
    logits, targets, mask = batch()
    first, rest = mask.clone(), mask.clone()
    first[1:], rest[0] = False, False
    known = mask.sum()
    apart = (3 * loss(logits, targets, first) * first.sum() + loss(logits, targets, rest) * rest.sum()) / known
    weights = mask.double()
    weights[0] *= 3
    assert loss(logits, targets, weights).item() == pytest.approx(apart.item())
    assert loss(logits, targets, mask.double()).item() == loss(logits, targets, mask).item()


@every_loss
def test_unknown_targets_may_hold_anything(loss):
    logits, targets, mask = batch()
    logits.requires_grad_()
    targets[1, 1] = math.nan
    value = loss(logits, targets, mask)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    assert logits.grad[1, 1] == 0


@every_loss
def test_nothing_known_gives_zero_with_a_gradient(loss):
    logits, targets, mask = batch()
    logits.requires_grad_()
    value = loss(logits, targets, torch.zeros_like(mask))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@every_loss
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_extreme_logits_stay_finite(loss, size):
    logits = torch.tensor([[size, -size], [-size, size]], requires_grad=True)
    value = loss(logits, torch.tensor([[1, 1], [0, 0]]), torch.ones(2, 2, dtype=torch.bool))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


def test_an_exponent_below_one_has_a_finite_slope_at_solved_negatives():
    logits = torch.tensor([[-9.0], [-2.0]], requires_grad=True)
    losses.asymmetric(logits, torch.zeros(2, 1), torch.ones(2, 1), 0.3, 0.3, clip=0.05).backward()
    assert logits.grad[0] == 0
    assert logits.grad[1] > 0


@every_loss
def test_bf16_logits_are_raised_to_fp32(loss):
    logits, targets, mask = batch(torch.bfloat16)
    value = loss(logits, targets, mask)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(logits.float(), targets, mask).item())


def test_pos_weight_defaults_to_negatives_over_positives():
    expected = losses.masked_bce(*batch(), torch.tensor([4.0, 19.0])).item()
    assert ALL["pos-weight"](*batch()).item() == pytest.approx(expected)
    fixed = losses.build(LossConfig(kind="pos-weight", pos_weight=3), torch.tensor(PRIOR))
    assert fixed(*batch()).item() == pytest.approx(losses.masked_bce(*batch(), torch.tensor(3.0)).item())


def test_settings_reach_the_losses():
    built = losses.build(LossConfig(kind="focal", gamma=1.5), torch.tensor(PRIOR))
    assert built(*batch()).item() == pytest.approx(losses.focal(*batch(), gamma=1.5).item())
    built = losses.build(LossConfig(kind="asymmetric", gamma=4), torch.tensor(PRIOR))
    assert built(*batch()).item() == pytest.approx(losses.asymmetric(*batch(), 4.0, 0.0, 0.05).item())
    built = losses.build(LossConfig(kind="logit-adjusted", tau=0.5), torch.tensor(PRIOR))
    odds = torch.logit(torch.tensor(PRIOR))
    assert built(*batch()).item() == pytest.approx(losses.logit_adjusted(*batch(), odds, 0.5).item())
    assert losses.build(LossConfig(), torch.tensor(PRIOR))(*batch()) == losses.masked_bce(*batch())


@pytest.mark.parametrize("kind", ["pos-weight", "logit-adjusted"])
def test_a_label_without_positives_or_negatives_has_a_finite_loss(kind):
    loss = losses.build(LossConfig(kind=kind), torch.tensor([0.0, 1.0]))
    assert loss(*batch()).isfinite()


# --- a teacher's scores

SCORES = [[0.9, 2e-4], [0.05, 0.5], [3e-6, 0.7]]
WEIGHT = (1.0, 0.25)


def logit(p):
    return math.log(p / (1 - p))


def scored(dtype=torch.float64):
    return torch.tensor(LOGITS, dtype=dtype), torch.tensor(SCORES, dtype=dtype), torch.tensor(MASK)


def weighted_mean_over_known(one, weights):
    """Average `one(logit, score)` over the known entries, each with the weight of its column."""
    known = [(row, column) for row in range(3) for column in range(2) if MASK[row][column]]
    total = sum(weights[column] * one(LOGITS[row][column], SCORES[row][column]) for row, column in known)
    return total / sum(weights[column] for _, column in known)


def cross_entropy(z, y):
    return -y * math.log(sigmoid(z)) - (1 - y) * math.log(1 - sigmoid(z))


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0, 7.0])
@pytest.mark.parametrize("weights", [(1.0, 1.0), WEIGHT, (0.0, 3.0)])
def test_soft_bce_matches_its_formula(temperature, weights):
    def one(z, y):
        return temperature**2 * cross_entropy(z / temperature, sigmoid(logit(y) / temperature))

    actual = losses.soft_bce(*scored(), torch.tensor(weights, dtype=torch.float64), temperature)
    assert actual.item() == pytest.approx(weighted_mean_over_known(one, weights), rel=1e-9)


def test_soft_bce_of_labels_is_bce():
    assert losses.soft_bce(*batch(), torch.ones(2), 1.0).item() == losses.masked_bce(*batch()).item()


def test_soft_bce_is_smallest_where_the_logits_are_the_teachers():
    logits = torch.logit(torch.tensor(SCORES, dtype=torch.float64)).requires_grad_()
    losses.soft_bce(logits, torch.tensor(SCORES), torch.tensor(MASK), torch.tensor(WEIGHT), 3.0).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(3, 2, dtype=torch.float64), atol=1e-7, rtol=0)


def test_the_square_of_the_temperature_keeps_the_size_of_the_gradient():
    def slope(temperature):
        logits = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
        score = torch.tensor([[0.6]], dtype=torch.float64)
        losses.soft_bce(logits, score, torch.ones(1, 1), torch.ones(1), temperature).backward()
        return logits.grad.item()

    # At a high temperature the slope is the distance of the logits over 4 (arXiv 1503.02531, section 2.1).
    assert slope(1e3) == pytest.approx((0.5 - logit(0.6)) / 4, rel=1e-4)
    assert slope(1.0) == pytest.approx(sigmoid(0.5) - 0.6)


@pytest.mark.parametrize("weights", [(1.0, 1.0), WEIGHT])
def test_logit_mse_matches_its_formula(weights):
    expected = weighted_mean_over_known(lambda z, y: (z - logit(y)) ** 2, weights)
    actual = losses.logit_mse(*scored(), torch.tensor(weights, dtype=torch.float64))
    assert actual.item() == pytest.approx(expected, rel=1e-9)


def test_scores_of_0_and_1_have_finite_logits():
    sure = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    known = torch.ones(1, 2)
    asked = torch.tensor([[logit(1e-6), logit(1 - 1e-6)]], dtype=torch.float64)
    assert losses.logit_mse(asked, sure, known, torch.ones(2)).item() == pytest.approx(0, abs=1e-12)
    assert losses.soft_bce(asked, sure, known, torch.ones(2), 2.0).isfinite()
    half = torch.zeros(1, 2, dtype=torch.bfloat16)
    assert losses.logit_mse(half, sure, known, torch.ones(2)).item() == pytest.approx(logit(1e-6) ** 2, rel=1e-2)


SOFT = {
    "bce": lambda *given: losses.soft_bce(*given, torch.tensor(WEIGHT), 1.0),
    "warm bce": lambda *given: losses.soft_bce(*given, torch.tensor(WEIGHT), 2.0),
    "mse": lambda *given: losses.logit_mse(*given, torch.tensor(WEIGHT)),
}
every_distillation = pytest.mark.parametrize("loss", SOFT.values(), ids=SOFT.keys())


@every_distillation
def test_gradients_of_the_distillation_are_right(loss):
    logits, scores, mask = scored()
    assert torch.autograd.gradcheck(lambda z: loss(z, scores, mask), logits.requires_grad_())


@every_distillation
def test_unknown_scores_may_hold_anything_and_teach_nothing(loss):
    logits, scores, mask = scored()
    expected = loss(logits, scores, mask).item()
    scores[1, 1] = math.nan
    value = loss(logits.requires_grad_(), scores, mask)
    value.backward()
    assert value.item() == expected
    assert logits.grad[1, 1] == 0
    assert (logits.grad[mask] != 0).all()


@every_distillation
def test_no_known_score_gives_zero_with_a_gradient(loss):
    logits, scores, mask = scored()
    value = loss(logits.requires_grad_(), scores, torch.zeros_like(mask))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


def test_scores_that_all_weigh_nothing_give_zero_with_a_gradient():
    logits, scores, mask = scored()
    value = losses.logit_mse(logits.requires_grad_(), scores, mask, torch.zeros(2))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@every_distillation
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_extreme_logits_of_the_distillation_stay_finite(loss, size):
    logits = torch.tensor([[size, -size], [-size, size]], requires_grad=True)
    value = loss(logits, torch.tensor([[1.0, 1.0], [0.0, 0.3]]), torch.ones(2, 2, dtype=torch.bool))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


# --- labels and scores together

# One label, three outputs: the second has both, the third a score alone.
KNOWN = [[True, True, False], [True, False, False], [True, True, False]]
SOFT_KNOWN = [[False, True, True], [False, True, False], [False, True, True]]


def both(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 3, generator=generator, dtype=dtype)
    truth = torch.randint(2, (3, 3), generator=generator).to(dtype)
    soft = torch.rand(3, 3, generator=generator, dtype=dtype)
    return logits.requires_grad_(), truth, torch.tensor(KNOWN), soft, torch.tensor(SOFT_KNOWN)


def objective(sigma, kind="bce", loss="bce", targets=("hate", "violence"), **settings):
    outputs = ("toxicity", "hate", "violence")
    distill = DistillConfig(targets=targets, sigma=sigma, kind=kind, **settings)
    return losses.build_objective(LossConfig(kind=loss), distill, torch.tensor([0.2, 0.3, 0.0]), outputs)


def value_and_gradient(loss, logits):
    logits.grad = None
    value = loss()
    value.backward()
    return value.item(), logits.grad.clone()


@pytest.mark.parametrize("kind", ["bce", "mse"])
@pytest.mark.parametrize("loss", ALL)
def test_with_sigma_1_the_objective_is_the_loss_of_the_labels_to_the_last_bit(kind, loss):
    logits, truth, known, soft, soft_known = both()
    hard = losses.build(LossConfig(kind=loss), torch.tensor([0.2, 0.3, 0.0]))
    expected, slope = value_and_gradient(lambda: hard(logits, truth, known), logits)
    found, gradient = value_and_gradient(
        lambda: objective(1.0, kind, loss)(logits, truth, known, soft, soft_known), logits
    )
    assert found == expected
    assert torch.equal(gradient, slope)


def test_with_sigma_1_an_output_without_labels_changes_nothing_for_the_others():
    logits, truth, known, soft, soft_known = both()
    known[:, 1] = False
    found, gradient = value_and_gradient(lambda: objective(1.0)(logits, truth, known, soft, soft_known), logits)
    alone = logits[:, :1].detach().clone().requires_grad_()
    expected, slope = value_and_gradient(lambda: losses.masked_bce(alone, truth[:, :1], known[:, :1]), alone)
    assert found == expected
    assert torch.equal(gradient[:, :1], slope)
    assert (gradient[:, 1:] == 0).all()


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_with_sigma_0_the_objective_is_the_distillation_to_the_last_bit(kind):
    logits, truth, known, soft, soft_known = both()
    weight = torch.tensor([1.0, 1.0, 0.5])

    def expected_loss():
        if kind == "mse":
            return losses.logit_mse(logits, soft, soft_known, weight)
        return losses.soft_bce(logits, soft, soft_known, weight, 2.0)

    expected, slope = value_and_gradient(expected_loss, logits)
    settings = {"weights": {"violence": 0.5}, "temperature": 2.0}
    found, gradient = value_and_gradient(
        lambda: objective(0.0, kind, **settings)(logits, truth, known, soft, soft_known), logits
    )
    assert found == expected
    assert torch.equal(gradient, slope)
    assert (gradient[:, 0] == 0).all()


def test_between_the_two_the_objective_weighs_them():
    given = [tensor.double() if tensor.is_floating_point() else tensor for tensor in both()]
    logits, truth, _, soft, _ = (tensor.detach().tolist() for tensor in given)

    def mean(targets, known):
        values = [
            cross_entropy(logits[row][column], targets[row][column])
            for row in range(3)
            for column in range(3)
            if known[row][column]
        ]
        return sum(values) / len(values)

    expected = 0.8 * mean(truth, KNOWN) + 0.2 * mean(soft, SOFT_KNOWN)
    assert objective(0.8)(*given).item() == pytest.approx(expected, rel=1e-6)


def test_without_targets_the_scores_have_no_say():
    logits, truth, known, soft, soft_known = both()
    plain = objective(0.3, targets=())
    assert plain(logits, truth, known, soft * math.nan, soft_known) == losses.masked_bce(logits, truth, known)
