"""The report says what was measured, to people, in one file."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import math
import re
import sys

import matplotlib
import numpy as np
import pytest
import yaml

from adaptox import report
from adaptox.adapt.worse import told_if_worse
from adaptox.config import EvaluateConfig, parse
from adaptox.errors import DataError, MissingExtraError, StorageError
from adaptox.evaluate import Provenance, evaluate, to_json
from adaptox.evaluate.values import Interval
from adaptox.records import Conversation, Example, Origin
from adaptox.report import figures, mistakes, page, phrases, results, tables, written
from adaptox.report.card import card_licence, licence_sentence

EN = "\N{EN DASH}"
NASTY = "<script>alert('you & me')</script><img src=http://example.org/x onerror=alert(1)> | *bold* [a](b)"
SETTINGS = EvaluateConfig(resamples=100)


def rows(n, seed, positive_share=0.07):
    draw = np.random.default_rng(seed)
    truth = draw.random(n) < positive_share
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


def scored(examples, truth, seed, skill=1.0, threshold=0.371, official=True):
    draw = np.random.default_rng(seed)
    logits = np.where(truth, draw.normal(1.6 * skill, 1.7, len(truth)), draw.normal(-3.4, 1.2, len(truth)))
    probs = 1 / (1 + np.exp(-logits))
    return evaluate(examples, probs, "toxicity", threshold, "val: best F1", SETTINGS, 0, official)


def make_story(n=400, n_positive=None, baseline=True, evaluated_on="the official test split", history=True):
    examples, truth = rows(n, 1, 0.07 if n_positive is None else n_positive / n)
    evaluation = scored(examples, truth, 2)
    seen = scored(*rows(n // 2, 3), 4, official=False)
    before = scored(examples, truth, 5, skill=-0.4, threshold=0.5)
    texts = {
        example.id: f"{NASTY} How would somebody write a rude poem about neighbour {index}? "
        + "word " * (index % 90)
        for index, example in enumerate(examples)
        if index % 7
    }
    log = [
        {"loss": 0.7 * math.exp(-step / 300) + 0.06, "learning_rate": 7e-5, "step": step, "epoch": step / 200}
        for step in range(20, 1001, 20)
    ]
    log += [
        {
            "eval_loss": 0.2 - 0.02 * epoch + 0.006 * epoch**2,
            "eval_auprc": 0.93 - 0.3 / epoch**1.5 - 0.02 * epoch,
            "step": 200 * epoch,
        }
        for epoch in range(1, 6)
    ]
    return report.RunStory(
        title="toxic-chat <lora>",
        evaluation=evaluation,
        evaluated_on=evaluated_on,
        validation=seen,
        baseline=before if baseline else None,
        history=tuple(log) if history else (),
        texts=texts,
        manifest={
            "rows": 10165,
            "splits": {
                "train": {"rows": 4319, "positive": 327, "unknown": 0},
                "validation": {"rows": 763, "positive": 57},
                "test": {"rows": 5083, "positive": 362},
            },
            "dropped": {"repeat": 12, "short": 3, "language": {"count": 4, "examples": ["row-1", "<b>"]}},
            "leak": {"rows": 310, "share": 0.061},
            "steps": [
                {"name": "repeats", "before": {"rows": 9, "positive": 2}, "after": {"rows": 8, "positive": 0}}
            ],
            "checks": [{"name": "no family crosses", "ok": True}, {"name": "hash", "ok": None}],
            "deep": [[1, 2], [3, 4]],
            "sha256": "a" * 64,
        },
        origins=(
            Origin(
                "toxic-chat",
                "lmsys/toxic-chat",
                "CC-BY-NC-4.0",
                "https://huggingface.co/datasets/lmsys/toxic-chat",
                "b" * 64,
                10165,
                ("Half of the rows were screened automatically.",),
            ),
            Origin("table", "more | rows.csv", "unknown", "javascript:alert(1)", "", 12),
        ),
        provenance=Provenance(
            data_sha256="c" * 64,
            model={"name": "toxic-chat", "base": "nreimers/MiniLM-L6", "parameters": 22713601, "trainable": 370000},
            seed=0,
            hardware="Intel Xeon, 2 cores, 8 GB",
            commit="0.1.0 (1a2b3c4)",
            config=parse({}).model_dump(mode="json"),
        ),
        training=report.TrainingFacts(
            492.4, 51.3, 1350, 800, 0.861, 370000, 22713601, "bf16", 2712.5, {"toxicity": "toxic"}
        ),
        notes=("310 test rows have a near-copy in train.", "Second <note>."),
        command="adaptox train configs/toxic-chat-lora.toml --out runs/lora",
    )


def test_all_rows_are_those_that_were_evaluated():
    story = make_story(evaluated_on="the held-out test part")
    story = dataclasses.replace(story, evaluation=scored(*rows(400, 1), 2, official=False))
    assert page.metric_rows(story, ["f1"])[0].description == "the held-out test part"
    assert "| all: the held-out test part |" in report.model_card(story)
    assert "all rows" not in report.model_card(story)


@pytest.fixture(scope="module")
def story():
    return make_story()


@pytest.fixture(scope="module")
def folder(story, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    report.write(story, folder)
    return folder


@pytest.fixture(scope="module")
def html_page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


class Outline(html.parser.HTMLParser):
    """Collects tags, ids and references, and checks that tags are closed."""

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
        self.references += [
            (tag, value) for name, value in attrs if name in ("href", "src", "xlink:href", "srcset")
        ]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("train", "curves", "said"),
    [
        (
            {"average": 1},
            {"eval_auprc": ([1, 2], [0.5, 0.6])},
            r"^The weights of step [\d,]+ were kept: the best AUPRC",
        ),
        ({"average": 1, "keep_best": False}, {"eval_auprc": ([1], [0.5])}, "the last, as the settings ask"),
        ({"average": 4}, {"eval_auprc": ([1, 2], [0.5, 0.6])}, "^The mean weights of 2 checkpoints were kept"),
        ({"average": 4}, {}, "mean weights of 4 checkpoints were kept: the last, since no row was left"),
        (
            {"soup": 3},
            {"eval_auprc": ([1], [0.5])},
            "This is the first of 3 trainings, whose weights were averaged",
        ),
    ],
)
def test_a_report_says_which_weights_were_kept(story, train, curves, said):
    provenance = dataclasses.replace(story.provenance, config={"train": train})
    told = figures._kept(dataclasses.replace(story, provenance=provenance), curves)
    assert re.search(said, told), told


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_folder_gets_page_markdown_and_figures(folder):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    drawn = ("learning", "precision-recall", "reliability", "scores")
    assert names == [*sorted(f"figures/{n}.{e}" for n in drawn for e in ("png", "svg")), "report.html", "report.md"]


def test_the_page_has_every_section(html_page):
    for section in ("results", "figures", "mistakes", "training", "data", "reproduce"):
        assert f'<section id="{section}">' in html_page
    for words in (
        "of toxic prompts and is right in",
        "Before adaptation",
        "310 test rows have a near-copy",
        "rows annotated by a person",
        "attempts to talk a chatbot out of its rules",
        "CC-BY-NC-4.0",
        "no family crosses",
        "adaptox train configs/toxic-chat-lora.toml",
        "8\N{NO-BREAK SPACE}min 12\N{NO-BREAK SPACE}s",
        "Intel Xeon, 2 cores",
        "the threshold with the best F1 on validation rows",
    ):
        assert words in html_page, words


def test_the_page_is_well_formed_and_its_ids_differ(html_page):
    outline = Outline(html_page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))


def test_the_page_loads_nothing_from_elsewhere(html_page):
    outline = Outline(html_page)
    outside = [(tag, value) for tag, value in outline.references if not value.startswith("#")]
    assert outside == [("a", "https://huggingface.co/datasets/lmsys/toxic-chat")]
    assert not {"script", "link", "img", "iframe", "object"} & set(outline.tags)
    assert not [name for name in outline.attributes if name.startswith("on")]
    assert "@import" not in html_page
    assert set(re.findall(r"url\(([^)]{1,3})", html_page)) <= {f"#{start}" for start in ("pr", "sc", "re", "le")}
    assert len(html_page) < 1_500_000


def test_references_inside_figures_are_kept(html_page):
    outline = Outline(html_page)
    inside = {value[1:] for tag, value in outline.references if tag == "use"}
    assert inside
    assert inside <= set(outline.ids)


def test_every_text_is_escaped(html_page):
    assert "<script>" not in html_page
    assert "toxic-chat &lt;lora&gt;" in html_page
    assert "Second &lt;note&gt;." in html_page
    assert "javascript:" not in html_page
    assert "&lt;script&gt;alert(&#39;you &amp; me&#39;)" in html_page


def test_texts_of_mistakes_stand_behind_a_click(html_page):
    body = re.sub(r"<details>.*?</details>", "", html_page, flags=re.DOTALL)
    assert "rude poem" in html_page
    assert "rude poem" not in body
    assert "can be offensive" in body


def test_figures_follow_the_theme(html_page, folder):
    assert "currentColor" in html_page
    assert "var(--positive, #d55e00)" in html_page
    assert "prefers-color-scheme:dark" in (folder / "figures/scores.svg").read_text(encoding="utf-8")
    assert "DejaVu" not in html_page


def test_the_same_story_gives_the_same_bytes(story, folder, tmp_path):
    report.write(story, tmp_path)
    for path in folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes(), path.name


def test_drawing_leaves_the_callers_matplotlib_settings_alone(story):
    with matplotlib.rc_context({"font.size": 31, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        figures.draw_all(story)
        assert dict(matplotlib.rcParams) == before


def test_markdown_holds_the_numbers_and_no_text_of_an_example(folder):
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "rude poem" not in text
    assert "![Learning curves](figures/learning.png)" in text
    assert "| rows | n (positive) | AUPRC | F1 | precision | recall |\n| --- | ---: |" in text
    assert "more \\| rows.csv" in text
    assert "toxic-chat &lt;lora&gt;" in text
    assert "<b>" not in text
    assert "\n\n\n" not in text


# ── stories with gaps ────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_baseline_nothing_speaks_of_before():
    story = make_story(120, baseline=False)
    text = page.render_html(story, figures.draw_all(story))
    assert "before adaptation" not in text.lower()


def test_without_a_log_there_are_no_learning_curves():
    drawn = [drawing.name for drawing in figures.draw_all(make_story(120, history=False))]
    assert drawn == ["precision-recall", "scores", "reliability"]


def test_on_validation_the_page_says_that_the_numbers_are_too_good():
    story = make_story(120, evaluated_on="validation")
    text = page.render_html(dataclasses.replace(story, validation=story.evaluation), ())
    assert "on these same rows" in text
    assert "on which the weights and the threshold were chosen" not in text


def test_rows_of_one_class_give_dashes_and_a_sentence(tmp_path):
    report.write(make_story(60, n_positive=0), tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "There were no toxic prompts among the 60 rows" in text
    assert f"<b>{EN}</b>" in text
    assert ">nan" not in text
    assert not (tmp_path / "figures/precision-recall.svg").exists()


def test_a_model_that_raises_no_alarm_is_described():
    quiet = make_story(120)
    silent = scored(*rows(120, 1), 2, threshold=1.1)
    assert "raises no alarm at all" in phrases.headline(silent)
    text = page.render_html(dataclasses.replace(quiet, evaluation=silent, texts={}), ())
    assert "None." in text
    assert "The text was not kept." in text


def test_equal_scores_are_drawn(tmp_path):
    examples, _ = rows(60, 1, 0.3)
    flat = evaluate(examples, np.full(60, 0.5), "toxicity", 0.5, "0.5", SETTINGS, 0)
    report.write(dataclasses.replace(make_story(60), evaluation=flat, baseline=None), tmp_path)
    assert "the threshold was set, not learned" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_scores_of_exactly_zero_and_one_are_drawn():
    examples, truth = rows(60, 1, 0.3)
    sure = evaluate(examples, truth.astype(float), "toxicity", 0.0, "0.5", SETTINGS, 0)
    drawings = figures.draw_all(dataclasses.replace(make_story(60), evaluation=sure, baseline=None))
    assert len(drawings) == 4


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_write_is_one_sentence_and_leaves_no_part_behind(story, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(written.os, "replace", full)
    with pytest.raises(StorageError, match="the disk is full"):
        report.write(story, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("package", ["matplotlib", "jinja2", "huggingface_hub"])
def test_a_missing_package_is_named_with_its_extra(package, story, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*adaptox\[train\]"):
        report.model_card(story) if package == "huggingface_hub" else report.write(story, tmp_path)
    assert list(tmp_path.iterdir()) == []


# ── words and mistakes ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.785, ".785"), (1.0, "1.000"), (0.0, ".000"), (-0.02, "-.020"), (-0.0001, ".000"), (math.nan, EN)],
)
def test_numbers_are_written_the_short_way(value, text):
    assert phrases.number(value) == text


def test_an_interval_without_ends_is_its_number():
    assert phrases.with_interval(Interval(0.5, math.nan, math.nan)) == ".500"
    assert phrases.percent(Interval(0.5, math.nan, math.nan)) == "50\N{NO-BREAK SPACE}%"
    assert phrases.percent(Interval(math.nan, 0.1, 0.2)) == EN


def test_parameters_and_durations_are_readable():
    gap = "\N{NO-BREAK SPACE}"
    assert [phrases.parameters(n) for n in (0, 999, 13_000, 22_713_601, 7 * 10**9, 125 * 10**6)] == [
        "0",
        "999",
        f"13.0{gap}k",
        f"22.7{gap}M",
        f"7.0{gap}B",
        f"125{gap}M",
    ]
    assert [phrases.duration(s) for s in (4.2, 59.7, 7300, math.nan)] == [
        f"4{gap}s",
        f"1{gap}min 0{gap}s",
        f"2{gap}h 1{gap}min",
        EN,
    ]


def test_mistakes_are_the_surest_ones_first_and_counted(story):
    worst = mistakes.worst_mistakes(story.evaluation, story.texts, each=3)
    rows_of = story.evaluation.rows
    negatives = np.sort(rows_of.probs[rows_of.truth == 0])[::-1]
    positives = np.sort(rows_of.probs[rows_of.truth == 1])
    assert [item.score for item in worst.false_alarms] == negatives[: len(worst.false_alarms)].tolist()
    assert [item.score for item in worst.misses] == positives[: len(worst.misses)].tolist()
    counted = mistakes.outcomes(story.evaluation)
    assert (worst.all_false_alarms, worst.all_misses) == (counted.false_alarms, counted.missed)
    assert counted.found + counted.missed == story.evaluation.main.positives
    assert sum(dataclasses.astuple(counted)) == story.evaluation.main.n


def test_a_long_text_is_cut_and_says_so(story):
    long = {name: "x" * 10_000 for name in story.evaluation.rows.ids}
    cut = mistakes.worst_mistakes(story.evaluation, long).misses[0]
    assert len(cut.text) + cut.omitted == 10_000
    assert len(page.render_html(dataclasses.replace(story, texts=long), ())) < 500_000


def test_where_there_are_too_few_families_no_brackets_are_promised():
    examples, truth = rows(60, 1, 0.3)
    few = tuple(dataclasses.replace(item, group=f"family-{index % 5}") for index, item in enumerate(examples))
    said = phrases.confidence_sentence(scored(few, truth, 2, official=False))
    assert said == "There are no intervals, as the rows are of fewer than 6 prompt families."
    one = tuple(dataclasses.replace(item, twin=index > 3) for index, item in enumerate(examples))
    said = phrases.confidence_sentence(scored(one, truth, 2))
    assert said.startswith("Brackets are 95")
    assert said.endswith("There are none for T and jailbreak, whose rows are of fewer than 6 prompt families.")
    assert "none" not in phrases.confidence_sentence(scored(*rows(400, 1), 2))


# ── before and after ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_is_worse_than_its_base_is_told_as_such_with_intervals(story):
    settings = parse({"evaluate": {"resamples": 100}})
    assert told_if_worse(story, settings) == story
    swapped = dataclasses.replace(story, evaluation=story.baseline, baseline=story.evaluation)
    note, *others = told_if_worse(swapped, settings).notes
    assert tuple(others) == story.notes
    assert re.search(r"worse than its base on the same rows: AUPRC -\.\d+ \[-\.\d+ to -\.\d+\]", note)
    alone = dataclasses.replace(swapped, baseline=None)
    assert told_if_worse(alone, settings) == alone


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_nested_facts_become_flat_tables(story):
    made = {table.title: table for table in tables.nested_tables(story.manifest)}
    assert list(made) == ["", "splits", "dropped", "dropped · language", "leak", "steps", "checks", "deep"]
    assert made["splits"].header == ("", "rows", "positive", "unknown")
    assert made["splits"].rows[1] == ("validation", "763", "57", EN)
    assert made["checks"].rows == (("no family crosses", "yes"), ("hash", EN))
    assert made["steps"].rows == (("repeats", "rows 9, positive 2", "rows 8"),)
    assert made["deep"].rows == (("1", "1, 2"), ("2", "3, 4"))
    assert made["dropped"].rows == (("repeat", "12"), ("short", "3"))


def test_deeply_nested_facts_are_told_too():
    made = tables.nested_tables({"a": {"b": {"c": {"d": [{"e": 1}, 2]}}}, "empty": {}, "none": [], "nan": math.nan})
    assert [table.title for table in made] == ["", "a · b · c · d", "a · b · c · d · 1"]
    assert made[0].rows == (("empty", EN), ("none", EN), ("nan", EN))


def test_the_facts_of_the_data_are_told_in_a_readers_words():
    leak = {"rows": 3, "positive": 1, "of_rows": 1200, "of_positive": 40}
    facts = page.data_facts(
        {
            "target": "toxicity",
            "config": {"prepare": {}},
            "families": {"number": 7, "largest": 2, "in_several_rows": 1, "rows_in_several": 2},
            "twins": None,
            "test_leak": {**leak, "of_rows": 0},
            "validation_leak": leak,
            "rows": 9,
        }
    )
    assert facts == {
        "label": "toxicity",
        "near-copies": {
            "families (rows that are near-copies of each other, or one row)": 7,
            "rows of the largest family": 2,
            "families of several rows": 1,
            "rows in families of several": 2,
        },
        "validation rows with a near-copy among training rows": "3 of 1,200 rows, 1 of 40 positive",
        "rows": 9,
    }


# ── the README's tables ──────────────────────────────────────────────────────────────────────────────────────


def test_results_are_rendered_from_committed_files(story, tmp_path):
    written_json = to_json(story.evaluation, story.provenance)
    before = to_json(story.baseline, story.provenance)
    written_json |= {"evaluated_on": story.evaluated_on, "baseline": before}
    for name in ("full", "lora"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(written_json), encoding="utf-8")
    lines = report.render_results(tmp_path).replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert len(lines) == 2 + 2 * (1 + len(story.evaluation.slices))
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert lines[2].startswith("| full, before | F | 400 (")
    assert lines[3].startswith("| full | F: the official test split | 400 (")
    assert lines[3].endswith("| .371 (val: best F1) | 22.7 M (370 k) | Intel Xeon, 2 cores, 8 GB |")
    assert lines[4].startswith("|  | H |")
    assert phrases.with_interval(story.evaluation.main.metrics["auprc"]) in lines[3]


def test_undefined_results_are_dashes(tmp_path):
    empty = {"value": None, "low": None, "high": None}
    content = {
        "slices": {"all": {"n": 3, "positives": 0, "f1": empty}},
        "threshold": {"value": 0.5, "origin": "0.5"},
        "model": {},
        "hardware": "one core",
    }
    (tmp_path / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    dashes = " | ".join([EN] * 4)
    assert f"| all | 3 (0) | {dashes} | .500 (0.5) | {EN} ({EN}) | one core |" in report.render_results(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"slices": {"F": 3}}', '{"slices": {"F": {"n": "x"}}}'])
def test_a_damaged_result_file_is_named(content, tmp_path):
    (tmp_path / "metrics.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="as train writes it"):
        results.render_results(tmp_path)


def test_no_result_file_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="found none"):
        report.render_results(tmp_path)


def test_a_block_replaces_what_stands_between_its_markers():
    text = "top\n<!-- results:one -->\nold\n<!-- /results:one -->\n<!-- results:two --><!-- /results:two -->\nend\n"
    once = report.insert_between_markers(text, "one", "| new |\n")
    assert once == text.replace("old", "| new |")
    assert report.insert_between_markers(once, "one", "| new |\n") == once
    assert "two -->\nx\n<!-- /results:two" in report.insert_between_markers(text, "two", "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- results:one -->",
        "<!-- /results:one --><!-- results:one -->",
        "<!-- results:one --><!-- /results:one -->" * 2,
    ],
)
def test_markers_that_are_not_there_once_are_an_error(text):
    with pytest.raises(DataError, match="once each"):
        report.insert_between_markers(text, "one", "x")


# ── the model card ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_model_card_has_front_matter_that_parses(story):
    card = report.model_card(story)
    _, front, body = card.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["license"] == "cc-by-nc-4.0"
    assert facts["pipeline_tag"] == "text-classification"
    # Of two sources nobody knows which one a row came from.
    assert {result["dataset"]["type"] for result in facts["model-index"][0]["results"]} == {"custom"}
    assert facts["base_model"] == "nreimers/MiniLM-L6"
    [model] = facts["model-index"]
    assert model["name"] == "toxic-chat <lora>"
    found = [metric for result in model["results"] for metric in result["metrics"] if metric["type"] == "f1"]
    assert found[0]["value"] == round(story.evaluation.main.metrics["f1"].value, 4)
    for words in (
        "## Intended use",
        "## Limits",
        "may not be used commercially",
        "licence of some data is unknown",
    ):
        assert words in body
    assert "rude poem" not in card


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("val: best expected F1", "the best expected F1 on validation rows; the test rows had no say in it."),
        (
            "val: best expected F1, 3 folds",
            "F1 on training rows, in 3 folds, each scored by a model that did not see it;",
        ),
    ],
)
def test_where_the_threshold_came_from_is_a_sentence(story, origin, words):
    told = phrases.threshold_sentence(dataclasses.replace(story.evaluation, origin=origin), tested=True)
    assert words in told


@pytest.mark.parametrize(
    ("threshold", "text"), [(0.4296, ".430"), (0.0, ".000"), (0.00034, "3.4e-04"), (1.0, "1.000")]
)
def test_a_threshold_close_to_nothing_is_not_nothing(threshold, text):
    assert phrases.cut(threshold) == text


def test_the_model_card_of_a_head_that_transformers_cannot_read_says_so(story):
    assert "not its windows, calibration, thresholds and words." in report.model_card(story)
    model = {**story.provenance.model, "pooling": "mean"}
    card = report.model_card(
        dataclasses.replace(
            story, origins=story.origins[:1], provenance=dataclasses.replace(story.provenance, model=model)
        )
    )
    assert "make up a pooler with random weights" in card
    facts = yaml.safe_load(card.split("---\n", 2)[1])
    assert "pipeline_tag" not in facts
    assert facts["model-index"][0]["results"][0]["dataset"]["type"] == "lmsys/toxic-chat"


def test_the_model_card_of_one_class_has_no_undefined_number():
    assert ".nan" not in report.model_card(make_story(60, n_positive=0)).lower()


def test_a_path_on_this_disk_is_nobodys_repository(story, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rows.csv").touch()
    monkeypatch.chdir(tmp_path)
    told = {**story.provenance.model, "base": "mine/rows.csv"}
    provenance = dataclasses.replace(story.provenance, model=told)
    origins = (Origin("table", "mine/rows.csv", "MIT", "", "", 1), *story.origins)
    card = report.model_card(dataclasses.replace(story, origins=origins, provenance=provenance))
    facts = yaml.safe_load(card.split("---\n", 2)[1])
    assert "base_model" not in facts
    assert "mine/rows.csv" not in facts["datasets"]


def origin(licence):
    return Origin("table", "data.csv", licence, "", "", 1)


@pytest.mark.parametrize(
    ("licences", "identifier", "words"),
    [
        (["Apache-2.0"], "apache-2.0", "The licence of the base"),
        (["Apache-2.0", "MIT"], "other", "The licence of the base"),
        (["Apache-2.0", "CC-BY-NC-4.0"], "cc-by-nc-4.0", "may not be used commercially"),
        (["free for non-commercial research"], "other", "may not be used commercially"),
        (["CC-BY-SA-3.0"], "cc-by-sa-3.0", "Share-alike"),
        (["unknown"], "other", "find it out"),
        ([""], "other", "find it out"),
        ([], "other", "The licence of the base"),
    ],
)
def test_the_licences_of_the_data_bind_the_weights(licences, identifier, words):
    origins = [origin(licence) for licence in licences]
    assert card_licence(origins) == identifier
    assert words in licence_sentence(origins)
