"""Frozen values that cross rooms."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptox.errors import DataError
from adaptox.records import Conversation, Example, Scores, Turn, Verdict, silent

HELLO = Conversation((Turn("user", "hello"),))


@pytest.mark.parametrize(
    "value",
    [
        "hello",
        HELLO,
        [{"role": "user", "content": "hello"}],
        ({"role": "user", "content": "hello", "name": "ann"},),
        [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        [{"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {}}]}],
    ],
)
def test_a_text_and_messages_are_both_conversations(value):
    assert Conversation.of(value) == HELLO


def test_text_parts_are_joined_by_lines():
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert Conversation.of([{"role": "user", "content": parts}]).turns[0].content == "one\ntwo"


def test_sharegpts_form_is_read():
    talk = [
        {"from": "system", "value": "be kind"},
        {"from": "human", "value": "hello", "weight": None},
        {"from": "function_call", "value": "look()"},
        {"from": "observation", "value": "nothing"},
        {"from": "gpt", "value": "hi"},
    ]
    said = (("system", "be kind"), ("user", "hello"), ("assistant", "hi"))
    assert Conversation.of(talk).turns == tuple(Turn(*turn) for turn in said)
    with pytest.raises(DataError, match="expected the content of a message to be a text, got 3"):
        Conversation.of([{"from": "human", "value": 3}])


def test_what_a_developer_says_is_read_as_system():
    assert Conversation.of([{"role": "developer", "content": "be kind"}]).turns == (Turn("system", "be kind"),)


def test_what_tools_say_and_calls_of_them_are_left_out():
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    talk = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
        {"role": "function", "name": "weather", "content": None},
        {"role": "assistant", "content": "take a coat"},
    ]
    assert Conversation.of(talk).turns == (Turn("user", "hello"), Turn("assistant", "take a coat"))
    assert Conversation.of(talk[1:5]) == Conversation.of("")
    assert Conversation.of([{"role": "user", "content": None}]) == Conversation.of("")


def test_messages_come_back_as_they_went_in():
    talk = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "yes"},
    ]
    assert Conversation.of(talk).messages() == talk


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"a text or a list of messages .*got None \(NoneType\)"),
        (3, r"got 3 \(int\)"),
        ([], r"got \[\] \(list\)"),
        ({"role": "user", "content": "x"}, r"a text or a list of messages .*\(dict\)"),
        (b"hello", r"got 104 \(int\)"),
        (["hello"], r"expected a message .*got 'hello' \(str\)"),
        ([{"role": "user"}], "expected a message"),
        ([{"content": "x"}], "expected a message"),
        ([{"from": "human"}], "expected a message"),
        (
            [{"role": "robot", "content": "x"}],
            "role of system, user, assistant, developer, human, gpt, tool, .*, observation, got 'robot' .*; name",
        ),
        ([{"role": "robot", "content": None}], "expected a role"),
        ([{"role": ["user"], "content": "x"}], "expected a role"),
        ([{"role": "user", "content": 3}], "content of a message to be a text, got 3"),
        ([{"role": "assistant", "tool_calls": []}], "expected a message"),
        ([{"role": "user", "content": ["x"]}], "expected a part of a message .*got 'x'"),
        ([{"role": "user", "content": [{"text": "x"}]}], "expected a part of a message"),
        ([{"role": "user", "content": [{"type": "text"}]}], "text of a part to be a text, got None"),
        ([{"role": "user", "content": [{"type": "text", "text": 3}]}], "text of a part to be a text, got 3"),
    ],
)
def test_anything_else_is_refused_in_one_line(value, message):
    with pytest.raises(DataError, match=message) as caught:
        Conversation.of(value)
    assert "\n" not in str(caught.value)


def test_a_long_value_is_shortened_in_the_error():
    with pytest.raises(DataError, match=r"… \(list\)") as caught:
        Conversation.of([{"role": "user", "content": [[0] * 1000]}])
    assert len(str(caught.value)) < 200


@given(st.text(st.characters(codec=None)))
def test_every_conversation_can_be_written(text):
    for value in (text, [{"role": "user", "content": text}]):
        (turn,) = Conversation.of(value).turns
        turn.content.encode("utf-8")


def test_half_an_emoji_is_replaced_and_two_halves_are_joined():
    assert Conversation.of("a\ud83db").turns[0].content == "a\ufffdb"
    assert Conversation.of("\ud83d\ude00").turns[0].content == "😀"


def test_records_are_frozen():
    example = Example("1", HELLO, {"toxicity": 0})
    with pytest.raises(FrozenInstanceError):
        example.id = "2"
    with pytest.raises(TypeError):
        example.teacher["toxicity"] = 1.0


def test_scores_are_read_by_label_name():
    scores = Scores(("toxicity", "hate"), np.array([[1.0, 2.0]]), np.array([1]), np.array([False]))
    assert scores.column("hate").tolist() == [2.0]


def test_a_verdict_is_written_as_the_contract_says():
    verdict = Verdict("7", {"toxicity": 0.9}, "block", {"toxicity": True}, False, 1)
    assert json.loads(json.dumps(verdict.to_json())) == {
        "id": "7",
        "scores": {"toxicity": 0.9},
        "decision": "block",
        "flagged": {"toxicity": True},
        "truncated": False,
        "windows": 1,
    }


def test_progress_can_be_reported_to_nobody():
    silent("reading", 1, 2)
