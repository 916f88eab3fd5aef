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

Given = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG | DATA",
        help="Settings (a .toml file); or data: a CSV, JSONL or Parquet file, a folder, a hub id, "
        "embedded-comments, embedded-prompts or embedded-conversations. Data named alone is split anew, kept in "
        "English, and trained by the best recipe from minilm-prompts.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Base: minilm-prompts (made on first use, and kept; what data named alone starts from), minilm, a "
        "bundle, a model folder or a hub id.",
    ),
]
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle/ folder of a run.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder to write; left out, it is runs/NAME, runs/NAME-data (prepare) or runs/NAME-teacher (teach).",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the folder holds.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change any setting, e.g. --set train.epochs=3. Repeatable."),
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
