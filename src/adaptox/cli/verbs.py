"""The verbs of the command line. Each says what it does and shows an example."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from adaptox import __version__, config
from adaptox.cli import console
from adaptox.config import AdapterKind, Config
from adaptox.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Adapt a comment-toxicity classifier to conversations, say exactly how good it is, and put it to work.",
    epilog="Start with `adaptox demo`, then `adaptox train DATA`.",
)

Adapter = StrEnum("Adapter", {kind: kind for kind in get_args(AdapterKind)})  # type: ignore[misc]  # from the settings

Settings = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG | DATA",
        help="Settings (a .toml file), or data: a CSV, JSONL or Parquet file, a folder, a hub id, "
        "embedded-comments or embedded-conversations.",
    ),
]
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle/ folder of a run.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder to write; runs/NAME if left out.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change any setting, e.g. --set train.epochs=3. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Adapt a comment-toxicity classifier to conversations, say exactly how good it is, and put it to work."""
    if version:
        console.say(__version__)
        raise typer.Exit


@app.command(epilog="Example: `adaptox train configs/toxic-chat.toml --out runs/toxic-chat`")
def train(
    settings: Settings,
    base: Annotated[str | None, typer.Option(help="Base: minilm, a bundle, a model folder or a hub id.")] = None,
    adapter: Annotated[Adapter | None, typer.Option(help="Train an adapter instead of all parameters.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of splits, initialisation and order.")] = None,
    changes: Set = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    overwrite: Overwrite = False,
    allow_collapse: Annotated[
        bool, typer.Option("--allow-collapse", help="Record a model that decides nothing, instead of failing.")
    ] = False,
) -> None:
    """Adapt a base to conversations: a run folder with metrics, report.html and a bundle that predicts."""
    extra: dict[str, Any] = {"base.name": base, "adapter.kind": adapter and adapter.value, "seed": seed}
    if allow_collapse:
        extra["train.allow_collapse"] = True
    chosen = _settings(settings, changes, {key: value for key, value in extra.items() if value is not None})
    from adaptox.adapt import adapt

    folder = out or Path("runs") / chosen.name
    command = shlex.join(["adaptox", *sys.argv[1:]])
    with console.progress() as progress:
        done = adapt(chosen, folder, resume=resume, overwrite=overwrite, command=command, progress=progress)
    if done is None:
        return
    facts = done.training
    share = f"{facts.trainable:,} of {facts.total:,} parameters ({facts.trainable / facts.total:.1%})"
    console.note(f"trained {share} in {facts.wall_s:.0f} s, {facts.rows_per_s:.0f} rows/s, {facts.precision}")
    if done.baseline is not None:
        console.evaluation_table("before: the base as it is", done.baseline)
    console.evaluation_table(f"after: {chosen.name}", done.evaluation)
    if done.collapse:
        console.note(f"collapsed: {done.collapse}")
    console.say(f"threshold {done.evaluation.threshold:.3f} ({done.evaluation.origin})")
    console.say(f"report {folder / 'report.html'}")
    console.say(f"bundle {folder / 'bundle'}")


@app.command(epilog="Example: `adaptox prepare configs/toxic-chat.toml --out runs/toxic-chat-data`")
def prepare(settings: Settings, changes: Set = None, out: Out = None, overwrite: Overwrite = False) -> None:
    """Read, clean and split the data without training: JSONL for each part, manifest, and what was dropped."""
    chosen = _settings(settings, changes, {})
    from adaptox.adapt import prepare_only

    folder = out or Path("runs") / f"{chosen.name}-data"
    with console.progress() as progress:
        prepared = prepare_only(chosen, folder, overwrite, progress)
    target = chosen.label_set.target
    parts = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    rows = [
        [name, str(len(part)), str(sum(example.labels.get(target) == 1 for example in part))]
        for name, part in parts.items()
    ]
    console.table("", ("part", "rows", "positive"), [*rows, ["dropped", str(len(prepared.dropped)), ""]])
    console.say(f"manifest {folder / 'manifest.json'}")


@app.command(epilog="Example: `adaptox evaluate runs/toxic-chat/bundle mine.csv --out runs/mine`")
def evaluate(
    bundle: BundleFolder,
    settings: Settings,
    changes: Set = None,
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Say how good a bundle is on labelled data, with intervals; --out also writes metrics.json."""
    chosen = _settings(settings, changes, {})
    from adaptox.adapt import assess

    with console.progress() as progress:
        assessed = assess(bundle, chosen, settings.endswith(".toml"), out, overwrite, progress)
    if as_json:
        console.say(json.dumps(assessed.metrics, indent=2))
        return
    evaluation = assessed.evaluation
    console.evaluation_table(f"{bundle} on {settings}", evaluation)
    console.say(f"threshold {evaluation.threshold:.3f} ({evaluation.origin})")


@app.command(epilog="Example: `adaptox predict runs/demo/lora/bundle 'you are wonderful'`")
def predict(
    bundle: BundleFolder,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT | FILE | -]", help="A text; a CSV, JSONL or .txt file; - for standard input."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Score texts and conversations: calibrated probabilities and a decision for each."""
    from adaptox import load
    from adaptox.sources import read_inputs

    if source is None and not console.is_piped():
        raise ConfigError("expected a text, a file or - to predict on, got nothing")
    inputs = read_inputs(source if source is not None else "-", sys.stdin)
    moderator = load(bundle)
    with console.progress() as progress:
        verdicts = moderator.score([conversation for _, conversation in inputs], [id_ for id_, _ in inputs], progress)
    if as_json:
        for verdict in verdicts:
            sys.stdout.write(json.dumps(verdict.to_json(), ensure_ascii=False) + "\n")
        return
    labels = moderator.decider.labels
    rows = [
        [
            conversation.turns[-1].content[:80],
            verdict.decision,
            *(f"{verdict.scores[name]:.3f}" for name in labels),
        ]
        for (_, conversation), verdict in zip(inputs, verdicts, strict=True)
    ]
    console.table("", ("text", "decision", *labels), rows)


@app.command(epilog="Example: `adaptox sources`")
def sources() -> None:
    """List what can be read, under which licence, and where it comes from."""
    from adaptox.sources import catalogue

    rows = [[info.reader, info.gives, info.licence, info.url] for info in catalogue()]
    console.table("", ("reader", "gives", "licence", "where from"), rows)


@app.command(epilog="Example: `adaptox inspect runs/toxic-chat/bundle`")
def inspect(bundle: BundleFolder, as_json: Json = False) -> None:
    """Verify a bundle and show what is in it: labels, thresholds and their origin, base, data, metrics."""
    from adaptox import bundle as bundles
    from adaptox.decide import Decider

    manifest = bundles.load(bundle).manifest
    if as_json:
        console.say(manifest.model_dump_json(indent=2))
        return
    decider = Decider.from_json(manifest.decider)
    facts = [
        ["name", manifest.name],
        ["written by", f"adaptox {manifest.adaptox}"],
        ["base", str(manifest.base["name"])],
        ["adapter", str(manifest.adapter["kind"])],
        ["data", f"{manifest.data_sha256[:12]}… ({', '.join(manifest.licences)})"],
        ["reads", f"{manifest.encode.max_tokens} tokens a window, {manifest.encode.overflow}"],
        ["files", f"{len(manifest.files)}, hashes verified"],
    ]
    for threshold in decider.thresholds:
        facts.append([f"threshold {threshold.label}", f"{threshold.value:.3f} ({threshold.origin})"])
    console.table(str(bundle), ("what", "value"), facts)
    for name, result in manifest.metrics.get("slices", {}).items():
        numbers = ", ".join(
            f"{metric} {result[metric]['value']:.3f}" for metric in ("auprc", "f1") if result[metric]
        )
        console.say(f"{name}: {result['n']} rows, {result['positives']} positive: {numbers}")


@app.command(epilog="Example: `adaptox demo --out runs/demo`")
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("runs/demo"),
    overwrite: Overwrite = False,
) -> None:
    """Adapt a comment classifier to conversations on embedded data: offline, in three minutes."""
    from adaptox import demo as story

    with console.progress() as progress:
        shown = story.run(out, overwrite, console.say, progress)
    rows = [[name, *cells] for name, *cells in shown.rows]
    console.table(shown.title, shown.columns, rows)
    console.table("three sentences", ("text", *shown.models), shown.sentences)
    console.say(f"report {shown.report}")


def _settings(given: str, changes: list[str] | None, extra: dict[str, Any]) -> Config:
    """Read a TOML file, or make settings for data named on the command line; then apply the changes."""
    if given.endswith(".toml"):
        chosen = config.load(Path(given))
    else:
        name = Path(given).stem.replace("/", "-") or "run"
        chosen = config.parse({"name": name, "sources": [{"path": given}]})
    return config.override(chosen, {**dict(_change(change) for change in changes or ()), **extra})


def _change(change: str) -> tuple[str, Any]:
    key, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(f"--set expects KEY=VALUE such as train.epochs=3, got {change!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value
