"""Losses: (logits, targets, mask) → one number, the mean over what is known.

In every function `logits`, `targets` and `mask` have the shape (batch, labels); `targets` holds 0 or 1, or in
distillation a teacher's score between them, and anything where that is unknown; `mask` is true where it is known.
For labels it may hold weights above 0 in place of true, which multiply the losses before their mean is taken.
Half-precision logits are raised to float32. Without a known label the loss is 0, and so is its gradient.

In the formulas z is the logit, s the sigmoid, y the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from adaptox.config import DistillConfig, LossConfig
from adaptox.errors import MissingExtraError

try:
    import torch
    from torch.nn.functional import logsigmoid
except ModuleNotFoundError as error:
    raise MissingExtraError("losses", "train", error.name or "torch") from error

# (logits, targets, mask) → scalar.
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
# (logits, truth, known, soft, soft_known) → scalar.
Objective = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# The asymmetric loss's margin m and positive exponent, as its paper recommends.
_CLIP = 0.05
_GAMMA_POSITIVE = 0.0
# A label without known positives or negatives has no finite odds.
_SMALLEST_SHARE = 1e-4
# Teachers give scores down to some 1e-7 and up to 1; their logits stay finite.
_SMALLEST_SCORE = 1e-6


def masked_bce(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, pos_weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Binary cross-entropy: -w · y · log s(z) - (1 - y) · log(1 - s(z)).

    Args:
        logits: uncalibrated.
        targets: 0 or 1.
        mask: which targets are known.
        pos_weight: (labels,) or scalar, the weight w of positives; 1 if absent.
    """
    logits, targets = _widen(logits, targets, mask)
    weight = 1.0 if pos_weight is None else pos_weight
    return _mean(-weight * targets * logsigmoid(logits) - (1 - targets) * logsigmoid(-logits), mask)


def focal(logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, gamma: float) -> torch.Tensor:
    """Focal loss (arXiv 1708.02002): -(1 - p)^gamma · log p, with p the probability of the truth.

    The paper's class weight alpha is left out; `masked_bce` has one.

    Args:
        logits: uncalibrated.
        targets: 0 or 1.
        mask: which targets are known.
        gamma: at least 0; 0 gives `masked_bce`.
    """
    logits, targets = _widen(logits, targets, mask)
    # Its sigmoid is p.
    toward = (2 * targets - 1) * logits
    return _mean(-(gamma * logsigmoid(-toward)).exp() * logsigmoid(toward), mask)


def asymmetric(
    logits: torch.Tensor,
    targets: torch.Tensor,
    mask: torch.Tensor,
    gamma_negative: float,
    gamma_positive: float,
    clip: float,
) -> torch.Tensor:
    """Asymmetric loss (arXiv 2009.14119), which lets easy negatives go.

    Positives: -(1 - p)^gamma_positive · log p with p = s(z).
    Negatives: -q^gamma_negative · log(1 - q) with q = max(p - clip, 0).

    Args:
        logits: uncalibrated.
        targets: 0 or 1.
        mask: which targets are known.
        gamma_negative: at least 0.
        gamma_positive: at least 0, usually below `gamma_negative`.
        clip: negatives with a probability below it count as solved, in [0, 1). With 0, and both exponents 0, the
            loss is `masked_bce`.
    """
    logits, targets = _widen(logits, targets, mask)
    positives = -(gamma_positive * logsigmoid(-logits)).exp() * logsigmoid(logits)
    if clip > 0:
        shifted = logits.sigmoid() - clip
        solved = shifted <= 0
        # An exponent below 1 has no slope at 0, so solved negatives are kept out of the power.
        kept = shifted.masked_fill(solved, 0.5)
        negatives = (-(kept**gamma_negative) * torch.log1p(-kept)).masked_fill(solved, 0.0)
    else:
        negatives = -(gamma_negative * logsigmoid(logits)).exp() * logsigmoid(-logits)
    return _mean(targets * positives + (1 - targets) * negatives, mask)


def logit_adjusted(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, log_prior_odds: torch.Tensor, tau: float
) -> torch.Tensor:
    """Cross-entropy of logits moved by the training prior (arXiv 2007.07314): z + tau · log(π / (1 - π)).

    The plain logits then rank and decide as if both classes were equally common.

    Args:
        logits: uncalibrated.
        targets: 0 or 1.
        mask: which targets are known.
        log_prior_odds: (labels,), log(π / (1 - π)) with π the positive share in training.
        tau: at least 0; 0 gives `masked_bce`.
    """
    logits, targets = _widen(logits, targets, mask)
    return masked_bce(logits + tau * log_prior_odds, targets, mask)


def soft_bce(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Distillation by cross-entropy (arXiv 1503.02531): T² · BCE(z / T, s(log(y / (1 - y)) / T)), weighted.

    Args:
        logits: uncalibrated.
        targets: a teacher's scores in [0, 1].
        mask: which scores are known.
        weight: (labels,), at least 0; the mean over the known scores is weighted by it.
        temperature: T, above 0. With 1, and weights 1, scores of 0 and 1 give `masked_bce`.
    """
    logits, targets = _widen(logits, targets, mask)
    if temperature != 1:
        targets = (torch.logit(targets, _SMALLEST_SCORE) / temperature).sigmoid()
        logits = logits / temperature
    losses = -targets * logsigmoid(logits) - (1 - targets) * logsigmoid(-logits)
    return temperature**2 * _weighted_mean(losses, mask, weight)


def logit_mse(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Distillation by squared distance of logits: (z - log(y / (1 - y)))², weighted.

    It asks for small scores to be as small as the teacher's, which cross-entropy hardly does (Ba and Caruana, Do
    Deep Nets Really Need to be Deep?, arXiv 1312.6184).

    Args:
        logits: uncalibrated.
        targets: a teacher's scores in [0, 1].
        mask: which scores are known.
        weight: (labels,), at least 0.
    """
    logits, targets = _widen(logits, targets, mask)
    return _weighted_mean((logits - torch.logit(targets, _SMALLEST_SCORE)) ** 2, mask, weight)


def multi_target(
    logits: torch.Tensor,
    truth: torch.Tensor,
    known: torch.Tensor,
    soft: torch.Tensor,
    soft_known: torch.Tensor,
    *,
    loss: Loss,
    distillation: Loss,
    sigma: float,
) -> torch.Tensor:
    """The study's objective: sigma · loss(labels) + (1 - sigma) · distillation(a teacher's scores).

    Args:
        logits: uncalibrated.
        truth: 0 or 1.
        known: which labels are known, or their weights.
        soft: a teacher's scores in [0, 1].
        soft_known: which scores are known.
        loss: of the labels.
        distillation: of the scores.
        sigma: in [0, 1]; 1 is the loss of the labels alone, 0 that of the scores alone.
    """
    return sigma * loss(logits, truth, known) + (1 - sigma) * distillation(logits, soft, soft_known)


def build(config: LossConfig, prior: torch.Tensor) -> Loss:
    """Make the loss that the settings name.

    Args:
        config: which loss, and its constants.
        prior: (labels,), the share of positives among the known labels of the training part, on the device of
            the logits; kept away from 0 and 1.

    Returns:
        (logits, targets, mask) → scalar.
    """
    shares = prior.float().clamp(_SMALLEST_SHARE, 1 - _SMALLEST_SHARE)
    odds = shares / (1 - shares)
    match config.kind:
        case "bce":
            return masked_bce
        case "pos-weight":
            weight = 1 / odds if config.pos_weight is None else torch.full_like(odds, config.pos_weight)
            return partial(masked_bce, pos_weight=weight)
        case "focal":
            return partial(focal, gamma=config.gamma)
        case "asymmetric":
            return partial(asymmetric, gamma_negative=config.gamma, gamma_positive=_GAMMA_POSITIVE, clip=_CLIP)
        case "logit-adjusted":
            return partial(logit_adjusted, log_prior_odds=odds.log(), tau=config.tau)


def build_objective(
    loss: LossConfig, distill: DistillConfig, prior: torch.Tensor, outputs: Sequence[str]
) -> Objective:
    """Make what training minimises.

    Args:
        loss: of the labels.
        distill: of the teacher's scores; without targets it has no say.
        prior: as for `build`, (outputs,).
        outputs: names of the logits; a name without a weight has the weight 1.
    """
    hard = build(loss, prior)
    if not distill.targets:
        return lambda logits, truth, known, *_: hard(logits, truth, known)
    weight = torch.tensor([distill.weights.get(name, 1.0) for name in outputs], device=prior.device)
    match distill.kind:
        case "bce":
            distillation: Loss = partial(soft_bce, weight=weight, temperature=distill.temperature)
        case "mse":
            distillation = partial(logit_mse, weight=weight)
    return partial(multi_target, loss=hard, distillation=distillation, sigma=distill.sigma)


def _widen(logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Raise half precision to float32; give the targets the logits' type, and 0 where they are unknown."""
    wide = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return wide, targets.to(wide.dtype).masked_fill(~mask.bool(), 0.0)


def _mean(losses: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    known = mask.bool()
    return (losses.masked_fill(~known, 0.0) * mask).sum() / known.sum().clamp(min=1)


def _weighted_mean(losses: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    weights = weight * mask.bool()
    total = weights.sum()
    return (losses * weights).sum() / total.masked_fill(total == 0, 1.0)
