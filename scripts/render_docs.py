"""Everything in the documentation that code can say: results, command line, settings.

    python scripts/render_docs.py           write what is out of date
    python scripts/render_docs.py --check   name what is out of date, and exit with 1 if anything is

README.md and docs/RESULTS.md are filled between their markers from docs/results: RUN/metrics.json as a run wrote
it, STUDY/study.json as a study did, published.json by hand, and all others as the scripts in benchmarks did.
docs/cli.md and docs/settings.md are written whole. Equal input gives equal bytes; a result that is not there yet
leaves a block that says so.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import seeds_block
from ablation_block import ablation, levers
from peers_block import peers, published
from settings_page import GENERATED, settings_page
from soups_block import soups
from study_blocks import NOTHING_YET, collapse, eight_runs, interval_of
from typer.main import get_command
from typer.testing import CliRunner

from adaptox.cli import app
from adaptox.report import insert_between_markers, render_results
from adaptox.report.phrases import count, parameters, with_interval

ROOT = Path(__file__).resolve().parents[1]
# The run whose result is the README's one number until the best recipe has seeds, and what others of its kind have
# on the same rows before they have seen any of their like.
HEADLINE = "toxic-chat-all-from-comments"
BEFORE: Mapping[str, str] = {
    "comments-on-toxic-chat": "a network of the same size that learned comments only",
    "minilm-prompts-on-toxic-chat": "one that learned the prompts written for adaptox (their themes are what "
    "networks missed on ToxicChat's training rows)",
}
# The pages with markers, and whose they are.
FILLED: Mapping[str, tuple[str, ...]] = {
    "README.md": ("headline", "recipes"),
    "docs/RESULTS.md": (
        "best",
        "soups",
        "ablation",
        "levers",
        "peers",
        "published",
        "speed",
        "study",
        "collapse",
        "figure",
        "table",
    ),
}
# Blocks link to files from the root of the checkout.
LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")
FIGURES = ("docs/figures/precision-recall.svg", "docs/figures/precision-recall.png")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def pages(root: Path) -> dict[str, str]:
    """Render every page.

    Args:
        root: of the checkout.

    Returns:
        Path below `root` → what the file should hold.

    Raises:
        DataError: a result file is not in the form it should be, or a page lacks a pair of markers.
    """
    results = root / "docs" / "results"
    blocks = {
        "headline": headline(results),
        "recipes": seeds_block.recipes(results),
        "figure": figure(root),
        "table": table(results),
        "best": seeds_block.best(results),
        "soups": soups(results),
        "ablation": ablation(results),
        "levers": levers(results),
        "peers": peers(results),
        "published": published(results),
        "speed": f"{speed(results / 'train-speed.json')} {steps(results / 'adapter-speed.json')}".strip(),
        "study": eight_runs(results),
        "collapse": collapse(results),
    }
    filled = {page: _filled(root, page, {name: blocks[name] for name in names}) for page, names in FILLED.items()}
    return {**filled, "docs/cli.md": cli_page(), "docs/settings.md": settings_page()}


def _filled(root: Path, page: str, blocks: Mapping[str, str]) -> str:
    text = (root / page).read_text(encoding="utf-8")
    for name, block in blocks.items():
        from_page = LINK.sub(lambda link: f"]({os.path.relpath(link[1], Path(page).parent)})", block)
        text = insert_between_markers(text, name, from_page)
    return text


def headline(results: Path) -> str:
    """Say the README's one number, with its interval, rows and the base's number beside it."""
    path = results / HEADLINE / "metrics.json"
    if not path.is_file():
        return NOTHING_YET
    run = json.loads(path.read_text(encoding="utf-8"))
    code, main = next(iter(run["slices"].items()))
    seeds = seeds_block.read(results)
    sentence = (
        seeds_block.headline(seeds, parameters(run["model"]["parameters"]))
        if seeds
        else (
            f"On {run['evaluated_on']} of ToxicChat "
            f"({code}: {count(main['n'])} rows, {count(main['positives'])} toxic), "
            f"an encoder of {parameters(run['model']['parameters'])} parameters reaches "
            f"**AUPRC {with_interval(interval_of(main['auprc']))}** and F1 {with_interval(interval_of(main['f1']))}"
        )
    )
    others = [
        f"{what} has AUPRC {with_interval(interval_of(scored['auprc']))} and F1 "
        f"{with_interval(interval_of(scored['f1']))}"
        for name, what in BEFORE.items()
        if (scored := _slice(results / name / "metrics.json", code))
    ]
    brackets = f"Brackets are {100 * run['confidence']:.0f} % intervals over prompt families."
    told = f"{sentence}. {seeds_block.brackets(seeds) if seeds else brackets}"
    return f"{told} Without training on ToxicChat, {'; '.join(others)}." if others else told


def _slice(path: Path, code: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["slices"][code]
    return found


def table(results: Path) -> str:
    """Render every committed run as one table."""
    return render_results(results, ("T",)) if any(results.rglob("metrics.json")) else NOTHING_YET


def figure(root: Path) -> str:
    """Show the figure, if there is one, and say of which run it is."""
    found = next((name for name in FIGURES if (root / name).is_file()), None)
    if not found:
        return ""
    shown = f"![Precision against recall on the test split, with the chosen threshold]({found})"
    told = f"The run `{HEADLINE}` on F, one seed, without words, and what it started from."
    return f"{shown}\n\n{told}"


def speed(path: Path) -> str:
    """Say how fast training is beside a plain script."""
    if not path.is_file():
        return NOTHING_YET
    run = json.loads(path.read_text(encoding="utf-8"))
    plain, padded = (_times(run["ratio"][name]) for name in ("plain", "padded"))
    return (
        f"Training takes {run['rows_per_s']['adaptox']['median']:.0f} rows a second on {run['hardware']}. That is "
        f"{plain} as fast as a Trainer script with the library's defaults, and {padded} as fast as one that pads "
        f"to {run['config']['encode']['max_tokens']} tokens, on the same {count(run['n'])} rows "
        f"({run['data']['origin']}; median and range of {run['repeats']} repetitions; "
        "[script](benchmarks/train_speed.py), [result](docs/results/train-speed.json))."
    )


def steps(path: Path) -> str:
    """Say what a step of LoRA costs, and of the other kinds of adapter."""
    if not path.is_file():
        return ""
    run = json.loads(path.read_text(encoding="utf-8"))
    kinds = {name: found["step"] for name, found in run["kinds"].items() if name != "none"}
    told = {name: f"{step['median']:.2f} [{step['low']:.2f}–{step['high']:.2f}]" for name, step in kinds.items()}
    others = ", ".join(f"{name} {ratio}" for name, ratio in told.items() if name != "lora")
    return (
        f"A step of LoRA takes {told['lora']} of the time of one that trains all parameters ({others}; median and "
        f"range of {run['repeats']} repetitions of {run['batches']} batches; "
        "[script](benchmarks/adapter_speed.py), [result](docs/results/adapter-speed.json)): it saves the gradients "
        "of the frozen weights and their update, and still goes forward and back through every activation."
    )


def cli_page() -> str:
    """Render the help of every verb."""
    verbs = list(get_command(app).commands)  # type: ignore[attr-defined]  # typer's groups have no public type
    parts = [f"{GENERATED}# The command line\n", _help()]
    parts += [f"## adaptox {verb}\n\n{_help(verb)}" for verb in verbs]
    return "\n".join(parts)


def main() -> int:
    """Write the pages that are out of date, or only name them."""
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.stderr.write("usage: render_docs.py [--check]\n")
        return 2
    stale = out_of_date(ROOT)
    for name, text in stale.items():
        if check:
            sys.stderr.write(f"{name} is out of date: run make docs\n")
        else:
            (ROOT / name).write_text(text, encoding="utf-8")
            sys.stderr.write(f"wrote {name}\n")
    return int(check and bool(stale))


def out_of_date(root: Path) -> dict[str, str]:
    """Give the pages whose files hold something else, with what they should hold."""
    return {name: text for name, text in pages(root).items() if not _holds(root / name, text)}


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _times(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.1f} times [{ratio['low']:.1f}\N{EN DASH}{ratio['high']:.1f}]"


@functools.cache
def _help(*verb: str) -> str:
    # A dumb terminal of 80 columns, so that the page does not depend on where it was written.
    quiet = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    output = CliRunner().invoke(app, [*verb, "--help"], prog_name="adaptox", env=quiet).output
    lines = [line.rstrip() for line in _ANSI.sub("", output).splitlines()]
    return "```text\n" + "\n".join(lines).strip("\n") + "\n```\n"


if __name__ == "__main__":
    sys.exit(main())
