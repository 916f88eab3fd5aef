"""A name → the base classifier with our labels, its tokenizer and its limits."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from adaptox.config import BaseConfig
from adaptox.errors import BaseModelError
from adaptox.labels import LabelSet
from adaptox.model.architectures import Architecture, architecture
from adaptox.model.heads import copy_rows, matches, widen
from adaptox.model.places import Place, find
from adaptox.model.pooling import ask_for_mean, pooled
from adaptox.model.quiet import quiet
from adaptox.model.tokens import load_tokenizer, pad_token_id


@dataclass(frozen=True, slots=True)
class Base:
    """A base model, ready to be adapted.

    Attributes:
        network: the classifier, one logit a label, in float32 on the CPU.
        tokenizer: without truncation and padding, which are the encoder's business.
        pad_token_id: the padding token.
        max_positions: the longest input in tokens, special tokens included.
        warm: our label → the base's own label whose row of the head was kept; empty if none was.
        name: as in the settings.
        revision: commit on the hub; empty if the base is not from there.
        licence: as the base's model card says; ``unknown`` if it does not.
        prompt: ids of the tokens that are put before every text, see `with_prompt`.
    """

    network: PreTrainedModel
    tokenizer: Tokenizer
    pad_token_id: int
    max_positions: int
    warm: Mapping[str, str]
    name: str
    revision: str
    licence: str
    prompt: tuple[int, ...] = ()


def load_base(config: BaseConfig, labels: LabelSet, seed: int) -> Base:
    """Load a base model and give it a head for our labels.

    Equal arguments give equal weights, and labels after the first change no weight but their own rows of the head.
    The global random state is left as it was.

    Args:
        config: which base, and whether its head is kept.
        labels: names of the logits.
        seed: of the weights that the base does not bring.

    Raises:
        BaseModelError: the base cannot be found, lacks a file, or is of an unsupported type.
        MissingExtraError: `minilm` without its package.
    """
    place = find(config.name, config.revision)
    own = _read_config(place)
    parts = architecture(own.model_type)
    if config.dropout is not None:
        for key in parts.dropouts:
            setattr(own, key, config.dropout)
    setattr(own, parts.attention_dropout, config.attention_dropout)
    if config.pooling == "mean":
        ask_for_mean(own, config.name)
    tokenizer = load_tokenizer(place, own.vocab_size)
    network, warm = _with_our_head(place, own, parts, labels, config.warm_start, seed)
    return Base(
        network=network,
        tokenizer=tokenizer,
        pad_token_id=pad_token_id(own, tokenizer, place),
        max_positions=own.max_position_embeddings - parts.reserved_positions,
        warm=MappingProxyType(warm),
        name=config.name,
        revision=place.revision,
        licence=place.licence,
    )


def reload(folder: Path) -> PreTrainedModel:
    """Load a classifier that `save` wrote, in evaluation mode, in float32 on the CPU.

    Raises:
        BaseModelError: config.json or the weights cannot be read.
    """
    place = Place(str(folder), folder, "", "")
    network, _ = _read_weights(place, _read_config(place))
    network.eval()  # type: ignore[no-untyped-call]
    return network


def device() -> torch.device:
    """Give the device that models run on: the first GPU if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _with_our_head(
    place: Place, own: PreTrainedConfig, parts: Architecture, labels: LabelSet, warm_start: bool, seed: int
) -> tuple[PreTrainedModel, dict[str, str]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loaded, missing = _read_weights(place, own)
        # One row alone: what is drawn after the head would otherwise depend on the number of labels.
        fresh: PreTrainedModel = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
            _name_outputs(copy.deepcopy(own), LabelSet((labels.target,))), dtype=torch.float32
        )
        network = pooled(fresh)
    body = [name for name in missing if not name.startswith((*parts.head, parts.pooler or parts.head[0]))]
    if body:
        raise BaseModelError(
            f"base {place.name!r}: {place.folder} holds weights of another model; {len(body)} tensors of "
            f"{own.model_type} are absent, e.g. {min(body)}: check that config.json and the weights belong together"
        )
    # Without a head of its own the base still has the head that transformers made up for it.
    has_head = f"{parts.projection}.weight" not in missing
    dropped = (parts.projection,) if warm_start else parts.head
    kept = {name: tensor for name, tensor in loaded.state_dict().items() if not name.startswith(dropped)}
    network.load_state_dict(kept, strict=False)
    _give_rows(network, parts, labels, seed)
    if not (warm_start and has_head):
        return network, {}
    own_labels = tuple(name for _, name in sorted((own.id2label or {}).items()))
    found = matches(labels, own_labels)
    softmax = own.problem_type == "single_label_classification" or (
        own.problem_type is None and len(own_labels) == 2 and len(set(found.values())) == 1
    )
    copy_rows(
        loaded.get_submodule(parts.projection),
        network.get_submodule(parts.projection),
        {labels.index(name): own_labels.index(label) for name, label in found.items()},
        softmax,
    )
    return network, found


def _give_rows(network: PreTrainedModel, parts: Architecture, labels: LabelSet, seed: int) -> None:
    """Give a network with a row for the first label a row for each."""
    narrow = cast(torch.nn.Linear, network.get_submodule(parts.projection))
    network.set_submodule(parts.projection, widen(narrow, labels, seed))
    _name_outputs(network.config, labels)
    network.num_labels = len(labels)  # type: ignore[assignment]


def _name_outputs(config: PreTrainedConfig, labels: LabelSet) -> PreTrainedConfig:
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: index for index, name in enumerate(labels)}
    config.problem_type = "multi_label_classification"
    return config


def _read_config(place: Place) -> PreTrainedConfig:
    try:
        with quiet():
            config: PreTrainedConfig = AutoConfig.from_pretrained(place.folder)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise BaseModelError(
            f"base {place.name!r}: expected transformers' settings in {place.folder / 'config.json'}, "
            f"which cannot be read ({reason}): choose another base"
        ) from error
    return config


def _read_weights(place: Place, config: PreTrainedConfig) -> tuple[PreTrainedModel, set[str]]:
    try:
        with quiet():
            network, info = AutoModelForSequenceClassification.from_pretrained(
                place.folder,
                config=config,
                # A checkpoint's own type may be half precision, which training and scoring do not start from.
                dtype=torch.float32,
                weights_only=True,
                output_loading_info=True,
            )
    except (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        EOFError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BaseModelError(
            f"base {place.name!r}: the weights in {place.folder} cannot be read ({reason}): fetch them again"
        ) from error
    return pooled(network), set(info["missing_keys"])
