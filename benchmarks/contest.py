"""A contestant of benchmarks/peers.py in a process of its own: what it says of the test rows, and what it costs."""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from contestants import CONTESTANTS, Rows

from adaptox import evaluate
from adaptox.config import Config
from adaptox.errors import AdaptoxError
from adaptox.records import FloatArray

ROWS = "rows.json"
PROBS = "probs.npy"
ANSWER = "answer.json"
PASSES = 3  # over the texts, to time a prediction
_SAMPLED_S = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What a contestant said of the test rows, and what that cost.

    Attributes:
        probs: (rows,), of the target label.
        threshold, origin: where it cuts, and why there.
        about: which library, how used.
        commit: of the code here, when it was run.
        train_rows: that it learned from.
        train_s: seconds from rows to a model with a threshold.
        peak_memory_mb: the largest resident memory of its process until then, libraries included.
        rows_per_s: test rows predicted in a second, the median of a few passes.
    """

    probs: FloatArray
    threshold: float
    origin: str
    about: str
    commit: str
    train_rows: int
    train_s: float
    peak_memory_mb: float
    rows_per_s: float


class Memory:
    """The largest resident memory of this process while it is watched, in MB.

    Sampled, since a child inherits the high-water mark that the system keeps, and training resets it.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._over = threading.Event()

    def __enter__(self) -> Memory:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._over.wait(_SAMPLED_S):
            self.peak_mb = max(self.peak_mb, process.memory_info().rss / 2**20)


def contest(name: str, train: Rows, test: Rows, config: Config, work: Path) -> Measured:
    """Train one contestant and let it predict."""
    with Memory() as memory:
        learn = CONTESTANTS[name](config, work)
        started = time.perf_counter()
        trained = learn(train)
        seconds = time.perf_counter() - started
    speeds = []
    for _ in range(PASSES):
        started = time.perf_counter()
        probs = trained.predict(test.texts)
        speeds.append(len(test.texts) / (time.perf_counter() - started))
    return Measured(
        probs,
        trained.threshold,
        trained.origin,
        trained.about,
        evaluate.commit(),
        trained.rows,
        seconds,
        memory.peak_mb,
        statistics.median(speeds),
    )


def read_rows(work: Path) -> tuple[Rows, Rows, Config]:
    """Read what `write_rows` wrote: training rows, test rows, settings."""
    found = json.loads((work / ROWS).read_text(encoding="utf-8"))
    return Rows(**found["train"]), Rows(**found["test"]), Config.model_validate(found["config"])


def write_rows(work: Path, train: Rows, test: Rows, config: Config) -> None:
    """Write what every contestant is given."""
    work.mkdir(parents=True, exist_ok=True)
    given = {
        "train": asdict(train),
        "test": asdict(test),
        "config": config.model_dump(mode="json", exclude_unset=True),
    }
    (work / ROWS).write_text(json.dumps(given), encoding="utf-8")


def read_answer(folder: Path, key: str) -> Measured | None:
    """Read what a contestant answered with the same key; None where it has not."""
    if not (folder / ANSWER).is_file():
        return None
    found = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    return Measured(np.load(folder / PROBS), **found["said"]) if found["key"] == key else None


def main() -> None:
    """Run the contestant NAME on the rows in WORK, and write its answer, under KEY, into WORK/NAME."""
    name, work, key = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ANSWER).unlink(missing_ok=True)
    answer = contest(name, *read_rows(work), folder)
    np.save(folder / PROBS, answer.probs)
    said = {field: value for field, value in asdict(answer).items() if field != "probs"}
    unfinished = folder / f".{ANSWER}"
    unfinished.write_text(json.dumps({"key": key, "said": said}), encoding="utf-8")
    os.replace(unfinished, folder / ANSWER)


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"peers: {error}")
