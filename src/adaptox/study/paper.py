"""What the paper reports, so that ours can stand beside it.

"Adapting Toxicity Detection from Comments to Conversations with PEFT and Knowledge Distillation": its Table 3
(accuracy, precision, recall, F1 at a threshold of 0.5, on its small and its full test set) and its Table 2
(training time on a T4).
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptox.report.study.values import PaperRun

_METRICS = ("accuracy", "precision", "recall", "f1")


def _run(small: tuple[float, ...], full: tuple[float, ...], minutes: int, seconds: int) -> PaperRun:
    return PaperRun(
        small=dict(zip(_METRICS, small, strict=True)),
        full=dict(zip(_METRICS, full, strict=True)),
        train_s=60 * minutes + seconds,
    )


PAPER: Mapping[str, PaperRun] = {
    "Baseline-Sampled": _run((0.8993, 0.9259, 0.8681, 0.8961), (0.9130, 0.4552, 0.8241, 0.5865), 1, 37),
    "LoRA-Sampled": _run((0.3472, 0.2442, 0.1458, 0.1826), (0.4768, 0.0229, 0.1435, 0.0395), 1, 23),
    "Baseline-Full": _run((0.8507, 0.9810, 0.7153, 0.8273), (0.9650, 0.8212, 0.6806, 0.7443), 15, 35),
    "LoRA-Full": _run((0.5, 0.0, 0.0, 0.0), (0.9255, 1.0, 0.0046, 0.0092), 13, 43),
    "Multi-Target-Sampled": _run((0.9097, 0.9470, 0.8681, 0.9058), (0.9241, 0.4958, 0.8287, 0.6205), 1, 40),
    "LoRA-Multi-Sampled": _run((0.5868, 1.0, 0.1736, 0.2959), (0.9327, 0.8056, 0.1343, 0.2302), 1, 24),
    "Multi-Target-Full": _run((0.5, 0.0, 0.0, 0.0), (0.9251, 0.0, 0.0, 0.0), 15, 37),
    "LoRA-Multi-Full": _run((0.5, 0.0, 0.0, 0.0), (0.9251, 0.0, 0.0, 0.0), 14, 1),
}
