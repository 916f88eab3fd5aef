"""The documentation says what the code does."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

from adaptox.errors import DataError

ROOT = Path(__file__).parents[1]
WRITTEN = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/LOG.md",
    "docs/RESULTS.md",
    "docs/results/README.md",
)
PYTHON_VERSION, APACHE, CREATIVE_COMMONS = "3.11", "2.0", "4.0"
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#]+)(?:#[^)]*)?\)")
PATH_IN_TEXT = re.compile(r"`((?:src|tests|configs|docs|scripts|benchmarks)/[\w./-]+)`")
TREE_LINE = re.compile(r"^[├└]── (\w+(?:/|\.py)) +(\d*) +\S", re.MULTILINE)


@pytest.fixture(scope="module")
def render_docs():
    spec = importlib.util.spec_from_file_location("render_docs", ROOT / "scripts" / "render_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def tree(readme):
    return {name: floor for name, floor in TREE_LINE.findall(readme)}


def test_everything_that_is_rendered_is_current(render_docs):
    assert list(render_docs.out_of_date(ROOT)) == [], "run make docs"


def test_rendering_twice_changes_nothing_more(render_docs):
    assert render_docs.pages(ROOT) == render_docs.pages(ROOT)


def test_the_command_line_page_has_every_verb(render_docs):
    page = render_docs.cli_page()
    for verb in ("train", "prepare", "evaluate", "predict", "sources", "inspect", "demo"):
        assert f"## adaptox {verb}\n" in page
        assert f"Usage: adaptox {verb}" in page
    assert "\x1b" not in page
    assert all(len(line) <= 80 for line in page.splitlines()[2:])


def test_the_settings_page_has_every_key(render_docs):
    page = render_docs.settings_page()
    assert "| `warmup_fraction` | number ≥ 0, < 1 | `0.06` | Share of the updates with a rising rate. |" in page
    for table in ("[[sources]]", "[sources.columns]", "[prepare]", "[train]", "[evaluate]"):
        assert f"## {table}\n" in page
    keys = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(len(line.rstrip(" |").split(" | ")) >= 4 for line in keys), "a key without a sentence"


@pytest.mark.parametrize("name", WRITTEN)
def test_every_link_leads_to_a_file(name):
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    missing += [path for path in PATH_IN_TEXT.findall(text) if not (ROOT / path).exists()]
    assert missing == []


def test_the_tree_shows_every_room(readme):
    package = ROOT / "src" / "adaptox"
    rooms = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in package.iterdir()
        if not path.name.startswith(("_", ".")) and (path.is_dir() or path.suffix == ".py")
    }
    assert set(tree(readme)) == rooms


def test_the_tree_shows_the_floors_that_are_checked(readme):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = {room.strip(): floor for floor, rooms in enumerate(reversed(layers)) for room in rooms.split("|")}
    shown = {name.removesuffix("/").removesuffix(".py"): floor for name, floor in tree(readme).items()}
    assert {room: int(floor) for room, floor in shown.items() if floor} == floors


@pytest.mark.parametrize("name", ["README.md", "docs/RESULTS.md"])
def test_no_number_was_typed(name):
    page = (ROOT / name).read_text(encoding="utf-8")
    prose = re.sub(r"<!-- results:(\w+) -->.*?<!-- /results:\1 -->", "", page, flags=re.DOTALL)
    numbers = set(re.findall(r"(?<![\w.])\d*\.\d+(?![\w.])", prose))
    assert numbers <= {PYTHON_VERSION, APACHE, CREATIVE_COMMONS}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_named_is_there(name):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= set(targets)


def test_the_python_in_the_readme_is_python(readme):
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


@pytest.mark.parametrize("name", WRITTEN)
def test_verbs_and_options_in_examples_are_there(name, render_docs):
    page = render_docs.cli_page()
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    for line in re.findall(r"^adaptox .*", "\n".join(blocks), flags=re.MULTILINE):
        verb, *rest = line.partition("#")[0].split()[1:]
        _, found, after = page.partition(f"## adaptox {verb}\n")
        assert found, line
        own = after.partition("\n## ")[0]
        assert all(option in own for option in rest if option.startswith("--")), line


def interval(value):
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def metrics(auprc, **more):
    scores = {name: interval(auprc) for name in ("auprc", "f1", "precision", "recall")}
    return {
        "slices": {"F": {"n": 5083, "positives": 362, **scores}},
        "threshold": {"value": 0.4, "origin": "val: best F1"},
        "confidence": 0.95,
        "evaluated_on": "the official test split",
        "model": {"parameters": 22_700_000, "trainable": 22_700_000},
        "hardware": "two cores",
        **more,
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def checkout(tmp_path, render_docs):
    (tmp_path / "docs" / "results").mkdir(parents=True)
    for name in render_docs.FILLED:
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def block(pages, name):
    """Find a block in the page that holds it."""
    text = next(page for page in pages.values() if f"<!-- results:{name} -->" in page)
    return text.partition(f"<!-- results:{name} -->")[2].partition(f"<!-- /results:{name} -->")[0].strip()


def test_without_results_the_pages_say_so(checkout, render_docs):
    pages = render_docs.pages(checkout)
    assert all(
        block(pages, name).startswith("*No result yet")
        for name in ("headline", "recipes", "soups", "table", "speed")
    )
    assert block(pages, "figure") == ""


def test_results_fill_the_pages(checkout, render_docs):
    results = checkout / "docs" / "results"
    write(results / render_docs.HEADLINE / "metrics.json", metrics(0.85))
    pages = render_docs.pages(checkout)
    assert "**AUPRC .850 [.830–.870]**" in block(pages, "headline")
    assert "learned comments only" not in block(pages, "headline")
    assert f"| {render_docs.HEADLINE} |" in block(pages, "table")

    write(results / "comments-on-toxic-chat" / "metrics.json", metrics(0.45, model={}))
    assert ".450 [.430–.470]" in block(render_docs.pages(checkout), "headline")
    write(results / "minilm-prompts-on-toxic-chat" / "metrics.json", metrics(0.65, model={}))
    told = block(render_docs.pages(checkout), "headline")
    assert "learned comments only has AUPRC .450 [.430–.470]" in told
    assert "missed on ToxicChat's training rows) has AUPRC .650 [.630–.670]" in told


def seeds(verdict):
    measured = {**interval(0.87), "spread": 0.004, "seeds": [0.866, 0.874]}
    none = {"value": None, "low": None, "high": None, "spread": None, "seeds": [None, None]}
    names = ("auprc", "f1", "recall", "recall_at_fpr_01", "ece")
    whole = {"n": 5083, "positives": 362, **dict.fromkeys(names, measured)}
    voice = {
        "test": {"F": whole, "T": whole, "H": whole, "jailbreak": {**whole, "auprc": none}},
        "folds": {"all": whole},
    }
    gain = {"auprc": {**interval(0.03), "verdict": verdict}}
    recipe = {
        "name": "lora",
        "seeds": [0, 1],
        "config": {"base": {"name": "minilm-prompts"}},
        "network_alone": voice,
        "with_words": voice,
        "ensemble": voice,
        "words": {"test": gain, "folds": {"auprc": interval(0.04)}},
    }
    told = {"confidence": 0.95, "resamples": 2000, "hardware": "two cores"}
    return {"recipes": [recipe], "panels": [{"data_sha256": "this"}], **told}


@pytest.mark.parametrize(
    ("verdict", "words"), [("better", "rank better than"), ("not distinguishable", "cannot be told from")]
)
def test_seeds_of_the_best_recipe_fill_headline_and_table(checkout, render_docs, verdict, words):
    results = checkout / "docs" / "results"
    write(results / render_docs.HEADLINE / "metrics.json", metrics(0.85))
    write(results / "study-best-all" / "seeds.json", seeds(verdict))
    pages = render_docs.pages(checkout)
    assert "**AUPRC .870 [.850–.890]** and F1 .870 [.850–.890], the means of 2 seeds" in block(pages, "headline")
    assert "over seeds and families of prompts that repeat one another" in block(pages, "headline")
    found = block(pages, "best")
    assert words in found
    assert "+.030 [+.010 to +.050]" in found
    assert "| LoRA from minilm-prompts, with words | 2 | .870 [.850–.890] ± .004 |" in found.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "the seeds together | 2 as one |" in found
    level = ".870 [.850–.890]"
    short = f"| LoRA from minilm-prompts | 2 | {' | '.join([level] * 6)} |"
    assert short in block(pages, "recipes").replace("\N{NO-BREAK SPACE}", " ")
    assert "less the same" not in found


def test_the_best_recipe_is_set_beside_the_one_before(checkout, render_docs):
    found = seeds("better")
    better, worse = ({**interval(0.01), "verdict": verdict, "p_holm": 0.04} for verdict in ("better", "worse"))
    before = {"base": {"name": "runs/old"}, "seed": 0, "train": {"patience": None}, "gone": 1, "sources": []}
    other = {"config": before, "commit": "abc", "seeds": [0, 1], "test": {"auprc": better, "f1": worse}}
    other["folds"] = {"auprc": interval(0.02), "f1": interval(0.03)}
    now = {"base": {"name": "runs/new"}, "seed": 0, "train": {"patience": 3}, "sources": [1]}
    found["recipes"][0] |= {"against": other, "config": now}
    write(checkout / "docs" / "results" / "study-best-all" / "seeds.json", found)
    told = block(render_docs.pages(checkout), "best")
    (line,) = [line for line in told.splitlines() if "with `base.name" in line]
    gains = "**+.010 [-.010 to +.030]** | .040 | **+.010 [-.010 to +.030]** | .040"
    folds = "+.020 [.000 to +.040] | +.030 [+.010 to +.050]"
    assert line == f'| LoRA from new | with `base.name = "runs/old"` | 2 | {gains} | {folds} |'
    found["recipes"][0] |= {"config": {**now, "base": before["base"]}}
    write(checkout / "docs" / "results" / "study-mean" / "seeds.json", found)
    told = block(render_docs.pages(checkout), "best")
    assert f"| LoRA from old, the mean of all tokens in every stage | without | 2 | {gains} | {folds} |" in told


def test_recipes_as_they_are_decided_today_stand_before_the_studies_that_they_are_of(checkout, render_docs):
    results = checkout / "docs" / "results"
    write(results / render_docs.HEADLINE / "metrics.json", metrics(0.85))
    part, whole = seeds("better"), seeds("better")
    part["recipes"][0]["config"] |= {"threshold": {"calibration": "platt"}}
    write(results / "study-best" / "seeds.json", part)
    alone = ("network_alone", "words")
    told = {key: value for key, value in whole["recipes"][0].items() if key not in alone}
    write(results / "study-best-anew" / "seeds.json", {**whole, "recipes": [{**told, "seeds": [0, 1, 2, 3]}]})
    pages = render_docs.pages(checkout)
    assert "the means of 4 seeds" in block(pages, "headline")
    found = block(pages, "best")
    assert "Networks with words (LoRA, 2 seeds) rank better than the same alone" in found
    assert [line.split(" | ")[:2] for line in found.splitlines() if line.startswith("| LoRA")] == [
        ["| LoRA from minilm-prompts, with words", "4"],
        ["| LoRA from minilm-prompts, with words, the seeds together", "4 as one"],
        ["| LoRA from minilm-prompts, the first five, Platt's calibration, the network alone", "2"],
        ["| LoRA from minilm-prompts, the first five, Platt's calibration, with words", "2"],
        [
            "| LoRA from minilm-prompts, the first five, Platt's calibration, with words, the seeds together",
            "2 as one",
        ],
    ]
    assert "the first five" not in block(pages, "recipes")


def test_soups_of_the_best_recipe_stand_before_single_networks(checkout, render_docs):
    results = checkout / "docs" / "results"
    write(results / render_docs.HEADLINE / "metrics.json", metrics(0.85))
    single = seeds("better")
    write(results / "study-best-anew" / "seeds.json", single)
    recipe = single["recipes"][0]
    gain = {
        part: {name: {**interval(0.1), "p_holm": 0.3} for name in ("auprc", "f1")} for part in ("test", "folds")
    }
    pairs = {
        "size": 2,
        "soups": [[5, 6], [6, 7], [5, 7]],
        "over_members": dict.fromkeys(("network_alone", "with_words"), gain),
        **{voice: recipe[voice] for voice in ("network_alone", "with_words")},
    }
    told = {"sizes": [{**pairs, "size": 1}, pairs], "config": recipe["config"], "data": {"sha256": "this"}}
    told |= {"confidence": 0.95, "resamples": 2000, "hardware": "two cores"}
    write(results / "soups-best-pairs.json", told)
    pages = render_docs.pages(checkout)
    assert "the means of 3 networks, each the mean of 2 of 3 trainings" in block(pages, "headline")
    name = "| all parameters from minilm-prompts, 2 trainings as one network"
    assert [line.split(" | ")[:2] for line in block(pages, "recipes").splitlines()[2:]] == [
        [name, "3"],
        ["| LoRA from minilm-prompts", "2"],
    ]
    assert f"{name}, with words | 3 |" in block(pages, "best")
    write(results / "soups-best-pairs.json", {**told, "data": {"sha256": "other"}})
    with pytest.raises(DataError, match=r"soups-best-pairs\.json to be of the same data"):
        render_docs.pages(checkout)


def test_a_part_that_was_run_apart_stands_below_the_best_recipe(checkout, render_docs):
    results = checkout / "docs" / "results"
    apart = seeds("better")
    apart["recipes"][0] |= {"name": "all", "config": {"base": {"name": "runs/prompts/bundle"}}}
    apart["recipes"][0]["with_words"]["test"]["F"] |= {"auprc": {**interval(0.86), "spread": 0.002}}
    apart["hardware"] = "four cores"
    write(results / "study-best" / "seeds.json", seeds("better"))
    write(results / "study-best-lora" / "seeds.json", apart)
    told = block(render_docs.pages(checkout), "best").replace("\N{NO-BREAK SPACE}", " ")
    assert "two cores and four cores." in told
    assert "| all parameters from prompts, with words | 2 | .860 [.840–.880] ± .002 |" in told
    write(results / "study-best-lora" / "seeds.json", {**apart, "panels": [{"data_sha256": "other"}]})
    with pytest.raises(DataError, match=r"study-best-lora/seeds\.json.* to be of the same data"):
        render_docs.pages(checkout)


def test_an_ablation_is_told_with_what_each_change_gave(checkout, render_docs):
    first = {"name": "first", "what": "plain", "on": None, "n": 4977, "positives": 375, "difference": None}
    first["hardware"] = "two cores"
    first |= {metric: interval(0.8) for metric in ("auprc", "f1")} | {"beside": False}
    gained = {"auprc": {**interval(0.03), "p_holm": 0.01}, "f1": {**interval(0.01), "p_holm": 0.4}}
    second = {**first, "name": "second", "what": "more", "on": "first", "difference": gained}
    untested = {metric: {**interval(0.02), "p_holm": None} for metric in gained}
    third = {**second, "name": "third", "difference": untested}
    beside = {**second, "name": "lever", "hardware": "four cores", "beside": True}
    told = {"folds": 3, "seed": 0, "resamples": 5000, "changes": [first, second, third, beside]}
    write(checkout / "docs" / "results" / "ablation.json", told)
    pages = render_docs.pages(checkout)
    found = block(pages, "ablation").replace("\N{NO-BREAK SPACE}", " ")
    level = ".800 [.780–.820]"
    assert f"| first: plain |  | {level} |  |  | {level} |  |  |" in found
    bold, plain = "**+.030 [+.010 to +.050]** | .010", "+.010 [-.010 to +.030] | .400"
    assert f"| second: more | first | {level} | {bold} | {level} | {plain} |" in found
    assert f"| third: more | first | {level} | +.020 [.000 to +.040] |  |" in found
    assert "4,977 training rows, 375 toxic" in found
    assert "One seed (0). Thresholds were learned on these rows." in found
    assert "neither has a p-value. two cores ([script]" in found
    write(checkout / "docs" / "results" / "study-best" / "seeds.json", seeds("better"))
    found = block(render_docs.pages(checkout), "ablation")
    assert "with all parameters, the AUPRC of 2 seeds deviates by ±" in found
    write(checkout / "docs" / "results" / "study-start" / "seeds.json", seeds("better"))
    found = block(render_docs.pages(checkout), "levers").replace("\N{NO-BREAK SPACE}", " ")
    assert f"| lever: more | first | {level} | {bold} | {level} | {plain} |" in found
    assert "| second: more |" not in found
    assert "of which 2 seeds come to AUPRC .870 ± .004 (seed 0: .866) and F1 .870 ± .004" in found
    assert "four cores ([script]" in found


def test_soups_end_the_way_to_the_best_recipe(checkout, render_docs):
    results = checkout / "docs" / "results"
    row = {"what": "bent", "on": None, "n": 4977, "positives": 375, "difference": None, "hardware": "two cores"}
    row |= {"auprc": interval(0.8), "f1": interval(0.8), "beside": False}
    changes = [{**row, "name": "beta"}, {**row, "name": "start"}]
    told = {"folds": 3, "seed": 0, "resamples": 5000, "changes": changes}
    write(results / "ablation.json", told)
    assert "soup" not in block(render_docs.pages(checkout), "ablation")
    gain = {
        part: {name: {**interval(0.1), "p_holm": 0.3} for name in ("auprc", "f1")} for part in ("test", "folds")
    }
    measured = {name: {**interval(0.7), "spread": 0.01} for name in ("auprc", "f1", "recall_at_fpr_01", "ece")}
    voice = {"test": dict.fromkeys("FTH", measured), "folds": {"all": measured}}
    pairs = {"size": 2, "soups": [[5, 6], [6, 7], [5, 7]], "with_words": voice}
    pairs["over_members"] = dict.fromkeys(("network_alone", "with_words"), gain)
    told = {"sizes": [{**pairs, "size": 1}, pairs], "confidence": 0.95, "resamples": 2000, "hardware": "two cores"}
    write(results / "soups-best-pairs.json", told)
    found = block(render_docs.pages(checkout), "ablation").replace("\N{NO-BREAK SPACE}", " ")
    gained = "+.100 [+.080 to +.120] | "
    said = "2 trainings as one network, beside their members, over 3 seeds"
    assert f"| soup: {said} | beta | .700 [.680–.720] | {gained} | .700 [.680–.720] | {gained} |" in found
    assert found.index("| beta: ") < found.index("| soup: ") < found.index("| start: ")


def test_soups_are_told_with_what_they_gain_over_their_members(checkout, render_docs):
    measured = {**interval(0.87), "spread": 0.004}
    whole = {name: measured for name in ("auprc", "f1", "recall_at_fpr_01", "ece")}
    voice = {"test": {code: whole for code in "FTH"}, "folds": {"all": whole}}
    tested = {metric: {**interval(0.01), "p_holm": 0.3} for metric in ("auprc", "f1")}
    gain = {"test": tested, "folds": {metric: interval(0.02) for metric in tested}}
    sizes = [
        {"size": size, "soups": soups, "with_words": voice, "over_members": dict.fromkeys(voices, gain)}
        for size, soups in ((1, [[0], [1], [2]]), (3, [[0, 1, 2]]))
        for voices in [("network_alone", "with_words")]
    ]
    told = {"sizes": sizes, "confidence": 0.95, "resamples": 2000, "hardware": "two cores"}
    write(checkout / "docs" / "results" / "soups.json", told)
    found = block(render_docs.pages(checkout), "soups").replace("\N{NO-BREAK SPACE}", " ")
    level = ".870 [.850–.890] ± .004"
    start = "`minilm-prompts`, Platt's calibration"
    assert f"| {start} | 1 | 3 | {level} | {level} |" in found
    assert f"| {start} | 3 | 1 | {level} | {level} |" in found
    gains = "+.010 [-.010 to +.030] | .300 | +.010 [-.010 to +.030] | .300"
    folds = "+.020 [.000 to +.040] | +.020 [.000 to +.040]"
    assert f"| {start} | 3, alone | {gains} | {folds} |" in found
    assert f"| {start} | 3, with words | {gains} | {folds} |" in found
    assert "| 1, alone |" not in found


def test_other_tools_stand_beside_the_recipe(checkout, render_docs):
    slices = {code: {"n": 5083, "positives": 362, "auprc": interval(0.8), "f1": interval(0.7)} for code in "FT"}
    one = {"what": "a tool", "train_rows": 4977, "peak_memory_mb": 2048, "slices": slices}
    cost = {"trainer": (100, 50), "adaptox-recipe": (250, 1000)}
    tools = {name: {**one, "train_s": time, "rows_per_s": speed} for name, (time, speed) in cost.items()}
    gain = {"auprc": {**interval(0.05), "p_holm": 0.01}, "f1": {**interval(0.01), "p_holm": 0.9}}
    compared = [{"ours": "adaptox-recipe", "other": "trainer", **gain}]
    told = {"seed": 0, "hardware": "one core", "contestants": tools, "compared": compared}
    write(checkout / "docs" / "results" / "peers.json", told)
    found = block(render_docs.pages(checkout), "peers").replace("\N{NO-BREAK SPACE}", " ")
    level = ".800 [.780–.820] | .700 [.680–.720] | .700 [.680–.720]"
    gains = "**+.050 [+.030 to +.070]** | +.010 [-.010 to +.030]"
    assert f"| trainer: a tool | 4,977 | {level} | {gains} | 1.00 | 2.0 GiB | 1.00 |" in found
    assert f"| adaptox-recipe: a tool | 4,977 | {level} |  |  | 2.50 | 2.0 GiB | 20 |" in found
    chosen = {"tried": [{}, {}], "rows": {"left_out": 1660}, "chosen": {"auprc": 0.75}}
    write(checkout / "docs" / "results" / "setfit-settings.json", chosen)
    assert "SetFit" not in block(render_docs.pages(checkout), "peers")
    tools["setfit-best"] = tools["trainer"]
    write(checkout / "docs" / "results" / "peers.json", told)
    found = block(render_docs.pages(checkout), "peers")
    assert "best is the best by AUPRC of 2 settings on 1,660 training rows left out (.750 there; [all of" in found


def test_an_undefined_number_is_a_dash(checkout, render_docs):
    broken = metrics(0.85)
    broken["slices"]["F"]["auprc"] = {"value": None, "low": None, "high": None}
    write(checkout / "docs" / "results" / render_docs.HEADLINE / "metrics.json", broken)
    assert "**AUPRC –**" in block(render_docs.pages(checkout), "headline")


def test_the_figure_shows_once_it_is_there(checkout, render_docs):
    picture = checkout / "docs" / "figures" / "precision-recall.svg"
    picture.parent.mkdir()
    picture.write_text("<svg/>")
    assert "(figures/precision-recall.svg)" in block(render_docs.pages(checkout), "figure")


def test_the_speed_is_told_with_its_spread(checkout, render_docs):
    ratio = {"median": 3.04, "low": 2.9, "high": 3.2}
    measured = {
        "n": 640,
        "rows_per_s": {"adaptox": {"median": 81.2}},
        "ratio": {"plain": ratio, "padded": ratio},
        "repeats": 3,
        "data": {"origin": "ToxicChat"},
        "hardware": "two cores",
        "config": {"encode": {"max_tokens": 256}},
    }
    write(checkout / "docs" / "results" / "train-speed.json", measured)
    told = block(render_docs.pages(checkout), "speed")
    assert "81 rows a second" in told
    assert "3.0 times [2.9–3.2]" in told


def test_lost_markers_are_an_error(checkout, render_docs):
    (checkout / "README.md").write_text("# adaptox\n")
    with pytest.raises(DataError, match="results:headline"):
        render_docs.pages(checkout)


def test_check_names_what_is_out_of_date(checkout, render_docs, monkeypatch, capsys):
    monkeypatch.setattr(render_docs, "ROOT", checkout)
    monkeypatch.setattr("sys.argv", ["render_docs.py", "--check"])
    assert render_docs.main() == 1
    assert "docs/settings.md is out of date: run make docs" in capsys.readouterr().err
    assert not (checkout / "docs" / "settings.md").exists()

    monkeypatch.setattr("sys.argv", ["render_docs.py"])
    assert render_docs.main() == 0
    monkeypatch.setattr("sys.argv", ["render_docs.py", "--check"])
    assert render_docs.main() == 0


def test_an_unknown_option_is_refused(render_docs, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["render_docs.py", "--chek"])
    assert render_docs.main() == 2
    assert "usage" in capsys.readouterr().err


def fake_study(f1: dict[tuple[str, str], float]) -> dict[str, object]:
    """A collapse study whose two panels came to the same."""

    def run(panel, start, changed, value):
        interval = {"value": value, "low": value - 0.1, "high": value + 0.1}
        slices = {"all": {"n": 100, "positives": 10, "f1": interval, "auprc": interval}}
        variants = {"start": start, "changed": changed}
        state = "collapsed" if value < 0.2 else "done"
        return {
            "panel": panel,
            "variants": variants,
            "state": state,
            "slices": slices,
            "slices_at_learned_threshold": slices,
        }

    panels = [{"name": "single", "words": "alone"}, {"name": "multi", "words": "with a teacher"}]
    runs = [run(panel["name"], *key, value) for panel in panels for key, value in f1.items()]
    return {"panels": panels, "runs": runs, "notes": []}


def test_the_readme_names_the_change_that_heals_and_the_one_that_breaks(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import study_blocks

    changes = ("nothing", "head", "rate", "pooler", "steps", "teacher")
    f1 = {("as-written", changed): 0.1 for changed in changes} | {("repaired", changed): 0.7 for changed in changes}
    f1 |= {("as-written", "rate"): 0.6, ("as-written", "head"): 0.3, ("repaired", "steps"): 0.5}
    assert study_blocks.collapse(tmp_path) == study_blocks.NOTHING_YET
    (tmp_path / "study-collapse").mkdir()
    (tmp_path / "study-collapse" / "study.json").write_text(json.dumps(fake_study(f1)))
    text = study_blocks.collapse(tmp_path)
    sentences, *table = text.splitlines()
    assert "if the learning rate is LoRA's own" in sentences
    assert "(alone: from .100 [.000–.200] (collapsed) to .600 [.500–.700]; with a teacher: from" in sentences
    assert "no other change alone takes a run beyond .300" in sentences
    assert "three epochs without warm-up, and the last checkpoint costs most (alone: from .700" in sentences
    assert sum(line.startswith("| as written") or line.startswith("| repaired") for line in table) == 12
