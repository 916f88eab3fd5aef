"""Labels that an ensemble doubts: candidates for a person to look at; nothing is dropped or changed for them.

Confident learning (Northcutt, Jiang and Chuang, arXiv 1911.00068) by cleanlab, on out-of-fold probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import numpy as np

from adaptox import text
from adaptox.config import Config
from adaptox.errors import MissingExtraError
from adaptox.prepare.clean import EXCERPT_CHARS
from adaptox.records import Example, FloatArray
from adaptox.teach.teachers import Given


def doubted_labels(given: Given, config: Config) -> list[Mapping[str, object]]:
    """List the labels that are probably wrong, label by label, the most doubtful first.

    Args:
        given: by an ensemble, out of fold.
        config: names the labels, and says how an excerpt is rendered.

    Returns:
        A JSON object for each: id, label, given, prob, human (whether a person labelled it), excerpt.

    Raises:
        MissingExtraError: cleanlab is not installed.
    """
    found: list[Mapping[str, object]] = []
    for column, label in enumerate(config.labels):
        known = [position for position, row in enumerate(given.examples) if label in row.labels]
        rows = [given.examples[position] for position in known]
        found += _doubted(rows, given.members[-1].probs[known, column], label, config)
    return found


def need_cleanlab() -> None:
    """Make sure, before hours of training, that labels can be doubted afterwards.

    Raises:
        MissingExtraError: cleanlab is not installed.
    """
    if find_spec("cleanlab") is None:
        raise MissingExtraError("teach", "teach", "cleanlab")


def _doubted(rows: Sequence[Example], probs: FloatArray, label: str, config: Config) -> list[Mapping[str, object]]:
    need_cleanlab()
    from cleanlab.filter import find_label_issues

    truth = np.array([row.labels[label] for row in rows], dtype=np.int64)
    both = np.stack([1 - probs, probs], axis=1)
    # One process: more would cost more than they save on some thousand rows.
    order = find_label_issues(truth, both, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [
        {
            "id": rows[position].id,
            "label": label,
            "given": int(truth[position]),
            "prob": round(float(probs[position]), 4),
            "human": rows[position].annotated_by_human,
            "excerpt": text.render(rows[position].conversation, config.text).text[:EXCERPT_CHARS],
        }
        for position in order.tolist()
    ]
