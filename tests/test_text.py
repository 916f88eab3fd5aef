"""Conversation → the one rendered text."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptox.config import TextConfig
from adaptox.records import Conversation
from adaptox.text import Rendered, normalise, render

# Texts that look for trouble: whatever Unicode has, and what evades filters more often than chance would.
ODD = st.sampled_from(
    ["\u200b", "\u200d", "\ufe0f", "\u0301", "\u00a0", "\x1f", "❤", "🚀", "\uff4b", "ﬁ", "e", " ", "\U000e0041"]
)
TEXTS = st.one_of(st.text(), st.lists(ODD).map("".join))


@given(TEXTS)
def test_normalising_twice_changes_nothing_more(text):
    once = normalise(text)
    assert normalise(once.text) == Rendered(once.text, ())


def test_every_character_is_normalised_for_good_among_letters_and_emoji():
    for code in range(0, sys.maxunicode, 7):
        letter = chr(code) if not 0xD800 <= code < 0xE000 else "?"
        text = normalise(f"a{letter}b ❤\u200d{letter}\u200d❤ {letter}\ufe0f").text
        assert normalise(text).changes == (), hex(code)


@given(TEXTS)
def test_the_record_says_whether_anything_changed(text):
    found = normalise(text)
    assert bool(found.changes) == (found.text != text)


@given(TEXTS)
def test_what_is_left_is_composed_visible_and_singly_spaced(text):
    found = normalise(text).text
    assert unicodedata.is_normalized("NFKC", found)
    assert not any(unicodedata.category(letter) == "Cc" for letter in found)
    assert found == " ".join(found.split())


@pytest.mark.parametrize(
    ("text", "expected", "changes"),
    [
        ("plain text", "plain text", ()),
        ("\uff48\uff45\uff4c\uff4c\uff4f ﬁsh", "hello fish", ("compatibility",)),
        ("he\u200bl\u00adlo\ufeff", "hello", ("invisible",)),
        ("he\u200dllo", "hello", ("invisible",)),
        ("he\ufe0fllo\U000e0068\U000e0069", "hello", ("invisible",)),
        ("a\x00b\x1bc\x9dd", "a b c d", ("control",)),
        ("  a\n\n\tb\u2003c ", "a b c", ("compatibility", "space")),
        ("cafe\u0301", "café", ("compatibility",)),
        ("cafe\u200b\u0301", "café", ("invisible", "compatibility")),
        ("", "", ()),
    ],
)
def test_what_changes_is_named(text, expected, changes):
    assert normalise(text) == Rendered(expected, changes)


@pytest.mark.parametrize("emoji", ["👩\u200d🚀", "❤\ufe0f\u200d🔥", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "👍🏽"])
def test_emoji_stay_whole(emoji):
    assert normalise(f"so {emoji} nice") == Rendered(f"so {emoji} nice", ())


TALK = Conversation.of(
    [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "a  joke?"},
    ]
)


def rendered(conversation, **settings):
    return render(conversation, TextConfig(**settings)).text


def test_a_single_turn_is_its_content_and_nothing_else():
    assert rendered(Conversation.of("hello")) == "hello"
    assert rendered(Conversation.of([{"role": "assistant", "content": "hi"}])) == "hi"


def test_several_turns_stand_in_order_behind_their_roles():
    assert rendered(TALK) == "system: be brief user: hello assistant: hi user: a joke?"
    assert rendered(TALK, turns="user") == "user: hello user: a joke?"
    assert rendered(TALK, turns="conversation") == "user: hello assistant: hi user: a joke?"


def test_the_last_user_turn_can_be_read_alone():
    assert rendered(TALK, turns="last-user") == "a joke?"


@pytest.mark.parametrize(("turns", "expected"), [("last-user", "two"), ("user", "assistant: one assistant: two")])
def test_without_a_user_turn_what_there_is_is_read(turns, expected):
    talk = Conversation.of([{"role": "assistant", "content": text} for text in ("one", "two")])
    assert rendered(talk, turns=turns) == expected


def test_a_system_turn_alone_is_read():
    assert (
        rendered(Conversation.of([{"role": "system", "content": "be brief"}]), turns="conversation") == "be brief"
    )


def test_normalisation_can_be_left_out():
    assert rendered(TALK, turns="last-user", normalise=False) == "a  joke?"
    assert render(Conversation.of(" \uff48i "), TextConfig(normalise=False)) == Rendered(" \uff48i ", ())
