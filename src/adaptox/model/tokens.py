"""The tokenizer of a base, without truncation and padding."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

from adaptox.errors import BaseModelError
from adaptox.model.places import Place
from adaptox.model.quiet import quiet

_PADDING_TOKENS = ("[PAD]", "<pad>", "<|padding|>")


def load_tokenizer(place: Place, vocab_size: int) -> Tokenizer:
    """Load a base's tokenizer.

    Args:
        place: the base's folder; a tokenizer without a tokenizer.json is built from its vocabulary.
        vocab_size: rows of the base's embedding table.

    Raises:
        BaseModelError: the files cannot be read, or give more tokens than the base has embeddings.
    """
    path = place.folder / "tokenizer.json"
    tokenizer = _read(path, place) if path.is_file() else _convert(place)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= vocab_size:
        raise BaseModelError(
            f"base {place.name!r}: the tokenizer gives token {largest}, but the weights have {vocab_size} "
            "embeddings: check that both belong together"
        )
    if len(tokenizer.get_vocab(with_added_tokens=True)) <= len(tokenizer.get_added_tokens_decoder()):
        # transformers makes an empty vocabulary where it does not find the file it looks for.
        raise BaseModelError(
            f"base {place.name!r}: expected a tokenizer with a vocabulary in {place.folder}, got special tokens "
            "alone: add its tokenizer.json or vocabulary file"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def pad_token_id(config: PreTrainedConfig, tokenizer: Tokenizer, place: Place) -> int:
    """Give the id of the padding token, from the settings or by its usual names.

    Raises:
        BaseModelError: there is none.
    """
    named = (tokenizer.token_to_id(token) for token in _PADDING_TOKENS)
    found = next((token for token in (config.pad_token_id, *named) if token is not None), None)
    if found is None:
        raise BaseModelError(
            f"base {place.name!r}: expected a padding token in config.json (pad_token_id), got none: add it"
        )
    return int(found)


def _read(path: Path, place: Place) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises a bare Exception for a file that it cannot parse.
        raise _unreadable(place, error) from error


def _convert(place: Place) -> Tokenizer:
    try:
        with quiet():
            converted = AutoTokenizer.from_pretrained(place.folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise _unreadable(place, error) from error
    if not isinstance(converted, PreTrainedTokenizerFast):
        raise BaseModelError(
            f"base {place.name!r}: {type(converted).__name__} cannot be turned into a fast tokenizer: "
            "add a tokenizer.json to its folder"
        )
    return converted.backend_tokenizer


def _unreadable(place: Place, error: Exception) -> BaseModelError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return BaseModelError(
        f"base {place.name!r}: the tokenizer in {place.folder} cannot be read ({reason}): fetch it again"
    )
