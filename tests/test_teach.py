"""A bundle as teacher: its scores, how they are kept, and how far they agree with scores that were there."""

from __future__ import annotations

import io
import logging
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.stats

import adaptox
import tiny
from adaptox.adapt import adapt
from adaptox.config import EvaluateConfig
from adaptox.errors import BundleError, DataError, MissingExtraError
from adaptox.evaluate.resample import draw_weights
from adaptox.records import Conversation, Example
from adaptox.scorers import TorchScorer
from adaptox.teach import Taught, kept, teach
from adaptox.teach.agreement import _rank_correlation

MEASURE = EvaluateConfig(resamples=100)
TEXTS = ("hello you", "you stupid idiot", "please write the story", "tea cup garden river", "stupid " * 90)


@pytest.fixture(scope="module")
def bundle(tiny_bert, tmp_path_factory) -> Path:
    """Train a tiny bundle on two labels."""
    folder = tmp_path_factory.mktemp("teacher")
    rows = [(text, rude, int("tea" in text)) for text, rude in tiny.texts()]
    data = tiny.write_csv(folder / "rows.csv", rows, ("text", "toxicity", "tea"))
    columns = {"text": "text", "labels": {"toxicity": "toxicity", "hate/threatening": "tea"}}
    config = tiny.settings(
        tiny_bert,
        data,
        sources=[{"path": str(data), "columns": columns}],
        labels=["toxicity", "hate/threatening"],
        train={"epochs": 1, "allow_collapse": True},
    )
    adapt(config, folder / "run")
    return folder / "run" / "bundle"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Keep every test's scores in a folder of its own."""
    monkeypatch.setenv("ADAPTOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """List what the network is given to score."""
    texts: list[str] = []
    plain = TorchScorer.score

    def counting(self, conversations, *more):
        texts.extend(conversation.turns[0].content for conversation in conversations)
        return plain(self, conversations, *more)

    monkeypatch.setattr(TorchScorer, "score", counting)
    return texts


def examples(texts=TEXTS, **fields):
    return [Example(str(n), Conversation.of(text), {"toxicity": 0}, **fields) for n, text in enumerate(texts)]


def taught(bundle, rows, targets=("toxicity",), **more):
    return teach(rows, bundle, targets, MEASURE, 0, **more)


def scores(result, name="toxicity"):
    return [example.teacher[name] for example in result.examples]


def kept_file(cache) -> Path:
    (file,) = (cache / "teacher").iterdir()
    return file


# --- scores


def test_soft_targets_are_the_calibrated_probabilities_that_the_bundle_gives(bundle):
    verdicts = adaptox.load(bundle).score(TEXTS)
    assert len({verdict.scores["toxicity"] for verdict in verdicts}) == len(TEXTS)
    assert any(verdict.windows > 1 for verdict in verdicts)
    result = taught(bundle, examples(), ["hate/threatening", "toxicity"])
    assert [dict(example.teacher) for example in result.examples] == [
        pytest.approx(dict(verdict.scores), rel=1e-9) for verdict in verdicts
    ]


def test_only_the_teacher_changes_and_only_the_targets_are_in_it(bundle):
    rows = examples(teacher={"violence": 0.5, "toxicity": 0.1}, group="family", split="train", source="mine")
    result = taught(bundle, rows)
    assert [set(example.teacher) for example in result.examples] == [{"toxicity"}] * len(rows)
    assert [replace(example, teacher={}) for example in result.examples] == [
        replace(row, teacher={}) for row in rows
    ]
    assert [dict(row.teacher) for row in rows] == [{"violence": 0.5, "toxicity": 0.1}] * len(rows)


def test_conversations_are_scored_with_all_their_turns(bundle):
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "you stupid idiot"}]
    long, short = (Example(name, Conversation.of(value), {}) for name, value in (("a", turns), ("b", "hello")))
    first, second = scores(taught(bundle, [long, short]))
    (verdict,) = adaptox.load(bundle).score([turns])
    assert first == pytest.approx(verdict.scores["toxicity"], rel=1e-6)
    assert first != second


def test_no_examples_are_taught_nothing(bundle, scored):
    assert taught(bundle, []) == Taught((), ())
    assert scored == []


def test_an_unknown_target_names_the_nearest_label_before_any_scoring(bundle, scored):
    with pytest.raises(DataError, match=r"gives no score for 'hate/threat': did you mean 'hate/threatening'\?"):
        taught(bundle, examples(), ["toxicity", "hate/threat"])
    assert scored == []


def test_a_folder_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"found no bundle\.json"):
        taught(tmp_path, examples())


def test_without_pyarrow_the_extra_is_named(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"teach needs .*'pyarrow'.*adaptox\[train\]"):
        taught(bundle, examples())


def test_progress_counts_the_conversations_that_have_to_be_scored(bundle, monkeypatch):
    monkeypatch.setattr(kept, "_CHUNK", 2)
    taught(bundle, examples(TEXTS[:1]))
    told = []
    taught(bundle, examples(), progress=lambda *report: told.append(report))
    assert told[-1] == ("teacher", 4, 4)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


# --- what is kept


def test_what_was_scored_once_is_not_scored_again(bundle, scored):
    first = taught(bundle, examples())
    assert sorted(scored) == sorted(TEXTS)
    scored.clear()
    assert taught(bundle, examples()) == first
    # The other label was scored along.
    other = taught(bundle, examples(), ["hate/threatening"])
    assert scored == []
    assert scores(other, "hate/threatening") != scores(first)


def test_added_rows_alone_are_scored(bundle, scored, cache):
    first = taught(bundle, examples(TEXTS[:3]))
    scored.clear()
    second = taught(bundle, examples(TEXTS[::-1]))
    assert sorted(scored) == sorted(TEXTS[3:])
    assert scores(second)[::-1][:3] == scores(first)
    scored.clear()
    taught(bundle, examples(TEXTS[:1]))
    taught(bundle, examples())
    assert scored == []
    assert kept_file(cache).suffix == ".parquet"


def test_a_text_that_occurs_twice_is_scored_once(bundle, scored):
    result = taught(bundle, examples(["hello", "you", "hello"]))
    assert sorted(scored) == ["hello", "you"]
    assert scores(result)[0] == scores(result)[2]


def test_each_bundle_has_a_file_of_its_own(bundle, tiny_bert, tmp_path, scored, cache):
    data = tiny.write_csv(tmp_path / "rows.csv", tiny.texts())
    adapt(tiny.settings(tiny_bert, data, train={"epochs": 1, "allow_collapse": True}), tmp_path / "run")
    first = taught(bundle, examples())
    scored.clear()
    second = taught(tmp_path / "run" / "bundle", examples())
    assert sorted(scored) == sorted(TEXTS)
    assert scores(first) != scores(second)
    assert len(list((cache / "teacher").iterdir())) == 2


def test_the_folder_can_be_given_and_is_in_the_home_folder_by_default(bundle, tmp_path, monkeypatch, cache):
    taught(bundle, examples(), cache=tmp_path / "given")
    assert kept_file(tmp_path / "given")
    assert not cache.exists()
    monkeypatch.delenv("ADAPTOX_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    taught(bundle, examples())
    assert kept_file(tmp_path / "home" / ".cache" / "adaptox")


def cut(content):
    return content[: len(content) // 2]


def other_columns(_):
    return parquet({"conversation": ["x"], "scores": [[0.5, 0.5]]})


def another_width(_):
    return parquet({"conversation": ["x"], "probs": [[0.5]]})


def no_probabilities(_):
    return parquet({"conversation": ["x"], "probs": [[0.5, math.nan]]})


def parquet(columns):
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "damage",
    [cut, lambda _: b"", lambda _: b"nonsense", other_columns, another_width, no_probabilities],
    ids=["cut", "empty", "nonsense", "other columns", "another width", "no probabilities"],
)
def test_a_damaged_file_is_made_again(bundle, scored, cache, damage, caplog):
    first = taught(bundle, examples())
    file = kept_file(cache)
    file.write_bytes(damage(file.read_bytes()))
    scored.clear()
    again = taught(bundle, examples())
    assert sorted(scored) == sorted(TEXTS)
    assert scores(again) == pytest.approx(scores(first), rel=1e-6)
    assert "is damaged, so the teacher scores its rows again" in caplog.text
    scored.clear()
    assert taught(bundle, examples()) == again
    assert scored == []


def test_no_flipped_byte_gives_another_score(bundle, cache):
    first = taught(bundle, examples())
    file = kept_file(cache)
    whole = file.read_bytes()
    for position in range(0, len(whole), 97):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert scores(taught(bundle, examples())) == pytest.approx(scores(first), rel=1e-6), position


class Killed(BaseException):
    """Ends the process, as far as the code can tell."""


@pytest.mark.parametrize("moment", ["while it is written", "before it is in place"])
def test_a_kill_while_writing_leaves_the_older_file(bundle, scored, cache, monkeypatch, moment):
    taught(bundle, examples(TEXTS[:2]))
    before = kept_file(cache).read_bytes()

    def write_half(_, place, **__):
        Path(place).write_bytes(before[:50])
        raise Killed

    def no_replace(*_):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "while it is written":
            patch.setattr("pyarrow.parquet.write_table", write_half)
        else:
            patch.setattr(os, "replace", no_replace)
        with pytest.raises(Killed):
            taught(bundle, examples())
    assert kept_file(cache).read_bytes() == before
    scored.clear()
    taught(bundle, examples())
    assert sorted(scored) == sorted(TEXTS[2:])


def test_a_stopped_scoring_keeps_what_it_came_to(bundle, scored, monkeypatch):
    monkeypatch.setattr(kept, "_CHUNK", 2)

    def stop(stage, done, total):
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(bundle, examples(), progress=stop)
    scored.clear()
    taught(bundle, examples())
    assert len(scored) == len(TEXTS) - 2


def test_a_folder_that_cannot_be_written_ends_no_run(bundle, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        result = taught(bundle, examples(), cache=tmp_path / "file")
    assert len(result.examples) == len(TEXTS)
    assert "cannot keep the teacher's scores" in caplog.text
    assert "set ADAPTOX_CACHE" in caplog.text


# --- agreement


def test_agreement_is_spearmans_correlation_over_the_rows_that_had_a_score(bundle):
    generator = np.random.default_rng(0)
    texts = [text for text, _ in tiny.texts(40)]
    had = [round(float(score), 1) for score in generator.random(40)]
    rows = [
        replace(row, teacher={"toxicity": score} if number % 4 else {}, group=f"family {number // 3}")
        for number, (row, score) in enumerate(zip(examples(texts), had, strict=True))
    ]
    result = taught(bundle, rows, ["hate/threatening", "toxicity"])
    (agreement,) = result.agreement
    now = scores(result)
    pairs = [(had[number], now[number]) for number in range(40) if number % 4]
    expected = scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic
    assert (agreement.name, agreement.n) == ("toxicity", 30)
    assert agreement.rank_correlation.value == pytest.approx(expected, abs=1e-12)
    assert agreement.rank_correlation.low < expected < agreement.rank_correlation.high
    assert taught(bundle, rows, ["toxicity"]).agreement == (agreement,)
    assert teach(rows, bundle, ["toxicity"], MEASURE, 1).agreement != (agreement,)


def test_every_draw_is_spearmans_correlation_of_its_rows():
    generator = np.random.default_rng(1)
    one, other = generator.integers(6, size=(2, 25)).astype(float)
    groups = [f"family {number // 2}" for number in range(25)]
    (weights,) = draw_weights(groups, 20, seed=0)
    found = _rank_correlation(one, other, weights)
    for draw, value in zip(weights.astype(int), found, strict=True):
        rows = np.repeat(np.arange(25), draw)
        assert value == pytest.approx(scipy.stats.spearmanr(one[rows], other[rows]).statistic, abs=1e-12)


def test_a_teacher_that_gave_the_scores_itself_agrees_wholly(bundle):
    rows = taught(bundle, examples()).examples
    (agreement,) = taught(bundle, rows).agreement
    assert agreement.rank_correlation.value == pytest.approx(1)
    assert agreement.rank_correlation.low == pytest.approx(1)
    assert agreement.rank_correlation.high <= 1


def test_fewer_than_three_rows_or_one_score_alone_have_no_agreement(bundle):
    few = [replace(row, teacher={"toxicity": 0.1 * number}) for number, row in enumerate(examples(TEXTS[:2]))]
    same = [replace(row, teacher={"toxicity": 0.5}) for row in examples()]
    for rows in (few, same):
        (agreement,) = taught(bundle, rows).agreement
        assert agreement.n == len(rows)
        interval = agreement.rank_correlation
        assert all(math.isnan(number) for number in (interval.value, interval.low, interval.high))


def test_where_the_data_had_no_scores_there_is_no_agreement(bundle):
    assert taught(bundle, examples(), ["toxicity", "hate/threatening"]).agreement == ()
