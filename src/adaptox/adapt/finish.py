"""The end of a run: its bundle, its report, and last its metrics."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

from transformers import PreTrainedModel

from adaptox import bundle as bundles
from adaptox import model, report
from adaptox.adapt import folder as folders
from adaptox.adapt import known, needs, seen
from adaptox.adapt.folder import RunFolder
from adaptox.adapt.judge import Judged
from adaptox.adapt.story import metrics_json
from adaptox.config import Config
from adaptox.decide import Decider
from adaptox.encode import Encoder
from adaptox.evaluate import rows_to_parquet
from adaptox.lexicon import Lexicon
from adaptox.prepare import RowKeys


@dataclass(frozen=True, slots=True)
class Made:
    """What goes into the bundle.

    Attributes:
        base: what the network started from.
        encoder: how it reads.
        network: the classifier, the adapter merged in.
        lexicon: whose logits are added to the network's; None where words have no say.
        decider: how the sum decides.
        learned: keys of the rows that it learned from.
    """

    base: model.Base
    encoder: Encoder
    network: PreTrainedModel
    lexicon: Lexicon | None
    decider: Decider
    learned: RowKeys


def finish(folder: RunFolder, story: report.RunStory, config: Config, made: Made, network: Judged) -> None:
    """Write what a run was for. The metrics come last: their presence says that the run is finished.

    Args:
        folder: of the run.
        story: of the run.
        config: its settings.
        made: what it came to.
        network: how the network alone was judged; its scores are kept beside the sum's.

    Raises:
        StorageError: the disk refused; `--resume` then does this step again.
    """
    base, encoder = made.base, made.encoder
    manifest = bundles.Manifest(
        name=config.name,
        labels=config.outputs.names,
        base={
            "name": base.name,
            "revision": base.revision,
            "warm": dict(base.warm),
            "lineage": needs.lineage(config.base.name),
            "learned": seen.learned_before(config),
        },
        adapter=config.adapter.model_dump(mode="json"),
        text=encoder.text,
        encode=encoder.config,
        pad_token_id=encoder.pad_token_id,
        decider=made.decider.to_json(),
        data_sha256=story.provenance.data_sha256,
        licences=tuple(sorted({origin.licence for origin in story.origins})),
        metrics=metrics_json(story),
    )
    with bundles.saving(folder.bundle, manifest) as temporary:
        model.save(made.network, temporary)
        base.tokenizer.save(str(temporary / bundles.TOKENIZER))
        if made.lexicon:
            (temporary / bundles.LEXICON).write_text(made.lexicon.to_json(), encoding="utf-8")
        (temporary / bundles.LEARNED).write_bytes(known.pack(made.learned))
        (temporary / "README.md").write_text(report.model_card(story), encoding="utf-8")
    story = _with_weights(story, bundles.sha256(folder.bundle / bundles.WEIGHTS))
    report.write(story, folder.path)
    rows = {"test": story.evaluation.rows, "validation": story.validation.rows}
    if story.words:
        rows |= {
            "test, network alone": network.evaluation.rows,
            "validation, network alone": network.validation.rows,
        }
    folder.write(folders.SCORES, rows_to_parquet(rows))
    folder.write(folders.METRICS, metrics_json(story))
    shutil.rmtree(folder.checkpoints, ignore_errors=True)


def _with_weights(story: report.RunStory, sha256: str) -> report.RunStory:
    provenance = replace(story.provenance, model={**story.provenance.model, "weights_sha256": sha256})
    return replace(story, provenance=provenance)
