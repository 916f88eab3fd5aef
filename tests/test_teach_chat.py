"""What a chat model answers, and how it is asked so that it does."""

from __future__ import annotations

import asyncio
import logging
import math

import pytest

import endpoint
from adaptox.config import TeachConfig
from adaptox.errors import RunError
from adaptox.records import Conversation
from adaptox.teach import asking
from adaptox.teach.asking import ask_all, plan_calls
from adaptox.teach.chat import SCORE, Chat
from adaptox.teach.server import CallError
from adaptox.teach.store import Answer, Store
from endpoint import chatted

ANSWERED = chatted("yes", [[("yes", math.log(0.6)), ("no", math.log(0.2))]])


@pytest.fixture
def server():
    with endpoint.running() as server:
        server.answer["completions"] = ANSWERED
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(asking, "_FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(asking, "_LONGEST_PAUSE_S", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "answers.sqlite") as opened:
        yield opened


def settings(server, **changes):
    return TeachConfig(**{"kind": "chat", "url": server.url, "model": "m", "calls_per_minute": 60_000} | changes)


def texts(count):
    return {f"key {number}": Conversation.of(f"text {number}") for number in range(count)}


def asked(server, store, conversations, teacher=None, **changes):
    """Ask about all, and keep the answers."""
    config = settings(server, **changes)
    return ask_all(conversations, teacher or Chat(config), store, config)


def once(chat, text="hello"):
    """Ask once, without a store."""

    async def ask():
        try:
            return await chat(Conversation.of(text))
        finally:
            await chat.close()

    return asyncio.run(ask())


def score(server, answer):
    """Read the score of one answer."""
    server.plan["*"] = [answer]
    return once(Chat(settings(server))).scores[SCORE]


def failure(server, answer):
    """Tell why one answer gives no score."""
    server.plan["*"] = [answer]
    with pytest.raises(CallError) as caught:
        once(Chat(settings(server)))
    return caught.value


# --- yes and no


def test_the_score_is_the_mass_of_yes_beside_that_of_no(server, store):
    tops = [("Yes", math.log(0.5)), ("No", math.log(0.2)), (" yes", math.log(0.1)), ("NO ", math.log(0.05))]
    server.answer["completions"] = chatted(
        "Yes", [[*tops, ("Maybe", math.log(0.1)), ("yesterday", math.log(0.04))]]
    )
    cost = asked(server, store, texts(2))
    assert store.read(texts(2))["key 1"].scores == {SCORE: pytest.approx((0.5 + 0.1) / (0.5 + 0.1 + 0.2 + 0.05))}
    assert (cost.prompt_tokens, cost.completion_tokens) == (100, 2)
    assert store.read(["key 0"])["key 0"] == Answer(store.scores(["key 0"])["key 0"], 50, 1)


@pytest.mark.parametrize(
    ("content", "token"),
    [
        ("yes.", "yes."),
        ("Yes", "▁Yes"),
        ("Yes", "ĠYes"),
        ("\nYes", "ĊYes"),
        ('"Yes"', '"Yes'),
        ("'yes'", "'yes"),
        ("“Yes”", "“Yes"),
        ("«yes»", "«yes"),
        ("„YES”", "„YES"),
        ("**Yes**", "**Yes"),
        ("_Yes_", "_Yes"),
        ("Yes。", "Yes。"),
    ],
)
@pytest.mark.parametrize("other", ["no", "No", " No.", "▁no", '"No'])
def test_a_token_is_read_as_the_word_is(server, content, token, other):
    answer = chatted(content, [[(token, math.log(0.9)), (other, math.log(0.1))]])
    assert score(server, answer) == pytest.approx(0.9)


def test_the_token_that_is_the_word_counts_and_no_other(server):
    stars = [("**", math.log(0.9)), ("No", math.log(0.06)), ("Yes", math.log(0.03))]
    word = [("Yes", math.log(0.8)), ("No", math.log(0.2))]
    assert score(server, chatted("**Yes**", [stars, word, [("**", 0.0)]])) == pytest.approx(0.8)
    space = [("\n", -0.1), ("Yes", -3.0)]
    assert score(
        server, chatted("\nno", [space, [("no", math.log(0.9)), ("yes", math.log(0.1))]])
    ) == pytest.approx(0.1)


def test_tokens_of_thoughts_that_are_listed_before_the_answer_do_not_count(server):
    thoughts = [[("Yes", math.log(0.3)), ("No", math.log(0.7))], [("</think>", 0.0), ("no", -9.0)]]
    answer = [("yes", math.log(0.9)), ("no", math.log(0.1))]
    assert score(server, chatted("yes", [*thoughts, answer])) == pytest.approx(0.9)


def test_the_score_may_be_against_the_word_where_the_probabilities_are(server):
    assert score(server, chatted("Yes", [[("Yes", math.log(0.2)), ("No", math.log(0.6))]])) == pytest.approx(0.25)


def test_a_token_that_its_alternatives_leave_out_counts_by_its_own_probability(server):
    answer = chatted("yes", [[("yes", math.log(0.3)), ("no", math.log(0.6))]])
    token = answer["choices"][0]["logprobs"]["content"][0]
    token["top_logprobs"] = [one for one in token["top_logprobs"] if one["token"] != "yes"]
    assert score(server, answer) == pytest.approx(0.3 / (0.3 + 0.6))


LONE = chatted("yes", [[("yes", math.log(0.6))]])
LONE["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = None
OLD = chatted("yes")
OLD["choices"][0]["logprobs"] = {"tokens": ["yes"], "token_logprobs": [-0.1], "top_logprobs": [{"no": -2.0}]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (chatted("yes"), 1),
        (chatted(" No.\n"), 0),
        (chatted("YES", []), 1),
        (chatted("No", [[("N", -0.1), ("Y", -2.0)], [("o", 0.0)]]), 0),
        (chatted("yes", [[("no", -0.1), ("yes", -2.0)]]), 1),
        (chatted("no", [[("no", -math.inf), ("yes", -math.inf)]]), 0),
        (LONE, 1),
        (OLD, 1),
    ],
)
def test_without_probabilities_the_word_decides_and_is_counted(server, answer, expected):
    server.plan["*"] = [answer]
    chat = Chat(settings(server))
    assert once(chat).scores == {SCORE: expected}
    assert chat.from_words == 1


@pytest.mark.parametrize("least", [-9999.0, -math.inf])
def test_a_probability_may_be_rounded(server, least):
    server.plan["*"] = [chatted("no", [[("no", 1e-6), ("yes", least)]])]
    chat = Chat(settings(server))
    assert once(chat).scores == {SCORE: pytest.approx(0, abs=1e-9)}
    assert chat.from_words == 0


def test_a_server_that_leaves_probabilities_out_is_warned_of_once(server, store, caplog):
    server.answer["completions"] = chatted("yes")
    server.plan["text 1"] = [ANSWERED]
    chat = Chat(settings(server))
    asked(server, store, texts(4), chat)
    assert chat.from_words == 3
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "m gives no probabilities of tokens, so a score is 1 or 0: its answer came without them"
    ]


def test_a_server_that_gives_probabilities_is_not_warned_of(server, store, caplog):
    chat = Chat(settings(server))
    asked(server, store, texts(3), chat)
    assert chat.from_words == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- no answer


@pytest.mark.parametrize(
    "answer",
    [
        chatted("I cannot judge this"),
        chatted(""),
        chatted(None),
        chatted("yes", refusal="I will not"),
        chatted(None, refusal="I will not"),
        {"choices": [{"finish_reason": "content_filter", "message": {"role": "assistant"}}]},
        {"choices": [{"finish_reason": "content_filter"}]},
    ],
)
def test_a_model_that_speaks_of_something_else_or_is_filtered_declines(server, answer):
    error = failure(server, answer)
    assert (error.declined, error.again) == (True, True)
    assert "expected yes or no, got" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        ["yes"],
        (200, None),
        (200, b'"yes"'),
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"message": "yes"}]},
        {"choices": [{"message": {"role": "assistant"}}]},
        {"choices": [{"message": {"content": ["yes"]}}]},
        {"error": "none"},
        {"error": {"message": "overloaded", "code": "overloaded_error"}},
        {"choices": [{"finish_reason": "error", "message": {"content": ""}}]},
        chatted("yes", [[("yes", math.nan), ("no", -0.1)]]),
        chatted("yes", [[("yes", 0.7), ("no", -0.1)]]),
        chatted("yes", [[("yes", "-1"), ("no", -0.1)]]),
        chatted("yes", [[("yes", -0.1), ("no", None)]]),
    ],
)
def test_an_answer_of_another_shape_is_a_failure_and_declines_nothing(server, answer):
    error = failure(server, answer)
    assert (error.declined, error.again, error.status) == (False, True, None)


@pytest.mark.parametrize(
    ("code", "again"),
    [(429, True), (500, True), (502, True), ("503", True), (408, True), (400, False), (403, False)],
)
def test_an_error_in_a_response_of_status_200_is_taken_for_its_code(server, code, again):
    body = {"error": {"message": "Provider returned error", "code": code}, "usage": {"prompt_tokens": 7}}
    error = failure(server, body)
    assert (error.status, error.again, error.declined) == (int(code), again, False)
    assert str(error) == f"{code}: Provider returned error"
    assert error.prompt_tokens == 7
    within = {"choices": [{"error": body["error"], "finish_reason": "error", "message": {"content": ""}}]}
    assert (failure(server, within).status, failure(server, within).again) == (int(code), again)


def test_a_server_in_trouble_is_not_taken_for_one_that_says_nothing(server, store):
    server.plan["text 1"] = [{"error": {"message": "Provider returned error", "code": 502}}] * 2
    with pytest.raises(RunError, match=r"failed teach.retries \+ 1 = 2 times.*502: Provider returned error"):
        asked(server, store, texts(3), retries=1, concurrency=1)
    assert plan_calls(texts(3), store) == (2, 1)
    cost = asked(server, store, texts(3), retries=1)
    assert (cost.declined, set(store.scores(texts(3)))) == (0, set(texts(3)))


def test_an_answer_that_had_no_room_says_so(server):
    answer = chatted("")
    answer["choices"][0]["finish_reason"] = "length"
    assert str(failure(server, answer)) == "expected yes or no, got '' (finish_reason length)"
