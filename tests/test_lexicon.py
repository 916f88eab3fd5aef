"""Words beside the network: what they learn, what they count for, and that a bundle gives the same sum."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

import tiny
from adaptox import config as settings
from adaptox.adapt import adapt, read_and_prepare
from adaptox.adapt import words as weighing
from adaptox.errors import BundleError, ConfigError, DataError
from adaptox.evaluate import rows_from_parquet
from adaptox.lexicon import Lexicon, fit_part
from adaptox.records import Conversation, Example, Scores
from adaptox.scorers import Moderator
from adaptox.teach import Held

TEXTS = [text for text, _ in tiny.texts()]
TRUTH = np.array([[rude == 1] for _, rude in tiny.texts()])
ALL = np.ones(TRUTH.shape, dtype=bool)
EVEN = np.ones(len(TEXTS))
# Read back from six digits.
CLOSE = 1e-4


def config_of(base, csv, folds=0, **lexicon):
    quick = {"epochs": 2, "allow_collapse": True}
    chosen = {"grams": ["words", "characters"], **lexicon}
    return tiny.settings(base, csv, train=quick, threshold={"folds": folds}, lexicon=chosen)


@pytest.fixture(scope="module", params=[0, 3])
def done(request, tiny_bert, csv, tmp_path_factory):
    """A run with words beside the network, from its validation part and from folds."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return adapt(config_of(tiny_bert, csv, request.param), out)


def lexicon():
    parts = [fit_part(TEXTS, TRUTH, ALL, EVEN, grams, 0).scaled(np.ones(1)) for grams in ("words", "characters")]
    return Lexicon(("toxicity",), tuple(parts))


@pytest.mark.parametrize(
    ("grams", "vectorizer"),
    [
        ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)),
        ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3)),
    ],
)
def test_a_part_scores_as_a_regression_on_features_times_log_count_ratios(grams, vectorizer):
    features = vectorizer.fit_transform(TEXTS[:60])
    counts = [(1 + (features[TRUTH[:60, 0] == value] > 0).sum(axis=0)).A1 for value in (True, False)]
    ratios = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
    regression = LogisticRegression(C=10, solver="liblinear", max_iter=1000, random_state=0)
    regression.fit(features.multiply(ratios).tocsr(), TRUTH[:60, 0])
    expected = regression.decision_function(vectorizer.transform(TEXTS[60:]).multiply(ratios).tocsr())
    part = fit_part(TEXTS[:60], TRUTH[:60], ALL[:60], EVEN[:60], grams, 0)
    np.testing.assert_allclose(part.score(TEXTS[60:])[:, 0], expected, atol=CLOSE)


def test_a_lexicon_read_back_gives_the_same_scores():
    one = lexicon()
    other = Lexicon.from_json(one.to_json())
    assert other.labels == one.labels
    assert other.weights == one.weights
    np.testing.assert_array_equal(other.score(TEXTS), one.score(TEXTS))


def test_no_text_has_no_score():
    assert lexicon().score([]).shape == (0, 1)


def test_a_label_of_one_class_gets_no_weight_and_unknown_rows_teach_nothing():
    truth = np.column_stack([TRUTH[:, 0], np.zeros(len(TEXTS), dtype=bool), ~TRUTH[:, 0]])
    known = np.column_stack([ALL[:, 0], ALL[:, 0], np.arange(len(TEXTS)) < 45])
    truth[45:, 2] = TRUTH[45:, 0]
    part = fit_part(TEXTS, truth, known, EVEN, "words", 0)
    assert not part.weights[1].any()
    assert not part.score(TEXTS)[:, 1].any()
    assert np.corrcoef(part.score(TEXTS)[:, 0], part.score(TEXTS)[:, 2])[0, 1] < 0


def test_the_lighter_a_row_is_the_less_it_teaches():
    wrong, half = TRUTH.copy(), np.arange(len(TEXTS)) % 2 == 0
    wrong[half] = ~wrong[half]
    silent = fit_part(TEXTS, TRUTH, ALL & ~half[:, None], EVEN, "words", 0).score(TEXTS)
    lightest, light, even = (
        fit_part(TEXTS, wrong, ALL, np.where(half, weight, 1.0), "words", 0).score(TEXTS)
        for weight in (1e-6, 0.1, 1)
    )
    assert np.corrcoef(lightest[:, 0], silent[:, 0])[0, 1] > 0.999
    right = [np.corrcoef(scores[:, 0], TRUTH[:, 0])[0, 1] for scores in (lightest, light, even)]
    assert right[0] > right[1] > right[2]


def test_the_words_of_a_run_hear_the_weight_of_a_row(tiny_bert, csv):
    rows = [
        Example(str(at), Conversation.of(text), {"toxicity": rude ^ (at % 2)}, weight=1e-6 if at % 2 else 1.0)
        for at, (text, rude) in enumerate(tiny.texts())
    ]
    config = tiny.settings(tiny_bert, csv)
    heard, even = (
        weighing._fit(given, config, "words").score(TEXTS)[:, 0]
        for given in (rows, [dataclasses.replace(row, weight=1.0) for row in rows])
    )
    assert average_precision_score(TRUTH[:, 0], heard) > 0.9 > average_precision_score(TRUTH[:, 0], even)


def test_texts_without_a_common_word_are_refused():
    with pytest.raises(DataError, match=r"no words occur often enough in 2 texts: .* lexicon\.grams"):
        fit_part(["one two", "three four"], TRUTH[:2], ALL[:2], EVEN[:2], "words", 0)


@pytest.mark.parametrize("written", ["", "{}", "[]", '{"labels": ["toxicity"], "parts": [{"grams": "words"}]}'])
def test_something_else_is_no_lexicon(written):
    with pytest.raises(BundleError, match="expected a lexicon of adaptox"):
        Lexicon.from_json(written)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data["parts"][0]["idf"].pop(),
        lambda data: data["labels"].append("hate"),
        lambda data: data["parts"][0]["intercepts"].append(0.0),
        lambda data: data["parts"][0].update(grams="letters"),
    ],
)
def test_what_does_not_fit_together_is_no_lexicon(spoil):
    data = json.loads(lexicon().to_json())
    spoil(data)
    with pytest.raises(BundleError, match="expected a lexicon of adaptox"):
        Lexicon.from_json(json.dumps(data))


def held_of(network, truth):
    turns = [
        Example(str(number), Conversation.of("text"), labels={"toxicity": int(one)})
        for number, one in enumerate(truth)
    ]
    count = np.ones(len(truth), dtype=np.int64)
    return Held(tuple(turns), Scores(("toxicity",), network[:, None], count, count == 0))


def test_words_that_know_something_else_count_and_others_do_not():
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.2
    network, words, noise = (rng.normal(size=2000) + strength * truth for strength in (2.0, 1.5, 0.0))
    shares = weighing._weigh(held_of(network, truth), "toxicity", [words, noise])
    assert shares[0] > 0.1
    assert abs(shares[1]) < 0.05
    better, alone = (average_precision_score(truth, network + share * words) for share in (shares[0], 0))
    assert better > alone


def test_where_the_network_knows_all_words_count_for_nothing():
    truth = np.arange(100) < 20
    words = np.random.default_rng(0).normal(size=100)
    assert weighing._weigh(held_of(np.where(truth, 5.0, -5.0), truth), "toxicity", [words]).tolist() == [0]


def test_a_label_of_one_class_weighs_nothing():
    truth = np.zeros(10, dtype=bool)
    assert weighing._weigh(held_of(np.zeros(10), truth), "toxicity", [np.zeros(10)]).tolist() == [0]


def test_a_bundle_gives_the_scores_that_were_evaluated(done, csv):
    moderator = Moderator.open(done.folder / "bundle")
    rows = rows_from_parquet(done.folder / "scores.parquet")["test"]
    texts = dict(enumerate((text for text, _ in tiny.texts()), start=1))
    found = moderator.score([texts[int(id_.rpartition("/")[2])] for id_ in rows.ids])
    np.testing.assert_allclose([verdict.scores["toxicity"] for verdict in found], rows.probs, atol=1e-6)


def test_rows_of_the_test_part_teach_no_word(done):
    held = rows_from_parquet(done.folder / "scores.parquet")["test"]
    parts = json.loads((done.folder / "bundle" / "lexicon.json").read_text())["parts"]
    tested = {int(id_.rpartition("/")[2]) for id_ in held.ids}
    texts = enumerate((text for text, _ in tiny.texts()), start=1)
    learned = [f" {text} ".replace(" ", "  ") for number, text in texts if number not in tested]
    pairs = {gram.replace(" ", "  ") for part in parts for gram in part["vocabulary"]}
    assert pairs
    assert all(sum(pair in text for text in learned) >= 2 for pair in pairs)


def test_the_run_says_what_words_gave(done):
    metrics = json.loads((done.folder / "metrics.json").read_text())
    found = metrics["lexicon"]
    assert metrics["model"]["lexicon"] == found["weights"] > 0
    assert all(share >= 0 for share in found["shares"]["toxicity"].values())
    before = found["network_alone"]["validation"]["all"]["auprc"]["value"]
    gain = found["gains_on_validation"]["auprc"]["value"]
    assert metrics["validation"]["all"]["auprc"]["value"] == pytest.approx(before + gain)
    assert any("Words are heard beside the network" in note for note in done.notes)
    parts = rows_from_parquet(done.folder / "scores.parquet")
    assert set(parts) == {f"{part}{what}" for part in ("test", "validation") for what in ("", ", network alone")}
    assert "Words are heard beside the network" in (done.folder / "report.html").read_text()


def test_words_that_help_nobody_are_not_in_the_bundle(tiny_bert, csv, tmp_path, monkeypatch):
    monkeypatch.setattr(weighing, "_weigh", lambda held, label, words: np.zeros(len(words)))
    run = adapt(config_of(tiny_bert, csv), tmp_path / "run")
    assert not (run.folder / "bundle" / "lexicon.json").exists()
    assert any("Words were tried beside the network" in note for note in run.notes)


def test_texts_without_common_words_are_refused_before_anything_is_trained(tiny_bert, tmp_path, monkeypatch):
    rows = [(f"{number:x}a{number}b {number}c{number}", number % 3 == 0) for number in range(90)]
    data = tiny.write_csv(tmp_path / "rows.csv", [(text, int(rude)) for text, rude in rows])
    monkeypatch.setattr("adaptox.adapt.run.train_and_hold", None)
    with pytest.raises(DataError, match=r"lexicon: no words occur often enough"):
        adapt(config_of(tiny_bert, data, grams=["words"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_script_without_spaces_has_characters_alone(tiny_bert, tmp_path):
    greeting = "".join(map(chr, (0x60A8, 0x597D, 0x5417))) * 4
    rows = [(f"{greeting}{chr(0x4E00 + number)}", int(number % 3 == 0)) for number in range(90)]
    data = tiny.write_csv(tmp_path / "rows.csv", rows)
    config = config_of(tiny_bert, data, grams=["words", "characters"])
    learned = weighing.learn_words(config, read_and_prepare(config).prepared)
    assert [part.grams for part in learned.parts] == ["characters"]
    assert {logits.shape for logits in learned.unseen.values()} == {(1, 1)}


def test_without_grams_nothing_is_added(tiny_bert, csv, tmp_path):
    run = adapt(config_of(tiny_bert, csv, grams=[]), tmp_path / "run")
    assert not (run.folder / "bundle" / "lexicon.json").exists()
    assert "lexicon" not in json.loads((run.folder / "metrics.json").read_text())


def test_a_changed_lexicon_is_noticed(done, tmp_path):
    copy = shutil.copytree(done.folder / "bundle", tmp_path / "bundle")
    (copy / "lexicon.json").write_text((copy / "lexicon.json").read_text() + " ")
    with pytest.raises(BundleError, match=r"lexicon\.json was changed"):
        Moderator.open(copy)


def test_grams_are_named_once():
    with pytest.raises(ConfigError, match="grams names one twice"):
        settings.parse({"lexicon": {"grams": ["words", "words"]}})
