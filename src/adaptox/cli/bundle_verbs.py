"""The verbs that take a finished bundle: judge it, decide with it, look into it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from adaptox.cli import console
from adaptox.cli.options import (
    Against,
    BundleFolder,
    Json,
    OutBundle,
    OutMetrics,
    Overwrite,
    SetToDecide,
    SetToJudge,
    ToDecide,
    ToJudge,
)
from adaptox.cli.settings import is_settings, settings_to_decide_by, settings_to_judge_by
from adaptox.errors import DataError

app = typer.Typer()


@app.command(epilog="Example: `adaptox evaluate runs/mine/bundle mine.csv --against runs/old/bundle`")
def evaluate(
    bundle: BundleFolder,
    given: ToJudge,
    changes: SetToJudge = None,
    against: Against = None,
    out: OutMetrics = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Say how good a bundle is on labelled data, with intervals.

    With settings, the test part that they make is used. The bundle says how texts are read, and its threshold.
    """
    chosen = settings_to_judge_by(given, changes or ())
    from adaptox.adapt import assess
    from adaptox.cli import beside, tables

    with console.progress() as progress:
        assessed = assess(bundle, chosen, is_settings(given), out, overwrite, progress, against)
    if as_json:
        console.say(json.dumps(assessed.metrics, indent=2, ensure_ascii=False))
        return
    console.say(f"{bundle} on {given}", style="bold")
    tables.assessment(assessed)
    if assessed.against is not None:
        beside.against(assessed.evaluation, assessed.against)
    if out is not None:
        console.say(f"metrics {out / 'metrics.json'}")


@app.command(
    epilog="Examples: `adaptox predict runs/demo/lora/bundle 'you are wonderful'`\n\n"
    "`adaptox predict runs/demo/lora/bundle chats.jsonl --json`"
)
def predict(
    bundle: BundleFolder,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT | FILE | -",
            help="A text; a CSV, JSONL, Parquet or .txt file; - for standard input: a text or JSON object a line, "
            "or a JSON list.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Score texts and conversations: calibrated probabilities, and a decision, block if one is at its threshold.

    Files have a column `text` or `messages` (the chat form of OpenAI or ShareGPT), and may have an `id`.
    """
    if source is None and not console.is_piped():
        raise DataError("expected a text, a file or - to predict on, got nothing")
    from adaptox import load
    from adaptox.cli import tables
    from adaptox.cli.given import texts

    named = texts(source)
    moderator = load(bundle)
    with console.progress() as progress:
        verdicts = moderator.score([chat for _, chat in named], [id_ for id_, _ in named], progress)
    if as_json:
        for verdict in verdicts:
            console.say(json.dumps(verdict.to_json(), ensure_ascii=False))
        return
    tables.verdicts(named, verdicts)


@app.command(
    epilog="Example: `adaptox decide BUNDLE mine.csv --set threshold.policy=max-fpr --out runs/ours/bundle`"
)
def decide(
    bundle: BundleFolder,
    given: ToDecide,
    out: OutBundle,
    changes: SetToDecide = None,
    overwrite: Overwrite = False,
) -> None:
    """Learn a bundle's calibration and thresholds anew on labelled rows of yours; its weights stay.

    Test rows, published or made by settings, are left out, and so are rows that the bundle lists as learned from.
    Evaluate the new bundle on other rows.
    """
    chosen = settings_to_decide_by(given, changes or ())
    from adaptox.adapt import decide_anew
    from adaptox.cli import beside

    with console.progress() as progress:
        done = decide_anew(bundle, chosen, is_settings(given), out, overwrite, progress)
    beside.decided(done)
    console.say(f"bundle {out}")


@app.command(epilog="Example: `adaptox inspect runs/toxic-chat/bundle`")
def inspect(bundle: BundleFolder, as_json: Json = False) -> None:
    """Verify a bundle and show what is in it: labels, thresholds and their origin, base, data, metrics."""
    from adaptox import bundle as bundles
    from adaptox.cli import tables

    manifest = bundles.load(bundle).manifest
    if as_json:
        console.say(manifest.model_dump_json(indent=2))
        return
    tables.bundle(bundle, manifest)
