"""One scoring path: the same numbers in memory, merged, reloaded, and on the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import adaptox
from adaptox import bundle, config, decide, model
from adaptox.cli import main
from adaptox.encode import Encoder
from adaptox.errors import BundleError, DataError, MissingExtraError
from adaptox.records import Conversation, Scores
from adaptox.scorers import Moderator, TorchScorer

LABELS = ("toxicity", "insult")
TEXTS = (
    "hello you",
    "please write the story",
    "",
    "you stupid idiot",
    "the " * 50,
    "hello " * 200 + "idiot",
    "write a letter to the user",
)


@dataclass(frozen=True)
class Made:
    """An adapted network before it was merged, and the bundle that was written of it."""

    network: torch.nn.Module
    encoder: Encoder
    folder: Path


@pytest.fixture(scope="module")
def made(tiny_bert, tmp_path_factory) -> Made:
    settings = config.parse(
        {
            "base": {"name": str(tiny_bert)},
            "labels": list(LABELS),
            "encode": {"max_tokens": 24, "stride": 6},
            "adapter": {"kind": "lora"},
        }
    )
    base = model.load_base(settings.base, settings.label_set, 0)
    network = model.attach(base.network, settings.adapter)
    torch.manual_seed(1)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            # A fresh adapter changes nothing, and a fresh head hardly anything.
            torch.nn.init.normal_(parameter, 0.0, 0.3 if "lora" in name else 1.0)
    encoder = Encoder(base.tokenizer, base.pad_token_id, settings.encode, settings.text, base.max_positions)
    truth = np.array([[0, 0], [1, 1], [0, 1], [1, 0]], np.float64)
    decider = decide.fit(truth * 3 - 1, truth, np.ones_like(truth, np.bool_), LABELS, settings.threshold)
    folder = tmp_path_factory.mktemp("run") / "bundle"
    manifest = bundle.Manifest(
        name="tiny",
        labels=LABELS,
        base={"name": "tiny"},
        adapter=settings.adapter.model_dump(mode="json"),
        text=settings.text,
        encode=settings.encode,
        pad_token_id=base.pad_token_id,
        decider=decider.to_json(),
        data_sha256="",
    )
    with bundle.saving(folder, manifest) as temporary:
        model.save(network, temporary)
        base.tokenizer.save(str(temporary / bundle.TOKENIZER))
    return Made(network, encoder, folder)


@pytest.fixture(scope="module")
def moderator(made):
    return adaptox.load(made.folder)


@pytest.fixture(scope="module")
def scorer(made):
    return TorchScorer(made.network, made.encoder, LABELS)


def conversations(texts=TEXTS):
    return [Conversation.of(text) for text in texts]


# --- the scorer


def test_scores_stand_in_input_order_whatever_shares_their_batch(scorer):
    together = scorer.score(conversations())
    assert together.labels == LABELS
    assert together.logits.shape == (len(TEXTS), 2)
    alone = np.concatenate([scorer.score([one]).logits for one in conversations()])
    np.testing.assert_allclose(together.logits, alone, atol=1e-5)
    backwards = scorer.score(conversations()[::-1])
    np.testing.assert_allclose(together.logits, backwards.logits[::-1], atol=1e-5)
    assert together.windows.tolist() == backwards.windows[::-1].tolist()
    assert len(np.unique(together.logits[:, 0].round(4))) == len(TEXTS)


def test_small_chunks_and_batches_give_the_same_scores(scorer, monkeypatch):
    whole = scorer.score(conversations())
    monkeypatch.setattr("adaptox.scorers.CHUNK", 2)
    monkeypatch.setattr("adaptox.scorers.TOKENS_PER_BATCH", 40)
    told = []
    parts = scorer.score(conversations(), lambda *report: told.append(report))
    np.testing.assert_allclose(whole.logits, parts.logits, atol=1e-5)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("score", len(TEXTS), len(TEXTS))


def test_a_long_text_has_the_highest_logit_of_its_windows(scorer, made):
    long = conversations(["hello " * 200 + "idiot"])
    (encoded,) = made.encoder.encode(long)
    scores = scorer.score(long)
    assert scores.windows.tolist() == [len(encoded.windows)]
    assert len(encoded.windows) > 5
    with torch.inference_mode():
        windows = [made.network(input_ids=torch.tensor([window])).logits[0] for window in encoded.windows]
    np.testing.assert_allclose(scores.logits[0], torch.stack(windows).amax(dim=0), atol=1e-5)


def test_nothing_to_score_gives_nothing(scorer, moderator):
    assert scorer.score([]).logits.shape == (0, 2)
    assert moderator.score([]) == []


def test_a_network_left_in_training_is_scored_without_dropout(scorer, made):
    expected = scorer.score(conversations()).logits
    made.network.train()
    np.testing.assert_array_equal(scorer.score(conversations()).logits, expected)


# --- the moderator


def test_texts_and_conversations_are_scored_together(moderator):
    talk = [{"role": "user", "content": "you stupid idiot"}]
    turns = [*talk, {"role": "assistant", "content": [{"type": "text", "text": "please"}]}]
    verdicts = moderator.score(["you stupid idiot", talk, turns, Conversation.of("hello you")])
    assert isinstance(verdicts, list)
    assert [verdict.id for verdict in verdicts] == ["0", "1", "2", "3"]
    # Where a row stands in its batch can change the last bit.
    assert verdicts[0].scores == pytest.approx(verdicts[1].scores, rel=1e-6)
    assert verdicts[0].scores != pytest.approx(verdicts[2].scores, rel=1e-6)
    assert all(verdict.scores.keys() == set(LABELS) for verdict in verdicts)


def test_any_iterable_of_texts_will_do(moderator):
    expected = moderator.score(list(TEXTS))
    assert moderator.score(TEXTS) == moderator.score(iter(TEXTS)) == moderator.score(np.array(TEXTS)) == expected


def test_ids_are_handed_on(moderator):
    assert [verdict.id for verdict in moderator.score(["hello", "you"], ids=["a", "b"])] == ["a", "b"]


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "b", "c"], "ab"])
def test_not_one_id_for_each_input_is_refused_before_any_work(moderator, monkeypatch, ids):
    monkeypatch.setattr(moderator, "scorer", None)
    with pytest.raises(DataError, match="expected one id for each of the 2 inputs"):
        moderator.score(["hello", "you"], ids=ids)


MESSAGE = {"role": "user", "content": "hello"}


@pytest.mark.parametrize("single", ["hello", b"hello", MESSAGE, [MESSAGE], Conversation.of("hello"), 3, None])
def test_a_single_one_is_refused_with_the_way_out(moderator, single):
    with pytest.raises(DataError, match=r"got a single one: put it into a list, \[one\]"):
        moderator.score(single)


@pytest.mark.parametrize("item", [3, None, [], ["hello"], [{"role": "user"}]])
def test_what_is_neither_a_text_nor_messages_is_refused(moderator, item):
    with pytest.raises(DataError, match="expected a"):
        moderator.score(["hello", item])


def test_a_bundle_is_verified_before_it_is_opened(tmp_path):
    with pytest.raises(BundleError, match=r"found no bundle\.json"):
        adaptox.load(tmp_path)


def test_without_torch_the_extra_is_named(made, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("adaptox.model")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(adaptox, "model")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"'torch', which is not installed: pip install 'adaptox\[train\]'"):
        adaptox.load(made.folder)


class Fixed:
    """A scorer without a network."""

    labels = LABELS

    def score(self, conversations: Any, progress: Any = None) -> Scores:
        count = len(conversations)
        logits = np.tile([4.0, -4.0], (count, 1))
        return Scores(LABELS, logits, np.ones(count, np.int64), np.zeros(count, np.bool_))


def test_any_scorer_fits(moderator):
    (verdict,) = Moderator(Fixed(), moderator.decider, moderator.bundle).score(["hello"])
    assert verdict.flagged == {"toxicity": True, "insult": False}
    assert verdict.decision == "block"


# --- parity


def test_in_memory_merged_reloaded_and_command_line_agree(made, scorer, moderator, tmp_path, monkeypatch, capsys):
    logits = scorer.score(conversations()).logits
    merged = TorchScorer(model.merge(made.network), made.encoder, LABELS).score(conversations()).logits
    reloaded = moderator.scorer.score(conversations()).logits
    np.testing.assert_allclose(merged, logits, atol=1e-5)
    np.testing.assert_allclose(reloaded, logits, atol=1e-5)

    verdicts = moderator.score(TEXTS)
    probs = moderator.decider.probs(logits)
    np.testing.assert_allclose([list(verdict.scores.values()) for verdict in verdicts], probs, atol=1e-5)

    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text or " "}) + "\n" for text in TEXTS))
    monkeypatch.setattr(sys, "argv", ["adaptox", "predict", str(made.folder), str(file), "--json"])
    with pytest.raises(SystemExit):
        main()
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["windows"] for line in printed] == [verdict.windows for verdict in verdicts]
    np.testing.assert_allclose([list(line["scores"].values()) for line in printed], probs, atol=1e-5)
