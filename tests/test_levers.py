"""benchmarks/levers.py: what each lever does to a training, and that it leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import levers
import pytest
import torch
from transformers import Trainer

import tiny
from adaptox import model, train
from adaptox import text as texts
from adaptox.encode import Encoder
from adaptox.errors import ConfigError
from adaptox.records import Conversation, Example, Turn, silent
from adaptox.teach import CrossFit
from adaptox.train import fitting
from adaptox.train.rows import Epochs, Rows
from adaptox.train.trainer import ModerationTrainer

OWNERS = (
    (ModerationTrainer, "training_step"),
    (ModerationTrainer, "compute_loss"),
    (fitting, "make_optimizer"),
    (model, "attach"),
    (Encoder, "keep_of"),
    (Epochs, "__getitem__"),
    (CrossFit, "_fold"),
)
# No text here is too long, nothing is dropped that could disagree, and no fold is left out.
UNMOVED = {"head-and-tail", "r-drop"} | {name for name in levers.LEVERS if name.startswith("ensemble-teacher")}


@pytest.fixture(scope="module")
def rows():
    return [
        Example(str(at), Conversation((Turn("user", text),)), {"toxicity": truth})
        for at, (text, truth) in enumerate(tiny.texts(24))
    ]


@pytest.fixture(scope="module")
def config(tiny_bert, tmp_path_factory):
    dropout = {"dropout": 0.0, "attention_dropout": 0.0}
    averaged = {"epochs": 1, "evaluations_per_epoch": 2, "average": 2}
    data = tmp_path_factory.mktemp("levers") / "none.csv"
    return tiny.settings(tiny_bert, data, base=dropout, train=averaged)


def trained(config, rows, folder):
    """Train as the benchmark does, and give the network and its encoder."""
    base = model.load_base(config.base, config.outputs, config.seed)
    encoder = train.encoder_for(base, config)
    network = model.attach(base.network, config.adapter, config.seed, base.prompt)
    train.fit(network, encoder, rows, rows, config, folder)
    return network.eval(), encoder


def weights(network):
    return torch.cat([value.flatten() for name, value in network.named_parameters() if ".score." not in name])


@pytest.fixture(scope="module")
def plain(config, rows, tmp_path_factory):
    return weights(trained(config, rows, tmp_path_factory.mktemp("plain"))[0])


@pytest.mark.parametrize("name", sorted(levers.LEVERS))
def test_a_lever_changes_the_training_of_its_block_alone(config, rows, plain, tmp_path, name):
    before = [getattr(owner, attribute) for owner, attribute in OWNERS]
    with levers.pulled(name):
        pulled = weights(trained(config, rows, tmp_path / "pulled")[0])
    assert before == [getattr(owner, attribute) for owner, attribute in OWNERS]
    assert (pulled.shape == plain.shape and torch.allclose(pulled, plain, atol=1e-6)) == (name in UNMOVED)


def test_without_a_lever_nothing_changes(config, rows, plain, tmp_path):
    with levers.pulled(None):
        assert torch.equal(weights(trained(config, rows, tmp_path)[0]), plain)


def test_fgm_learns_from_where_the_loss_is_higher_and_moves_the_embeddings_back(
    config, rows, tmp_path, monkeypatch
):
    step, seen = Trainer.training_step, []

    def training_step(trainer, network, *given):
        table = network.get_input_embeddings().weight.detach().clone()
        loss = step(trainer, network, *given)
        seen.append((table, float(loss)))
        return loss

    monkeypatch.setattr(Trainer, "training_step", training_step)
    with levers.pulled("fgm"):
        trained(config, rows, tmp_path)
    plain, moved = seen[::2], seen[1::2]
    assert len(plain) == len(moved) > 2
    assert all(there > here for (_, here), (_, there) in zip(plain, moved, strict=True))
    norm = plain[0][0].norm(dim=1).mean()
    assert (moved[0][0] - plain[0][0]).norm() == pytest.approx(0.5 * float(norm), rel=1e-3)
    # Between two batches the table moves by the learning rate, not by FGM's step.
    assert (plain[1][0] - plain[0][0]).abs().max() < 1e-2


def test_divergence_is_the_mean_of_both():
    one, other = torch.tensor([[0.3, -2.0], [4.0, 0.0]]), torch.tensor([[-1.0, -2.0], [2.5, 1.0]])

    def divergence(a, b):
        p, q = a.sigmoid(), b.sigmoid()
        return (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()

    expected = (divergence(one, other) + divergence(other, one)) / 2
    torch.testing.assert_close(levers.divergence(one, other), expected)
    assert levers.divergence(one, one) == 0


def test_dropouts_that_disagree_move_a_training(config, rows, tmp_path):
    drops = config.model_copy(update={"base": config.base.model_copy(update={"dropout": 0.3})})
    once = weights(trained(drops, rows, tmp_path / "once")[0])
    with levers.pulled("r-drop"):
        twice = weights(trained(drops, rows, tmp_path / "twice")[0])
    assert not torch.allclose(once, twice, atol=1e-4)


def test_samples_of_dropout_are_averaged(config, rows, plain, tmp_path, monkeypatch):
    drop, asked = torch.nn.functional.dropout, []

    def dropout(pooled, p=0.5, *given, **named):
        asked.append(p)
        return drop(pooled, 0.0 if p == 0.3 else p, *given, **named)

    monkeypatch.setattr("torch.nn.functional.dropout", dropout)
    with levers.pulled("multi-sample-dropout"):
        pulled = weights(trained(config, rows, tmp_path)[0])
    # Five samples that drop nothing are five times the plain loss, divided by five.
    torch.testing.assert_close(pulled, plain)
    assert asked.count(0.3) % 5 == 0
    assert 0.3 in asked


def test_attention_learns_to_weigh_tokens(config, rows, tmp_path):
    with levers.pulled("attention-pooling"):
        network, _ = trained(config, rows, tmp_path)
    assert network.bert.pooler.score[-1].weight.abs().max() > 0


def test_attention_reads_all_tokens_but_no_padding(config):
    base = model.load_base(config.base, config.outputs, config.seed)
    encoder = train.encoder_for(base, config)
    with levers.pulled("attention-pooling"):
        network = model.attach(base.network, config.adapter, config.seed, base.prompt).eval()
    texts_read = [Conversation((Turn("user", text),)) for text in ("a cat", "a cat and a dog and more")]
    short, long = (one.windows[0] for one in encoder.one_window(texts_read))
    both = encoder.pad([short, long])
    with torch.no_grad():
        ids, mask = torch.from_numpy(both.input_ids), torch.from_numpy(both.attention_mask)
        pooled = network.bert(input_ids=ids, attention_mask=mask)
        alone = network.bert(input_ids=torch.tensor([short]), attention_mask=torch.ones(1, len(short)))
        expected = alone.last_hidden_state.mean(dim=1)  # attention starts at all tokens alike
    torch.testing.assert_close(alone.pooler_output, expected)
    torch.testing.assert_close(pooled.pooler_output[:1], expected, atol=1e-5, rtol=1e-5)


def test_the_first_token_is_read_as_it_is(config):
    base = model.load_base(config.base, config.outputs, config.seed)
    with levers.pulled("first-token"):
        network = model.attach(base.network, config.adapter, config.seed, base.prompt).eval()
    with torch.no_grad():
        read = network.bert(input_ids=torch.tensor([[2, 5, 6, 3]]))
    assert torch.equal(read.pooler_output, read.last_hidden_state[:, 0])
    assert not any(".pooler." in name for name, _ in network.named_parameters())


def test_lower_layers_learn_more_slowly(config):
    base = model.load_base(config.base, config.outputs, config.seed)
    layers = base.network.config.num_hidden_layers
    with levers.pulled("layer-decay"):
        optimizer = fitting.make_optimizer(base.network, config.train)
    rates = {id(group["params"][0]): group["lr"] for group in optimizer.param_groups}
    named = {name: rates[id(parameter)] for name, parameter in base.network.named_parameters()}
    rate = config.train.learning_rate
    assert named["bert.pooler.dense.weight"] == rate
    assert named[f"bert.encoder.layer.{layers - 1}.output.dense.weight"] == rate
    assert named["bert.encoder.layer.0.output.dense.weight"] == pytest.approx(rate * 0.85 ** (layers - 1))
    assert named["bert.embeddings.word_embeddings.weight"] == pytest.approx(rate * 0.85**layers)
    assert named["classifier.weight"] == config.train.head_learning_rate


def test_a_long_text_keeps_its_beginning_and_its_end(config):
    base = model.load_base(config.base, config.outputs, config.seed)
    encoder = train.encoder_for(base, config)
    longest = encoder.config.max_tokens
    words = " ".join("abcdefghij"[at % 10] for at in range(3 * longest))
    conversation = Conversation((Turn("user", words),))
    whole = encoder.tokenizer.__class__.from_str(encoder.tokenizer.to_str())
    whole.no_truncation()
    ids = whole.encode(texts.render(conversation, encoder.text).text).ids
    short = Conversation((Turn("user", "a"),))
    with levers.pulled("head-and-tail"):
        long, same = (one.windows[0] for one in encoder.one_window([conversation, short]))
    head = 1 + (longest - 2) // 4
    assert long == (*ids[:head], *ids[head - longest :])
    assert len(long) == longest
    assert (same,) == encoder.one_window([short])[0].windows


def test_tokens_are_dropped_in_training_alone_and_others_each_time(config):
    base = model.load_base(config.base, config.outputs, config.seed)
    text = " ".join("abcdefghij"[at % 10] for at in range(40))
    row = Example("one", Conversation((Turn("user", text),)), {"toxicity": 1})
    rows = Rows([row], train.encoder_for(base, config), config, {})
    whole = rows[0]["input_ids"]
    with levers.pulled("token-dropping"):
        read = [Epochs(rows, 1, False, 0)[0]["input_ids"] for _ in range(20)]
    assert len(set(read)) > 10
    for tokens in read:
        assert (tokens[0], tokens[-1]) == (whole[0], whole[-1])
        remaining = iter(whole)
        assert all(token in remaining for token in tokens)  # in their order
    assert rows[0]["input_ids"] == whole


def test_an_ensemble_teaches_from_what_a_fold_learns_from_alone(config, rows, tmp_path, monkeypatch):
    plain, taught = CrossFit._fold, []

    def fold(crossfit, number, rest, held):
        if crossfit.setting == "folds":
            taught.append((crossfit.config.distill, rest, held))
        return plain(crossfit, number, rest, held)

    monkeypatch.setattr(CrossFit, "_fold", fold)
    monkeypatch.setenv("ADAPTOX_CACHE", str(tmp_path / "cache"))
    with levers.pulled("ensemble-teacher-at-2"):
        held = CrossFit(config, 2, "folds", tmp_path / "folds", True, silent).score(rows)
        flipped = [replace(row, labels={"toxicity": 1 - row.labels["toxicity"]}) for row in taught[0][2]]
        learned = [replace(row, teacher={}) for row in taught[0][1]]
        CrossFit(config, 2, "folds", tmp_path / "flipped", True, silent)._fold(0, learned, flipped)
    assert {row.id for row in held.examples} == {row.id for row in rows}
    assert len(taught) == 3
    for distill, rest, left_out in taught:
        assert (distill.targets, distill.sigma, distill.temperature) == (("toxicity",), 0.5, 2.0)
        assert all(0 < row.teacher["toxicity"] < 1 for row in rest)
        assert not {row.id for row in rest} & {row.id for row in left_out}
    # What is left out has no say in what is taught.
    assert [row.teacher for row in taught[2][1]] == [row.teacher for row in taught[0][1]]


def test_an_unknown_lever_is_refused():
    with pytest.raises(ConfigError, match=r"no lever 'fgn'.*fgm"), levers.pulled("fgn"):
        pass
