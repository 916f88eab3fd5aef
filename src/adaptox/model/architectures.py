"""What differs between the kinds of encoder that can be a base.

Module names are those of transformers' ``…ForSequenceClassification`` classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from adaptox.errors import BaseModelError


@dataclass(frozen=True, slots=True)
class Architecture:
    """The names one kind of encoder gives to the parts we touch.

    Attributes:
        projection: the last linear layer, one output a label.
        head: the modules of the classification head, `projection` among them; the pooler is part of the body.
        pooler: the pooler, or empty where there is none.
        attention: query, key and value, in this order; one name three times where one layer computes all.
        feed_forward: the second layer of the feed-forward block; IA3 scales its input.
        dropouts: the keys of the configuration that hold dropout probabilities.
        attention_dropout: the one of these that drops attention weights.
        reserved_positions: entries of the position table that no token can take.
    """

    projection: str
    head: tuple[str, ...]
    pooler: str
    attention: tuple[str, str, str]
    feed_forward: str
    dropouts: tuple[str, ...]
    attention_dropout: str = "attention_probs_dropout_prob"
    reserved_positions: int = 0


_BERT_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")

_BERT = Architecture(
    projection="classifier",
    head=("classifier",),
    pooler="bert.pooler",
    attention=("query", "key", "value"),
    feed_forward="output.dense",
    dropouts=_BERT_DROPOUTS,
)
_ROBERTA = Architecture(
    projection="classifier.out_proj",
    head=("classifier",),
    pooler="",
    attention=("query", "key", "value"),
    feed_forward="output.dense",
    dropouts=_BERT_DROPOUTS,
    # RoBERTa numbers positions from the padding id plus one, and the padding id is 1.
    reserved_positions=2,
)
_DEBERTA = Architecture(
    projection="classifier",
    head=("classifier",),
    pooler="pooler",
    attention=("in_proj", "in_proj", "in_proj"),
    feed_forward="output.dense",
    dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout", "cls_dropout"),
)
_DEBERTA_V2 = Architecture(
    projection="classifier",
    head=("classifier",),
    pooler="pooler",
    attention=("query_proj", "key_proj", "value_proj"),
    feed_forward="output.dense",
    dropouts=_DEBERTA.dropouts,
)
_MODERNBERT = Architecture(
    projection="classifier",
    head=("head", "classifier"),
    pooler="",
    attention=("Wqkv", "Wqkv", "Wqkv"),
    feed_forward="mlp.Wo",
    dropouts=("attention_dropout", "mlp_dropout", "embedding_dropout", "classifier_dropout"),
    attention_dropout="attention_dropout",
)
_DISTILBERT = Architecture(
    projection="classifier",
    head=("pre_classifier", "classifier"),
    pooler="",
    attention=("q_lin", "k_lin", "v_lin"),
    feed_forward="ffn.lin2",
    dropouts=("dropout", "attention_dropout", "seq_classif_dropout"),
    attention_dropout="attention_dropout",
)
_ARCHITECTURES = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA_V2,
    "modernbert": _MODERNBERT,
    "distilbert": _DISTILBERT,
}


def architecture(model_type: str) -> Architecture:
    """Look up the names of one kind of encoder.

    Args:
        model_type: as in the model's config.json.

    Raises:
        BaseModelError: a kind that is not supported.
    """
    if model_type not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise BaseModelError(f"expected a base of type {known}, got model_type {model_type!r}: choose another base")
    return _ARCHITECTURES[model_type]
