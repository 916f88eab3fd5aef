"""Bases of every supported kind: found, warm-started, adapted, merged, saved."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import resource
import shutil

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from adaptox import model
from adaptox.config import AdapterConfig, BaseConfig
from adaptox.errors import BaseModelError, ConfigError, MissingExtraError, StorageError
from adaptox.labels import LabelSet
from conftest import JIGSAW_LABELS, write_base

TOXICITY = LabelSet(("toxicity",))
KINDS = ("bert", "roberta", "deberta-v2", "modernbert")
ADAPTERS = ("lora", "dora", "rslora", "ia3")
IDS = torch.tensor([[2, 20, 30, 40, 50, 3], [2, 60, 61, 62, 3, 3]])

pytestmark = pytest.mark.filterwarnings("error")


def load(folder, labels=TOXICITY, seed=0, **settings):
    return model.load_base(BaseConfig(name=str(folder), **settings), labels, seed)


def logits_of(network):
    network.eval()
    with torch.no_grad():
        return network(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits


def train_a_little(network):
    """Take a few steps, large enough to move every trainable weight well away from its start."""
    network.train()
    torch.manual_seed(0)  # of its dropout
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.05)
    for _ in range(4):
        optimizer.zero_grad()
        network(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits.pow(2).sub(1).pow(2).sum().backward()
        optimizer.step()
    return network


def own(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder)


# Finding


def test_the_embedded_base_loads_offline():
    base = model.load_base(BaseConfig(), TOXICITY, seed=0)
    assert (base.name, base.licence, base.revision) == ("minilm", "apache-2.0", "")
    assert (base.pad_token_id, base.max_positions) == (0, 512)
    assert base.tokenizer.encode("hello").ids == [101, 7592, 102]
    assert len(base.tokenizer.encode("hello " * 300)) == 302
    assert logits_of(base.network).shape == (2, 1)
    assert not base.warm


def test_the_embedded_base_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"adaptox\[embedded\]"):
        model.load_base(BaseConfig(), TOXICITY, seed=0)


def test_a_hub_id_is_read_from_the_cache(monkeypatch, tmp_path, toxic_bert):
    commit = "a" * 40
    home = tmp_path / "models--unitary--toxic-bert"
    shutil.copytree(toxic_bert, home / "snapshots" / commit)
    (home / "snapshots" / commit / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    base = load("unitary/toxic-bert")
    assert (base.name, base.revision, base.licence) == ("unitary/toxic-bert", commit, "apache-2.0")
    assert load("unitary/toxic-bert", revision=commit).revision == commit


@pytest.mark.parametrize("pickled", [False, True])
def test_pickled_weights_are_fetched_only_where_there_are_no_others(monkeypatch, tmp_path, tiny_bert, pickled):
    hub, cache = shutil.copytree(tiny_bert, tmp_path / "hub"), tmp_path / "cache"
    torch.save(load_file(hub / "model.safetensors"), hub / "pytorch_model.bin")
    if pickled:
        (hub / "model.safetensors").unlink()
    cache.mkdir()

    def snapshot_download(name, *, revision, allow_patterns, local_files_only=False):
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        for file in hub.iterdir():
            if any(fnmatch.fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copy(file, cache)
        return str(cache)

    monkeypatch.setattr("adaptox.model.places.snapshot_download", snapshot_download)
    load("somebody/encoder")
    assert (cache / "pytorch_model.bin").exists() == pickled


def test_a_cached_base_without_a_tokenizer_is_completed(monkeypatch, tmp_path, tiny_bert):
    hub, cache = shutil.copytree(tiny_bert, tmp_path / "hub"), shutil.copytree(tiny_bert, tmp_path / "cache")
    (cache / "tokenizer.json").unlink()

    def snapshot_download(name, *, revision, allow_patterns, local_files_only=False):
        if not local_files_only:
            shutil.copytree(hub, cache, dirs_exist_ok=True)
        return str(cache)

    monkeypatch.setattr("adaptox.model.places.snapshot_download", snapshot_download)
    assert load("somebody/encoder").tokenizer is not None


@pytest.mark.parametrize("card", ["no metadata", "---\nlicense: [\n---\n", "---\nlicense: [mit]\n---\n"])
def test_a_licence_that_the_card_does_not_say_is_unknown(tmp_path, tiny_bert, card):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    (folder / "README.md").write_text(card)
    assert load(folder).licence == "unknown"


def test_an_unknown_base_offline_says_what_was_tried(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BaseModelError, match=r"no folder here.*not in the Hugging Face cache.*minilm") as error:
        load("unitary/toxic-bert", revision="v9")
    assert "at revision 'v9'" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_that_can_be_no_hub_id_is_refused(tmp_path):
    with pytest.raises(BaseModelError, match="expected minilm, minilm-prompts, an existing folder, or a hub id"):
        load(tmp_path / "missing")


@pytest.mark.parametrize(
    ("file", "meaning"),
    [("config.json", "settings"), ("model.safetensors", "weights"), ("tokenizer.json", "a tokenizer")],
)
def test_a_folder_that_lacks_a_file_says_which(tmp_path, tiny_bert, file, meaning):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    (folder / file).unlink()
    with pytest.raises(BaseModelError, match=f"holds no {file}.*expected {meaning}"):
        load(folder)


@pytest.mark.parametrize("wrong", [None, {"model_type": "bert", "hidden_size": "32"}])
def test_settings_of_the_wrong_type_name_the_file(tmp_path, tiny_bert, wrong):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    (folder / "config.json").write_text(json.dumps(wrong))
    with pytest.raises(BaseModelError, match=r"settings in .*config\.json, which cannot be read"):
        load(folder)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_reported_in_one_line(tmp_path, tiny_bert, file):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    (folder / file).write_bytes(b"{")
    with pytest.raises(BaseModelError, match="cannot be read") as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_an_unsupported_architecture_is_refused(tmp_path, tiny_bert):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(BaseModelError, match=r"expected a base of type bert, .*got model_type 'gpt2'"):
        load(folder)


def test_weights_of_another_model_are_refused(tmp_path, tiny_bert, base_of):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    shutil.copy(base_of("modernbert") / "model.safetensors", folder)
    with pytest.raises(BaseModelError, match="weights of another model"):
        load(folder)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(tmp_path, base_of):
    folder = shutil.copytree(base_of("bert"), tmp_path / "base")
    shutil.copy(base_of("roberta") / "tokenizer.json", folder)
    with pytest.raises(BaseModelError, match="the tokenizer gives token"):
        load(folder)


def test_a_tokenizer_without_a_vocabulary_is_refused(tmp_path, toxic_bert):
    folder = shutil.copytree(toxic_bert, tmp_path / "base")
    (folder / "vocab.txt").unlink()
    (folder / "vocab.json").write_text("{}")
    with pytest.raises(BaseModelError, match="got special tokens alone"):
        load(folder)


def test_a_base_without_a_padding_token_is_refused(tmp_path, base_of):
    folder = shutil.copytree(base_of("bert"), tmp_path / "base")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "pad_token_id": None}))
    assert load(folder).pad_token_id == 0
    tokenizer = (folder / "tokenizer.json").read_text().replace("[PAD]", "[FILL]")
    (folder / "tokenizer.json").write_text(tokenizer)
    with pytest.raises(BaseModelError, match="expected a padding token"):
        load(folder)


def test_pickled_weights_load_when_they_are_plain_tensors(tmp_path, tiny_bert):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert torch.equal(logits_of(load(folder).network), logits_of(load(tiny_bert).network))


class Bomb:
    def __reduce__(self):
        return (print, ("never",))


def test_pickled_weights_that_run_code_are_refused(tmp_path, tiny_bert, capsys):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    (folder / "model.safetensors").unlink()
    torch.save({"bert.pooler.dense.weight": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(BaseModelError, match="cannot be read"):
        load(folder)
    assert capsys.readouterr().out == ""


# Loading


@pytest.mark.parametrize("own_labels", [(), ("neutral", "toxic")], ids=["encoder", "classifier"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_loads_with_our_labels(base_of, kind, own_labels):
    base = load(base_of(kind, own_labels), LabelSet(("toxicity", "jailbreaking")))
    assert base.network.config.id2label == {0: "toxicity", 1: "jailbreaking"}
    assert base.network.config.label2id == {"toxicity": 0, "jailbreaking": 1}
    assert base.network.config.problem_type == "multi_label_classification"
    assert base.pad_token_id == (0 if kind in ("bert", "deberta-v2") else 1)
    assert base.max_positions == (128 if kind == "roberta" else 130)
    assert dict(base.warm) == ({"toxicity": "toxic"} if own_labels else {})
    assert {p.dtype for p in base.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_input_can_be_read_and_no_longer_one_where_positions_are_a_table(base_of, kind):
    base = load(base_of(kind))
    assert base.network.eval()(input_ids=torch.full((1, base.max_positions), 20)).logits.isfinite().all()
    if kind in ("bert", "roberta"):
        with pytest.raises((IndexError, RuntimeError)):
            base.network(input_ids=torch.full((1, base.max_positions + 1), 20))


def test_truncation_and_padding_are_switched_off(tiny_bert):
    tokenizer = load(tiny_bert).tokenizer
    assert len(tokenizer.encode("hello")) == 3
    assert len(tokenizer.encode("hello " * 40)) == 42


def test_loading_depends_on_the_seed_alone_and_leaves_the_global_state(tiny_bert):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = load(tiny_bert, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(5)
    assert torch.equal(logits_of(first.network), logits_of(load(tiny_bert, seed=3).network))
    assert not torch.equal(logits_of(first.network), logits_of(load(tiny_bert, seed=4).network))


PROJECTION = {"roberta": "classifier.out_proj"}


@pytest.mark.parametrize("warm_start", [True, False])
@pytest.mark.parametrize("own_labels", [(), ("neutral", "toxic")], ids=["encoder", "classifier"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_further_label_changes_no_weight_but_its_own_row(base_of, kind, own_labels, warm_start):
    def weights(*names):
        network = load(base_of(kind, own_labels), LabelSet(names), seed=3, warm_start=warm_start).network
        assert network.num_labels == network.config.num_labels == len(names)
        assert logits_of(network).shape == (2, len(names))
        return network.state_dict()

    alone, beside = weights("toxicity"), weights("toxicity", "violence", "sexual")
    reordered = weights("toxicity", "hate", "sexual", "violence")
    projection = PROJECTION.get(kind, "classifier")
    for name, tensor in alone.items():
        rows = slice(0, 1) if name.startswith(projection + ".") else slice(None)
        assert torch.equal(beside[name][rows], tensor), name
    rows, others = beside[f"{projection}.weight"], reordered[f"{projection}.weight"]
    assert torch.equal(rows[1], others[3])
    assert torch.equal(rows[2], others[2])


def test_fresh_rows_are_of_one_scale_and_of_no_common_direction(tmp_path):
    folder = write_base(tmp_path, "bert", hidden_size=512)
    names = ("toxicity", "hate", "violence", "sexual")
    rows = load(folder, LabelSet(names)).network.classifier.weight.detach()
    torch.testing.assert_close(rows.norm(dim=1), rows[:1].norm(dim=1).expand(4))
    assert rows[0].std().item() == pytest.approx(0.02, rel=0.1)
    directions = torch.nn.functional.normalize(rows)
    likeness = directions @ directions.T - torch.eye(4)
    # Of random directions in 512 dimensions; 5 deviations.
    assert likeness.abs().max() < 5 / 512**0.5
    again = load(folder, LabelSet(names), seed=1).network.classifier.weight
    assert (torch.cosine_similarity(rows, again) < 0.3).all()


def test_loading_and_adapting_write_nothing(tiny_bert, tmp_path, capfd):
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    network = model.attach(load(tiny_bert).network, AdapterConfig(kind="lora"))
    model.save(network, tmp_path / "plain")
    model.save_adapter(network, tmp_path / "adapter")
    model.load_adapter(load(tiny_bert).network, tmp_path / "adapter")
    model.reload(tmp_path / "plain")
    assert capfd.readouterr() == ("", "")
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == (
        verbosity,
        bars,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_reaches_every_dropout_of_the_network(base_of, kind):
    network = load(base_of(kind), dropout=0.37, attention_dropout=0.37).network
    rates = {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)}
    # ModernBERT gives its attention's rate to a function, which no module shows.
    assert rates <= {0.37}
    assert {
        value for key, value in vars(network.config).items() if "dropout" in key and key != "hidden_dropout"
    } == {0.37}


@pytest.mark.parametrize(
    ("kind", "key"), [("bert", "attention_probs_dropout_prob"), ("modernbert", "attention_dropout")]
)
def test_attention_weights_are_not_dropped_unless_asked_for(base_of, kind, key):
    assert getattr(load(base_of(kind), dropout=0.37).network.config, key) == 0.0


def test_half_precision_weights_are_raised(tmp_path, tiny_bert):
    folder = shutil.copytree(tiny_bert, tmp_path / "base")
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert {p.dtype for p in load(folder).network.parameters()} == {torch.float32}


# Warm start


def test_toxic_bert_keeps_its_row_and_feeds_the_nearest_categories(toxic_bert):
    labels = LabelSet(
        (
            "toxicity",
            "jailbreaking",
            "harassment",
            "harassment/threatening",
            "hate",
            "hate/threatening",
            "self-harm",
            "sexual",
            "violence",
        )
    )
    base = load(toxic_bert, labels)
    assert dict(base.warm) == {
        "toxicity": "toxic",
        "harassment": "insult",
        "harassment/threatening": "threat",
        "hate": "identity_hate",
        "hate/threatening": "severe_toxic",
        "sexual": "obscene",
        "violence": "threat",
    }
    theirs, ours = logits_of(own(toxic_bert)), logits_of(base.network)
    for name, source in base.warm.items():
        torch.testing.assert_close(ours[:, labels.index(name)], theirs[:, JIGSAW_LABELS.index(source)])
    new = labels.index("jailbreaking")
    assert base.network.classifier.bias[new] == 0
    assert base.network.classifier.weight[new].std().item() == pytest.approx(0.02, rel=0.5)
    assert base.tokenizer.encode("Hello you").tokens == ["[CLS]", "hello", "you", "[SEP]"]


@pytest.mark.parametrize("kind", KINDS)
def test_two_competing_labels_become_one_logit(base_of, kind):
    folder = base_of(kind, ("neutral", "toxic"))
    theirs = logits_of(own(folder))
    expected = theirs.softmax(dim=1)[:, 1]
    torch.testing.assert_close(logits_of(load(folder).network)[:, 0].sigmoid(), expected)


def test_several_competing_labels_count_against_the_mean_of_the_others(tmp_path):
    folder = write_base(
        tmp_path, "bert", ("hate", "offensive", "neither"), problem_type="single_label_classification"
    )
    theirs = logits_of(own(folder))
    torch.testing.assert_close(
        logits_of(load(folder).network)[:, 0], theirs[:, 1] - (theirs[:, 0] + theirs[:, 2]) / 2
    )


def test_names_match_whatever_their_case_spaces_and_hyphens(tmp_path):
    folder = write_base(tmp_path, "bert", ("Severe Toxic", "Identity-Hate", "OBSCENE"))
    warm = load(folder, LabelSet(("toxicity", "hate", "hate/threatening", "sexual"))).warm
    assert dict(warm) == {"hate": "Identity-Hate", "hate/threatening": "Severe Toxic", "sexual": "OBSCENE"}


def test_nameless_labels_match_nothing(tmp_path):
    base = load(write_base(tmp_path, "bert", ("LABEL_0", "LABEL_1")))
    assert not base.warm
    assert base.network.classifier.bias.tolist() == [0]


@pytest.mark.parametrize("kind", ["roberta", "modernbert"])
def test_the_inner_layers_of_a_head_are_kept_unless_the_head_is_rebuilt(base_of, kind):
    folder = base_of(kind, ("neutral", "toxic"))
    inner = "classifier.dense.weight" if kind == "roberta" else "head.dense.weight"
    theirs = own(folder).get_parameter(inner)
    assert torch.equal(load(folder).network.get_parameter(inner), theirs)
    rebuilt = load(folder, warm_start=False)
    assert not torch.equal(rebuilt.network.get_parameter(inner), theirs)
    assert not rebuilt.warm


def test_a_rebuilt_head_leaves_the_body(toxic_bert):
    base = load(toxic_bert, warm_start=False)
    assert not base.warm
    assert base.network.classifier.bias.tolist() == [0]
    theirs = own(toxic_bert).bert.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in base.network.bert.state_dict().items())


def test_what_was_saved_is_a_base_again_with_all_its_rows(tmp_path, toxic_bert):
    labels = LabelSet(("toxicity", "jailbreaking"))
    first = load(toxic_bert, labels)
    train_a_little(first.network)
    model.save(first.network, tmp_path)
    first.tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = load(tmp_path, labels, seed=9)
    assert dict(again.warm) == {"toxicity": "toxicity", "jailbreaking": "jailbreaking"}
    torch.testing.assert_close(logits_of(again.network), logits_of(first.network))


# Adapters


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("kind", KINDS)
def test_trained_saved_loaded_and_merged_give_the_same_logits(tmp_path, base_of, kind, adapter):
    folder = base_of(kind)
    before = logits_of(load(folder).network)
    trained = train_a_little(model.attach(load(folder).network, AdapterConfig(kind=adapter)))
    expected = logits_of(trained)
    assert (expected - before).abs().max() > 1e-3  # a hundred times what the copies may differ by
    model.save_adapter(trained, tmp_path / "adapter")
    model.save(trained, tmp_path / "plain")
    # Another seed, so that nothing is right by having been made alike.
    loaded = model.load_adapter(load(folder, seed=5).network, tmp_path / "adapter")
    for network in (loaded, model.merge(trained), model.merge(loaded), model.reload(tmp_path / "plain"), trained):
        torch.testing.assert_close(logits_of(network), expected, rtol=0, atol=1e-5)
    assert not any("lora" in name or "ia3" in name for name, _ in model.merge(trained).named_parameters())


@pytest.mark.parametrize("adapter", ["lora", "ia3"])
@pytest.mark.parametrize("kind", ["xlm-roberta", "deberta", "distilbert"])
def test_their_relatives_are_adapted_and_merged_too(base_of, kind, adapter):
    folder = base_of(kind, ("neutral", "toxic"))
    base = load(folder)
    assert dict(base.warm) == {"toxicity": "toxic"}
    trained = train_a_little(model.attach(base.network, AdapterConfig(kind=adapter)))
    torch.testing.assert_close(logits_of(model.merge(trained)), logits_of(trained), rtol=0, atol=1e-5)
    assert (logits_of(trained) - logits_of(load(folder).network)).abs().max() > 1e-2


def test_the_adapter_itself_learns(base_of):
    trained = model.attach(load(base_of("bert")).network, AdapterConfig(kind="lora"))
    before = {name: p.detach().clone() for name, p in trained.named_parameters()}
    train_a_little(trained)
    moved = {name for name, p in trained.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in trained.named_parameters() if p.requires_grad}
    for part in (
        "query.lora_B",
        "key.lora_A",
        "value.lora_B",
        "pooler.modules_to_save",
        "classifier.modules_to_save",
    ):
        assert any(part in name for name in moved)


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_the_pooler_is_trained_only_when_asked(base_of, kind):
    for asked in (True, False):
        network = model.attach(load(base_of(kind)).network, AdapterConfig(kind="lora", train_pooler=asked))
        trained = [name for name, p in network.named_parameters() if p.requires_grad]
        assert any("pooler" in name for name in trained) == asked


def head_of(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items() if "classifier" in name}


def test_an_adapter_depends_on_its_seed_alone(base_of):
    def update(seed):
        torch.rand(3)
        network = model.attach(load(base_of("bert")).network, AdapterConfig(kind="lora"), seed)
        return next(p for name, p in network.named_parameters() if "lora_A" in name)

    assert torch.equal(update(1), update(1))
    assert not torch.equal(update(1), update(2))


def test_a_frozen_head_stays_but_is_saved(tmp_path, base_of):
    folder = base_of("roberta")
    network = model.attach(load(folder).network, AdapterConfig(kind="lora", train_head=False))
    assert model.head_parameter_names(network) == frozenset()
    before = head_of(network)
    expected = logits_of(train_a_little(network))
    assert all(torch.equal(head_of(network)[name], tensor) for name, tensor in before.items())
    model.save_adapter(network, tmp_path)
    loaded = model.load_adapter(load(folder, seed=5).network, tmp_path)
    torch.testing.assert_close(logits_of(loaded), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("adapter", ["lora", "ia3"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_linear_spares_head_and_pooler(base_of, kind, adapter):
    network = model.attach(load(base_of(kind)).network, AdapterConfig(kind=adapter, targets=("all-linear",)))
    adapted = {
        name.split(".lora_")[0].split(".ia3_")[0]
        for name, _ in network.named_parameters()
        if "lora_A" in name or "ia3" in name
    }
    assert len(adapted) >= 8
    assert not any("pooler" in name or "classifier" in name or ".head." in name for name in adapted)


def test_ia3_scales_keys_values_and_the_feed_forward_block(base_of):
    network = model.attach(load(base_of("bert")).network, AdapterConfig(kind="ia3"))
    scaled = [
        name.split("layer.0.")[1] for name, _ in network.named_parameters() if "ia3" in name and "layer.0" in name
    ]
    assert sorted(scaled) == [
        "attention.self.key.ia3_l.default",
        "attention.self.value.ia3_l.default",
        "output.dense.ia3_l.default",
    ]
    width = network.get_parameter("base_model.model.bert.encoder.layer.0.output.dense.ia3_l.default").shape
    assert width == (1, 48)


def test_targets_can_be_suffixes(base_of):
    network = model.attach(
        load(base_of("bert")).network, AdapterConfig(kind="lora", targets=("query", "intermediate.dense"))
    )
    adapted = {
        name.split(".lora_A")[0].split("layer.")[1] for name, _ in network.named_parameters() if "lora_A" in name
    }
    assert adapted == {f"{i}.{name}" for i in (0, 1) for name in ("attention.self.query", "intermediate.dense")}


@pytest.mark.parametrize(
    ("kind", "hint"), [("bert", "query"), ("deberta-v2", "query_proj"), ("modernbert", "Wqkv")]
)
def test_an_unknown_target_names_those_there_are(base_of, kind, hint):
    with pytest.raises(ConfigError, match=rf"no linear module 'qwery'.*there are: .*{hint}"):
        model.attach(load(base_of(kind)).network, AdapterConfig(kind="lora", targets=("value", "qwery")))


def test_no_targets_at_all_is_refused(base_of):
    with pytest.raises(ConfigError, match=r"adapter.targets: expected at least one"):
        model.attach(load(base_of("bert")).network, AdapterConfig(kind="lora", targets=()))


def test_merging_leaves_the_adapted_network_usable(base_of):
    network = model.attach(load(base_of("bert")).network, AdapterConfig(kind="lora"))
    merged = model.merge(network)
    before = logits_of(merged)
    train_a_little(network)
    assert torch.equal(logits_of(merged), before)
    assert not torch.equal(logits_of(network), before)


def test_without_an_adapter_everything_is_trained_and_merging_changes_nothing(base_of):
    network = load(base_of("bert")).network
    assert model.attach(network, AdapterConfig()) is network
    assert model.share(network).share == 1
    assert model.merge(network.train()) is network
    assert not network.training


def test_the_share_counts_each_weight_once(base_of):
    plain = model.share(load(base_of("bert")).network)
    adapted = model.share(model.attach(load(base_of("bert")).network, AdapterConfig(kind="lora", r=2)))
    adapter = 2 * 3 * (2 * 32 + 32 * 2)
    head, pooler = 32 + 1, 32 * 32 + 32
    assert adapted == model.TrainableShare(adapter + head + pooler, plain.total + adapter)


@pytest.mark.parametrize(("kind", "size"), [("bert", 2), ("roberta", 4), ("deberta-v2", 2), ("modernbert", 4)])
@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_the_head_is_named_without_the_pooler(base_of, kind, size, adapter):
    network = model.attach(load(base_of(kind)).network, AdapterConfig(kind=adapter))
    names = model.head_parameter_names(network)
    assert len(names) == size
    assert names <= dict(network.named_parameters()).keys()


def test_an_adapter_of_another_base_is_refused(tmp_path, base_of):
    model.save_adapter(model.attach(load(base_of("bert")).network, AdapterConfig(kind="lora")), tmp_path)
    with pytest.raises(BaseModelError, match="does not fit this base"):
        model.load_adapter(load(base_of("modernbert")).network, tmp_path)


def test_a_folder_without_an_adapter_says_what_is_missing(tmp_path, tiny_bert):
    with pytest.raises(BaseModelError, match=r"holds no adapter_config.json"):
        model.load_adapter(load(tiny_bert).network, tmp_path)


def test_only_adapted_networks_have_an_adapter_to_save(tmp_path, tiny_bert):
    with pytest.raises(TypeError, match="expected a network with an adapter"):
        model.save_adapter(load(tiny_bert).network, tmp_path)
    with pytest.raises(TypeError, match="expected a transformers classifier"):
        model.merge(torch.nn.Linear(2, 2))


def test_a_refusing_disk_is_a_storage_error(tmp_path, tiny_bert):
    network = load(tiny_bert).network
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            model.save(network, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
