"""Every settings file that ships."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from adaptox.config import RECIPE, START, START_RECIPE, load, override, parse, resolved_json
from adaptox.sources import catalogue

ROOT = Path(__file__).parents[1]
# A study is a grid of settings: tests/test_study.py lays it out.
SHIPPED = sorted(path for path in (ROOT / "configs").glob("*.toml") if not path.stem.startswith("study"))
every_file = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)


def test_there_are_files():
    assert {path.stem for path in SHIPPED} >= {"toxic-chat", "toxic-chat-lora", "comments"}


@every_file
def test_it_resolves_and_reads_back(path):
    config = load(path)
    assert parse(json.loads(resolved_json(config))) == config


@every_file
def test_its_name_is_that_of_the_file(path):
    assert load(path).name == path.stem


@every_file
def test_it_begins_by_saying_what_it_is_for(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"# \S.{20,}", first)


@every_file
def test_the_commands_in_its_comments_name_it(path):
    named = re.findall(r"adaptox (?:train|teach) (configs/\S+\.toml)", path.read_text(encoding="utf-8"))
    assert all((ROOT / name).is_file() for name in named)
    assert not named or f"configs/{path.name}" in named


@every_file
def test_the_changes_in_its_comments_can_be_made(path):
    config = load(path)
    for change in re.findall(r"^# .*--set '([^']+)'", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert override(config, tomllib.loads(change)) != config


@every_file
def test_every_source_is_in_the_catalogue(path):
    known = {info.reader for info in catalogue()}
    assert {source.reader for source in load(path).sources} <= known


@every_file
def test_near_copies_stay_together(path):
    assert load(path).prepare.group == "family"


@pytest.mark.parametrize("name", ["best.toml", "study-best.toml", "study-start.toml"])
def test_the_best_recipe_is_what_data_named_alone_is_trained_by(name):
    written = tomllib.loads((ROOT / "configs" / name).read_text(encoding="utf-8"))
    common = written.get("common", written)
    best = written["axes"]["adapter"][written["against"]] if "axes" in written else {}
    chosen = parse({**common, **best, "name": "same"})
    plain = parse({"name": "same", "sources": common["sources"], **RECIPE})
    # A study tells single trainings; soups of them are made by benchmarks/soups.py.
    if "axes" in written:
        plain = override(plain, {"train.soup": 1})
    for table in ("encode", "adapter", "loss", "lexicon", "train", "threshold"):
        assert getattr(plain, table) == getattr(chosen, table), table
    assert (chosen.base == plain.base) == (name == "study-start.toml")


def test_the_base_made_on_first_use_is_the_prompt_classifier_from_minilm():
    chosen = override(load(ROOT / "configs" / "prompts.toml"), {"name": START, "base.name": "minilm"})
    assert parse(dict(START_RECIPE)) == chosen
