"""Training: what it learns, which weights it keeps, how it stops, and how it goes on."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score

import toy
from adaptox import losses, model, train
from adaptox.config import DistillConfig, LossConfig, TrainConfig
from adaptox.errors import CollapseError, ConfigError, InterruptedRunError, MissingExtraError, StorageError
from adaptox.records import Conversation, Example
from adaptox.scorers import TorchScorer
from adaptox.train import checkpoints, precision, settings
from adaptox.train.rows import Collator, Epochs, Rows, longest_first
from adaptox.train.settings import make_optimizer, to_training_arguments


@pytest.fixture(scope="module")
def learned(tiny_bert, tmp_path_factory):
    """Train with an evaluation after every fourth of 36 steps."""
    folder = tmp_path_factory.mktemp("learned")
    options = {"train__evaluations_per_epoch": 3, "train__patience": 99, "train__learning_rate": 1.2e-2, "seed": 1}
    return toy.fit(tiny_bert, folder, **options), folder


@pytest.fixture(scope="module")
def whole(tiny_bert, tmp_path_factory):
    """Train without interruption, to compare resumed trainings with."""
    folder = tmp_path_factory.mktemp("whole")
    return toy.fit(tiny_bert, folder, **LONG)


# Six checkpoints in 36 steps, three of them within an epoch; no dropout would hide a lost random state.
LONG = {"train__evaluations_per_epoch": 2, "train__patience": 99, "base__dropout": 0.1}


def logits(network, encoder, examples=toy.VALIDATION):
    scorer = TorchScorer(network, encoder, ("toxicity",))
    return scorer.score([example.conversation for example in examples]).logits[:, 0]


def auprc(network, encoder):
    return average_precision_score([e.labels["toxicity"] for e in toy.VALIDATION], logits(network, encoder))


def same_weights(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def aucs(fitted):
    return [entry["eval_auprc"] for entry in fitted.history if "eval_auprc" in entry]


# --- learning


def test_a_separable_problem_is_learned(learned):
    fitted = learned[0].fitted
    assert fitted.best_auprc > 0.95
    assert fitted.head_moved
    assert fitted.steps == toy.STEPS
    assert fitted.precision == "fp32"
    assert fitted.wall_s > 0
    assert fitted.rows_per_s == pytest.approx(3 * 96 / fitted.wall_s)
    assert 50 < fitted.peak_memory_mb < 50_000


def test_the_history_has_every_evaluation_and_falling_rates(learned):
    history = learned[0].fitted.history
    assert [entry["step"] for entry in history if "eval_auprc" in entry] == list(range(4, 37, 4))
    rates = [entry["learning_rate"] for entry in history if "learning_rate" in entry]
    assert rates[-1] < rates[1]
    json.dumps(history)


def test_the_best_checkpoint_is_kept(tiny_bert, tmp_path):
    folder = tmp_path / "checkpoints"
    options = {"train__evaluations_per_epoch": 3, "train__patience": 99}
    toy_run = toy.fit(tiny_bert, folder, train__learning_rate=3e-2, **options)
    fitted = toy_run.fitted
    assert fitted.best_step < toy.STEPS, "the rate is meant to be too high"
    assert fitted.best_auprc == max(aucs(fitted))
    assert auprc(toy_run.network, toy_run.encoder) == pytest.approx(fitted.best_auprc, abs=1e-6)
    assert {path.name for path in folder.iterdir()} == {f"checkpoint-{fitted.best_step}", "checkpoint-36"}


def test_without_keep_best_the_last_weights_are_kept(tiny_bert, tmp_path):
    run = toy.fit(tiny_bert, tmp_path, train__keep_best=False, train__learning_rate=2e-2, train__patience=99)
    assert run.fitted.best_step == run.fitted.steps == toy.STEPS
    assert run.fitted.best_auprc == aucs(run.fitted)[-1]
    # Weights, and not what they rank: at such a rate nearly all scores are alike, and rounding orders some of them.
    last = load_file(tmp_path / f"checkpoint-{toy.STEPS}" / "model.safetensors")
    assert all(torch.equal(tensor, run.network.state_dict()[name]) for name, tensor in last.items())


def test_part_of_an_epoch_is_evaluated_at_its_end(tiny_bert, tmp_path):
    fitted = toy.fit(tiny_bert, tmp_path, train__epochs=0.5).fitted
    assert (fitted.steps, fitted.best_step, len(aucs(fitted))) == (6, 6, 1)


def test_nothing_learned_ends_early_and_moves_no_head(tiny_bert, tmp_path):
    rates = {"train__learning_rate": 1e-30, "train__head_learning_rate": 1e-30}
    fitted = toy.fit(tiny_bert, tmp_path, train__patience=1, **rates).fitted
    assert fitted.steps == 2 * toy.STEPS_PER_EPOCH
    assert fitted.best_step == toy.STEPS_PER_EPOCH
    assert not fitted.head_moved


def test_a_frozen_head_does_not_move(tiny_bert, tmp_path):
    frozen = {"adapter__kind": "lora", "adapter__train_head": False, "train__epochs": 1}
    assert not toy.fit(tiny_bert, tmp_path, **frozen).fitted.head_moved


@pytest.mark.parametrize("kind", LossConfig.model_fields["kind"].annotation.__args__)
def test_every_loss_trains(tiny_bert, tmp_path, kind):
    fitted = toy.fit(tiny_bert, tmp_path, loss__kind=kind, train__epochs=0.5).fitted
    assert fitted.head_moved
    assert all(math.isfinite(entry["loss"]) for entry in fitted.history if "loss" in entry)


def test_rows_without_a_label_teach_nothing_about_it(tiny_bert):
    config = toy.config_of(tiny_bert, labels=["toxicity", "insult"])
    base = model.load_base(config.base, config.label_set, 0)
    encoder = toy.Encoder(base.tokenizer, base.pad_token_id, config.encode, config.text)
    unknown = [Example("a", Conversation.of("hello"), {"toxicity": 1}), Example("b", Conversation.of("you"), {})]
    rows = Rows(unknown, encoder, config, {})
    batch = Collator(encoder)([rows[0], rows[1]])
    assert batch["truth"].tolist() == [[1, 0], [0, 0]]
    assert batch["known"].tolist() == [[True, False], [False, False]]
    assert rows.prior.tolist() == [1, 0]
    assert train.targets(unknown, config.outputs, config.labels).known.sum() == 1


def test_labels_count_for_their_weight_in_training_and_alike_where_they_are_measured(tiny_bert):
    config = toy.config_of(tiny_bert)
    base = model.load_base(config.base, config.label_set, 0)
    encoder = toy.Encoder(base.tokenizer, base.pad_token_id, config.encode, config.text)
    pair = [Example(name, Conversation.of(name), {"toxicity": value}) for name, value in (("good", 0), ("bad", 1))]
    examples = [pair[0], dataclasses.replace(pair[1], weight=0.25)]
    training, measured = (Rows(examples, encoder, config, {}, weighted) for weighted in (True, False))
    assert Collator(encoder)([training[0], training[1]])["known"].tolist() == [[1], [0.25]]
    assert Collator(encoder)([measured[0], measured[1]])["known"].tolist() == [[1], [1]]
    assert training.prior.tolist() == pytest.approx([0.2])
    assert measured.prior.tolist() == pytest.approx([0.5])


LONG_WORDS = " ".join(f"{word} {at}" for at, word in enumerate(toy.MILD * 9))
TURN = Conversation.of(LONG_WORDS)
TALK = Conversation.of([{"role": "user", "content": LONG_WORDS}, {"role": "assistant", "content": "stupid idiot"}])


@pytest.mark.parametrize("adapter", ["none", "prompt"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_every_kind_reads_the_end_of_a_conversation_and_the_beginning_of_a_turn(base_of, kind, adapter):
    config = toy.config_of(base_of(kind), adapter__kind=adapter, adapter__prompt_tokens=3, encode__stride=8)
    base = model.with_prompt(model.load_base(config.base, config.label_set, 0), config.adapter, 0)
    encoder = train.encoder_for(base, config)
    examples = [
        Example(str(at), one, {"toxicity": 0}) for at, one in enumerate((TURN, TALK, Conversation.of("you")))
    ]
    rows = Rows(examples, encoder, config, {})
    turn, talk, short = (rows[at]["input_ids"] for at in range(3))
    assert rows.cut == 2
    # Of single turns, as all of ToxicChat's are, nothing changed: training reads the first window of scoring.
    for read, example in ((turn, examples[0]), (short, examples[2])):
        assert read == encoder.encode([example.conversation])[0].windows[0]
    before = 4 if adapter == "prompt" else 1
    assert (talk[:before], talk[-1]) == (turn[:before], turn[-1])
    assert len(talk) == len(turn) == 32
    said = encoder.tokenizer.encode(" stupid idiot", add_special_tokens=False).ids
    assert list(talk[-1 - len(said) : -1]) == said


def test_how_many_rows_were_cut_is_counted(tiny_bert, tmp_path):
    learnt = [*toy.TRAIN, Example("long", TALK, {"toxicity": 1})]
    fitted = toy.fit(tiny_bert, tmp_path, learnt=learnt, train__epochs=1).fitted
    assert (fitted.rows, fitted.cut) == (97, 1)


def test_what_weighs_next_to_nothing_teaches_next_to_nothing(tiny_bert, tmp_path):
    def losses(weight):
        learnt = [dataclasses.replace(example, weight=weight) for example in toy.TRAIN]
        history = toy.fit(tiny_bert, tmp_path / str(weight), learnt=learnt, train__epochs=1).fitted.history
        return [entry["loss"] for entry in history if "loss" in entry]

    assert max(losses(1e-6)) < 1e-4 < 0.1 < min(losses(1.0))


# --- precision


@pytest.mark.skipif(not precision.has_bf16(), reason="this processor has no bf16")
@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_after_bf16_training_scores_are_those_of_the_written_weights(tiny_bert, tmp_path, adapter):
    run = toy.fit(tiny_bert, tmp_path / "run", train__precision="bf16", train__epochs=1, adapter__kind=adapter)
    assert run.fitted.precision == "bf16"
    model.save(run.network, tmp_path / "saved")
    reloaded = logits(model.reload(tmp_path / "saved"), run.encoder)
    np.testing.assert_allclose(logits(model.merge(run.network), run.encoder), reloaded, atol=1e-5)
    np.testing.assert_allclose(logits(run.network, run.encoder), reloaded, atol=1e-5)


def test_bf16_is_refused_where_the_processor_has_none(monkeypatch):
    monkeypatch.setattr(settings, "has_bf16", lambda: False)
    with pytest.raises(ConfigError, match="this processor has no bf16: set 'auto' or 'fp32'"):
        train.check(train_config(precision="bf16"))


@pytest.mark.parametrize("slower_by", [0.5, 1.0, 2.0])
def test_auto_takes_bf16_where_it_was_measured_to_be_clearly_faster(monkeypatch, slower_by):
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    monkeypatch.setattr(precision, "_taken_s", lambda a, _: slower_by if a.dtype == torch.bfloat16 else 1.0)
    precision.bf16_pays.cache_clear()
    assert to_training_arguments(train_config(), 0, Path("unused"), 8).bf16 == (slower_by == 0.5)
    precision.bf16_pays.cache_clear()


def test_auto_takes_fp32_where_there_is_no_bf16(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    precision.bf16_pays.cache_clear()
    assert not to_training_arguments(train_config(), 0, Path("unused"), 8).bf16
    precision.bf16_pays.cache_clear()


def test_a_logger_that_is_not_installed_is_refused_before_training(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install mlflow, or set 'none'"):
        train.check(train_config(log_to="mlflow"))


def test_tensorboard_logs_stay_beside_the_checkpoints(tiny_bert, tmp_path):
    pytest.importorskip("tensorboard")
    toy.fit(tiny_bert, tmp_path / "checkpoints", train__log_to="tensorboard", train__epochs=0.5)
    assert list((tmp_path / "tensorboard").glob("events*"))


# --- the optimizer, its rates, and what makes up an update


def train_config(**changes):
    return TrainConfig(**{"learning_rate": 1e-4, "head_learning_rate": 1e-3, **changes})


def test_the_head_has_its_own_rate_and_biases_and_norms_do_not_decay(tiny_bert):
    config = toy.config_of(tiny_bert)
    network = model.attach(model.load_base(config.base, config.label_set, 0).network, config.adapter)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = make_optimizer(network, train_config(weight_decay=0.1)).param_groups
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert found.keys() == set(names.values())
    assert found["classifier.weight"] == (1e-3, 0.1)
    assert found["classifier.bias"] == (1e-3, 0.0)
    assert found["bert.pooler.dense.weight"] == (1e-4, 0.1)
    assert found["bert.embeddings.LayerNorm.weight"] == (1e-4, 0.0)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0, 0.5, 1, 1, 1, 1]),
        ("linear", [0, 0.5, 1, 0.75, 0.5, 0.25]),
        ("cosine", [0, 0.5, 1, 0.8536, 0.5, 0.1464]),
    ],
)
def test_the_rate_rises_in_warm_up_and_then_follows_its_schedule(tiny_bert, tmp_path, schedule, expected):
    run = toy.fit(
        tiny_bert,
        tmp_path,
        train__schedule=schedule,
        train__epochs=0.5,
        train__warmup_fraction=0.3,
    )
    rates = [entry["learning_rate"] for entry in run.fitted.history if "learning_rate" in entry]
    np.testing.assert_allclose(np.array(rates) / 1e-2, expected, atol=1e-4)


def test_accumulated_batches_and_recomputed_layers_give_the_same_weights(tiny_bert, tmp_path):
    # In buckets, the batches of an update are of different lengths, and others than one large batch.
    fixed = {"base__dropout": 0.0, "train__epochs": 1, "train__buckets": False}
    plain = toy.fit(tiny_bert, tmp_path / "plain", **fixed)
    split = toy.fit(tiny_bert, tmp_path / "split", train__batch_size=2, train__accumulation=4, **fixed)
    thrifty = toy.fit(tiny_bert, tmp_path / "thrifty", train__gradient_checkpointing=True, **fixed)
    assert split.fitted.steps == plain.fitted.steps == toy.STEPS_PER_EPOCH
    expected = logits(plain.network, plain.encoder)
    np.testing.assert_allclose(logits(split.network, split.encoder), expected, atol=1e-4)
    np.testing.assert_allclose(logits(thrifty.network, thrifty.encoder), expected, atol=1e-4)


# Read by `fit` itself, not by transformers.
ELSEWHERE = {"head_learning_rate", "buckets", "patience", "keep_best", "average", "soup", "allow_collapse"}
OTHER = {
    "epochs": 7,
    "learning_rate": 3e-4,
    "head_learning_rate": 7e-3,
    "batch_size": 3,
    "accumulation": 5,
    "warmup_fraction": 0.2,
    "schedule": "cosine",
    "weight_decay": 0.3,
    "max_grad_norm": 4.0,
    "precision": "fp32",
    "buckets": False,
    "gradient_checkpointing": True,
    "patience": 7,
    "keep_best": False,
    "average": 3,
    "soup": 2,
    "evaluations_per_epoch": 3,
    "log_to": "mlflow",
    "allow_collapse": True,
}


@pytest.mark.parametrize("field", TrainConfig.model_fields)
def test_every_setting_has_an_effect(monkeypatch, tmp_path, field):
    monkeypatch.setattr(settings, "bf16_pays", lambda: True)
    monkeypatch.setattr(settings, "has_bf16", lambda: True)
    monkeypatch.setattr(settings, "find_spec", lambda name: name)
    usual, changed = train_config(), train_config(**{field: OTHER[field]})
    one, other = (to_training_arguments(config, 0, tmp_path, 100).to_dict() for config in (usual, changed))
    assert (one != other) == (field not in ELSEWHERE)


# --- the order of rows


@pytest.fixture(scope="module")
def rows(tiny_bert):
    config = toy.config_of(tiny_bert)
    base = model.load_base(config.base, config.label_set, 0)
    encoder = toy.Encoder(base.tokenizer, base.pad_token_id, config.encode, config.text)
    return Rows(toy.TRAIN, encoder, config, {})


def order(epochs, epoch):
    epochs.set_epoch(epoch)
    return [epochs[index]["input_ids"] for index in range(len(epochs))]


@pytest.mark.parametrize("buckets", [True, False])
def test_every_epoch_has_every_row_once_in_its_own_order(rows, buckets):
    epochs = Epochs(rows, 8, buckets, seed=3)
    first, second = order(epochs, 0), order(epochs, 1)
    assert sorted(first) == sorted(second) == sorted(rows[index]["input_ids"] for index in range(len(rows)))
    assert first != second
    assert order(Epochs(rows, 8, buckets, seed=3), 1) == second
    assert order(Epochs(rows, 8, buckets, seed=4), 1) != second


def test_an_epoch_does_not_run_from_long_rows_to_short_ones(rows):
    drawn = order(Epochs(rows, 4, True, 0), 0)
    longest = [max(len(row) for row in drawn[start : start + 4]) for start in range(0, len(drawn), 4)]
    quarter = len(longest) // 4
    quarters = [longest[start : start + quarter] for start in range(0, 4 * quarter, quarter)]
    assert not any(part == sorted(part, reverse=True) for part in quarters)


def test_buckets_save_padding(rows):
    def padded(tokens):
        return sum(4 * max(len(row) for row in tokens[start : start + 4]) for start in range(0, len(tokens), 4))

    bucketed, random = (order(Epochs(rows, 4, buckets, 0), 0) for buckets in (True, False))
    longest = [row["input_ids"] for row in longest_first(rows)]
    assert padded(longest) <= padded(bucketed) < padded(random)
    assert [len(row) for row in longest] == sorted(rows.lengths, reverse=True)


# --- diverging


def test_a_loss_out_of_all_bounds_ends_the_training(tiny_bert, tmp_path):
    with pytest.raises(CollapseError, match=r"training diverged: .* lower train.learning_rate \(1000\)"):
        toy.fit(tiny_bert, tmp_path, train__learning_rate=1e3, train__head_learning_rate=1e3)


def test_a_diverged_model_is_kept_where_collapse_is_allowed(tiny_bert, tmp_path):
    wild = {"train__head_learning_rate": 1e3, "train__allow_collapse": True, "train__epochs": 1}
    assert toy.fit(tiny_bert, tmp_path, **wild).fitted.steps == toy.STEPS_PER_EPOCH


def test_weights_that_are_no_numbers_end_the_training_in_any_case(tiny_bert, tmp_path):
    wild = {"train__learning_rate": 1e38, "train__head_learning_rate": 1e38, "train__allow_collapse": True}
    with pytest.raises(CollapseError, match="training diverged"):
        toy.fit(tiny_bert, tmp_path, **wild)


def test_logits_that_are_no_numbers_end_the_training_at_the_evaluation(tiny_bert, tmp_path):
    wild = {"train__learning_rate": 1e38, "train__head_learning_rate": 1e38}
    with pytest.raises(CollapseError, match="training diverged: the network's logits are infinite or no numbers"):
        toy.fit(tiny_bert, tmp_path, train__epochs=0.01, train__warmup_fraction=0, **wild)


def test_a_model_that_knows_nothing_has_the_entropy_of_a_coin(rows):
    loss = losses.build_objective(LossConfig(), DistillConfig(), rows.prior, ("toxicity",))
    assert rows.indifferent_loss(loss, torch.device("cpu")) == pytest.approx(math.log(2), abs=1e-6)


def test_without_its_packages_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("adaptox.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingExtraError, match=r"train needs .*: pip install 'adaptox\[train\]'"):
        importlib.import_module("adaptox.train")


# --- interruption: a training that goes on ends as if nothing had happened


def stop_at(step):
    """Press Ctrl-C after a step."""

    def press(stage, done, total):
        if done == step:
            raise KeyboardInterrupt

    return press


def interrupted(base, folder, step, **changes):
    with pytest.raises(InterruptedRunError, match=f"stopped at step {step} of 36; .* --resume to go on"):
        toy.fit(base, folder, progress=stop_at(step), **changes)


def outcome(fitted):
    clocks = {"history": (), "wall_s": 0, "rows_per_s": 0, "peak_memory_mb": 0}
    return dataclasses.replace(fitted, **clocks)


def learning_curve(fitted):
    shown = ("step", "loss", "grad_norm", "learning_rate", "eval_auprc", "eval_loss")
    return [{key: entry[key] for key in shown if key in entry} for entry in fitted.history]


def assert_as_if_nothing_had_happened(resumed, whole):
    assert same_weights(resumed.network, whole.network)
    assert outcome(resumed.fitted) == outcome(whole.fitted)
    assert learning_curve(resumed.fitted) == learning_curve(whole.fitted)


@pytest.mark.parametrize("step", [5, 14, 27])
def test_a_stopped_training_goes_on_from_its_last_checkpoint(tiny_bert, tmp_path, whole, step):
    interrupted(tiny_bert, tmp_path, step, **LONG)
    assert len(list(tmp_path.iterdir())) == min(2, step // 6)
    resumed = toy.fit(tiny_bert, tmp_path, resume=True, **LONG)
    assert_as_if_nothing_had_happened(resumed, whole)


def test_a_training_can_be_stopped_again_and_its_seconds_add_up(tiny_bert, tmp_path, whole):
    interrupted(tiny_bert, tmp_path, 8, **LONG)
    before_s = checkpoints.read_state(tmp_path / "checkpoint-6").stateful_callbacks["Stopwatch"]["args"]["before_s"]
    with pytest.raises(InterruptedRunError):
        toy.fit(tiny_bert, tmp_path, resume=True, progress=stop_at(22), **LONG)
    resumed = toy.fit(tiny_bert, tmp_path, resume=True, **LONG)
    assert_as_if_nothing_had_happened(resumed, whole)
    assert resumed.fitted.wall_s > before_s > 0


def cut(name):
    def damage(checkpoint):
        content = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(content[: len(content) // 2])

    return damage


def remove(name):
    return lambda checkpoint: (checkpoint / name).unlink()


@pytest.mark.parametrize(
    "damage",
    [
        cut("trainer_state.json"),
        cut("model.safetensors"),
        cut("rng_state.pth"),
        remove("optimizer.pt"),
        remove("scheduler.pt"),
        remove("model.safetensors"),
        remove("trainer_state.json"),
    ],
)
def test_a_half_written_checkpoint_is_not_trusted(whole_folder, damage):
    assert checkpoints.latest(whole_folder, 1).name == "checkpoint-36"
    damage(whole_folder / "checkpoint-36")
    assert checkpoints.latest(whole_folder, 1).name == "checkpoint-30"
    checkpoints.discard(whole_folder, only_partial=True)
    assert [path.name for path in whole_folder.iterdir()] == ["checkpoint-30"]


@pytest.fixture
def whole_folder(tiny_bert, tmp_path, tmp_path_factory):
    """Copy a folder with checkpoints 30 and 36, the first of them the best."""
    made = tmp_path_factory.getbasetemp() / "two-checkpoints"
    if not made.exists():
        toy.fit(tiny_bert, made, train__evaluations_per_epoch=2, train__patience=99, train__keep_best=False)
    copy = tmp_path / "checkpoints"
    shutil.copytree(made, copy)
    for path in copy.iterdir():
        if path.name != "checkpoint-36":
            path.rename(copy / "checkpoint-30")
    for path in copy.glob("*/trainer_state.json"):
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, "best_global_step": 30}))
    return copy


def test_a_checkpoint_whose_best_is_lost_is_not_trusted(whole_folder):
    shutil.rmtree(whole_folder / "checkpoint-30")
    assert checkpoints.latest(whole_folder, 1) is None


def test_a_run_goes_on_with_as_many_processes_as_it_was_started_with(whole_folder):
    with pytest.raises(ConfigError, match="started with another number of processes than 2"):
        checkpoints.latest(whole_folder, 2)
    for path in whole_folder.iterdir():
        (path / "rng_state.pth").rename(path / "rng_state_0.pth")
    assert checkpoints.latest(whole_folder, 2) is None
    for path in whole_folder.iterdir():
        shutil.copy(path / "rng_state_0.pth", path / "rng_state_1.pth")
    assert checkpoints.latest(whole_folder, 2).name == "checkpoint-36"
    with pytest.raises(ConfigError, match="started with another number of processes than 1"):
        checkpoints.latest(whole_folder, 1)


def test_a_run_goes_on_with_as_many_rows_in_a_step_as_it_was_started_with(whole_folder):
    before = checkpoints.read_state(whole_folder / "checkpoint-36").train_batch_size
    assert checkpoints.latest(whole_folder, 1, before).name == "checkpoint-36"
    with pytest.raises(ConfigError, match=rf"with {before} rows in a step .* have {2 * before} now: resume"):
        checkpoints.latest(whole_folder, 1, 2 * before)


def test_devices_of_one_process_are_no_processes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (settings.processes(), settings.devices()) == (1, 2)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert (settings.processes(), settings.devices()) == (1, 1)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (settings.processes(), settings.devices()) == (4, 4)


def test_a_moved_run_goes_on(tiny_bert, tmp_path, whole, monkeypatch):
    monkeypatch.chdir(tmp_path)
    interrupted(tiny_bert, Path("here"), 32, **LONG)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").rename(tmp_path / "elsewhere" / "there")
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = toy.fit(tiny_bert, Path("there"), resume=True, **LONG)
    assert_as_if_nothing_had_happened(resumed, whole)


@pytest.mark.parametrize("ended", ["at the last step", "early"])
def test_a_training_that_had_ended_is_not_trained_further(tiny_bert, tmp_path, ended):
    changes = {"train__patience": 1, "train__learning_rate": 1e-30} if ended == "early" else {}
    first = toy.fit(tiny_bert, tmp_path, train__keep_best=False, **changes)
    again = toy.fit(tiny_bert, tmp_path, resume=True, train__keep_best=False, **changes)
    assert same_weights(first.network, again.network)
    assert outcome(again.fitted) == outcome(first.fitted)
    assert again.fitted.wall_s == first.fitted.wall_s > 0


def test_an_adapter_goes_on_with_its_head_still_frozen(tiny_bert, tmp_path):
    changes = {"adapter__kind": "lora", "adapter__train_head": False, "train__patience": 99}
    whole = toy.fit(tiny_bert, tmp_path / "whole", **changes)
    interrupted(tiny_bert, tmp_path / "stopped", 20, **changes)
    resumed = toy.fit(tiny_bert, tmp_path / "stopped", resume=True, **changes)
    assert_as_if_nothing_had_happened(resumed, whole)
    assert not resumed.fitted.head_moved


def test_a_new_training_removes_older_checkpoints(tiny_bert, tmp_path):
    stale = tmp_path / "checkpoint-500"
    stale.mkdir()
    toy.fit(tiny_bert, tmp_path, train__epochs=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-6"]


def test_a_full_disk_leaves_no_half_checkpoint(tiny_bert, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.trainer.Trainer._save_optimizer_and_scheduler", full)
    with pytest.raises(StorageError, match=r"the disk is full; .* again with --resume"):
        toy.fit(tiny_bert, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- averaging

SOUP = {**LONG, "train__average": 3}


@pytest.mark.parametrize(("best", "adapter"), [(True, "none"), (True, "lora"), (False, "none")])
def test_the_kept_weights_are_the_mean_of_the_chosen_checkpoints(tiny_bert, tmp_path, best, adapter):
    run = toy.fit(tiny_bert, tmp_path, **SOUP, train__keep_best=best, adapter__kind=adapter)
    scored = [(entry["eval_auprc"], entry["step"]) for entry in run.fitted.history if "eval_auprc" in entry]
    ranked = sorted(scored, key=lambda one: (-one[0], one[1])) if best else scored[::-1]
    files = sorted((tmp_path / "kept").iterdir(), key=lambda path: int(path.stem))
    assert [int(path.stem) for path in files] == sorted(step for _, step in ranked[:3])
    saved = [load_file(path) for path in files]
    own = get_peft_model_state_dict(run.network) if adapter == "lora" else run.network.state_dict()
    for name in saved[0]:
        torch.testing.assert_close(own[name], sum(weights[name] for weights in saved) / 3)
    assert any(not torch.equal(own[name], tensor) for name, tensor in saved[0].items())


def test_where_files_have_one_name_only_the_weights_are_copied(tiny_bert, tmp_path, monkeypatch):
    linked = toy.fit(tiny_bert, tmp_path / "linked", **SOUP).network.state_dict()

    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    copied = toy.fit(tiny_bert, tmp_path / "copied", **SOUP).network.state_dict()
    assert all(torch.equal(copied[name], tensor) for name, tensor in linked.items())
    assert [path.name for path in (tmp_path / "copied" / "kept").glob("*.part")] == []


@pytest.mark.parametrize("step", [9, 35])
def test_an_averaged_training_that_is_resumed_ends_as_if_nothing_had_happened(tiny_bert, tmp_path, step):
    undisturbed = toy.fit(tiny_bert, tmp_path / "one", **SOUP)
    interrupted(tiny_bert, tmp_path / "two", step, **SOUP)
    newest = max(int(path.name.split("-")[1]) for path in (tmp_path / "two").glob("checkpoint-*"))
    # As if it had been killed between writing a checkpoint and keeping its weights.
    (tmp_path / "two" / "kept" / f"{newest}.safetensors").unlink(missing_ok=True)
    resumed = toy.fit(tiny_bert, tmp_path / "two", resume=True, **SOUP)
    assert_as_if_nothing_had_happened(resumed, undisturbed)


def test_kept_weights_that_are_lost_are_an_error(tiny_bert, tmp_path):
    last_five = {**SOUP, "train__average": 5, "train__keep_best": False}
    interrupted(tiny_bert, tmp_path, 35, **last_five)
    for path in (tmp_path / "kept").iterdir():
        path.unlink()
    with pytest.raises(StorageError, match="is gone, which the run still needs: start over with --overwrite"):
        toy.fit(tiny_bert, tmp_path, resume=True, **last_five)
