"""Training throughput: adaptox beside a plain transformers Trainer script, on the same rows.

Three contestants train the same base (minilm) for one epoch with batches of 16 texts of at most 256 tokens:

- adaptox: `train.fit` with the default settings (bf16 where the processor multiplies it, batches of like length, no
  dropout of attention weights);
- plain: a Trainer script with the library's defaults (fp32, shuffled, each batch padded to its longest row);
- padded: the same script, every row padded to 256 tokens.

Timed is what lies between the first forward pass and the end of the last update; loading, tokenising, evaluation
and checkpoints are outside for all three. After a short run of each that is not counted, every repetition runs all
three, in another order than the one before; a ratio compares runs of the same repetition.

    python benchmarks/train_speed.py --out docs/results/train-speed.json
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import result_file
import torch
import transformers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from adaptox import config, model, prepare, sources, train
from adaptox.config import Config, SourceConfig
from adaptox.evaluate import commit, hardware
from adaptox.model.places import find
from adaptox.records import Example
from adaptox.text import render

EPOCHS = 1
WARM_UP_ROWS = 64


@dataclass(frozen=True, slots=True)
class Data:
    """The rows that everybody trains on, and where they came from."""

    examples: tuple[Example, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class Run:
    """One training: seconds from the first forward pass to the last update; tokens computed, padding included."""

    seconds: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the repetitions."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take the median and both ends."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.1f} [{self.low:.1f}-{self.high:.1f}]"

    def to_json(self) -> dict[str, float]:
        """Give the figure with three decimals."""
        return {"median": round(self.median, 3), "low": round(self.low, 3), "high": round(self.high, 3)}


class Stopwatch:
    """Times a network's training from its first forward pass on; the same for every contestant."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._started = 0.0
        self._stopped = 0.0
        self._tokens = 0
        network.register_forward_pre_hook(self._on_forward, with_kwargs=True)

    def _on_forward(self, network: torch.nn.Module, _: tuple[Any, ...], inputs: dict[str, Any]) -> None:
        if network.training:
            self._started = self._started or time.perf_counter()
            self._tokens += inputs["input_ids"].numel()

    def lap(self) -> None:
        """Note the end of an update; the last one counts."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._stopped = time.perf_counter()

    @property
    def run(self) -> Run:
        """What was timed."""
        return Run(self._stopped - self._started, self._tokens)


class _Laps(TrainerCallback):
    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch

    def on_step_end(self, *_: object, **__: object) -> None:
        self._stopwatch.lap()


def adaptox_path(examples: Sequence[Example], settings: Config) -> Run:
    """Train as `adaptox train` does. Validation, which `fit` needs, falls outside the timed part."""
    base = model.load_base(settings.base, settings.label_set, settings.seed)
    encoder = train.encoder_for(base, settings)
    network = model.attach(base.network, settings.adapter)
    stopwatch = Stopwatch(network)
    with tempfile.TemporaryDirectory() as folder:
        train.fit(
            network,
            encoder,
            examples,
            _few_of_both(examples, settings.label_set.target),
            settings,
            Path(folder),
            progress=lambda *_: stopwatch.lap(),
        )
    return stopwatch.run


def plain_trainer(examples: Sequence[Example], settings: Config, padding: bool | Literal["max_length"]) -> Run:
    """Train as a short script does that leaves all but the batch size to the library."""
    place = find(settings.base.name, None).folder
    tokenizer = AutoTokenizer.from_pretrained(place)
    texts = [render(example.conversation, settings.text).text for example in examples]
    # Without padding here the collator pads each batch to its longest row.
    tokens = tokenizer(texts, truncation=True, max_length=settings.encode.max_tokens, padding=padding)
    target = settings.label_set.target
    rows = [
        {**{name: column[row] for name, column in tokens.items()}, "label": example.labels[target]}
        for row, example in enumerate(examples)
    ]
    network = AutoModelForSequenceClassification.from_pretrained(place)
    stopwatch = Stopwatch(network)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=settings.train.batch_size,
            seed=settings.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=network,
            args=arguments,
            train_dataset=rows,
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[_Laps(stopwatch)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return stopwatch.run


Contestant = Callable[[Sequence[Example], Config], Run]
CONTESTANTS: dict[str, Contestant] = {
    "adaptox": adaptox_path,
    "plain": lambda examples, settings: plain_trainer(examples, settings, False),
    "padded": lambda examples, settings: plain_trainer(examples, settings, "max_length"),
}


def read(folder: Path, rows: int, seed: int, target: str) -> Data:
    """Sample rows of ToxicChat's train split, or of the embedded conversations where it is not at hand."""
    if folder.is_dir():
        source = SourceConfig(reader="toxic-chat", path=str(folder))
        origin = "ToxicChat (toxicchat0124), train split"
    else:
        source, origin = SourceConfig(reader="embedded-conversations"), "embedded conversations"
    usable = [e for e in sources.read(source).examples if e.split != "test" and target in e.labels]
    size = min(rows, len(usable))
    chosen = np.random.default_rng(seed).choice(len(usable), size=size, replace=False)
    return Data(tuple(usable[position] for position in chosen), origin)


def measure(data: Data, settings: Config, repeats: int) -> dict[str, list[Run]]:
    """Run every contestant `repeats` times, in an order that rotates."""
    names = list(CONTESTANTS)
    for name in names:
        CONTESTANTS[name](data.examples[:WARM_UP_ROWS], settings)
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for repeat in range(repeats):
        turn = repeat % len(names)
        for name in names[turn:] + names[:turn]:
            runs[name].append(CONTESTANTS[name](data.examples, settings))
            print(f"repetition {repeat + 1} of {repeats}: {name} {runs[name][-1].seconds:.1f} s", file=sys.stderr)
    return runs


def result_json(data: Data, settings: Config, runs: dict[str, list[Run]]) -> dict[str, object]:
    """Give the result with all that a number needs to be believed."""
    n = len(data.examples)
    return {
        "n": n,
        "epochs": EPOCHS,
        "timed": "first forward pass to last update; no loading, tokenising, evaluation or checkpoint, for anybody",
        "rows_per_s": {name: Spread.of([n / run.seconds for run in mine]).to_json() for name, mine in runs.items()},
        "ratio": {name: _ratio(runs, name).to_json() for name in runs if name != "adaptox"},
        "tokens": {name: mine[0].tokens for name, mine in runs.items()},
        "seconds": {name: [round(run.seconds, 3) for run in mine] for name, mine in runs.items()},
        "repeats": len(runs["adaptox"]),
        "data": {"origin": data.origin, "sha256": prepare.data_sha256(data.examples, settings.text)},
        "seed": settings.seed,
        "hardware": hardware(),
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "versions": {name: version(name) for name in ("torch", "transformers", "accelerate")},
        "config": settings.model_dump(mode="json"),
    }


def print_table(data: Data, runs: dict[str, list[Run]]) -> None:
    """Print rows per second, and how many times as fast adaptox is."""
    n = len(data.examples)
    print(f"{n} rows of {data.origin}; {len(runs['adaptox'])} repetitions; {hardware()}")
    print(f"{'':10}{'rows/s':>24}{'tokens, padded':>16}{'adaptox is faster by':>24}")
    for name, mine in runs.items():
        speed = str(Spread.of([n / run.seconds for run in mine]))
        ratio = "" if name == "adaptox" else f"{_ratio(runs, name)} times"
        print(f"{name:10}{speed:>24}{mine[0].tokens:>16,}{ratio:>24}")


def main() -> None:
    """Measure, print, and write the result file if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/toxic-chat"), help="ToxicChat's folder")
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="result file (JSON) to write")
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # The library's default is to pin memory, which needs a GPU.
    warnings.filterwarnings("ignore", message=".*pin_memory")
    settings = config.parse({"name": "train-speed", "seed": given.seed, "train": {"epochs": EPOCHS}})
    data = read(given.data, given.rows, given.seed, settings.label_set.target)
    runs = measure(data, settings, given.repeats)
    print_table(data, runs)
    if given.out is not None:
        result_file.write(given.out, result_json(data, settings, runs))


def _ratio(runs: dict[str, list[Run]], name: str) -> Spread:
    pairs = zip(runs[name], runs["adaptox"], strict=True)
    return Spread.of([other.seconds / ours.seconds for other, ours in pairs])


def _few_of_both(examples: Sequence[Example], target: str) -> list[Example]:
    return [e for value in (0, 1) for e in [e for e in examples if e.labels[target] == value][:4]]


if __name__ == "__main__":
    main()
