"""Prompt tuning: a few tokens of our own before every text, whose embeddings are learned (arXiv 2104.08691).

The tokens become part of the tokenizer, behind the text's first special token, so that a trained prompt is read by
whatever reads the bundle, and the network stays a plain classifier.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from tokenizers import AddedToken, Tokenizer

from adaptox.config import AdapterConfig
from adaptox.errors import BaseModelError
from adaptox.model.base import Base

# No text holds it by chance.
_NAME = "<|prompt:{}|>"
_PIECE = "SpecialToken"


def with_prompt(base: Base, config: AdapterConfig, seed: int) -> Base:
    """Put a prompt before whatever the base reads, if one is asked for.

    Args:
        base: its network is changed in place.
        config: kind ``prompt`` asks for one, of `prompt_tokens`; any other leaves the base as it is.
        seed: chooses the words of the vocabulary whose embeddings the prompt starts from.

    Returns:
        The base with its new tokenizer, and the ids of the prompt.

    Raises:
        BaseModelError: the base's tokenizer adds special tokens in a way that is not known.
    """
    if config.kind != "prompt":
        return base
    tokenizer = Tokenizer.from_str(base.tokenizer.to_str())
    names = [_NAME.format(number) for number in range(config.prompt_tokens)]
    words = sorted(set(tokenizer.get_vocab(with_added_tokens=False).values()))
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    ids = tuple(vocabulary[name] for name in names)
    network = base.network
    if max(ids) >= cast(torch.nn.Embedding, network.get_input_embeddings()).num_embeddings:
        network.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
        # PEFT would compare vocabularies with the base's folder, and put the whole table into every checkpoint.
        network.name_or_path = ""
    table = cast(torch.nn.Embedding, network.get_input_embeddings()).weight
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for place in ids:
            drawn = words[int(torch.randint(len(words), (), generator=generator))]
            table[place] = table[drawn]
    return replace(base, tokenizer=_behind_the_first(tokenizer, names, ids, base.name), prompt=ids)


def _behind_the_first(tokenizer: Tokenizer, names: Sequence[str], ids: Sequence[int], base: str) -> Tokenizer:
    """Let the tokenizer add the prompt behind its first special token."""
    whole = json.loads(tokenizer.to_str())
    template = _template(whole["post_processor"], base)
    single = template["single"]
    at = 1 if single and _PIECE in single[0] else 0
    template["single"] = [*single[:at], *({_PIECE: {"id": name, "type_id": 0}} for name in names), *single[at:]]
    known = {name: {"id": name, "ids": [id_], "tokens": [name]} for name, id_ in zip(names, ids, strict=True)}
    template["special_tokens"] = {**template["special_tokens"], **known}
    whole["post_processor"] = template
    return Tokenizer.from_str(json.dumps(whole))


def _template(processor: dict[str, Any] | None, base: str) -> dict[str, Any]:
    """Give the tokenizer's way of adding special tokens as a template."""
    kind = (processor or {}).get("type")
    if processor is not None and kind == "TemplateProcessing":
        return processor
    if processor is None or kind not in ("BertProcessing", "RobertaProcessing"):
        raise BaseModelError(
            f"base {base!r}: expected a tokenizer that adds special tokens by a template, got {kind or 'none'}: "
            "choose another adapter than prompt"
        )
    ends = {name: processor[name] for name in ("cls", "sep")}
    pieces = [{_PIECE: {"id": name, "type_id": 0}} for name, _ in ends.values()]
    text = {"Sequence": {"id": "A", "type_id": 0}}
    known = {name: {"id": name, "ids": [id_], "tokens": [name]} for name, id_ in ends.values()}
    single = [pieces[0], text, pieces[1]]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 0}}, pieces[1]]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": known}
