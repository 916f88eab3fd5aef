"""Losses: (logits, targets, mask) → one number, the mean over the labels that are known.

In every function `logits`, `targets` and `mask` have the shape (batch, labels); `targets` holds 0 or 1, and
anything where the label is unknown; `mask` is true where it is known. Half-precision logits are raised to float32.
Without a known label the loss is 0, and so is its gradient.

In the formulas z is the logit, s the sigmoid, y the target.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from adaptox.config import LossConfig
from adaptox.errors import MissingExtraError

try:
    import torch
    from torch.nn.functional import logsigmoid
except ModuleNotFoundError as error:
    raise MissingExtraError("losses", "train", error.name or "torch") from error

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# The asymmetric loss's margin m and positive exponent, as its paper recommends.
_CLIP = 0.05
_GAMMA_POSITIVE = 0.0
# A label without known positives or negatives has no finite odds.
_SMALLEST_SHARE = 1e-4


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


def _widen(logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Raise half precision to float32; give the targets the logits' type, and 0 where they are unknown."""
    wide = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return wide, targets.to(wide.dtype).masked_fill(~mask.bool(), 0.0)


def _mean(losses: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    known = mask.bool()
    return losses.masked_fill(~known, 0.0).sum() / known.sum().clamp(min=1)
