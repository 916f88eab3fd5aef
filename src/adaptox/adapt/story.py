"""What happened in a run → the story that the report tells."""

from __future__ import annotations

from dataclasses import dataclass

from adaptox import model, report
from adaptox.adapt.guard import Collapse
from adaptox.config import Config
from adaptox.evaluate import Evaluation, Provenance, commit, hardware, to_json
from adaptox.prepare import Prepared
from adaptox.records import Example, Reading
from adaptox.text import render
from adaptox.train import Fitted


@dataclass(frozen=True, slots=True)
class Data:
    """What was read, and what became of it.

    Attributes:
        readings: one for each source.
        prepared: the parts.
        published: the test part is as published, not of our making.
    """

    readings: tuple[Reading, ...]
    prepared: Prepared
    published: bool

    @property
    def judged(self) -> tuple[Example, ...]:
        """The rows that the result is about: the test part, or validation where there is none."""
        return self.prepared.test or self.prepared.validation

    @property
    def official(self) -> bool:
        """Whether those are ToxicChat's test split as published."""
        return self.published and all(example.source == "toxic-chat" for example in self.prepared.test)


def tell(
    config: Config,
    data: Data,
    base: model.Base,
    fitted: Fitted,
    share: model.TrainableShare,
    evaluation: Evaluation,
    validation: Evaluation,
    baseline: Evaluation | None,
    collapse: Collapse | None,
    command: str,
) -> report.RunStory:
    """Put the story of a run together."""
    prepared = data.prepared
    provenance = Provenance(
        data_sha256=prepared.manifest.sha256,
        model={
            "name": config.name,
            "base": base.name,
            "adapter": config.adapter.kind,
            "parameters": share.total,
            "trainable": share.trainable,
        },
        seed=config.seed,
        hardware=hardware(),
        commit=commit(),
        config=config.model_dump(mode="json"),
    )
    return report.RunStory(
        title=config.name,
        evaluation=evaluation,
        evaluated_on=_part(data),
        validation=validation,
        baseline=baseline,
        history=fitted.history,
        texts={example.id: render(example.conversation, config.text).text for example in data.judged},
        manifest=prepared.manifest.to_json(),
        origins=tuple(reading.origin for reading in data.readings),
        provenance=provenance,
        training=report.TrainingFacts(
            wall_s=fitted.wall_s,
            rows_per_s=fitted.rows_per_s,
            steps=fitted.steps,
            best_step=fitted.best_step,
            best_auprc=fitted.best_auprc,
            trainable=share.trainable,
            total=share.total,
            precision=fitted.precision,
            peak_memory_mb=fitted.peak_memory_mb,
            warm=base.warm,
        ),
        notes=_notes(data, config, collapse),
        command=command,
    )


def metrics_json(story: report.RunStory) -> dict[str, object]:
    """Give the run's metrics.json: the test part's, then validation's and the baseline's."""
    metrics = to_json(story.evaluation, story.provenance)
    training = story.training
    metrics["evaluated_on"] = story.evaluated_on
    metrics["validation"] = to_json(story.validation, story.provenance)["slices"]
    if story.baseline is not None:
        before = to_json(story.baseline, story.provenance)
        metrics["baseline"] = {"slices": before["slices"], "threshold": before["threshold"]}
    metrics["training"] = {
        "wall_s": round(training.wall_s, 1),
        "rows_per_s": round(training.rows_per_s, 1),
        "steps": training.steps,
        "best_step": training.best_step,
        "precision": training.precision,
        "peak_memory_mb": training.peak_memory_mb and round(training.peak_memory_mb),
    }
    metrics["notes"] = list(story.notes)
    return metrics


def _part(data: Data) -> str:
    if not data.prepared.test:
        return "validation"
    return "the official test split" if data.official else "the held-out test part"


def _notes(data: Data, config: Config, collapse: Collapse | None) -> tuple[str, ...]:
    notes = [f"Collapsed: {collapse.reason}."] if collapse else []
    if not data.prepared.test:
        notes.append("There is no test part: the numbers are from validation, which also chose the weights.")
    if config.prepare.group == "none" and config.prepare.split == "resplit":
        leak = data.prepared.manifest.test_leak
        notes.append(
            f"Rows were split at random: {leak.rows} test rows ({leak.positive} of them positive) have a "
            "near-copy in train, so the result is flattering."
        )
    return (*notes, *(note for reading in data.readings for note in reading.origin.notes))
