"""Warm start: rows of a base's head that mean what our labels mean."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from adaptox.labels import WARM_START, LabelSet


def matches(labels: LabelSet, own: tuple[str, ...]) -> dict[str, str]:
    """Find the base's label for each of ours, by name.

    Args:
        labels: our labels.
        own: the base's labels, in the order of its logits.

    Returns:
        Our label → the base's; labels without a counterpart are absent. Upper and lower case, spaces and hyphens
        make no difference.
    """
    by_name = {_plain(name): name for name in reversed(own)}
    found = {}
    for label in labels:
        candidates = (label, *WARM_START.get(label, ()))
        match = next((by_name[_plain(name)] for name in candidates if _plain(name) in by_name), None)
        if match is not None:
            found[label] = match
    return found


def copy_rows(source: torch.nn.Module, target: torch.nn.Module, rows: Mapping[int, int], softmax: bool) -> None:
    """Copy rows of one projection into another, in place.

    Args:
        source: the base's projection, (own labels, hidden).
        target: ours, (labels, hidden).
        rows: our row → the base's row.
        softmax: the base's logits compete. A row then says something only against the others, so the mean of
            the others is subtracted; for two labels that is the exact logit of the first against the second.
    """
    for name in ("weight", "bias"):
        own, ours = source.get_parameter(name), target.get_parameter(name)
        with torch.no_grad():
            for row, match in rows.items():
                ours[row] = own[match]
                if softmax:
                    others = torch.arange(len(own)) != match
                    ours[row] -= own[others].mean(dim=0)


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")
