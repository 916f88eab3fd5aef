"""Texts to tokens: nothing is lost, nothing is too long, and training reads what scoring reads first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from adaptox.config import EncodeConfig, TextConfig
from adaptox.encode import Encoder, batches
from adaptox.errors import BaseModelError, ConfigError
from adaptox.records import Conversation

PAD, CLS, SEP = 0, 1, 2


def word_tokenizer() -> Tokenizer:
    """Make a tokenizer with one token a word: w0, w1, …"""
    words = {"[PAD]": PAD, "[CLS]": CLS, "[SEP]": SEP, "[UNK]": 3}
    made = Tokenizer(models.WordLevel(words | {f"w{n}": n + 4 for n in range(300)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return made


def encoder(max_tokens=16, stride=4, overflow="windows", max_positions=None):
    config = EncodeConfig(max_tokens=max_tokens, stride=stride, overflow=overflow)
    return Encoder(word_tokenizer(), PAD, config, TextConfig(), max_positions)


def text(words):
    return Conversation.of(" ".join(f"w{n}" for n in range(words)))


@st.composite
def shapes(draw):
    max_tokens = draw(st.integers(8, 40))
    return max_tokens, draw(st.integers(0, min(max_tokens // 2, max_tokens - 3)))


@given(words=st.integers(0, 200), shape=shapes())
@settings(deadline=None)
def test_windows_cover_every_token_in_order_and_share_the_stride(words, shape):
    max_tokens, stride = shape
    (encoded,) = encoder(max_tokens, stride).encode([text(words)])
    bodies = [window[1:-1] for window in encoded.windows]
    assert all(window[0] == CLS and window[-1] == SEP for window in encoded.windows)
    assert all(len(window) <= max_tokens for window in encoded.windows)
    joined = list(bodies[0])
    for body in bodies[1:]:
        assert list(body[:stride]) == joined[len(joined) - stride :]
        assert len(body) > stride
        joined += body[stride:]
    assert joined == [n + 4 for n in range(words)]
    assert not encoded.truncated


def test_truncate_reads_the_first_window_and_says_so():
    short, long = encoder(overflow="truncate").encode([text(14), text(15)])
    assert (len(short.windows), short.truncated) == (1, False)
    assert (len(long.windows), long.truncated) == (1, True)
    assert long.windows[0] == short.windows[0]


@pytest.mark.parametrize("overflow", ["windows", "truncate"])
def test_training_reads_the_first_window(overflow):
    texts = [text(3), text(100), text(0)]
    reader = encoder(overflow=overflow)
    assert reader.heads(texts) == tuple(encoded.windows[0] for encoded in reader.encode(texts))


def test_an_empty_text_has_its_special_tokens_and_no_text_no_result():
    assert encoder().encode([Conversation.of("")])[0].windows == ((CLS, SEP),)
    assert encoder().encode([]) == ()
    assert encoder().heads([]) == ()


def test_the_tokenizer_passed_in_is_not_changed():
    given_one = word_tokenizer()
    given_one.enable_padding(length=12)
    given_one.enable_truncation(5)
    before = given_one.to_str()
    made = Encoder(given_one, PAD, EncodeConfig(max_tokens=16, stride=4), TextConfig())
    assert made.heads([text(9)]) == ((CLS, *range(4, 13), SEP),)
    assert given_one.to_str() == before


def test_a_base_that_reads_fewer_tokens_is_refused_with_the_number_that_fits():
    with pytest.raises(BaseModelError, match=r"reads at most 12 tokens: set encode\.max_tokens = 12"):
        encoder(max_tokens=16, max_positions=12)
    assert encoder(max_tokens=16, max_positions=16).heads([text(99)])[0][-1] == SEP


def test_a_stride_that_leaves_a_window_no_room_is_refused():
    crowded = word_tokenizer()
    crowded.post_processor = processors.TemplateProcessing(
        single="[CLS] [CLS] [CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    with pytest.raises(ConfigError, match=r"encode.stride = 4, but .* set encode.stride below 4"):
        Encoder(crowded, PAD, EncodeConfig(max_tokens=8, stride=4), TextConfig())


def test_padding_fills_short_rows_and_masks_it():
    padded = encoder().pad([(5, 6, 7), (8,)])
    assert padded.input_ids.tolist() == [[5, 6, 7], [8, PAD, PAD]]
    assert padded.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_the_conversation_is_rendered_as_the_settings_say():
    talk = Conversation.of([{"role": "user", "content": "w1"}, {"role": "assistant", "content": "w2"}])
    made = Encoder(word_tokenizer(), PAD, EncodeConfig(max_tokens=16, stride=4), TextConfig(turns="user"))
    assert made.heads([talk]) == ((CLS, 5, SEP),)


@given(lengths=st.lists(st.integers(1, 90)), budget=st.integers(1, 300))
@settings(deadline=None)
def test_batches_cover_each_position_once_within_the_budget(lengths, budget):
    made = list(batches(lengths, budget))
    assert sorted(position for batch in made for position in batch) == list(range(len(lengths)))
    for batch in made:
        longest = max(lengths[position] for position in batch)
        assert len(batch) * longest <= budget or len(batch) == 1
