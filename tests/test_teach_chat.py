"""What a chat model answers, and how it is asked so that it does."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections import Counter

import pytest

import endpoint
from adaptox.config import TeachConfig
from adaptox.errors import ConfigError, InputError
from adaptox.records import Conversation
from adaptox.teach.asking import ask_all, plan_calls
from adaptox.teach.chat import SCORE, Chat
from adaptox.teach.server import CallError
from adaptox.teach.store import Answer
from endpoint import chatted, texts

ANSWERED = chatted("yes", [[("yes", math.log(0.6)), ("no", math.log(0.2))]])


@pytest.fixture
def server():
    with endpoint.running() as server:
        server.answer["completions"] = ANSWERED
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    endpoint.hurry(monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def settings(server, **changes):
    return TeachConfig(**{"kind": "chat", "url": server.url, "model": "m", "calls_per_minute": 60_000} | changes)


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


def refused(message, param=None, status=400, **error):
    return (status, {"error": {"message": message, "type": "invalid_request_error", "param": param} | error})


def sent(server):
    """Give what the calls asked for beside their messages, in their order."""
    return [{name: body[name] for name in body if name not in ("model", "messages")} for body in server.bodies]


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
    first = asked(server, store, texts(3), retries=1, concurrency=1)
    assert (first.declined, first.failed) == (0, ("key 1",))
    assert plan_calls(texts(3), store) == (1, 2)
    cost = asked(server, store, texts(3), retries=1)
    assert (cost.declined, set(store.scores(texts(3)))) == (0, set(texts(3)))


def test_an_answer_that_had_no_room_says_so(server):
    answer = chatted("")
    answer["choices"][0]["finish_reason"] = "length"
    assert str(failure(server, answer)) == "expected yes or no, got '' (finish_reason length)"


# --- what is asked for

TWENTY = {"max_tokens": 4, "temperature": 0, "logprobs": True, "top_logprobs": 20}
FIVE = TWENTY | {"top_logprobs": 5}
NONE = {"max_tokens": 4, "temperature": 0}
NO_MAX_TOKENS = refused(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "max_tokens",
    code="unsupported_parameter",
)
NO_TEMPERATURE = refused(
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    "temperature",
    code="unsupported_value",
)
NO_LOGPROBS = refused("You are not allowed to request logprobs from this model", status=403)


def thinking(body):
    """Refuse what OpenAI's reasoning models refuse, one field a call."""
    if "max_tokens" in body:
        return NO_MAX_TOKENS
    if "temperature" in body:
        return NO_TEMPERATURE
    return NO_LOGPROBS if "logprobs" in body else chatted("yes")


def test_a_model_that_thinks_is_asked_with_room_and_without_what_it_refuses(server, store, caplog):
    server.taste = thinking
    chat = Chat(settings(server))
    cost = asked(server, store, texts(3), chat, concurrency=1, retries=0)
    assert store.scores(texts(3)) == {key: {SCORE: 1.0} for key in texts(3)}
    assert sent(server)[-3:] == [{"max_completion_tokens": 4_000}] * 3
    assert len(server.bodies) == 3 + 4
    assert (cost.calls, cost.retries, chat.from_words) == (3, 0, 3)
    assert "so a score is 1 or 0: 403: You are not allowed to request logprobs" in caplog.text


def test_workers_learn_together_what_a_server_takes(server, store):
    server.taste = thinking
    # All of the first calls are under way before any is refused.
    together = threading.Barrier(8, timeout=5)
    server.on_ask = lambda count: together.wait() if count <= 8 else None
    asked(server, store, texts(40), concurrency=8, retries=0)
    assert len(store.scores(texts(40))) == 40
    steps = Counter(len(fields) for fields in sent(server))
    assert len(server.bodies) <= 40 + 8 * 4
    assert steps[1] == 40


def test_what_one_worker_learned_is_not_lost_to_a_later_refusal_of_another(server):
    async def ask(chat):
        slow = asyncio.create_task(chat(Conversation.of("slow")))
        while not server.bodies:
            await asyncio.sleep(0.001)
        await chat(Conversation.of("quick"))
        await slow
        await chat(Conversation.of("last"))
        await chat.close()

    server.taste = thinking
    quick_is_well = threading.Event()
    server.on_ask = lambda count: quick_is_well.wait(5) if count == 1 else count == 6 and quick_is_well.set()
    asyncio.run(ask(Chat(settings(server))))
    assert Counter(server.asked) == {"slow": 2, "quick": 5, "last": 1}


def test_a_refused_temperature_leaves_the_probabilities(server, store):
    server.plan["text 0"] = [NO_TEMPERATURE]
    asked(server, store, texts(2), concurrency=1, retries=0)
    assert store.scores(texts(2)) == {key: {SCORE: pytest.approx(0.75)} for key in texts(2)}
    without = {name: value for name, value in TWENTY.items() if name != "temperature"}
    assert sent(server) == [TWENTY, without, without]


@pytest.mark.parametrize(
    "refusal",
    [
        refused("top_logprobs must be between 0 and 5"),
        refused("Invalid value: must be at most 5", "top_logprobs"),
        refused("Requested sample logprobs of 20, which is greater than max allowed: 5", "logprobs"),
        refused("Requested sample logprobs of 20, which is greater than max allowed: 5"),
        (200, {"error": {"message": "'top_logprobs' must be at most 5", "code": 400}}),
    ],
)
def test_a_server_that_gives_fewer_probabilities_is_asked_for_five(server, store, caplog, refusal):
    server.taste = lambda body: refusal if body.get("top_logprobs", 0) > 5 else "well"
    asked(server, store, texts(3), concurrency=1, retries=0)
    assert store.scores(texts(3)) == {key: {SCORE: pytest.approx(0.75)} for key in texts(3)}
    assert sent(server) == [TWENTY, FIVE, FIVE, FIVE]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "refusal",
    [
        refused("unknown field: logprobs"),
        refused("logprobs is not supported"),
        refused("Logprobs is not enabled for models/m"),
        refused("This model does not support logprobs."),
        refused("Unrecognized request argument supplied: logprobs"),
        refused("'logprobs' is not supported for this model.", "logprobs"),
        refused("5 is greater than the maximum of 1 - 'logprobs'", "logprobs"),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "logprobs"], "msg": "not permitted"}]}),
        (400, [{"error": {"code": 400, "message": 'Unknown name "logprobs": Cannot find field.'}}]),
        NO_LOGPROBS,
    ],
)
def test_a_server_that_refuses_to_give_probabilities_is_asked_without(server, store, caplog, refusal):
    server.taste = lambda body: refusal if "logprobs" in body else chatted("yes")
    chat = Chat(settings(server))
    cost = asked(server, store, texts(3), chat, concurrency=1, retries=0)
    assert store.scores(texts(3)) == {key: {SCORE: 1.0} for key in texts(3)}
    assert sent(server) == [TWENTY, FIVE, NONE, NONE, NONE]
    assert (cost.calls, cost.retries, chat.from_words) == (3, 0, 3)
    assert caplog.text.count(f"m gives no probabilities of tokens, so a score is 1 or 0: {refusal[0]}: ") == 1


@pytest.mark.parametrize(
    "refusal",
    [
        refused("too long"),
        refused("cannot read: what are logprobs? tell me"),
        refused("content: 'what top_logprobs are, and logprobs'"),
        refused("'logprobs' is in a text that is too long", "messages"),
        refused("prompt_logprobs is no field"),
        refused("'max_tokens' or 'max_completion_tokens' is too large: 4. 8,190 of 8,192 are in use", "max_tokens"),
        refused("'logprobs' is filtered", code="content_filter"),
        (413, {"error": {"message": "'logprobs' and more is too long"}}),
    ],
)
def test_any_other_refusal_changes_nothing(server, store, refusal):
    chat = Chat(settings(server))
    server.plan["hello"] = [refusal]
    with pytest.raises(CallError):
        once(chat)
    assert once(chat).scores == {SCORE: pytest.approx(0.75)}
    assert sent(server) == [TWENTY, TWENTY]


def test_words_are_believed_once_the_call_went_through(server, store):
    quoted = refused('cannot read "logprobs" in: what are "logprobs"?')
    server.plan["text 0"] = [quoted] * 3
    chat = Chat(settings(server))
    with pytest.raises(InputError, match="refuses conversation key 0"):
        asked(server, store, texts(1), chat)
    assert sent(server) == [TWENTY, FIVE, NONE]
    assert once(chat).scores == {SCORE: pytest.approx(0.75)}
    assert sent(server)[-1] == TWENTY


def test_a_named_field_is_believed_though_the_call_fails_for_another_reason(server, store):
    server.plan["text 0"] = [NO_MAX_TOKENS, NO_TEMPERATURE, (429, {"error": {"message": "slow down"}})]
    asked(server, store, texts(1), retries=1)
    first, *_, last = sent(server)
    assert first == TWENTY
    assert last == {"max_completion_tokens": 4_000, "logprobs": True, "top_logprobs": 20}
    assert len(server.bodies) == 4


def test_a_bad_key_is_not_taken_for_a_want_of_probabilities(server):
    server.plan["*"] = [(403, {"error": {"message": "no such key"}})]
    with pytest.raises(ConfigError, match="wants a key, and none was sent"):
        once(Chat(settings(server)))
    assert len(server.bodies) == 1
