"""Prompt tuning: tokens before every text that are learned while all else stays, and a bundle that reads them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, processors

import tiny
from adaptox import model, train
from adaptox.adapt import adapt
from adaptox.config import AdapterConfig, BaseConfig
from adaptox.errors import BaseModelError, InterruptedRunError
from adaptox.evaluate import rows_from_parquet
from adaptox.labels import LabelSet
from adaptox.records import Conversation
from adaptox.scorers import Moderator

KINDS = ("bert", "roberta", "xlm-roberta", "deberta", "deberta-v2", "modernbert", "distilbert")
PROMPT = AdapterConfig(kind="prompt", prompt_tokens=3)
TEXTS = ["you are stupid", "please write a story"]


def load(folder, seed=0):
    return model.load_base(BaseConfig(name=str(folder)), LabelSet(("toxicity",)), seed)


def prompted(folder, seed=0):
    return model.with_prompt(load(folder), PROMPT, seed)


def read(base):
    """Give the batch that the base's encoder makes of the texts."""
    config = tiny.settings("base", "data", encode={"max_tokens": 48})
    encoder = train.encoder_for(base, config)
    padded = encoder.pad([one.windows[0] for one in encoder.one_window([Conversation.of(text) for text in TEXTS])])
    return {"input_ids": torch.tensor(padded.input_ids), "attention_mask": torch.tensor(padded.attention_mask)}


def logits_of(network, batch):
    network.eval()
    with torch.no_grad():
        return network(**batch).logits


def train_a_little(network, batch):
    network.train()
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.05)
    for _ in range(4):
        optimizer.zero_grad()
        network(**batch).logits.pow(2).sub(1).pow(2).sum().backward()
        optimizer.step()
    return network


def test_another_adapter_leaves_the_base_as_it_is(tiny_bert):
    base = load(tiny_bert)
    assert model.with_prompt(base, AdapterConfig(kind="lora"), 0) is base


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_stands_behind_the_first_special_token(base_of, kind):
    plain, base = load(base_of(kind)), prompted(base_of(kind))
    for text in TEXTS:
        without, with_prompt = (one.tokenizer.encode(text).ids for one in (plain, base))
        assert with_prompt == [without[0], *base.prompt, *without[1:]]
    assert len(set(base.prompt)) == 3
    assert base.tokenizer.num_special_tokens_to_add(False) == plain.tokenizer.num_special_tokens_to_add(False) + 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_trained_is_what_is_saved_and_nothing_else_moved(base_of, kind, tmp_path):
    base = prompted(base_of(kind))
    before = {name: weight.clone() for name, weight in base.network.state_dict().items()}
    batch = read(base)
    start = logits_of(base.network, batch)
    trained = train_a_little(model.attach(base.network, PROMPT, 0, base.prompt), batch)
    expected = logits_of(trained, batch)
    assert (expected - start).abs().max() > 1e-3
    model.save(trained, tmp_path / "plain")
    merged = model.reload(tmp_path / "plain")
    torch.testing.assert_close(logits_of(merged, batch), expected, rtol=0, atol=1e-5)
    rows = torch.zeros(len(merged.get_input_embeddings().weight), dtype=torch.bool)
    for name, weight in merged.state_dict().items():
        if weight.shape[0] == len(rows) and "embeddings" in name and not torch.equal(weight, before[name]):
            rows |= (weight != before[name]).any(dim=1)
        elif not any(part in name for part in ("classifier", "pooler", "head")):
            torch.testing.assert_close(weight, before[name], rtol=0, atol=0)
    assert rows.nonzero().flatten().tolist() == sorted(base.prompt)


def test_a_prompt_starts_from_words_that_the_seed_draws(tiny_bert):
    def start(seed):
        base = prompted(tiny_bert, seed)
        return base.network.get_input_embeddings().weight[list(base.prompt)].detach()

    assert torch.equal(start(0), start(0))
    assert not torch.equal(start(0), start(1))
    table = load(tiny_bert).network.get_input_embeddings().weight
    assert all((row == table).all(dim=1).any() for row in start(0))


@pytest.mark.parametrize("processing", [processors.BertProcessing, processors.RobertaProcessing])
def test_older_ways_of_adding_special_tokens_are_understood(tiny_bert, processing):
    base = load(tiny_bert)
    base.tokenizer.post_processor = processing(("[SEP]", 3), ("[CLS]", 2))
    ids = model.with_prompt(base, PROMPT, 0).tokenizer.encode("you").ids
    assert (ids[0], ids[-1], len(ids)) == (2, 3, 3 + 3)


def test_a_tokenizer_that_adds_nothing_is_refused(tiny_bert):
    base = load(tiny_bert)
    whole = json.loads(base.tokenizer.to_str())
    whole["post_processor"] = None
    bare = model.Base(
        **{field: getattr(base, field) for field in base.__slots__}
        | {"tokenizer": Tokenizer.from_str(json.dumps(whole))}
    )
    with pytest.raises(BaseModelError, match="adds special tokens by a template, got none"):
        model.with_prompt(bare, PROMPT, 0)


@pytest.mark.parametrize("folds", [0, 2])
def test_a_run_with_a_prompt_gives_a_bundle_that_scores_as_it_was_evaluated(tiny_bert, tmp_path, folds):
    data = tiny.write_csv(tmp_path / "rows.csv", tiny.texts())
    config = tiny.settings(
        tiny_bert,
        data,
        adapter={"kind": "prompt", "prompt_tokens": 4},
        train={"epochs": 2, "average": 2, "allow_collapse": True},
        threshold={"folds": folds},
    )
    begun = []

    def stop(stage, done, total):
        begun.append(stage)
        if stage == "train" and done == 9:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError):
        adapt(config, tmp_path / "stopped", progress=stop)
    resumed = adapt(config, tmp_path / "stopped", resume=True)
    run = adapt(config, tmp_path / "run")
    rows, again = (rows_from_parquet(one.folder / "scores.parquet")["test"] for one in (run, resumed))
    np.testing.assert_array_equal(rows.probs, again.probs)
    texts = dict(enumerate((text for text, _ in tiny.texts()), start=1))
    found = Moderator.open(run.folder / "bundle").score([texts[int(id_.rpartition("/")[2])] for id_ in rows.ids])
    np.testing.assert_allclose([verdict.scores["toxicity"] for verdict in found], rows.probs, atol=1e-6)
