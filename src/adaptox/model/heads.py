"""The rows of a head: which of a base's mean what our labels mean, and what the others start from."""

from __future__ import annotations

import hashlib
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


def widen(narrow: torch.nn.Linear, labels: LabelSet, seed: int) -> torch.nn.Linear:
    """Make a fresh projection with a row for every label from one that has a row for the first.

    The first row stays as it is; any other depends on it, the seed and its label's name, so that a further label
    changes no row that is there. The entries of a fresh row are drawn alike and symmetrically around 0: shuffled,
    with random signs, they are another draw of the same scale, whatever scale the architecture gives its head.

    Args:
        narrow: fresh, (1, hidden).
        labels: ours.
        seed: of the further rows. The global random state is left as it was.

    Returns:
        (labels, hidden).
    """
    # Made without memory first, since nothing may be drawn for it.
    wide = torch.nn.Linear(narrow.in_features, len(labels), device="meta").to_empty(device="cpu")
    with torch.no_grad():
        wide.weight.copy_(narrow.weight.expand_as(wide.weight))
        wide.bias.copy_(narrow.bias.expand_as(wide.bias))
        for row, name in enumerate(labels.names[1:], 1):
            generator = torch.Generator().manual_seed(_seed_of(name, seed))
            order = torch.randperm(narrow.in_features, generator=generator)
            signs = 2 * torch.randint(2, order.shape, generator=generator) - 1
            wide.weight[row] = narrow.weight[0, order] * signs
    return wide


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


def _seed_of(name: str, seed: int) -> int:
    # torch takes seeds of 64 bits, signed or not.
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7])


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")
