"""A grid of configurations → adaptations, one comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from adaptox.adapt import make_start
from adaptox.adapt.folder import RunFolder, alone
from adaptox.errors import InputError, RunError, storage_errors
from adaptox.records import Progress
from adaptox.report.study import write_study
from adaptox.report.study.values import StudyStory
from adaptox.study import cluster
from adaptox.study.board import Board, RunState, Watch
from adaptox.study.grid import Planned, StudyConfig, load_study, only, plan
from adaptox.study.keys import Keys
from adaptox.study.mistakes import common_mistakes, error_shares
from adaptox.study.needs import ensure
from adaptox.study.pairs import compare_runs, resamples_for
from adaptox.study.panels import Panel, read_panels
from adaptox.study.results import Result, join, read_seed
from adaptox.study.schedule import Engine, run_all, threads_for
from adaptox.study.story import read_before, tell
from adaptox.study.worker import Ended, Order, choose_device
from adaptox.study.written import to_json

__all__ = [
    "Board",
    "Engine",
    "Planned",
    "RunState",
    "StudyConfig",
    "StudyStory",
    "Watch",
    "load_study",
    "only",
    "plan",
    "study",
]

PLAN = "plan.json"
RESULT = "study.json"
RUNS = "runs"


def study(
    config: StudyConfig,
    out: Path,
    *,
    jobs: int = 1,
    device: str = "",
    engine: Engine = "processes",
    command: str = "",
    watch: Watch = lambda _: None,
) -> StudyStory:
    """Make every run of a study that is not finished, compare them, and write the report.

    A run is kept as long as its settings, its data, the base's and the teacher's bundle, and the code are the same.
    So an interrupted study goes on where it stopped, and a changed one repeats what the change concerns.

    Args:
        config: the grid.
        out: the study's folder: study.html, study.md, study.json, figures/, and runs/ with a folder for each run.
        jobs: how many runs at a time.
        engine: what makes the runs: processes of this machine, or Ray, which may have several machines.
        device: ``cpu``, a GPU such as ``cuda:1``, or empty for what is there.
        command: shown in the report as the way to run it again.
        watch: told how far it is.

    Raises:
        InputError: settings, data or folder cannot be used; said before the first run is made.
        InterruptedRunError: the user stopped it.
        MissingExtraError: Ray is asked for and not installed.
        RunError: every run failed, or the disk refused.
    """
    runs = plan(config)
    _check(out)
    if engine == "ray":
        cluster.check(device)
    choose_device(device)  # what the study needs is made in this process
    read_before(config)
    needed = [ensure(Path(folder), Path(settings), watch) for folder, settings in config.needs.items()]
    progress = _as_progress(watch)
    for run in runs:
        make_start(run.config, progress)  # before the keys, which hold the hash of a base
    keys, threads = Keys(), threads_for(jobs)
    # Seed by seed, so that a study which is stopped has something of everything.
    in_order = sorted(runs, key=lambda run: run.seed)
    orders = [
        Order(run, out / RUNS / run.label, keys.key(run.config), device, threads, command) for run in in_order
    ]
    panels = read_panels(runs, progress)
    with alone(out):
        with storage_errors(out):
            out.mkdir(parents=True, exist_ok=True)
        RunFolder(out).write(PLAN, config.model_dump(mode="json"))
        ended = run_all(orders, jobs, watch, engine)
        results = _results(runs, config.against, panels, out, ended, progress)
        story = _tell(config, results, panels, [note for note in needed if note], runs[0].config.data_seed, command)
        write_study(story, out)
        RunFolder(out).write(RESULT, to_json(story))
    return story


def _tell(
    config: StudyConfig,
    results: Sequence[Result],
    panels: Mapping[str, Panel],
    notes: Sequence[str],
    seed: int,
    command: str,
) -> StudyStory:
    texts = {name: panel.texts for name, panel in panels.items()}
    return tell(
        config,
        results,
        panels,
        pairs=compare_runs(results, config.against, seed),
        mistakes=common_mistakes(results, texts),
        shares=error_shares(results, texts, seed),
        notes=notes,
        command=command,
    )


def _as_progress(watch: Watch) -> Progress:
    """Show what is done before and after the runs as if it were a run of its own."""
    return lambda stage, done, total: watch(Board((RunState("study", "running", stage, done, total),), None))


def _check(out: Path) -> None:
    """Refuse a folder that holds something else."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: expected a folder to write; choose another with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / PLAN).is_file():
        raise InputError(f"{out} holds something else than a study of adaptox: choose another folder with --out")


def _results(
    runs: Sequence[Planned],
    against: str,
    panels: Mapping[str, Panel],
    out: Path,
    ended: Mapping[str, Ended],
    progress: Progress,
) -> tuple[Result, ...]:
    """Read every finished run, and put the seeds of each configuration together.

    Raises:
        RunError: none is finished.
    """
    errors = {label: end.error for label, end in ended.items() if end.error}
    if len(errors) == len(runs):
        raise RunError(f"every run of the study failed; the first one: {next(iter(errors.values()))}")
    results, done = [], 0
    largest = max(Counter(panel for panel, _ in {(run.panel, run.name) for run in runs}).values())
    enough = resamples_for(largest, against)
    for key in dict.fromkeys((run.panel, run.name) for run in runs):
        own = [run for run in runs if (run.panel, run.name) == key]
        seeds = {}
        for run in own:
            if run.label not in errors:
                more = {"resamples": max(run.config.evaluate.resamples, enough)}
                measure = run.config.evaluate.model_copy(update=more)
                twins = panels[run.panel].twins.get(run.name, frozenset())
                seeds[run.seed] = read_seed(out / RUNS / run.label, measure, run.config.data_seed, twins)
            done += 1
            progress("measure", done, len(runs))
        failed = {run.seed: errors[run.label] for run in own if run.label in errors}
        results.append(join(own, seeds, failed, own[0].config.data_seed))
    return tuple(results)
