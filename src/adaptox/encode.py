"""Rendered text → tokens: windows, truncation, padding. Needs numpy and tokenizers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from adaptox.config import EncodeConfig, Keep, TextConfig
from adaptox.errors import BaseModelError, ConfigError
from adaptox.records import Conversation, IntArray
from adaptox.text import render, turns_read

# Of a text that is read from both ends, a quarter is its beginning, as in 128 + 382 tokens (arXiv 1905.05583).
_HEAD = 4


@dataclass(frozen=True, slots=True)
class Encoded:
    """The tokens of one conversation.

    Attributes:
        windows: token ids of each window, special tokens included; at least one.
        truncated: tokens were left unread.
    """

    windows: tuple[tuple[int, ...], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Padded:
    """A batch of windows, padded to the longest.

    Attributes:
        input_ids: (windows, tokens).
        attention_mask: (windows, tokens), 1 where there is a token.
    """

    input_ids: IntArray
    attention_mask: IntArray


class Encoder:
    """Turns conversations into token windows: one of each for training, all of them for scoring.

    Args:
        tokenizer: a tokenizer with a post-processor that adds the special tokens; it is copied.
        pad_token_id: fills short rows.
        encode: window length, stride, and what is read of longer texts.
        text: how a conversation becomes one text.
        max_positions: the longest input that the base can read, special tokens included.

    Raises:
        BaseModelError: the base reads fewer tokens than the settings ask for.
        ConfigError: the stride leaves a window no room to go on.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        pad_token_id: int,
        encode: EncodeConfig,
        text: TextConfig,
        max_positions: int | None = None,
    ) -> None:
        if max_positions is not None and encode.max_tokens > max_positions:
            raise BaseModelError(
                f"encode.max_tokens = {encode.max_tokens}, but this base reads at most {max_positions} tokens: "
                f"set encode.max_tokens = {max_positions} or choose another base"
            )
        room = encode.max_tokens - tokenizer.num_special_tokens_to_add(False)
        if encode.stride >= room:
            raise ConfigError(
                f"encode.stride = {encode.stride}, but a window of {encode.max_tokens} tokens holds {room} beside "
                f"the special ones: set encode.stride below {room} or raise encode.max_tokens"
            )
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(encode.max_tokens, stride=encode.stride)
        self._room = room
        self.pad_token_id = pad_token_id
        self.config = encode
        self.text = text

    def encode(self, conversations: Sequence[Conversation]) -> tuple[Encoded, ...]:
        """Encode for scoring: every window, in order, or as for training where the settings say `truncate`."""
        if self.config.overflow == "truncate":
            return self.one_window(conversations)
        return tuple(
            Encoded(tuple(tuple(window.ids) for window in (first, *first.overflowing)), truncated=False)
            for first in self._encodings(conversations)
        )

    def one_window(self, conversations: Sequence[Conversation]) -> tuple[Encoded, ...]:
        """Encode for training: one window of each conversation, with what the settings keep of a longer one."""
        found = zip(conversations, self._encodings(conversations), strict=True)
        return tuple(
            Encoded((self._shortened(first, self.keep_of(conversation)),), truncated=bool(first.overflowing))
            for conversation, first in found
        )

    def keep_of(self, conversation: Conversation) -> Keep:
        """Say which end of a conversation is kept if it is too long."""
        if self.config.keep != "auto":
            return self.config.keep
        return "head" if len(turns_read(conversation, self.text)) == 1 else "tail"

    def pad(self, windows: Sequence[Sequence[int]]) -> Padded:
        """Pad windows to the longest among them."""
        longest = max(len(window) for window in windows)
        input_ids = np.full((len(windows), longest), self.pad_token_id, dtype=np.int64)
        attention_mask = np.zeros((len(windows), longest), dtype=np.int64)
        for row, window in enumerate(windows):
            input_ids[row, : len(window)] = window
            attention_mask[row, : len(window)] = 1
        return Padded(input_ids, attention_mask)

    def _encodings(self, conversations: Sequence[Conversation]) -> list[Encoding]:
        texts = [render(conversation, self.text).text for conversation in conversations]
        return self.tokenizer.encode_batch_fast(texts)

    def _shortened(self, first: Encoding, keep: Keep) -> tuple[int, ...]:
        """Join the windows of a text that is too long, and put what is kept of it between the special tokens."""
        if not first.overflowing or keep == "head":
            return tuple(first.ids)
        head = self._room // _HEAD if keep == "head-tail" else 0
        start = first.special_tokens_mask.index(0)
        end = start + self._room
        tokens = list(first.ids[start:end])
        for window in first.overflowing:
            tokens += window.ids[start + self.config.stride : len(window.ids) - len(first.ids) + end]
        return (*first.ids[:start], *tokens[:head], *tokens[head - self._room :], *first.ids[end:])


def batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Group positions of like length, longest first, so that no padded batch exceeds `max_tokens`.

    Args:
        lengths: tokens of each window.
        max_tokens: padded tokens per batch; a single longer window still makes a batch.

    Yields:
        Positions into `lengths`; together they cover each once.
    """
    batch: list[int] = []
    longest = 0
    for position in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * longest > max_tokens:
            yield batch
            batch = []
        if not batch:
            longest = lengths[position]
        batch.append(position)
    if batch:
        yield batch
