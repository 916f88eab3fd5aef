"""Training on a teacher's scores: their scale, and what is learnt from them, alone and beside the labels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

import toy
from adaptox import model
from adaptox.config import DistillConfig
from adaptox.errors import DataError
from adaptox.records import Conversation, Example
from adaptox.scorers import TorchScorer
from adaptox.train.rows import Collator, Rows
from adaptox.train.scale import fit_scales

# --- the scale of the scores

# Most of a moderation service's scores are tiny.
SCORES = (1e-7, 2e-6, 2e-6, 3e-4, 0.02, 0.02, 0.02, 0.7, 1.0)


def with_scores(scores, name="hate"):
    return [
        Example(str(position), Conversation.of("x"), {}, {name: score}) for position, score in enumerate(scores)
    ]


def scale_of(kind, scores=SCORES):
    return fit_scales(with_scores(scores), DistillConfig(targets=("hate",), scale=kind))["hate"]


def logit(scores):
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def test_raw_scores_stay_as_they_are():
    np.testing.assert_array_equal(scale_of("raw")(np.array(SCORES)), SCORES)


def test_the_logit_scale_has_mean_0_and_deviation_1_in_logits():
    scaled = logit(scale_of("logit")(np.array(SCORES)))
    assert scaled.mean() == pytest.approx(0, abs=1e-9)
    assert scaled.std() == pytest.approx(1)
    expected = (logit(SCORES) - logit(SCORES).mean()) / logit(SCORES).std()
    np.testing.assert_allclose(scaled, expected, rtol=1e-9)


def test_the_logit_scale_leads_back_to_the_teachers_scores():
    scale = scale_of("logit")
    soft = scale(np.array(SCORES))
    np.testing.assert_allclose(scale.back.probs(logit(soft)), np.clip(SCORES, 1e-6, 1 - 1e-6), rtol=1e-6)


def test_the_quantile_scale_is_the_rank_and_ties_share_theirs():
    scale = scale_of("quantile", (0.1, 0.1, 0.5, 0.9))
    np.testing.assert_allclose(scale(np.array([0.1, 0.5, 0.9])), [2 / 8, 5 / 8, 7 / 8])
    expected = (rankdata(SCORES) - 0.5) / len(SCORES)
    np.testing.assert_allclose(scale_of("quantile")(np.array(SCORES)), expected)


def test_a_score_between_two_known_ones_ranks_between_them():
    scale = scale_of("quantile", (0.2, 0.4))
    np.testing.assert_allclose(scale(np.array([0.0, 0.3, 1.0])), [0.25, 0.5, 0.75])


probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize("kind", ["raw", "logit", "quantile"])
@given(learnt=probabilities, held=probabilities)
def test_every_scale_keeps_the_order_and_stays_between_0_and_1(kind, learnt, held):
    scaled = scale_of(kind, learnt)(np.sort(held))
    assert ((scaled >= 0) & (scaled <= 1)).all()
    assert (np.diff(scaled) >= 0).all()


@pytest.mark.parametrize("kind", ["logit", "quantile"])
@pytest.mark.parametrize("score", [0.0, 1e-5, 0.3, 1.0])
def test_a_teacher_that_always_says_the_same_says_neither_yes_nor_no(kind, score):
    scale = scale_of(kind, (score,) * 4)
    assert scale(np.array([score])).item() == pytest.approx(0.5)
    assert np.isfinite(scale(np.array([0.0, 0.5, 1.0]))).all()


def test_each_name_has_a_scale_of_its_own():
    train = [Example(str(n), Conversation.of("x"), {}, {"hate": n / 10, "sexual": 0.3}) for n in range(4)]
    scales = fit_scales(train, DistillConfig(targets=("sexual", "hate"), scale="quantile"))
    assert scales["hate"](np.array([0.3])).item() == pytest.approx(7 / 8)
    assert scales["sexual"](np.array([0.3])).item() == pytest.approx(1 / 2)


def test_no_targets_need_no_scores():
    assert fit_scales(toy.TRAIN, DistillConfig()) == {}


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ([], "none of the 0 training rows .*: there are none; map columns.teacher"),
        (with_scores([0.1], "hatred"), "'hate', but none of the 1 training rows .* did you mean 'hatred'"),
    ],
)
def test_a_target_without_any_score_is_refused(train, said):
    with pytest.raises(DataError, match=said):
        fit_scales(train, DistillConfig(targets=("hate",)))


def test_one_target_without_any_score_among_others_is_refused_too():
    with pytest.raises(DataError, match=r"'violence', .*there are: hate; .*distill\.teacher to a bundle"):
        fit_scales(with_scores([0.1]), DistillConfig(targets=("hate", "violence")))


# --- what is learnt


def polite(example):
    """Tell what the teacher is asked: something that the label says nothing about."""
    return "please" in example.conversation.turns[0].content.split()


def taught(examples, known=lambda position: True):
    return [
        replace(example, teacher={"polite": 0.95 if polite(example) else 0.02} if known(position) else {})
        for position, example in enumerate(examples)
    ]


TAUGHT, HELD = taught(toy.TRAIN), taught(toy.VALIDATION)
WHOLE = {"train__patience": 99, "train__keep_best": False}
LONG = {"train__epochs": 10, "train__learning_rate": 5e-3}


def fit(base, folder, learnt=TAUGHT, held=HELD, **changes):
    return toy.fit(base, folder, learnt=learnt, held=held, **{**WHOLE, **changes})


def logits(run, name):
    scorer = TorchScorer(run.network, run.encoder, run.config.outputs.names)
    return scorer.score([example.conversation for example in toy.VALIDATION]).column(name)


def auprc(run, name, truth):
    return average_precision_score([truth(example) for example in toy.VALIDATION], logits(run, name))


def toxic(example):
    return example.labels["toxicity"]


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_with_sigma_1_a_teacher_changes_nothing_for_the_labels(tiny_bert, tmp_path, adapter):
    common = {"base__dropout": 0.1, "adapter__kind": adapter, "seed": 3}
    alone = fit(tiny_bert, tmp_path / "alone", **common)
    beside = fit(tiny_bert, tmp_path / "beside", distill__targets=["polite"], distill__sigma=1.0, **common)
    assert beside.config.outputs.names == ("toxicity", "polite")
    np.testing.assert_allclose(logits(beside, "toxicity"), logits(alone, "toxicity"), atol=1e-5)


def row_of(network, row):
    return network.get_parameter("classifier.weight")[row].detach()


def test_with_sigma_0_the_teacher_is_learnt_and_the_labels_are_not(tiny_bert, tmp_path):
    run = fit(tiny_bert, tmp_path, distill__targets=["polite"], distill__sigma=0.0)
    assert auprc(run, "polite", polite) > 0.95
    assert auprc(run, "toxicity", toxic) < 0.6
    fresh = model.load_base(run.config.base, run.config.outputs, run.config.seed).network
    # Weight decay alone has shortened the row of the label.
    direction = torch.cosine_similarity(row_of(run.network, 0), row_of(fresh, 0), dim=0)
    assert direction.item() == pytest.approx(1, abs=1e-6)
    assert torch.cosine_similarity(row_of(run.network, 1), row_of(fresh, 1), dim=0) < 0.9


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "bce"},
        {"kind": "bce", "temperature": 2.0},
        {"kind": "bce", "scale": "logit"},
        {"kind": "mse", "scale": "logit", "weights": {"insult": 0.5}},
        {"kind": "bce", "scale": "quantile"},
    ],
    ids=str,
)
def test_labels_and_scores_are_learnt_together(tiny_bert, tmp_path, settings):
    # As a service scores: harmless rows next to nothing, the others far below one half.
    learnt = [replace(example, teacher={"insult": 0.3 if toxic(example) else 1e-4}) for example in toy.TRAIN]
    distill = {"targets": ["insult"], "sigma": 0.5, **settings}
    run = fit(tiny_bert, tmp_path, learnt, distill=distill, **LONG)
    assert auprc(run, "toxicity", toxic) > 0.95
    assert auprc(run, "insult", toxic) > 0.95


def test_rows_without_a_score_are_masked(tiny_bert):
    config = toy.config_of(tiny_bert, distill__targets=["polite", "hate"], distill__scale="quantile")
    base = model.load_base(config.base, config.outputs, 0)
    encoder = toy.Encoder(base.tokenizer, base.pad_token_id, config.encode, config.text)
    examples = [
        Example("a", Conversation.of("hello"), {"toxicity": 1}, {"polite": 0.2, "other": 1.0}),
        Example("b", Conversation.of("you"), {"polite": 1}, {"polite": 0.6, "hate": 0.4}),
        Example("c", Conversation.of("the"), {"toxicity": 0}),
    ]
    rows = Rows(examples, encoder, config, fit_scales(examples, config.distill))
    batch = Collator(encoder)([rows[position] for position in range(3)])
    assert config.outputs.names == ("toxicity", "polite", "hate")
    # polite is learnt from scores alone here, since it is not among the labels.
    assert batch["known"].tolist() == [[True, False, False], [False] * 3, [True, False, False]]
    assert batch["soft_known"].tolist() == [[False, True, False], [False, True, True], [False] * 3]
    soft = batch["soft"][batch["soft_known"]]
    torch.testing.assert_close(soft, torch.tensor([0.25, 0.75, 0.5]))


def test_rows_without_a_score_do_not_weaken_those_with_one(tiny_bert, tmp_path):
    some = taught(toy.TRAIN, known=lambda position: position % 2 == 0)
    run = fit(tiny_bert, tmp_path, some, distill__targets=["polite"], distill__sigma=0.0, **LONG)
    assert auprc(run, "polite", polite) > 0.95
    assert all(math.isfinite(entry["loss"]) for entry in run.fitted.history if "loss" in entry)


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_a_score_and_a_label_of_one_name_teach_one_output(tiny_bert, tmp_path, sigma):
    # Every second row has a score in place of a label.
    mixed = [
        replace(row, labels={}, teacher={"toxicity": 0.9 if toxic(row) else 0.05}) if number % 2 else row
        for number, row in enumerate(toy.TRAIN)
    ]
    run = fit(tiny_bert, tmp_path, mixed, distill__targets=["toxicity"], distill__sigma=sigma, **LONG)
    assert run.config.outputs.names == ("toxicity",)
    assert run.network.classifier.out_features == 1
    assert auprc(run, "toxicity", toxic) > (0.95 if sigma else 0.8)


def test_a_target_that_no_training_row_has_a_score_for_ends_before_training(tiny_bert, tmp_path):
    with pytest.raises(DataError, match=r"distill\.targets names 'hate'.*there are: polite"):
        fit(tiny_bert, tmp_path, distill__targets=["hate"])
    assert list(tmp_path.iterdir()) == []
