"""The verbs of the command line, but for those that take a finished bundle. Each shows an example."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from adaptox import __version__
from adaptox.cli import bundle_verbs, console
from adaptox.cli.options import (
    ADAPTERS,
    Adapter,
    Base,
    Device,
    Engine,
    Jobs,
    Only,
    OutData,
    OutRun,
    OutTeacher,
    Overwrite,
    Set,
    ToPrepare,
    ToTeach,
    ToTrain,
    Verbs,
)
from adaptox.cli.settings import part_of_grid, settings
from adaptox.errors import InterruptedRunError

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    epilog="Start with `adaptox demo`, then `adaptox train DATA`. "
    "Exit codes: 0 done, 1 a run failed, 2 something is wrong with what you gave.",
)
app.add_typer(bundle_verbs.app)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Adapt a comment-toxicity classifier to conversations, say exactly how good it is, and put it to work."""
    if version:
        console.say(__version__)
        raise typer.Exit


@app.command(
    epilog="Examples: `adaptox train configs/toxic-chat.toml`\n\n"
    "`adaptox train mine.csv --base unitary/toxic-bert --adapter lora`"
)
def train(
    given: ToTrain,
    base: Base = None,
    adapter: Annotated[
        Adapter | None,
        typer.Option(metavar="KIND", help=f"Train an adapter ({ADAPTERS}), or all parameters (none)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of splits, initialisation and order.")] = None,
    changes: Set = None,
    out: OutRun = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    overwrite: Overwrite = False,
    allow_collapse: Annotated[
        bool, typer.Option("--allow-collapse", help="Record a model that decides nothing, instead of failing.")
    ] = False,
) -> None:
    """Adapt a base to conversations.

    The run folder gets metrics with intervals, report.html, and a bundle that predicts. Data named alone starts
    from minilm-prompts, which its first use makes (`--base minilm` does without), and is trained on eight times
    (`--set train.soup=1` halves that; with `--set threshold.folds=0` beside it, there is one training).
    """
    options = {
        "base.name": base,
        "adapter.kind": adapter and adapter.value,
        "seed": seed,
        "train.allow_collapse": allow_collapse or None,
    }
    chosen = settings(given, changes or (), options)
    from adaptox.adapt import adapt, is_finished
    from adaptox.cli import tables

    folder = out or Path("runs") / chosen.name
    if resume and not overwrite and is_finished(folder, chosen):
        console.say(f"{folder} is finished already; --overwrite starts over")
        _say_where(folder)
        return
    command = shlex.join(["adaptox", *sys.argv[1:]])
    try:
        with console.progress() as progress:
            done = adapt(chosen, folder, resume=resume, overwrite=overwrite, command=command, progress=progress)
    except KeyboardInterrupt as error:
        raise InterruptedRunError("stopped; run the same command with --resume to go on") from error
    if done is None:
        return
    tables.run(done)
    _say_where(folder)


@app.command(epilog="Example: `adaptox prepare configs/toxic-chat.toml --out runs/toxic-chat-data`")
def prepare(given: ToPrepare, changes: Set = None, out: OutData = None, overwrite: Overwrite = False) -> None:
    """Read, clean and split the data without training.

    The folder gets a JSONL file for each part, the manifest, and the rows that were dropped.
    """
    chosen = settings(given, changes or (), {})
    from adaptox.adapt import prepare_only
    from adaptox.cli import tables

    folder = out or Path("runs") / f"{chosen.name}-data"
    with console.progress() as progress:
        prepared = prepare_only(chosen, folder, overwrite, progress)
    for note in prepared.notes:
        console.note(note)
    tables.parts(prepared.manifest, len(prepared.dropped))
    console.say(f"manifest {folder / 'manifest.json'}")


@app.command(epilog="Example: `adaptox study configs/study-demo.toml --jobs 2`")
def study(
    given: Annotated[Path, typer.Argument(metavar="STUDY", help="The grid of runs (a .toml file).")],
    out: OutRun = None,
    jobs: Jobs = 1,
    device: Device = "",
    engine: Engine = "processes",
    only: Only = None,
) -> None:
    """Run a grid of settings over seeds, and make one comparison out of it.

    Run it again to go on after an interruption: finished runs whose settings, data and code are the same are kept.
    """
    from adaptox import study as studies
    from adaptox.cli import live, tables

    chosen = studies.only(studies.load_study(given), part_of_grid(only or ()))
    folder = out or Path("runs") / chosen.name
    command = shlex.join(["adaptox", *sys.argv[1:]])
    with live.board() as watch:
        story = studies.study(chosen, folder, jobs=jobs, device=device, engine=engine, command=command, watch=watch)
    tables.study(story)
    console.say(f"report {folder / 'study.html'}")
    tables.check_all_done(story)


@app.command(
    epilog="Examples: `adaptox teach configs/toxic-chat-teacher.toml`\n\n"
    "`adaptox teach mine.csv --set teach.kind=moderation --set teach.model=omni-moderation-latest --dry-run`"
)
def teach(
    given: ToTeach,
    changes: Set = None,
    out: OutTeacher = None,
    overwrite: Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be scored, and ask nobody.")] = False,
) -> None:
    """Let a teacher score the data, for training to learn from, and say how good the teacher is.

    Train with `--set distill.teacher=FOLDER` and, for example, `--set 'distill.targets=["toxicity"]'`. Run it again
    to go on after an interruption: nothing is scored or paid for twice.
    """
    chosen = settings(given, changes or (), {})
    from adaptox import adapt
    from adaptox.cli import lessons

    folder = out or Path("runs") / f"{chosen.name.removesuffix('-teacher')}-teacher"
    with console.progress() as progress:
        if dry_run:
            lessons.plan(adapt.plan_lesson(chosen, progress))
            return
        lesson = adapt.make_lesson(chosen, folder, overwrite, progress)
    lessons.lesson(lesson)
    lessons.training_by(lesson, given, changes or ())


@app.command(epilog="Example: `adaptox sources`")
def sources() -> None:
    """List what can be read, under which licence, and how it stands in the settings."""
    from adaptox.sources import catalogue

    for info in catalogue():
        console.paragraph(f"{info.reader}: {info.title}", style="bold")
        console.paragraph(info.gives, indent=2)
        console.paragraph(f"licence: {info.licence}" + (f"; from {info.url}" if info.url else ""), indent=2)
        console.paragraph(info.example, indent=4)
        console.say("")


@app.command(epilog="Example: `adaptox demo --out runs/demo`")
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write.")] = Path("runs/demo"),
    overwrite: Overwrite = False,
) -> None:
    """Adapt a comment classifier to conversations on embedded data: offline, in three minutes."""
    from adaptox import demo as story
    from adaptox.cli import tables

    with console.progress() as progress:
        shown = story.run(out, overwrite, console.say, progress)
    tables.demo(shown)
    console.say(f"report {shown.report}")


def _say_where(folder: Path) -> None:
    console.say(f"report {folder / 'report.html'}")
    console.say(f"bundle {folder / 'bundle'}")
