"""Which settings of SetFit do best: chosen on training rows left out, for benchmarks/peers.py.

A third of the official training rows, with their prompt families whole, is left out; every setting learns from the
other two thirds, and the best AUPRC on the third is chosen, with the threshold of the best F1 there. The test split
is never read. A network is trained once for all heads that are fitted to it.

    python benchmarks/setfit_settings.py configs/toxic-chat.toml --out docs/results/setfit-settings.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import result_file
from contestants import Rows, SetFitSettings, teach_setfit_body
from peers import data_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from adaptox import evaluate
from adaptox.adapt import read_and_prepare
from adaptox.config import Config
from adaptox.errors import AdaptoxError
from adaptox.records import FloatArray
from adaptox.teach import lay_out_folds

FOLDS = 3
# Pairs are cut to what most prompts need, which takes half the time; heads and predictions read all tokens.
BODIES = (
    SetFitSettings(steps=0),
    SetFitSettings(steps=100, pair_tokens=128),
    SetFitSettings(steps=100, pair_tokens=128, learning_rate=1e-4),
    SetFitSettings(steps=200, pair_tokens=128, learning_rate=1e-4),
)
HEADS: tuple[dict[str, Any], ...] = tuple(
    {"C": strength, **weight} for strength in (0.1, 1.0, 10.0) for weight in ({}, {"class_weight": "balanced"})
)


def try_all(bodies: Sequence[SetFitSettings], learned: Rows, held: Rows, config: Config) -> list[dict[str, Any]]:
    """Train every network, fit every head to each, and measure them on the rows left out."""
    tried: list[dict[str, Any]] = []
    for body in bodies:
        with tempfile.TemporaryDirectory() as work:
            model = teach_setfit_body(learned, config, Path(work), body).model
        seen, unseen = (model.encode(rows.texts) for rows in (learned, held))
        for head in HEADS:
            fitted = LogisticRegression(**head).fit(seen, learned.truth)
            found = measure(np.asarray(held.truth), fitted.predict_proba(unseen)[:, 1])
            print(f"{body} {head}: {found}", file=sys.stderr, flush=True)
            tried.append({"settings": asdict(replace(body, head=head)), **found})
    return tried


def measure(truth: FloatArray, probs: FloatArray) -> dict[str, float]:
    """Give AUPRC, the threshold with the best F1, that F1, and F1 at .5."""
    precision, recall, cuts = precision_recall_curve(truth, probs)
    best = int(np.argmax(2 * precision * recall / np.maximum(precision + recall, 1e-12)))
    threshold = float(cuts[min(best, len(cuts) - 1)])
    return {
        "auprc": float(average_precision_score(truth, probs)),
        "threshold": threshold,
        "f1": float(f1_score(truth, probs >= threshold)),
        "f1_at_half": float(f1_score(truth, probs >= 0.5)),
    }


def main() -> None:
    """Try the settings, choose, and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="settings file whose training rows are learned from")
    parser.add_argument("--out", type=Path, required=True, help="result file (JSON) to write")
    given = parser.parse_args()
    config = data_of(given.data)
    prepared = read_and_prepare(config).prepared
    fold = lay_out_folds((*prepared.train, *prepared.validation), config, FOLDS, "FOLDS")[0]
    learned, held = Rows.of(fold.rest, config), Rows.of(fold.held, config)
    tried = try_all(BODIES, learned, held, config)
    content = {
        "chosen": max(tried, key=lambda one: one["auprc"]),
        "tried": tried,
        "rows": {"learned": len(learned.truth), "left_out": len(held.truth), "positives": sum(held.truth)},
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "data_sha256": prepared.manifest.sha256,
        "hardware": evaluate.hardware(),
        "commit": evaluate.commit(),
    }
    result_file.write(given.out, content)


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"setfit_settings: {error}")
