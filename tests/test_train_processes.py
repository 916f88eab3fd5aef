"""Training as whole processes: several at once, killed, and interrupted."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import tiny
from adaptox import bundle
from adaptox.cli import main
from adaptox.config import START

pytestmark = pytest.mark.slow

MILD = ("please", "write", "a", "story", "about", "the", "garden", "hello", "my", "friend", "cook", "rice", "tea")
RUDE = ("you are an idiot", "you stupid fool", "i hate you")
# Equal arithmetic in every process.
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PATIENCE_S = 120
LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write 150 labelled texts, every third rude."""
    chance = random.Random(0)
    lines = []
    for position in range(150):
        words = [chance.choice(MILD) for _ in range(chance.randint(4, 9))]
        if position % 3 == 0:
            words.insert(chance.randrange(len(words)), chance.choice(RUDE))
        lines.append(json.dumps({"id": position, "text": " ".join(words), "toxicity": int(position % 3 == 0)}))
    file = tmp_path_factory.mktemp("data") / "texts.jsonl"
    file.write_text("\n".join(lines))
    return file


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(data, tiny_bert, tmp_path_factory):
    """Give the run folder of one process that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run_here(arguments(data, tiny_bert, out)) == 0
    return out


def arguments(data: Path, base: Path, out: Path, batch_size: int = 16) -> list[str]:
    """Give the arguments of a training of 60 steps and 30 checkpoints."""
    settings = {
        "prepare.language": "any",
        "encode.max_tokens": 32,
        "encode.stride": 0,
        "base.dropout": 0.0,
        "train.soup": 1,
        "train.precision": "fp32",
        "train.learning_rate": 5e-3,
        "train.batch_size": batch_size,
        "train.epochs": 10,
        "train.evaluations_per_epoch": 3,
        "train.average": 1,
        "train.patience": 99,
        "threshold.folds": 0,
        "lexicon.grams": [],
        "evaluate.resamples": 100,
    }
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return ["train", str(data), "--base", str(base), "--out", str(out), *pairs]


def run_here(command: list[str]) -> int:
    """Run the command line in this process; give its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["adaptox", *command])
        with pytest.raises(SystemExit) as end:
            main()
    return end.value.code or 0


def metrics(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text())


def files(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def test_two_processes_train_as_one_does(data, tiny_bert, tmp_path, whole):
    command = [*LAUNCH, "-m", "adaptox", *arguments(data, tiny_bert, tmp_path / "run", batch_size=8)]
    done = subprocess.run(command, env=ONE_THREAD, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr

    expected, found = metrics(whole), metrics(tmp_path / "run")
    assert found["training"]["steps"] == expected["training"]["steps"]
    assert found["data"] == expected["data"]
    for metric in ("auprc", "f1", "brier"):
        noise = expected["slices"]["all"][metric]
        assert noise["low"] <= found["slices"]["all"][metric]["value"] <= noise["high"]
    assert files(tmp_path / "run") == files(whole)
    assert done.stdout.count("run/report.html") == 1
    assert done.stderr.count("trained ") == 1


# The command line, with a base that is made on first use of other settings: a tiny network and a few rows.
MADE_OF = """
import sys
from pathlib import Path
from adaptox import config
from adaptox.adapt import run
from adaptox.cli import main
from adaptox.model import start

chosen = config.load(Path(sys.argv.pop(1)))
start.recipe = run.recipe = lambda: chosen
main()
"""


def test_two_processes_make_the_base_and_start_from_it(data, tiny_bert, tmp_path):
    made_of = tiny.settings(tiny_bert, data, name=START, train={"epochs": 1, "allow_collapse": True})
    (tmp_path / "main.py").write_text(MADE_OF)
    settings = tiny.write_toml(tmp_path / "base.toml", made_of)
    command = [*LAUNCH, tmp_path / "main.py", settings, *arguments(data, Path(START), tmp_path / "run")]
    quick = ["--set", "train.epochs=1", "--allow-collapse"]
    with_cache = ONE_THREAD | {"ADAPTOX_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*map(str, command), *quick],
        env=with_cache,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is made first") == 1
    assert metrics(tmp_path / "run")["model"]["base"] == START


def newest_step(out: Path) -> int:
    states = out.glob("checkpoints/checkpoint-*/trainer_state.json")
    return max((int(state.parent.name.split("-")[1]) for state in states), default=0)


def signal_after(out: Path, step: int, pid: int, number: int) -> None:
    """Send a signal once there is a checkpoint of a later step."""
    for _ in range(PATIENCE_S * 200):
        if newest_step(out) > step:
            os.kill(pid, number)
            return
        time.sleep(0.005)
    raise TimeoutError(f"no checkpoint after step {step}")


def test_a_killed_and_interrupted_run_ends_as_if_nothing_had_happened(data, tiny_bert, tmp_path, whole, capfd):
    out = tmp_path / "run"
    command = arguments(data, tiny_bert, out)

    process = subprocess.Popen([sys.executable, "-m", "adaptox", *command], env=ONE_THREAD)
    signal_after(out, 0, process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "metrics.json").exists()

    # Ctrl-C in this process, which is spared the import of torch.
    press = Thread(target=signal_after, args=(out, newest_step(out), os.getpid(), signal.SIGINT))
    press.start()
    capfd.readouterr()
    assert run_here([*command, "--resume"]) == 1
    press.join()
    said = capfd.readouterr().err
    assert re.fullmatch(r"error: stopped at step \d+ of 60; run the same command with --resume to go on\n", said)
    assert not (out / "metrics.json").exists()

    assert run_here([*command, "--resume"]) == 0
    ours, expected = (load_file(folder / "bundle" / bundle.WEIGHTS) for folder in (out, whole))
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    assert metrics(out)["slices"] == metrics(whole)["slices"]
    assert files(out) == files(whole)
