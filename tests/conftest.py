"""Tiny models with random weights, in the layouts that real bases come in. Nothing here needs a network."""

from __future__ import annotations

import json
import os
import signal
import string
from collections.abc import Callable, Iterator
from pathlib import Path

# Read by huggingface_hub when it is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from adaptox.teach.store import Store

# A shell's background jobs ignore Ctrl-C, and what they start does, too; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The label names of unitary/toxic-bert, in its order.
JIGSAW_LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")

_CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation
_WORDS = ("the", "you", "are", "please", "write", "story", "hello", "stupid", "idiot", "hate", "user")
_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_CHARACTERS, *(f"##{c}" for c in _CHARACTERS), *_WORDS)

_SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 130,
    "type_vocab_size": 2,
}
# What a kind of encoder needs beyond its size; the ids are those of `_wordpiece` and `_bytes`.
_PIECEWISE = {"vocab_size": len(_PIECES), "pad_token_id": 0}
_BYTEWISE = {"vocab_size": 260, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
_RELATIVE = {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]}
_PARTICULARS = {
    "bert": _PIECEWISE,
    "distilbert": _PIECEWISE | {"hidden_dim": 48},
    "deberta": _PIECEWISE | _RELATIVE,
    "deberta-v2": _PIECEWISE | _RELATIVE,
    "roberta": _BYTEWISE,
    "xlm-roberta": _BYTEWISE,
    "modernbert": _BYTEWISE | {"cls_token_id": 0, "sep_token_id": 2},
}


def write_base(folder: Path, model_type: str, own_labels: tuple[str, ...] = (), **settings: object) -> Path:
    """Write a tiny base: a bare encoder, or a classifier if it has labels of its own.

    `settings` are further keys of its config.json.
    """
    # Imported here so that the tests of light rooms start without these.
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    config = AutoConfig.for_model(model_type, **_SIZE, **_PARTICULARS[model_type])
    for key, value in settings.items():
        setattr(config, key, value)
    torch.manual_seed(7)
    if own_labels:
        config.id2label = dict(enumerate(own_labels))
        config.label2id = {name: index for index, name in enumerate(own_labels)}
        network = AutoModelForSequenceClassification.from_config(config)
        for parameter in network.parameters():
            # Fresh heads have no biases, and fresh norms are all ones: neither would show that it was kept.
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, 1.0, 0.1)
    else:
        network = AutoModel.from_config(config)
    network.save_pretrained(folder)
    tokenizer = _wordpiece() if _PARTICULARS[model_type]["pad_token_id"] == 0 else _bytes()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_toxic_bert(folder: Path) -> Path:
    """Write a six-label BERT in the files of unitary/toxic-bert, which has no tokenizer.json."""
    write_base(folder, "bert", JIGSAW_LABELS, problem_type="multi_label_classification")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(_PIECES) + "\n")
    special = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": 512}))
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what adaptox keeps between runs out of the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAPTOX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def base_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give the folder of a tiny base by model type and own labels; written once, so do not change it."""
    written: dict[tuple[str, tuple[str, ...]], Path] = {}

    def base(model_type: str, own_labels: tuple[str, ...] = ()) -> Path:
        key = (model_type, own_labels)
        if key not in written:
            written[key] = write_base(tmp_path_factory.mktemp(model_type), model_type, own_labels)
        return written[key]

    return base


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file of labelled texts that any base can learn; a module's tests share it, so do not change it."""
    import tiny

    return tiny.write_csv(tmp_path_factory.mktemp("data") / "rows.csv", tiny.texts())


@pytest.fixture(scope="session")
def tiny_bert(base_of: Callable[..., Path]) -> Path:
    """Give the folder of a tiny bare BERT; it reads any lower-case English text."""
    return base_of("bert")


@pytest.fixture(scope="session")
def toxic_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a tiny six-label BERT in unitary/toxic-bert's layout."""
    return write_toxic_bert(tmp_path_factory.mktemp("toxic-bert"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give a teacher's answers, of which there are none yet."""
    with Store(tmp_path / "answers.sqlite") as opened:
        yield opened


def _wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordPiece({piece: index for index, piece in enumerate(_PIECES)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", _PIECES.index("[CLS]")), ("[SEP]", _PIECES.index("[SEP]"))],
    )
    tokenizer.add_special_tokens(list(_PIECES[:5]))
    # Real bases ship these two switched on.
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    return tokenizer


def _bytes() -> Tokenizer:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(pieces[:4])
    return tokenizer
