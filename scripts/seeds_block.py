"""What the documents say of the best recipe: its one number, and tables of what seeds and words give."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from study_blocks import LEVEL, METRICS, NOTHING_YET, difference, interval_of

from adaptox.errors import DataError
from adaptox.report.phrases import count, listed, number, p_value, signed, signed_bracket, spread, with_interval

# The best recipe: soups of so many networks, of benchmarks/soups.py.
_SOUPS, _SOUP = "soups-best-pairs.json", 2
# Recipes of one network each by the calibration of today, which their seeds were decided anew by.
_NOW = ("study-best-anew", "study-best-lora-anew", "study-start-anew", "study-start-lora-anew", "study-mean-anew")
_MEAN = "the mean of all tokens in every stage"
# And what they were before: the best recipe over all its seeds, the two studies that these are of, its part that
# was run apart, its first measurement, the same from bases without comments; with what one differs in that its
# settings do not say.
_STUDIES: Mapping[str, str] = {
    **dict.fromkeys(_NOW, ""),
    "study-mean-anew": _MEAN,
    "study-best-all": "",
    "study-best": "the first five",
    "study-best-more": "more, the base taught anew",
    "study-best-beta": "two more, decided so from the start",
    "study-best-lora": "",
    "study-best-first": "as first measured, with twelve prompts more",
    "study-start": "",
    "study-start-lora": "",
    "study-mean": _MEAN,
}
_RECIPES: Mapping[str, str] = {"all": "all parameters", "lora": "LoRA"}
_CALIBRATIONS: Mapping[str, str] = {"platt": "Platt's calibration"}
_VOICES: Mapping[str, str] = {
    "network_alone": "the network alone",
    "with_words": "with words",
    "ensemble": "with words, the seeds together",
}
# Part and slice, metric, and what its column is called.
COLUMNS = (
    ("test", "F", "auprc", "F: AUPRC"),
    ("test", "F", "f1", "F: F1"),
    ("test", "T", "auprc", "T: AUPRC"),
    ("test", "T", "f1", "T: F1"),
    ("test", "H", "f1", "H: F1"),
    ("test", "F", "recall_at_fpr_01", "F: recall at 1 % false alarms"),
    ("test", "jailbreak", "recall", "jailbreaks: recall"),
    ("test", "F", "ece", "F: calibration error"),
    ("folds", "all", "auprc", "folds of train: AUPRC"),
)
# What differences are told in: tested on the test split, told of folds.
GAIN_HEADS = tuple(head for name in METRICS.values() for head in (f"F: {name}", "p")) + tuple(
    f"folds of train: {name}" for name in METRICS.values()
)

# The same for the README: voices that are one small network, and fewer columns.
_SHORT = tuple(COLUMNS[index] for index in (0, 1, 3, 5, 6, 7))


def read(results: Path) -> Mapping[str, Any] | None:
    """Read the results of benchmarks/seeds.py and the soups of the best recipe, the best first; None without any.

    Raises:
        DataError: they are of other data.
    """
    files = {study: results / study / "seeds.json" for study in _STUDIES}
    parts = {study: json.loads(path.read_text(encoding="utf-8")) for study, path in files.items() if path.is_file()}
    if not parts:
        return None
    first = next(iter(parts.values()))
    if any(part["panels"] != first["panels"] for part in parts.values()):
        raise DataError(f"expected {listed([str(files[study]) for study in parts])} to be of the same data")
    recipes = [
        {**recipe, "study": study, "note": _STUDIES[study]}
        for study, part in parts.items()
        for recipe in part["recipes"]
    ]
    hardware = listed(list(dict.fromkeys(part["hardware"] for part in parts.values())))
    return {**first, "recipes": [*_soup(results / _SOUPS, first["panels"]), *recipes], "hardware": hardware}


def _soup(path: Path, panels: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Give soups in the form of a recipe, if they were measured.

    Raises:
        DataError: they are of other data.
    """
    if not path.is_file():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["data"]["sha256"] not in [panel["data_sha256"] for panel in panels]:
        raise DataError(f"expected {path} to be of the same data as the results of single networks")
    one = next(one for one in found["sizes"] if one["size"] == _SOUP)
    note = f"{_SOUP} trainings as one network"
    yield {**one, "name": "all", "seeds": one["soups"], "config": found["config"], "study": path.stem, "note": note}


def headline(found: Mapping[str, Any], weights: str) -> str:
    """Say the README's one number: the mean over seeds of the best recipe.

    Args:
        found: from `read`.
        weights: how many the network has, in words.
    """
    recipe = found["recipes"][0]
    main = recipe["with_words"]["test"]["F"]
    return (
        f"On the official test split of ToxicChat (F: {count(main['n'])} rows, {count(main['positives'])} toxic), "
        f"a network of {weights} parameters, with a regression on words beside it, reaches **AUPRC "
        f"{with_interval(interval_of(main['auprc']))}** and F1 {with_interval(interval_of(main['f1']))}, the means "
        f"of {_how_many(recipe)}"
    )


def _how_many(recipe: Mapping[str, Any]) -> str:
    """Say how many networks a mean is of: one a seed, or each itself the mean of several trainings."""
    if "size" not in recipe:
        return f"{len(recipe['seeds'])} seeds"
    trained = {seed for soup in recipe["seeds"] for seed in soup}
    return f"{len(recipe['seeds'])} networks, each the mean of {recipe['size']} of {len(trained)} trainings"


def best(results: Path) -> str:
    """Set the best recipe's seeds side by side, without words and with them."""
    found = read(results)
    if found is None:
        return NOTHING_YET
    now, before = _parted(found)
    parts = [*_table(now), "", _gain(found), *_compared(found)]
    if before:
        parts += ["", "What they were before, and the parts of that:", "", *_table(before)]
    return "\n".join(parts)


def _parted(found: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Part the recipes as they are decided today from what they were; with none of today, all are."""
    now = [recipe for recipe in found["recipes"] if "size" in recipe or recipe["study"] in _NOW]
    return (now, [recipe for recipe in found["recipes"] if recipe not in now]) if now else (found["recipes"], [])


def recipes(results: Path) -> str:
    """Set the recipes side by side in short: the means over seeds, with words."""
    found = read(results)
    if found is None:
        return NOTHING_YET
    lines = [
        f"| recipe | seeds | {' | '.join(head for *_, head in _SHORT)} |",
        f"|---|---:|{'---:|' * len(_SHORT)}",
    ]
    for recipe in _parted(found)[0]:
        cells = [cell(recipe["with_words"], part, name, metric, False) for part, name, metric, _ in _SHORT]
        lines.append(f"| {_name(recipe)} | {len(recipe['seeds'])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _table(recipes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"| recipe | seeds | {' | '.join(head for *_, head in COLUMNS)} |"
    yield f"|---|---:|{'---:|' * len(COLUMNS)}"
    for recipe in recipes:
        for voice, what in _VOICES.items():
            if voice not in recipe or (voice == "ensemble" and len(recipe["seeds"]) < 2):
                continue
            cells = [cell(recipe[voice], part, name, metric) for part, name, metric, _ in COLUMNS]
            seeds = f"{len(recipe['seeds'])} as one" if voice == "ensemble" else str(len(recipe["seeds"]))
            yield f"| {_name(recipe)}, {what} | {seeds} | {' | '.join(cells)} |"


def _name(recipe: Mapping[str, Any]) -> str:
    name = f"{_RECIPES.get(recipe['name'], recipe['name'])} from {_base(recipe)}"
    calibration = _CALIBRATIONS.get(recipe["config"].get("threshold", {}).get("calibration", ""), "")
    return ", ".join(filter(None, [name, recipe["note"], calibration]))


def _base(recipe: Mapping[str, Any]) -> str:
    """Name the base; a bundle by the run that made it."""
    name: str = recipe["config"]["base"]["name"]
    return name.removeprefix("runs/").removesuffix("/bundle")


def cell(voice: Mapping[str, Any], part: str, name: str, metric: str, deviates: bool = True) -> str:
    """Write what seeds come to on average; nothing where that was not measured."""
    if name not in voice[part]:
        return ""
    measured = voice[part][name][metric]
    deviation = spread(measured["spread"]) if deviates and measured["spread"] is not None else ""
    return f"{with_interval(interval_of(measured))} {deviation}".strip()


def _gain(found: Mapping[str, Any]) -> str:
    recipe = next(one for one in found["recipes"] if "words" in one)
    verdict = recipe["words"]["test"]["auprc"]["verdict"]
    test, folds = (interval_of(recipe["words"][part]["auprc"]) for part in ("test", "folds"))
    verbs = {"better": "rank better than", "worse": "rank worse than"}
    verb = verbs.get(verdict, "cannot be told from")
    name = _RECIPES.get(recipe["name"], recipe["name"])
    return (
        f"Networks with words ({name}, {len(recipe['seeds'])} seeds) {verb} the same alone on F: AUPRC "
        f"{signed(test.value)} {signed_bracket(test)}; on the folds of train that weighed the "
        f"words, {signed(folds.value)} {signed_bracket(folds)}. {brackets(found)} ± is the "
        f"deviation between seeds; {found['hardware']}."
    )


def _compared(found: Mapping[str, Any]) -> Iterator[str]:
    """Set each recipe beside the one of its name that was measured before, if one was."""
    compared = [recipe for recipe in found["recipes"] if "against" in recipe]
    if not compared:
        return
    yield from ("", "What a change gave, all seeds of one less all seeds of the other:", "")
    yield f"| recipe | less the same | seeds | {' | '.join(GAIN_HEADS)} |"
    yield f"|---|---|---:|{'---:|' * len(GAIN_HEADS)}"
    for recipe in compared:
        other = recipe["against"]
        differing = ", ".join(_differing(recipe["config"], other["config"]))
        seeds = " and ".join(dict.fromkeys(str(len(one["seeds"])) for one in (recipe, other)))
        cells = [_name(recipe), f"with {differing}" if differing else "without", seeds, *gain_cells(other)]
        yield f"| {' | '.join(cells)} |"
    yield from ("", f"With words; bold where p, after Holm for each line, is below {number(LEVEL, 2)}.")


def gain_cells(told: Mapping[str, Any]) -> list[str]:
    """Write differences on the test split, each with its p-value after Holm, and on folds, under `GAIN_HEADS`."""
    test, folds = told["test"], told["folds"]
    tested = [cell for key in METRICS for cell in (difference(test[key]), p_value(test[key]["p_holm"]))]
    return [*tested, *(difference(folds[key]) for key in METRICS)]


def _differing(now: Mapping[str, Any], before: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Name the settings that had other values before; one that only one of the two knows is no difference."""
    named = {f"{prefix}{key}": key for key in now if key in before}
    for key in (key for place, key in named.items() if place not in ("sources", "name")):
        if isinstance(now[key], Mapping):
            yield from _differing(now[key], before[key], f"{prefix}{key}.")
        elif now[key] != before[key] and None not in (now[key], before[key]):
            yield f"`{prefix}{key} = {json.dumps(before[key])}`"


def brackets(found: Mapping[str, Any]) -> str:
    """Say what the brackets are."""
    return (
        f"Brackets are {100 * found['confidence']:.0f} % intervals over seeds and families of prompts that repeat "
        f"one another ({count(found['resamples'])} resamples)."
    )
