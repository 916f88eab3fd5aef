"""What happens beside the steps: progress, the clock, the end of a training that goes nowhere."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_callback import ExportableState

from adaptox.config import TrainConfig
from adaptox.errors import CollapseError
from adaptox.records import Progress
from adaptox.train import checkpoints

# A training loss this many times that of a model that knows nothing has diverged: no bad batch of a sound training
# comes near it.
_OUT_OF_BOUNDS = 100


def callbacks(
    config: TrainConfig, indifferent_loss: float, folder: Path, progress: Progress
) -> list[TrainerCallback]:
    """Make the callbacks of a training.

    Args:
        config: its settings.
        indifferent_loss: loss of a model that gives every row the logit 0.
        folder: where its checkpoints are; logs for TensorBoard go beside it, into `tensorboard`.
        progress: told after each step.
    """
    made: list[TrainerCallback] = [
        ProgressReporter(progress),
        Stopwatch(),
        DivergenceGuard(config, indifferent_loss),
        EarlyStoppingCallback(config.patience),
    ]
    if config.average > 1:
        made.append(WeightKeeper(config, folder))
    if config.log_to == "tensorboard":
        board = TensorBoardCallback()  # type: ignore[no-untyped-call]
        board.logging_dir = str(folder.parent / "tensorboard")
        made.append(board)
    return made


class ProgressReporter(TrainerCallback):
    """Passes the step count on.

    Args:
        progress: told after each step.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Report the step; called by transformers."""
        if state.is_world_process_zero:
            self._progress("train", state.global_step, state.max_steps)


class Stopwatch(TrainerCallback, ExportableState):
    """Counts the seconds of training; checkpoints carry them on.

    Args:
        before_s: seconds trained before this process.
    """

    def __init__(self, before_s: float = 0.0) -> None:
        self._before_s = before_s
        self._since: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start; called by transformers."""
        self._since = time.perf_counter()

    def state(self) -> dict[str, dict[str, float]]:
        """Give what a checkpoint stores, in transformers' form."""
        running_s = 0.0 if self._since is None else time.perf_counter() - self._since
        return {"args": {"before_s": self._before_s + running_s}, "attributes": {}}

    @staticmethod
    def read(state: TrainerState) -> float:
        """Give the seconds trained up to the last checkpoint; 0 in processes that write none."""
        stored: Any = state.stateful_callbacks
        return float(stored[Stopwatch.__name__]["args"]["before_s"])


class WeightKeeper(TrainerCallback):
    """Keeps the weights that will be averaged when training is over.

    Args:
        config: how many, and which.
        folder: where the checkpoints are.
    """

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Catch up with a checkpoint that was the last thing before an interruption; called by transformers."""
        if state.global_step:
            self._keep(state)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Keep the new weights if they are among those to average; called by transformers."""
        self._keep(state)

    def _keep(self, state: TrainerState) -> None:
        if state.is_world_process_zero:
            checkpoints.keep(self._folder, checkpoints.chosen(state, self._config.average, self._config.keep_best))


class DivergenceGuard(TrainerCallback):
    """Ends a training whose loss has left all bounds.

    Args:
        config: names the learning rates in the error.
        indifferent_loss: loss of a model that gives every row the logit 0.
    """

    def __init__(self, config: TrainConfig, indifferent_loss: float) -> None:
        self._config = config
        self._indifferent = indifferent_loss

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Look at the loss since the last log; called by transformers.

        Raises:
            CollapseError: it is out of bounds and a collapse is not allowed, or it is no number.
        """
        loss = (logs or {}).get("loss", 0.0)
        ruined = not math.isfinite(loss + (logs or {}).get("grad_norm", 0.0))
        lost = loss > _OUT_OF_BOUNDS * self._indifferent and not self._config.allow_collapse
        if ruined or lost:
            raise CollapseError(
                f"training diverged: the loss came to {loss:.3g} by step {state.global_step}, a model that knows "
                f"nothing has {self._indifferent:.3g}; lower train.learning_rate ({self._config.learning_rate:g}) "
                f"and train.head_learning_rate ({self._config.head_learning_rate:g})"
            )
