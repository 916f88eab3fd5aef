"""What a team would otherwise do, beside adaptox, on ToxicChat's official test split.

Everybody learns from the same rows, cleaned and split as by adaptox, and is judged on the same test rows with the
same code: F1 at the threshold that the tool comes to without seeing them, AUPRC, intervals over prompt families,
and paired tests against each run of adaptox.

- tf-idf: scikit-learn's TfidfVectorizer (words and pairs of words) and LogisticRegression, classes balanced;
  threshold by TunedThresholdClassifierCV, five folds that keep prompt families whole.
- setfit: SetFit on the base's sentence encoder, one pass over `--setfit-pairs` pairs a row, logistic head, its .5.
- trainer: a transformers Trainer script with the library's defaults on the same base, three epochs, .5.
- adaptox: finished run folders, given by name.

    python benchmarks/peers.py runs/toxic-chat --out docs/results/peers.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import transformers
from datasets import Dataset
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from adaptox import config as settings
from adaptox import evaluate
from adaptox.adapt import read_and_prepare
from adaptox.config import Config
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import Comparison, Evaluation
from adaptox.model.places import find
from adaptox.records import Example, FloatArray
from adaptox.text import render

METRICS = ("f1", "auprc")
SHOWN = ("auprc", "f1", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Rows:
    """Prepared rows as other tools read them."""

    texts: list[str]
    truth: list[int]
    groups: list[str]

    @classmethod
    def of(cls, examples: Sequence[Example], config: Config) -> Rows:
        """Render examples as adaptox does; those without the target label are left out."""
        target = config.label_set.target
        known = [example for example in examples if target in example.labels]
        return cls(
            [render(example.conversation, config.text).text for example in known],
            [int(example.labels[target]) for example in known],
            [example.group or example.id for example in known],
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A peer's probabilities of the test rows, its threshold, and what it is."""

    probs: FloatArray
    threshold: float
    origin: str
    about: str


def tf_idf(train: Rows, test: Rows, config: Config, pairs: int) -> Answer:
    """Count words."""
    plain = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=10, class_weight="balanced", max_iter=1000),
    )
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=config.seed).split(
        train.texts, train.truth, train.groups
    )
    tuned = TunedThresholdClassifierCV(plain, scoring="f1", cv=list(folds), n_jobs=1)
    tuned.fit(train.texts, train.truth)
    probs = tuned.predict_proba(test.texts)[:, 1]
    return Answer(
        probs, float(tuned.best_threshold_), "F1 on five folds of train", f"scikit-learn {version('scikit-learn')}"
    )


def setfit(train: Rows, test: Rows, config: Config, pairs: int) -> Answer:
    """Learn from pairs of texts, then fit a logistic head."""
    try:
        from setfit import SetFitModel, TrainingArguments
        from setfit import Trainer as SetFitTrainer
    except ImportError as error:
        raise InputError(f"setfit cannot be imported ({error}): pip install setfit, or --without setfit") from error
    model = SetFitModel.from_pretrained(str(find(config.base.name, None).folder))
    model.model_body.max_seq_length = config.encode.max_tokens
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            batch_size=config.train.batch_size,
            num_epochs=1,
            num_iterations=pairs,
            seed=config.seed,
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
        )
        data = Dataset.from_dict({"text": train.texts, "label": train.truth})
        SetFitTrainer(model=model, args=arguments, train_dataset=data).train()
    probs = np.asarray(model.predict_proba(test.texts, as_numpy=True), dtype=np.float64)[:, 1]
    return Answer(probs, 0.5, "0.5", f"setfit {version('setfit')}, {pairs} pairs a row")


def trainer(train: Rows, test: Rows, config: Config, pairs: int) -> Answer:
    """Fine-tune with a short script that leaves all but the batch size to the library."""
    place = find(config.base.name, None).folder
    tokenizer = AutoTokenizer.from_pretrained(place)

    def tokens(rows: Rows) -> Dataset:
        columns = tokenizer(rows.texts, truncation=True, max_length=config.encode.max_tokens)
        return Dataset.from_dict({**columns, "label": rows.truth})

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=config.train.batch_size,
            per_device_eval_batch_size=4 * config.train.batch_size,
            seed=config.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        transformers.set_seed(config.seed)
        taught = Trainer(
            model=AutoModelForSequenceClassification.from_pretrained(place),
            args=arguments,
            train_dataset=tokens(train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        taught.remove_callback(PrinterCallback)
        taught.train()
        logits = torch.from_numpy(np.asarray(taught.predict(tokens(test)).predictions))
    probs = logits.double().softmax(dim=1)[:, 1].numpy()
    return Answer(probs, 0.5, "0.5", f"transformers {version('transformers')}, its defaults")


PEERS: dict[str, Callable[[Rows, Rows, Config, int], Answer]] = {
    "tf-idf": tf_idf,
    "setfit": setfit,
    "trainer": trainer,
}


def read_run(folder: Path) -> tuple[Config, Evaluation]:
    """Read a finished run's settings, and measure its scores of the test rows anew."""
    if not (folder / "metrics.json").is_file():
        raise InputError(f"{folder} is no finished run: adaptox train --resume finishes it")
    config = Config.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    rows = evaluate.rows_from_parquet(folder / "scores.parquet")["test"]
    examples = {example.id: example for example in read_and_prepare(config).prepared.test}
    threshold = metrics["threshold"]
    return config, evaluate.evaluate(
        [examples[name] for name in rows.ids],
        rows.probs,
        config.label_set.target,
        threshold["value"],
        threshold["origin"],
        config.evaluate,
        config.seed,
        official=True,
    )


def measure(peers: Sequence[str], config: Config, pairs: int) -> dict[str, tuple[Evaluation, dict[str, object]]]:
    """Train every peer, and measure it on the test part."""
    prepared = read_and_prepare(config).prepared
    target = config.label_set.target
    train = Rows.of((*prepared.train, *prepared.validation), config)
    judged = [example for example in prepared.test if target in example.labels]
    test = Rows.of(judged, config)
    found = {}
    for name in peers:
        started = time.perf_counter()
        answer = PEERS[name](train, test, config, pairs)
        seconds = time.perf_counter() - started
        result = evaluate.evaluate(
            judged,
            answer.probs,
            target,
            answer.threshold,
            answer.origin,
            config.evaluate,
            config.seed,
            official=True,
        )
        print(f"{name}: {seconds:.0f} s", file=sys.stderr)
        found[name] = (result, {"what": answer.about, "train_rows": len(train.texts)})
    return found


def compared(ours: dict[str, Evaluation], peers: dict[str, Evaluation], config: Config) -> list[dict[str, object]]:
    """Compare every run with every peer, corrected for their number (Holm), metric by metric."""
    couples = [(a, b) for a in ours for b in peers]
    tests = {
        metric: [
            evaluate.compare(ours[a], peers[b], metric, config.evaluate.resamples, config.seed) for a, b in couples
        ]
        for metric in METRICS
    }
    corrected = {metric: evaluate.holm([one.p_value for one in found]) for metric, found in tests.items()}
    exact = [evaluate.mcnemar(ours[a], peers[b]) for a, b in couples]
    return [
        {
            "run": a,
            "peer": b,
            **{metric: _difference(tests[metric][at], corrected[metric][at]) for metric in METRICS},
            "mcnemar": {
                "only_run": exact[at].only_first,
                "only_peer": exact[at].only_second,
                "p": exact[at].p_value,
            },
        }
        for at, (a, b) in enumerate(couples)
    ]


def _difference(one: Comparison, corrected: float) -> dict[str, object]:
    return {**evaluate.interval_json(one.difference), "p_holm": corrected, "verdict": one.verdict}


def _shown(result: Evaluation) -> dict[str, object]:
    return {
        "threshold": {"value": result.threshold, "origin": result.origin},
        "slices": {
            name: {
                "n": part.n,
                "positives": part.positives,
                **{m: evaluate.interval_json(part.metrics[m]) for m in SHOWN},
            }
            for name, part in result.slices.items()
        },
    }


def main() -> None:
    """Train the peers, read the runs, compare, print, and write the result file if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run folders of adaptox")
    parser.add_argument("--without", action="append", default=[], choices=sorted(PEERS), help="leave a peer out")
    parser.add_argument("--setfit-pairs", type=int, default=1, help="pairs of each kind for every row")
    parser.add_argument("--out", type=Path, help="result file (JSON) to write")
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    read = {folder.name: read_run(folder) for folder in given.runs}
    # The first run's rows, with the embedded base: what a team that starts anew would take.
    first = next(iter(read.values()))[0]
    config = first.model_copy(update={"base": settings.parse({}).base})
    peers = measure([name for name in PEERS if name not in given.without], config, given.setfit_pairs)
    ours = {name: result for name, (_, result) in read.items()}
    for name, result in {**{name: result for name, (result, _) in peers.items()}, **ours}.items():
        metrics = next(iter(result.slices.values())).metrics
        print(f"{name:32}" + "".join(f"{metric} {metrics[metric].value:.3f}  " for metric in SHOWN))
    if given.out is not None:
        content = {
            "seed": config.seed,
            "hardware": evaluate.hardware(),
            "commit": evaluate.commit(),
            "peers": {name: {**about, **_shown(result)} for name, (result, about) in peers.items()},
            "runs": {name: _shown(result) for name, result in ours.items()},
            "compared": compared(ours, {name: result for name, (result, _) in peers.items()}, config),
            "versions": {name: version(name) for name in ("scikit-learn", "torch", "transformers")},
        }
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"peers: {error}")
