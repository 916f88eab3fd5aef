"""The end of a run: its bundle, its report, and last its metrics."""

from __future__ import annotations

import shutil
from dataclasses import replace

from transformers import PreTrainedModel

from adaptox import bundle as bundles
from adaptox import model, report
from adaptox.adapt import folder as folders
from adaptox.adapt.folder import RunFolder
from adaptox.adapt.story import metrics_json
from adaptox.config import Config
from adaptox.decide import Decider
from adaptox.encode import Encoder
from adaptox.evaluate import rows_to_parquet


def finish(
    folder: RunFolder,
    story: report.RunStory,
    config: Config,
    base: model.Base,
    encoder: Encoder,
    decider: Decider,
    network: PreTrainedModel,
) -> None:
    """Write what a run was for. The metrics come last: their presence says that the run is finished.

    Args:
        folder: of the run.
        story: of the run.
        config: its settings.
        base: what it started from.
        encoder: how it reads.
        decider: how it decides.
        network: the classifier, the adapter merged in.

    Raises:
        StorageError: the disk refused; `--resume` then does this step again.
    """
    manifest = bundles.Manifest(
        name=config.name,
        labels=config.outputs.names,
        base={"name": base.name, "revision": base.revision, "warm": dict(base.warm)},
        adapter=config.adapter.model_dump(mode="json"),
        text=encoder.text,
        encode=encoder.config,
        pad_token_id=encoder.pad_token_id,
        decider=decider.to_json(),
        data_sha256=story.provenance.data_sha256,
        licences=tuple(sorted({origin.licence for origin in story.origins})),
        metrics=metrics_json(story),
    )
    with bundles.saving(folder.bundle, manifest) as temporary:
        model.save(network, temporary)
        base.tokenizer.save(str(temporary / bundles.TOKENIZER))
        (temporary / "README.md").write_text(report.model_card(story), encoding="utf-8")
    story = _with_weights(story, bundles.sha256(folder.bundle / bundles.WEIGHTS))
    report.write(story, folder.path)
    folder.write(
        folders.SCORES, rows_to_parquet({"test": story.evaluation.rows, "validation": story.validation.rows})
    )
    folder.write(folders.METRICS, metrics_json(story))
    shutil.rmtree(folder.checkpoints, ignore_errors=True)


def _with_weights(story: report.RunStory, sha256: str) -> report.RunStory:
    provenance = replace(story.provenance, model={**story.provenance.model, "weights_sha256": sha256})
    return replace(story, provenance=provenance)
