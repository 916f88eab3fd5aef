"""Texts to tokens: nothing is lost, nothing is too long, and training reads of a long text what it is told to."""

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


def encoder(max_tokens=16, stride=4, overflow="windows", max_positions=None, tokenizer=None, **others):
    config = EncodeConfig(max_tokens=max_tokens, stride=stride, overflow=overflow, **others)
    return Encoder(tokenizer or word_tokenizer(), PAD, config, TextConfig(), max_positions)


def text(words):
    return Conversation.of(" ".join(f"w{n}" for n in range(words)))


def talk(words):
    """Make a conversation of two turns, of so many words together, the roles among them."""
    said = [f"w{n}" for n in range(words)]
    said[0], said[-2] = "user:", "assistant:"
    first, last = " ".join(said[1:-2]), said[-1]
    return Conversation.of([{"role": "user", "content": first}, {"role": "assistant", "content": last}])


def learned(reader, conversation):
    """Give the tokens that training reads."""
    ((window,),) = (one.windows for one in reader.one_window([conversation]))
    return window


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


@pytest.mark.parametrize("keep", ["auto", "head", "tail", "head-tail"])
def test_truncate_reads_what_training_reads(keep):
    reader = encoder(overflow="truncate", keep=keep)
    conversations = [text(3), text(100), talk(9), talk(100)]
    assert reader.encode(conversations) == reader.one_window(conversations)


@pytest.mark.parametrize("overflow", ["windows", "truncate"])
@pytest.mark.parametrize("keep", ["auto", "head"])
def test_of_a_single_turn_training_reads_the_first_window_token_for_token(overflow, keep):
    texts = [text(3), text(100), text(0), text(14), text(15)]
    reader = encoder(overflow=overflow, keep=keep)
    first = tuple(encoded.windows[0] for encoded in reader.encode(texts))
    assert tuple(learned(reader, one) for one in texts) == first
    assert first[1] == (CLS, *range(4, 18), SEP)


@given(words=st.integers(4, 200), shape=shapes(), keep=st.sampled_from(["tail", "head-tail"]))
@settings(deadline=None)
def test_training_reads_the_end_of_a_conversation_or_both_ends(words, shape, keep):
    max_tokens, stride = shape
    said, room = [3, *range(5, words + 2), 3, words + 3], max_tokens - 2
    head = room // 4 if keep == "head-tail" else 0
    kept = said if words <= room else said[:head] + said[head - room :]
    (one,) = encoder(max_tokens, stride, keep=keep).one_window([talk(words)])
    assert one.windows == ((CLS, *kept, SEP),)
    assert one.truncated == (words > room)


def test_of_itself_training_reads_the_beginning_of_one_turn_and_the_end_of_several():
    auto, head, tail = (encoder(keep=keep) for keep in ("auto", "head", "tail"))
    assert learned(auto, text(100)) == learned(head, text(100)) != learned(tail, text(100))
    assert learned(auto, talk(100)) == learned(tail, talk(100)) != learned(head, talk(100))


def test_the_turns_that_are_read_say_whether_there_are_several():
    spoken = Conversation.of([{"role": "system", "content": "w1"}, {"role": "user", "content": "w2 " * 30 + "w3"}])
    last = Encoder(word_tokenizer(), PAD, EncodeConfig(max_tokens=16, stride=4), TextConfig(turns="last-user"))
    assert learned(last, spoken) == (CLS, *[6] * 14, SEP)
    assert learned(encoder(), spoken) == (CLS, *[6] * 13, 7, SEP)


@pytest.mark.parametrize("before", [(), (CLS,), (CLS, 9, 9, 9)])
@pytest.mark.parametrize("after", [(), (SEP,), (SEP, SEP)])
def test_special_tokens_stay_whatever_the_tokenizer_adds(before, after):
    names = {CLS: "[CLS]", SEP: "[SEP]", 9: "w5"}
    made = word_tokenizer()
    made.post_processor = processors.TemplateProcessing(
        single=" ".join([*(names[one] for one in before), "$A", *(names[one] for one in after)]),
        special_tokens=[(name, number) for number, name in names.items()],
    )
    room = 16 - len(before) - len(after)
    long = Conversation.of("[CLS] " + " ".join(f"w{n}" for n in range(60)) + " [SEP]")
    both = [CLS, *range(4, 64), SEP]
    tail, ends = (encoder(keep=keep, tokenizer=made) for keep in ("tail", "head-tail"))
    assert learned(tail, long) == (*before, *both[-room:], *after)
    assert learned(ends, long) == (*before, *both[: room // 4], *both[room // 4 - room :], *after)


def test_without_special_tokens_a_long_text_has_none():
    bare = word_tokenizer()
    bare.post_processor = None
    assert learned(encoder(keep="tail", tokenizer=bare), text(60)) == tuple(range(48, 64))


def test_an_empty_text_has_its_special_tokens_and_no_text_no_result():
    assert encoder().encode([Conversation.of("")])[0].windows == ((CLS, SEP),)
    assert encoder().encode([]) == ()
    assert encoder().one_window([]) == ()


def test_the_tokenizer_passed_in_is_not_changed():
    given_one = word_tokenizer()
    given_one.enable_padding(length=12)
    given_one.enable_truncation(5)
    before = given_one.to_str()
    made = Encoder(given_one, PAD, EncodeConfig(max_tokens=16, stride=4), TextConfig())
    assert learned(made, text(9)) == (CLS, *range(4, 13), SEP)
    assert given_one.to_str() == before


def test_a_base_that_reads_fewer_tokens_is_refused_with_the_number_that_fits():
    with pytest.raises(BaseModelError, match=r"reads at most 12 tokens: set encode\.max_tokens = 12"):
        encoder(max_tokens=16, max_positions=12)
    assert learned(encoder(max_tokens=16, max_positions=16), text(99))[-1] == SEP


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
    spoken = Conversation.of([{"role": "user", "content": "w1"}, {"role": "assistant", "content": "w2"}])
    made = Encoder(word_tokenizer(), PAD, EncodeConfig(max_tokens=16, stride=4), TextConfig(turns="user"))
    assert learned(made, spoken) == (CLS, 5, SEP)


@given(lengths=st.lists(st.integers(1, 90)), budget=st.integers(1, 300))
@settings(deadline=None)
def test_batches_cover_each_position_once_within_the_budget(lengths, budget):
    made = list(batches(lengths, budget))
    assert sorted(position for batch in made for position in batch) == list(range(len(lengths)))
    for batch in made:
        longest = max(lengths[position] for position in batch)
        assert len(batch) * longest <= budget or len(batch) == 1
