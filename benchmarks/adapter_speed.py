"""What a training step costs with each kind of adapter, beside one that trains all parameters.

The base is minilm, the batches are rows of ToxicChat's train split, of like length as in training. A step is
forward, loss, backward, clipping and AdamW. Every repetition takes the same batches through every kind, in another
order than the one before; a ratio compares steps of the same repetition, so that a shared machine slows both sides.

    python benchmarks/adapter_speed.py --out docs/results/adapter-speed.json
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import result_file
import torch

from adaptox import config, model, sources, train
from adaptox.config import AdapterConfig, AdapterKind, Config, SourceConfig
from adaptox.evaluate import commit, hardware
from adaptox.losses import masked_bce
from adaptox.train.settings import make_optimizer

Batch = dict[str, torch.Tensor]
ALL: AdapterKind = "none"


def read_batches(folder: Path, settings: Config, number: int) -> list[Batch]:
    """Make batches of rows of like length, from short to long, as many rows of each length as the data has."""
    base = model.load_base(settings.base, settings.label_set, settings.seed)
    encoder = train.encoder_for(base, settings)
    found = sources.read(SourceConfig(reader="toxic-chat", path=str(folder))).examples
    read = encoder.one_window([row.conversation for row in found if row.split == "train"])
    windows = sorted((one.windows[0] for one in read), key=len)
    size = settings.train.batch_size
    step = (len(windows) - size) // (number - 1)
    batches = []
    for start in range(0, step * number, step):
        padded = encoder.pad(windows[start : start + size])
        batches.append(
            {
                "input_ids": torch.from_numpy(padded.input_ids),
                "attention_mask": torch.from_numpy(padded.attention_mask),
            }
        )
    return batches


class Contestant:
    """A network with one kind of adapter, and its optimizer."""

    def __init__(self, kind: AdapterKind, settings: Config) -> None:
        adapter = AdapterConfig(kind=kind)
        base = model.load_base(settings.base, settings.label_set, settings.seed)
        base = model.with_prompt(base, adapter, settings.seed)
        self.network = model.attach(base.network, adapter, settings.seed, base.prompt).train()
        self.share = model.share(self.network)
        self.prompt = torch.tensor(base.prompt, dtype=torch.int64)
        self._optimizer = make_optimizer(self.network, settings.train)
        self._clip = settings.train.max_grad_norm

    def seconds(self, batches: Sequence[Batch]) -> float:
        """Time a step on every batch."""
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        start = time.perf_counter()
        for batch in batches:
            batch = self._with_prompt(batch)
            logits = self.network(**batch).logits
            loss = masked_bce(logits, torch.zeros_like(logits), torch.ones_like(logits, dtype=torch.bool))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, self._clip)
            self._optimizer.step()
            self._optimizer.zero_grad()
        return time.perf_counter() - start

    def _with_prompt(self, batch: Batch) -> Batch:
        """Put the prompt behind the first token, as the tokenizer would."""
        if not len(self.prompt):
            return batch
        ids = batch["input_ids"]
        prompt = self.prompt.expand(len(ids), -1)
        return {
            "input_ids": torch.cat([ids[:, :1], prompt, ids[:, 1:]], dim=1),
            "attention_mask": torch.cat([torch.ones_like(prompt), batch["attention_mask"]], dim=1),
        }


def run(folder: Path, number: int, repeats: int) -> dict[str, object]:
    """Let every kind take the same steps, and compare."""
    settings = config.parse({})
    batches = read_batches(folder, settings, number)
    contestants = {kind: Contestant(kind, settings) for kind in get_args(AdapterKind)}
    for contestant in contestants.values():
        contestant.seconds(batches[:2])  # not counted: the first steps allocate
    order, rng = list(contestants), random.Random(settings.seed)
    ratios: dict[str, list[float]] = {kind: [] for kind in contestants}
    for _ in range(repeats):
        rng.shuffle(order)
        taken = {kind: contestants[kind].seconds(batches) for kind in order}
        for kind, seconds in taken.items():
            ratios[kind].append(seconds / taken[ALL])
    return {
        "data": "ToxicChat (toxicchat0124), train split",
        "batches": len(batches),
        "batch_size": settings.train.batch_size,
        "tokens": sum(batch["input_ids"].numel() for batch in batches),
        "repeats": repeats,
        "threads": torch.get_num_threads(),
        "kinds": {
            kind: {
                "trainable": contestants[kind].share.trainable,
                "step": {
                    "median": round(statistics.median(found), 3),
                    "low": round(min(found), 3),
                    "high": round(max(found), 3),
                },
            }
            for kind, found in ratios.items()
        },
        "config": settings.model_dump(mode="json", include={"base", "adapter", "encode", "train", "seed"}),
        "seed": settings.seed,
        "hardware": hardware(),
        "commit": commit(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/toxic-chat"), help="ToxicChat's folder")
    parser.add_argument("--batches", type=int, default=16, help="steps in a repetition")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    result = run(given.data, given.batches, given.repeats)
    result_file.write(given.out, result)
    print(json.dumps(result["kinds"], indent=2))


if __name__ == "__main__":
    main()
