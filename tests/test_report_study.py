"""The report of a study sets many runs side by side, to people, in one file."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import html.parser
import json
import math
import re
import sys

import numpy as np
import pytest

from adaptox.config import EvaluateConfig, parse
from adaptox.errors import MissingExtraError, StorageError
from adaptox.evaluate import compare, evaluate, mcnemar
from adaptox.evaluate.values import Interval
from adaptox.records import Conversation, Example
from adaptox.report import phrases
from adaptox.report import written as files_written
from adaptox.report.study import (
    ErrorShare,
    PaperRun,
    StudyMistake,
    StudyPair,
    StudyRun,
    StudyStory,
    TeacherAgreement,
    browser,
    figures,
    runs,
    sentences,
    tables,
    tables_pairs,
    write_study,
)
from adaptox.report.values import TrainingFacts

EN = "\N{EN DASH}"
HOSTILE = "</script><img src=x onerror=alert(1)> | *bold* [a](http://example.org) $x_{1$"
SETTINGS = EvaluateConfig(resamples=100)
NAN = Interval(math.nan, math.nan, math.nan)
OFFICIAL, RESPLIT = "official", "re-split"
FULL = {"Full": 0.95, "Sampled": 0.7}


def name_of(adapter, targets, data):
    words = ["LoRA"] if adapter == "LoRA" else []
    words += ["Multi" if words else "Multi-Target"] if targets == "multi" else []
    return "-".join([*(words or ["Baseline"]), data])


@functools.cache
def rows(n):
    draw = np.random.default_rng(1)
    truth = draw.random(n) < 0.12
    examples = tuple(
        Example(
            id=f"row-{index:04d}",
            conversation=Conversation.of(f"question {index}"),
            labels={"toxicity": int(truth[index]), "jailbreaking": int(draw.random() < 0.02 + 0.2 * truth[index])},
            group=f"family-{index // 2}",
            annotated_by_human=bool(truth[index] or draw.random() < 0.5),
            twin=index % 5 == 0,
        )
        for index in range(n)
    )
    return examples, truth


@functools.cache
def scored(n, seed, skill, threshold, resamples=100):
    examples, truth = rows(n)
    draw = np.random.default_rng(seed)
    logits = np.where(truth, draw.normal(4 * skill - 4, 1.7, n), draw.normal(-3.4, 1.2, n))
    probs = 1 / (1 + np.exp(-logits))
    origin = "0.5" if threshold == 0.5 else "val: best F1"
    return evaluate(
        examples, probs, "toxicity", threshold, origin, EvaluateConfig(resamples=resamples), 0, official=True
    )


def history(skill, epochs, steps):
    log = [{"loss": 0.6 / (1 + epoch), "step": steps * epoch, "epoch": epoch} for epoch in range(1, epochs + 1)]
    log += [
        {"eval_auprc": skill * (1 - 0.6 / (epoch + 1)), "step": steps * epoch, "epoch": epoch}
        for epoch in range(1, epochs + 1)
    ]
    return tuple(log)


def facts(adapter, data, best_step, seconds):
    trainable = 900_000 if adapter == "LoRA" else 22_713_601
    memory = None if data == "Sampled" else 1800.0 + trainable / 3e4
    return TrainingFacts(seconds, 31.4, 640, best_step, 0.7, trainable, 22_713_601, "fp32", memory, {})


def summarised(evaluations):
    return {name: result.metrics for name, result in evaluations[0].slices.items()} if evaluations else {}


def make_run(
    adapter,
    targets,
    data,
    panel="",
    seeds=(0, 1),
    n=160,
    state="done",
    skill=None,
    name=None,
    lent=0.0,
    resamples=100,
):
    name = name or name_of(adapter, targets, data)
    skill = FULL[data] - 0.15 * (adapter == "LoRA") + 0.05 * (targets == "multi") if skill is None else skill
    skill += lent * (panel == RESPLIT)
    seeds = () if state == "failed" else seeds
    evaluations = tuple(scored(n, seed + 10 * len(name), skill, 0.5, resamples) for seed in seeds)
    learned = tuple(scored(n, seed + 10 * len(name), skill, 0.171, resamples) for seed in seeds)
    spread = {
        key: float(np.std([e.main.metrics[key].value for e in evaluations], ddof=1)) if len(seeds) > 1 else math.nan
        for key in (evaluations[0].main.metrics if evaluations else ())
    }
    small = {"small": evaluations[0].main.metrics} if evaluations else {}
    settings = {"adapter": {"kind": "lora" if adapter == "LoRA" else "none"}, "train": {"epochs": 3}}
    notes = {"failed": (f"Seed 0: the loss left all bounds {HOSTILE}.",), "collapsed": ("Seed 0 flags no row.",)}
    return StudyRun(
        name=name,
        panel=panel,
        variants={"adapter": adapter, "targets": targets, "data": data},
        state=state,
        notes=notes.get(state, ()),
        seeds=tuple(seeds),
        evaluations=evaluations,
        learned=learned,
        validation_auprc=skill if seeds else math.nan,
        training=tuple(facts(adapter, data, 60, 97.0 * (0.8 if adapter == "LoRA" else 1)) for _ in seeds),
        histories=tuple(history(skill, 3, 30 if data == "Sampled" else 300) for _ in seeds),
        summary=summarised(evaluations) | small,
        summary_learned=summarised(learned),
        spread=spread,
        config=parse({"name": name, **settings}).model_dump(mode="json"),
    )


def make_pair(first, second):
    a, b = first.evaluations[0], second.evaluations[0]
    comparisons = tuple(compare(a, b, key, 100, 0) for key in ("auprc", "f1"))
    test = mcnemar(a, b)
    return StudyPair(
        first.panel,
        first.name,
        second.name,
        comparisons,
        {"auprc": 0.0002, "f1": 0.21},
        test,
        min(1.0, 2 * test.p_value),
        f"{first.name} is not distinguishable from {second.name}.",
    )


def make_mistakes(found, panel, count=5):
    names = [run.name for run in found if run.evaluations]
    return tuple(
        StudyMistake(
            panel=panel,
            id=f"row-{place:04d}",
            kind="miss" if place % 2 else "false alarm",
            text=f"a rude poem {HOSTILE if place == 0 else place} " + "word " * place,
            tags=("jailbreak", "technical")[: place % 3],
            probs={name: min(0.99, 0.04 * place + 0.1 * index) for index, name in enumerate(names)},
            wrong=tuple(names[: 1 + place % len(names)]),
        )
        for place in range(count)
    )


def make_shares(found, panel):
    return tuple(
        ErrorShare(panel, run.name, kind, words, n, Interval(share, share - 0.02, share + 0.05))
        for run in found
        if run.evaluations
        for kind, words, n, share in (
            ("false alarm", "technical prompts", 212, 0.04),
            ("false alarm", "other prompts", 2100, 0.03),
            ("miss", "technical prompts", 9, 0.4),
        )
    )


PAPER = {
    "Baseline-Sampled": PaperRun(
        {"accuracy": 0.8993, "precision": 0.9259, "recall": 0.8681, "f1": 0.8961},
        {"accuracy": 0.9130, "precision": 0.4552, "recall": 0.8241, "f1": 0.5865},
        97,
    ),
    "LoRA-Sampled": PaperRun({"accuracy": 0.3472, "f1": 0.1826}, {"accuracy": 0.4768, "f1": 0.0395}, 83),
}
CASES = [(a, t, d) for d in ("Sampled", "Full") for t in ("single", "multi") for a in ("all", "LoRA")]


def make_study(panels=("",), cases=CASES, paper=PAPER, before=False, states=(), n_mistakes=5, **options):
    states = dict(states)
    found = tuple(
        make_run(*case, panel=panel, state=states.get(name_of(*case), "done"), **options)
        for panel in panels
        for case in cases
    )
    by_panel = {panel: [run for run in found if run.panel == panel] for panel in panels}
    working = {panel: [run for run in members if run.evaluations] for panel, members in by_panel.items()}
    return StudyStory(
        title="the paper again",
        question="Which of the eight runs can be believed?",
        panels=tuple(panels),
        panel_words={OFFICIAL: "the split as published", RESPLIT: "all rows split anew"} if panels != ("",) else {},
        axes={"data": ("Sampled", "Full"), "adapter": ("all", "LoRA"), "targets": ("single", "multi")},
        runs=found,
        pairs=tuple(make_pair(members[1], members[0]) for members in working.values() if len(members) > 1),
        mistakes=tuple(
            mistake for panel, members in by_panel.items() for mistake in make_mistakes(members, panel, n_mistakes)
        ),
        error_shares=tuple(share for panel, members in by_panel.items() for share in make_shares(members, panel)),
        paper=paper,
        before={(run.panel, run.name): {"f1": Interval(0.0, 0.0, 0.0)} for run in found} if before else {},
        before_title="as published" if before else "",
        teachers=dict.fromkeys(panels, "The teacher is our own."),
        agreement=(TeacherAgreement("violence", 1021, Interval(0.61, 0.57, 0.66)),),
        notes=("The teacher is our own.",),
        hardware="Intel Xeon, 2 cores, 8 GB",
        commit="0.2.0 (1a2b3c4)",
        data_sha256=dict.fromkeys(panels, "c" * 64),
        command="adaptox study configs/again.toml",
        resamples=100,
        confidence=0.95,
    )


@pytest.fixture(scope="module")
def story():
    """Eight runs in one panel, three of them in another."""
    states = (("LoRA-Sampled", "collapsed"), ("LoRA-Multi-Full", "failed"))
    made = make_study((OFFICIAL, RESPLIT), before=True, states=states)
    again = ("Baseline-Sampled", "LoRA-Sampled", "LoRA-Multi-Full")
    kept = tuple(run for run in made.runs if run.panel == OFFICIAL or run.name in again)
    return dataclasses.replace(made, runs=kept)


@pytest.fixture(scope="module")
def folder(story, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_study(story, folder)
    return folder


@pytest.fixture(scope="module")
def html_page(folder):
    return (folder / "study.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plain():
    """One panel of two runs with one seed each, nothing else."""
    bare = make_study(cases=CASES[:2], paper={}, seeds=(0,), n_mistakes=0)
    return dataclasses.replace(bare, error_shares=(), teachers={}, agreement=(), pairs=(), notes=(), question="")


@pytest.fixture(scope="module")
def plain_folder(plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    write_study(plain, folder)
    return folder


@pytest.fixture(scope="module")
def smallest(plain):
    return dataclasses.replace(plain, runs=plain.runs[:1])


def grid_of(story, kind, panel=""):
    return tables.panel_grids(story, panel)[kind]


def row_of(grid, name):
    [row] = [row for row in grid.rows if row[0].text == name]
    return dict(zip((f"{head.group} {head.words}".strip() for head in grid.heads), row, strict=True))


class Outline(html.parser.HTMLParser):
    """Collects tags, ids, references and handlers, and checks that tags are closed."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, page_text):
        super().__init__()
        self.tags, self.ids, self.references, self.open, self.attributes = [], [], [], [], []
        self.feed(page_text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        self.references += [value for name, value in attrs if name in ("href", "src", "xlink:href", "srcset")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def scripts(page_text):
    """Give the attributes and the content of every script element."""
    return re.findall(r"<script([^>]*)>(.*?)</script>", page_text, re.DOTALL)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_study_folder_gets_page_markdown_and_figures(folder):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    drawn = [
        f"{kind}-{panel}"
        for kind in ("curves", "learning", "metrics", "repair", "scores")
        for panel in (OFFICIAL, RESPLIT)
    ]
    expected = [f"figures/{name}.{ending}" for name in (*drawn, "panels") for ending in ("png", "svg")]
    assert names == sorted([*expected, "study.html", "study.md"])


def test_a_refused_write_leaves_no_part_behind(smallest, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files_written.os, "replace", full)
    with pytest.raises(StorageError, match="the disk is full"):
        write_study(smallest, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_is_named_with_its_extra(package, smallest, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*adaptox\[train\]"):
        write_study(smallest, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_story_gives_the_same_bytes(plain, plain_folder, tmp_path):
    write_study(plain, tmp_path)
    for path in plain_folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(plain_folder)).read_bytes(), path.name


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_is_well_formed_and_its_ids_differ(html_page):
    outline = Outline(html_page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))


def test_the_page_loads_nothing_from_elsewhere(html_page):
    outline = Outline(html_page)
    assert not [value for value in outline.references if not value.startswith("#")]
    assert not {"link", "img", "iframe", "object"} & set(outline.tags)
    assert not [name for name in outline.attributes if name.startswith("on")]
    assert "@import" not in html_page


def test_the_policy_allows_the_one_script_by_its_hash(html_page):
    [(attributes, script)] = [found for found in scripts(html_page) if "application/json" not in found[0]]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', html_page)
    assert attributes == ""
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "script-src 'unsafe" not in policy


def test_the_script_never_writes_html(html_page):
    [script] = [content for attributes, content in scripts(html_page) if not attributes]
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch("):
        assert forbidden not in script


def test_the_page_says_first_what_is_best_and_what_went_wrong(html_page, story):
    done = [run for run in story.runs if run.panel == OFFICIAL and run.state == "done"]
    best = max(done, key=lambda run: run.validation_auprc)
    gap = "\N{NO-BREAK SPACE}"
    chosen = phrases.number(best.validation_auprc, 2)
    assert sentences.headline(story).startswith(
        f"In panel official, {best.name} comes first on validation (AUPRC{gap}{chosen}), and reaches AUPRC{gap}."
    )
    assert sentences.headline(story) in html_page
    assert (
        "Of 11 runs, 2 collapsed (LoRA-Sampled in official and re-split) and 2 failed (LoRA-Multi-Full in"
        in html_page
    )
    assert html_page.index("The teacher is our own.") < html_page.index('<section id="runs">')
    assert f"Test rows: 160, of which {rows(160)[1].sum()} are toxic prompts." in html_page


def test_figures_and_tables_need_no_script(html_page):
    body = re.sub(r"<script.*?</script>", "", html_page, flags=re.DOTALL)
    assert body.count('<figure class="wide">') == 11
    for table in ("table-1", *(f"table-{place}-{panel}" for place in range(2, 9) for panel in (OFFICIAL, RESPLIT))):
        assert f'<div class="grid" id="{table}">' in body, table
    assert "<noscript>" in body


def test_tables_are_numbered_without_a_gap_where_one_has_no_content(story):
    panel = story.panels[0]
    main = {run.name: next(iter(run.summary)) for run in story.runs if run.summary}
    alone = tuple(
        dataclasses.replace(run, summary={main[run.name]: run.summary[main[run.name]]}) if run.summary else run
        for run in story.runs
    )
    grids = tables.panel_grids(dataclasses.replace(story, runs=alone), panel)
    assert "slices" not in grids
    titles = [grid.title.partition(",")[0] for grid in grids.values()]
    assert titles == [f"Table {number}" for number in range(2, 8)]
    assert grids["pairs"].name == f"table-6-{panel}"


def test_every_runs_settings_stand_behind_a_click(html_page, story):
    configs = html_page[html_page.index('<div class="configs">') :]
    assert configs.count("<details>") == len(story.runs)
    assert "head learning rate" in configs


def test_the_list_of_mistakes_says_what_is_in_it(html_page):
    assert "half of the runs or more decide wrongly, at most 150 of a panel" in html_page


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([1, 1], "families, of one seed each, so another training may change them; p-values"),
        ([3, 3], "families and seeds; p-values"),
        ([3, 1], "families and seeds; of runs with one seed, another training may change them; p-values"),
    ],
)
def test_a_table_of_pairs_says_what_its_bootstrap_knows_of_seeds(story, seeds, words):
    given = [dataclasses.replace(story.runs[0], seeds=tuple(range(number))) for number in seeds]
    assert words in tables_pairs.pairs(story.pairs[:1], given).caption


def test_the_page_of_a_bare_study_has_no_empty_parts(plain_folder):
    text = (plain_folder / "study.html").read_text(encoding="utf-8")
    assert "No mistakes were kept." in text
    assert "No mistakes were kept." in (plain_folder / "study.md").read_text(encoding="utf-8")
    for absent in (
        "paper",
        "The question",
        "Panel beside panel",
        "mistake-data",
        "Table 8",
        "Table 7",
        "±",
        ">nan",
    ):
        assert absent not in re.sub(
            r"<title>.*?</title>|<(style|script)>.*?</\1>|the paper again", "", text, flags=re.DOTALL
        ), absent


# ── hostile text ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def hostile():
    cases = CASES[:2]
    named = make_study(("a<b>", 'c"&d'), cases, n_mistakes=2, seeds=(0,))
    renamed = tuple(dataclasses.replace(run, name=f"{run.name} {HOSTILE}") for run in named.runs)
    mistakes = tuple(
        dataclasses.replace(
            mistake,
            probs={f"{name} {HOSTILE}": prob for name, prob in mistake.probs.items()},
            wrong=tuple(f"{name} {HOSTILE}" for name in mistake.wrong),
        )
        for mistake in named.mistakes
    )
    return dataclasses.replace(
        named, runs=renamed, mistakes=mistakes, title=HOSTILE, before_title=HOSTILE,
        before={(run.panel, run.name): {"f1": Interval(0.1, 0.0, 0.2)} for run in renamed},
    )  # fmt: skip


def test_hostile_names_and_texts_stay_text(hostile, tmp_path):
    write_study(hostile, tmp_path)
    text = (tmp_path / "study.html").read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.open == []
    assert outline.tags.count("script") == 2
    assert "img" not in outline.tags
    assert not [name for name in outline.attributes if name.startswith("on")]
    assert "</script><img" not in re.sub(r"</script>\s*<script>", "", text)
    for svg in (tmp_path / "figures").glob("*.svg"):
        assert "<img" not in svg.read_text(encoding="utf-8")
    markdown = (tmp_path / "study.md").read_text(encoding="utf-8")
    assert "<img" not in markdown
    assert "](http" not in markdown


def test_panels_get_plain_file_names(hostile):
    assert runs.slugs(hostile) == {"a<b>": "-a-b", 'c"&d': "-c-d"}
    odd = dataclasses.replace(hostile, panels=("", "A!", "a?", "…"))
    assert runs.slugs(odd) == {"": "-1", "A!": "-a", "a?": "-3", "…": "-4"}


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_mistakes_are_data_with_every_runs_score(story, html_page):
    [content] = [content for attributes, content in scripts(html_page) if "mistake-data" in attributes]
    found = json.loads(content)
    assert [len(entry["errs"]) for entry in found] == sorted((len(m.wrong) for m in story.mistakes), reverse=True)
    first = next(entry for entry in found if entry["id"] == "row-0000")
    assert HOSTILE in first["text"]
    assert [name for name, _, _ in first["scores"]] == [run.name for run in story.runs[:8] if run.evaluations]
    assert first["scores"][1][1:] == [".100", 10.0]


def test_texts_of_mistakes_stand_in_the_data_block_only(html_page, folder):
    assert "rude poem" not in re.sub(r"<script.*?</script>", "", html_page, flags=re.DOTALL)
    assert "rude poem" not in (folder / "study.md").read_text(encoding="utf-8")
    assert "can be offensive" in html_page


def test_mistakes_are_filtered_by_what_differs(story, plain):
    assert list(browser.filters(story)) == ["panel", "run", "kind", "tag"]
    assert browser.filters(story)["tag"] == ("jailbreak", "technical")
    assert list(browser.filters(plain)) == ["run"]


def test_a_long_text_is_cut_and_says_so(plain):
    long = StudyMistake("", "x", "miss", "y" * 10_000, (), {"Baseline-Sampled": math.nan}, ("Baseline-Sampled",))
    [entry] = json.loads(browser.mistakes_json(dataclasses.replace(plain, mistakes=(long,))))
    assert len(entry["text"]) == 4000
    assert entry["omitted"] == "… and 6,000 more characters."
    assert entry["scores"] == [["Baseline-Sampled", EN, 0]]


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_table_1_shows_the_axes_and_what_differs(story):
    grid = tables.shared_grids(story)["configurations"]
    assert [row[0].text for row in grid.rows] == [name_of(*case) for case in CASES]
    row = row_of(grid, "LoRA-Multi-Full")
    assert (row["axes targets"].text, row["settings adapter kind"].text) == ("multi", "lora")
    assert row["settings train learning rate"].text == "0.001"
    assert "settings name" not in row
    assert "train epochs 3" in grid.caption


def test_table_2_says_what_lora_saves_against_its_twin(story):
    grid = grid_of(story, "training", OFFICIAL)
    row = row_of(grid, "LoRA-Sampled")
    gap = "\N{NO-BREAK SPACE}"
    assert row["time"].flat() == f"1{gap}min 18{gap}s (paper 1{gap}min 23{gap}s)"
    assert row["time saved"].flat() == f"20{gap}% (paper 14{gap}%)"
    assert (row["trained parameters"].text, row["share"].text) == (f"900{gap}k", f"4{gap}%")
    assert row["peak memory"].text == row["memory saved"].text == EN
    assert row_of(grid, "Baseline-Sampled")["time saved"].text == EN
    assert {cell.text for cell in row_of(grid, "LoRA-Multi-Full").values()} == {"LoRA-Multi-Full", EN}


def test_table_3_sets_ours_beside_the_papers(story):
    grid = grid_of(story, "paper", OFFICIAL)
    found = story.runs[0].summary["F"]["f1"]
    positives = int(rows(160)[1].sum())
    cell = row_of(grid, "Baseline-Sampled")[f"full test set (n = 160, {positives} positive) F1"]
    assert (cell.rank, cell.beside) == (found.value, "paper .5865")
    assert row_of(grid, "Baseline-Sampled")["small test set recall"].beside == "paper .8681"
    assert row_of(grid, "Baseline-Full")["small test set recall"].beside == ""


def test_every_table_says_whose_the_teacher_is(story, plain):
    def captions(told):
        made = [tables.shared_grids(told), *(tables.panel_grids(told, panel) for panel in told.panels)]
        return [grid.caption for grids in made for grid in grids.values()]

    assert all(caption.endswith("The teacher is our own.") for caption in captions(story))
    assert not any("teacher" in caption for caption in captions(plain))


def test_table_4_has_spread_seeds_and_the_thresholds_origin(story, plain):
    row = row_of(grid_of(story, "ranking", OFFICIAL), "Baseline-Full")
    assert row["AUPRC"].beside.startswith("±\N{NO-BREAK SPACE}.0")
    assert (row["seeds"].text, row["threshold"].text, row["its origin"].text) == ("2", ".500", "0.5")
    assert row_of(grid_of(plain, "ranking"), "Baseline-Sampled")["AUPRC"].beside == ""


def test_table_5_shows_what_the_learned_threshold_gains(story):
    row = row_of(grid_of(story, "thresholds", OFFICIAL), "LoRA-Full")
    run = next(run for run in story.runs if run.name == "LoRA-Full")
    gain = run.summary_learned["F"]["f1"].value - run.summary["F"]["f1"].value
    assert row["F1 gained"].rank == pytest.approx(gain)
    assert row["F1 gained"].text[0] == ("+" if gain > 0 else "-")
    assert row["learned threshold"].text == ".171"


def test_table_6_has_the_other_slices_and_not_the_small_one(story):
    groups = [group for group, _ in grid_of(story, "slices", OFFICIAL).groups()]
    assert [group.split(" (")[0] for group in groups] == ["", "H", "T", "jailbreak", "non-jailbreak"]


def test_table_7_says_what_follows_from_a_pair(story):
    row = row_of(grid_of(story, "pairs", OFFICIAL), f"LoRA-Sampled {EN} Baseline-Sampled")
    assert row["what follows"].text == "LoRA-Sampled is not distinguishable from Baseline-Sampled."
    assert row["AUPRC p (Holm)"].text == "<\N{NO-BREAK SPACE}.001"
    assert re.fullmatch(r"[+-]?\.\d{3} \[[+-]?\.\d{3} to [+-]?\.\d{3}\]", row["F1 difference"].flat())


def test_table_8_sets_kinds_of_rows_side_by_side(story):
    grid = grid_of(story, "shares", OFFICIAL)
    assert "technical prompts are often flagged" in grid.caption
    row = row_of(grid, "Baseline-Full")
    assert row["false alarms among negatives technical prompts (n = 212)"].text == ".040"
    assert row["misses among positives technical prompts (n = 9)"].text == ".400"


def test_markdown_holds_the_same_tables(folder, story):
    text = (folder / "study.md").read_text(encoding="utf-8")
    assert "| run | axes: data | axes: adapter | axes: targets | settings: adapter kind |" in text
    assert "| LoRA-Multi-Full (failed) | – |" in text
    assert "](figures/metrics-official.png)" in text
    assert "> The teacher is our own." in text
    assert "\n\n\n" not in text
    lines = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| LoRA-Full | .")]
    assert {line.count("|") for line in lines} == {5, 9, 10, 11, 14}


def test_cells_without_a_number_are_sorted_last(html_page):
    assert 'data-rank=""' in html_page
    assert 'data-rank="nan"' not in html_page


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_run_is_called_failed_in_every_figure(folder):
    for kind in ("metrics", "curves", "scores", "learning", "repair"):
        assert "failed" in (folder / f"figures/{kind}-official.svg").read_text(encoding="utf-8"), kind
    assert "failed" in (folder / "figures/panels.svg").read_text(encoding="utf-8")


def test_a_collapsed_run_is_marked(folder):
    for kind in ("metrics", "curves", "scores", "repair"):
        assert "collapsed" in (folder / f"figures/{kind}-official.svg").read_text(encoding="utf-8"), kind


def test_figures_follow_the_theme(html_page, folder):
    assert "var(--run-1, #0071b2)" in html_page
    assert "--run-1:#4aa5e6" in html_page
    assert "--run-1:#4aa5e6" in (folder / "figures/metrics-official.svg").read_text(encoding="utf-8")


def test_runs_that_differ_in_targets_only_share_a_plot(story):
    found = runs.looks(story)
    single, multi = found["LoRA-Full"], found["LoRA-Multi-Full"]
    assert (
        (single.facet, single.colour) == (multi.facet, multi.colour) == ("data Full · adapter LoRA", single.colour)
    )
    assert single.line != multi.line
    assert len({look.colour for look in found.values()}) == 4


def test_one_panel_has_no_comparison_of_panels_and_without_before_no_repair(plain):
    assert figures.leak_figure(plain) is None
    assert list(figures.panel_figures(plain, "")) == ["metrics", "curves", "scores", "learning"]


def test_a_study_whose_runs_all_failed_still_has_a_report(tmp_path):
    lost = make_study(cases=CASES[:2], states=[(name_of(*case), "failed") for case in CASES[:2]], n_mistakes=0)
    write_study(dataclasses.replace(lost, pairs=(), mistakes=()), tmp_path)
    text = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "So far, no run came to a model that works." in text
    assert "Of 2 runs, none collapsed and 2 failed (Baseline-Sampled, LoRA-Sampled)." in text
    assert sorted(path.name for path in (tmp_path / "figures").glob("*.svg")) == ["metrics.svg"]


def test_scores_that_are_all_alike_are_drawn(plain):
    examples, _ = rows(160)
    flat = evaluate(examples, np.full(160, 1e-9), "toxicity", 0.5, "0.5", SETTINGS, 0, official=True)
    run = dataclasses.replace(
        plain.runs[0],
        state="collapsed",
        evaluations=(flat,),
        learned=(flat,),
        summary=summarised([flat]),
        histories=((),),
    )
    story = dataclasses.replace(plain, runs=(run,))
    assert sentences.headline(story) == "So far, no run came to a model that works."
    assert list(figures.panel_figures(story, "")) == ["metrics", "curves", "scores"]


# ── sentences ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_best_run_is_not_called_best_of_what_it_cannot_be_told_from(plain):
    first, second = plain.runs
    [pair] = make_study(cases=CASES[:2], seeds=(0,)).pairs
    equal = tuple(dataclasses.replace(item, verdict="not distinguishable") for item in pair.comparisons)
    told = tuple(
        sentences.rivals(dataclasses.replace(plain, pairs=(dataclasses.replace(pair, comparisons=equal),)))
    )
    better = max((first, second), key=lambda run: run.validation_auprc)
    other = second if better is first else first
    assert told == (f"In AUPRC, {better.name} is not distinguishable from {other.name}.",)
    assert tuple(sentences.rivals(plain)) == ()


def test_test_rows_choose_no_run(plain):
    first, second = plain.runs[:2]
    luckier = max((first, second), key=lambda run: run.summary["F"]["auprc"].value)
    other = second if luckier is first else first
    runs = (
        dataclasses.replace(luckier, validation_auprc=0.7),
        dataclasses.replace(other, validation_auprc=0.8),
    )
    assert sentences.headline(dataclasses.replace(plain, runs=runs)).startswith(f"{other.name} comes first")


def test_one_run_alone_is_not_the_best(plain):
    alone = dataclasses.replace(plain, runs=plain.runs[:1])
    assert sentences.headline(alone).startswith("Baseline-Sampled reaches AUPRC")
    assert sentences.states(alone) == "Of 1 run, none collapsed and none failed."


def test_differences_shares_and_p_values_are_written_the_short_way():
    gap = "\N{NO-BREAK SPACE}"
    assert [phrases.signed(value) for value in (0.0123, -0.02, 0.0002, math.nan)] == ["+.012", "-.020", ".000", EN]
    assert phrases.signed_bracket(Interval(0.0, -0.003, 0.027)) == "[-.003 to +.027]"
    assert phrases.signed_bracket(NAN) == ""
    assert [phrases.share(value) for value in (0.144, 0.0031, 0.0, math.nan)] == [
        f"14{gap}%",
        f"0.31{gap}%",
        f"0{gap}%",
        EN,
    ]
    assert [phrases.p_value(value) for value in (0.0002, 0.0341, 1.0)] == [f"<{gap}.001", ".034", "1.000"]
    assert [phrases.listed(names) for names in ((), ("A",), ("A", "B"), ("A", "B", "C"))] == [
        "",
        "A",
        "A and B",
        "A, B and C",
    ]
    assert (phrases.spread(0.004), phrases.spread(math.nan)) == (f"±{gap}.004", "")
    assert (phrases.speed(math.nan), phrases.megabytes(None)) == (EN, EN)
