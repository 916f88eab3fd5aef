"""Each loss against a formula in plain math, and what holds for all of them."""

from __future__ import annotations

import math

import pytest
import torch

from adaptox import losses
from adaptox.config import LossConfig

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
