"""The group of the verbs, and the arguments and options that they share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from typer.core import TyperGroup

from adaptox.config import AdapterKind
from adaptox.errors import RunError

Adapter = StrEnum("Adapter", {kind: kind for kind in get_args(AdapterKind)})  # type: ignore[misc]  # from the settings
ADAPTERS = ", ".join(kind for kind in Adapter if kind != "none")


def _given(data_alone: str) -> Any:
    """Make the argument that names settings or data, for a verb that does so with data named alone."""
    return typer.Argument(
        metavar="CONFIG | DATA",
        help="Settings (a .toml file); or data: a CSV, JSONL or Parquet file, a folder, a hub id, "
        f"embedded-comments, embedded-prompts or embedded-conversations. Data named alone is {data_alone}.",
    )


def _out(folder: str) -> Any:
    """Make the option that names the folder to write, for a verb that writes this one where it is left out."""
    return typer.Option("--out", metavar="DIR", help=f"Folder to write; left out, it is {folder}.")


ToTrain = Annotated[str, _given("split anew, kept in English, and trained by the best recipe from minilm-prompts")]
ToPrepare = Annotated[str, _given("split anew, and kept in English")]
ToTeach = Annotated[str, _given("split anew, kept in English, and its test part left unscored")]
ToJudge = Annotated[str, _given("judged as it is, on its published test split, else on every row")]
ToDecide = Annotated[str, _given("read as it is, but for its published test split")]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Base: minilm-prompts (made on first use, and kept; what data named alone starts from), minilm, a "
        "bundle, a model folder or a hub id.",
    ),
]
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle/ folder of a run.")]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="BUNDLE", help="Another bundle to compare with, on the same rows."),
]
OutRun = Annotated[Path | None, _out("runs/NAME")]
OutData = Annotated[Path | None, _out("runs/NAME-data")]
OutTeacher = Annotated[Path | None, _out("runs/NAME-teacher")]
OutMetrics = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Also write metrics and scores there.")
]
OutBundle = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the new bundle.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change any setting, e.g. --set train.epochs=3. Repeatable."),
]
SetToJudge = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting that evaluating reads, e.g. --set evaluate.resamples=5000. Repeatable.",
    ),
]
SetToDecide = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change how thresholds are learned, e.g. --set threshold.policy=min-recall. Repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Jobs = Annotated[
    int, typer.Option(min=1, help="How many runs at a time, on each machine; each gets its share of the cores.")
]
Device = Annotated[str, typer.Option(help="cpu, or a GPU such as cuda:1; what is there if left out.")]
Engine = Annotated[
    Literal["processes", "ray"],
    typer.Option(
        help="Processes of this machine, or Ray: the machines of RAY_ADDRESS, or a GPU of this one a job."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="AXIS=VALUE", help="Run a part of the grid alone. Repeatable."),
]


class Verbs(TyperGroup):
    """The verbs, with Ctrl-C as a failed run."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb.

        Raises:
            RunError: it was stopped.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise RunError("stopped; nothing half-written is left") from error
