"""How a teacher's server is asked: at which pace, how often again, and what is kept, whatever ends it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

import endpoint
from adaptox.config import TeachConfig
from adaptox.errors import ConfigError, DataError, InputError, InterruptedRunError, RunError
from adaptox.records import WAITING, silent
from adaptox.teach import pace
from adaptox.teach.asking import ask_all, plan_calls
from adaptox.teach.chat import Chat
from adaptox.teach.moderation import Moderation
from adaptox.teach.store import Answer, Store
from endpoint import LATE_S, chatted, texts

CANNOT = chatted("I cannot")
TOO_MANY = (429, {"error": {"message": "slow down"}}, {"Retry_After_Ms": "1"})
BOOM = (500, {"error": {"message": "boom"}})
TOO_LONG = (400, {"error": {"message": "too long", "code": "context_length_exceeded"}})


@pytest.fixture
def server():
    with endpoint.running() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    endpoint.hurry(monkeypatch)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)


def settings(server, **changes):
    return TeachConfig(
        **{"kind": "moderation", "url": server.url, "model": "m", "calls_per_minute": 60_000} | changes
    )


def asked(server, store, count, teacher=Moderation, progress=silent, targets=(), **changes):
    config = settings(server, **changes)
    return ask_all(texts(count), teacher(config), store, config, progress, targets=targets)


def refuse(server, numbers, step):
    server.rule = lambda text: step if int(text.split()[1]) in numbers else None


# --- pace


def test_a_server_that_allows_fewer_calls_than_the_settings_is_asked_to_the_end(server, store, monkeypatch):
    faster = 100  # 60 calls a minute are one each 10 ms, and a pause of one second is 10 ms
    monkeypatch.setattr(pace, "_MINUTE_S", 60 / faster)
    monkeypatch.setattr(pace, "_FIRST_PAUSE_S", 1 / faster)
    monkeypatch.setattr(pace, "_LONGEST_PAUSE_S", 60 / faster)
    free_s = [0.0]

    def one_a_second(text):
        now_s = time.monotonic()
        if now_s < free_s[0]:
            return 429, {"error": {"message": "slow down"}}, {"Retry_After_Ms": str(1000 // faster)}
        free_s[0] = now_s + 1 / faster
        return None

    server.rule = one_a_second
    config = TeachConfig(kind="moderation", url=server.url, model="m")
    cost = ask_all(texts(200), Moderation(config), store, config)
    assert len(store.known(texts(200))) == 200
    assert cost.failed == ()
    assert cost.calls == 200 + cost.retries


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_is_for_all_workers(server, store, status):
    refused_s = []

    def refuse_the_tenth(text):
        if len(server.asked) == 10:
            refused_s.append(time.monotonic())
            return status, {}, {"Retry_After_Ms": "300"}
        return None

    server.rule, server.pause_s = refuse_the_tenth, 0.01
    asked(server, store, 40, concurrency=4)
    # Those that were under way, and what crossed the refusal on its way, came before the pause.
    late = [moment for moment in server.begun_s if moment > refused_s[0] + 0.1]
    assert len(late) >= 25
    assert min(late) > refused_s[0] + 0.29


def test_calls_that_come_too_fast_do_not_count_against_the_conversation(server, store, caplog):
    server.plan["*"] = [TOO_MANY] * 5
    cost = asked(server, store, 1, retries=0)
    assert (cost.calls, cost.retries, cost.failed) == (6, 5, ())
    assert "calls come too fast for the server: all wait" in caplog.text


def test_a_server_that_always_wants_fewer_calls_ends_the_run_with_the_setting_named(server, store):
    server.plan["*"] = [TOO_MANY] * 99
    with pytest.raises(RunError, match=r"retry_budget = 5 .* too fast .*lower teach.calls_per_minute = 60000"):
        asked(server, store, 9, retry_budget=5, concurrency=1)
    with pytest.raises(RunError, match=r"no end to calls that come too fast .*lower teach.calls_per_minute"):
        asked(server, store, 9, concurrency=1)
    assert len(server.asked) < 30


def test_the_rate_falls_at_a_refusal_once_and_comes_back_slowly():
    clock = pace.Pace(600)
    assert clock.refused(time.monotonic(), 0.0) is not None
    assert clock.calls_per_minute == pytest.approx(420)
    # What was under way together tells the same.
    assert clock.refused(time.monotonic() - 1, 0.0) is None
    assert clock.calls_per_minute == pytest.approx(420)
    clock.answered()
    assert 420 < clock.calls_per_minute < 425
    for _ in range(300):
        clock.answered()
    assert clock.calls_per_minute == pytest.approx(600)
    for _ in range(50):
        clock.refused(time.monotonic(), 0.0)
    assert clock.calls_per_minute == pytest.approx(1)


# --- rows that fail alone


@pytest.mark.parametrize("step", [BOOM, TOO_LONG])
def test_a_conversation_that_always_fails_is_set_aside_and_asked_again_by_the_next_run(server, store, caplog, step):
    refuse(server, {0, 5}, step)
    cost = asked(server, store, 20, retries=1, concurrency=1)
    assert (cost.failed, cost.declined) == (("key 0", "key 5"), 0)
    assert set(texts(20)) - store.known(texts(20)) == {"key 0", "key 5"}
    assert "conversation key 5 has no score for now" in caplog.text
    # A run that has nothing else to ask comes through, too.
    assert asked(server, store, 20, retries=1).failed == ("key 0", "key 5")
    server.rule = lambda text: None
    again = asked(server, store, 20)
    assert (again.calls, again.kept, again.failed) == (2, 18, ())


def test_a_conversation_that_may_not_be_tried_again_needs_no_budget(server, store):
    refuse(server, {3}, BOOM)
    assert asked(server, store, 9, retries=0, retry_budget=0, concurrency=1).failed == ("key 3",)


def test_a_server_that_is_down_stops_the_run_and_counts_what_was_kept_before(server, store):
    asked(server, store, 12)
    refuse(server, range(12, 99), BOOM)
    with pytest.raises(
        RunError, match=r"failed .* 500: boom\); 12 conversations are answered and kept, 48 are left: the same"
    ):
        asked(server, store, 60, retries=1, concurrency=2)
    assert len(set(server.asked[12:])) <= 12


def test_more_failures_than_odd_rows_stop_the_run(server, store):
    refuse(server, range(0, 60, 2), TOO_LONG)
    with pytest.raises(InputError, match=r"refuses conversation key 20 \(the last of 11\) .*; 10 conversations"):
        asked(server, store, 60, concurrency=1)


# --- declined


def test_what_the_server_declines_is_asked_once_more_and_spends_no_budget(server, store):
    server.rule = lambda text: CANNOT
    cost = asked(server, store, 5, Chat, kind="chat", retry_budget=0)
    assert Counter(server.asked) == {f"text {number}": 2 for number in range(5)}
    assert (cost.declined, cost.retries, cost.failed) == (5, 5, ())


def test_a_refusal_is_kept_before_the_next_conversation_is_asked_about(server, store):
    refuse(server, {0}, CANNOT)
    seen = []

    def look(count):
        with Store(store.file) as other:
            seen.append(other.known(texts(2)))

    server.on_ask = look
    asked(server, store, 2, Chat, kind="chat", concurrency=1)
    assert seen == [set(), set(), {"key 0"}]


def test_refusals_of_a_server_that_is_not_believed_are_forgotten(server, store):
    server.rule = lambda text: CANNOT
    with pytest.raises(RunError, match=r"says nothing of 11 conversations.*teach.most_declined.*, 30 are left"):
        asked(server, store, 30, Chat, kind="chat", retries=0, concurrency=1)
    assert plan_calls(texts(30), store) == (30, 0)
    cost = asked(server, store, 30, Chat, kind="chat", retries=0, most_declined=1.0)
    assert cost.declined == 30


def test_refusals_of_earlier_runs_are_not_held_against_this_one(server, store):
    for number in range(15):
        store.keep(f"key {number}", Answer({}))
    refuse(server, {15}, CANNOT)
    cost = asked(server, store, 20, Chat, kind="chat")
    assert (cost.kept, cost.declined) == (15, 16)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "requires moderation. Your input was flagged for hate", "metadata": {"flagged_input": "…"}},
        {"message": "Your input was flagged"},
        {"message": "filtered", "code": "content_filter"},
    ],
)
def test_a_text_that_is_flagged_is_declined_and_the_key_is_not_blamed(server, store, error):
    refuse(server, {0}, (403, {"error": error}))
    cost = asked(server, store, 3, concurrency=1)
    assert (cost.declined, cost.calls) == (1, 3)


def test_a_403_blames_the_key_until_an_answer_has_come(server, store, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-mine")
    no = (403, {"error": {"message": "not you"}})
    refuse(server, {0}, no)
    with pytest.raises(ConfigError, match=r"refuses the key in MY_KEY \(403: not you\)"):
        asked(server, store, 3, concurrency=1, key_variable="MY_KEY")
    refuse(server, {1}, no)
    assert asked(server, store, 3, concurrency=1, key_variable="MY_KEY").declined == 1


def test_a_model_that_gives_no_probabilities_is_not_taken_for_one_that_flags(server, store):
    server.plan["text 1"] = [
        (403, {"error": {"message": "You are not allowed to request logprobs from this model"}})
    ]
    cost = asked(server, store, 3, Chat, kind="chat", concurrency=1)
    assert (cost.declined, cost.failed, len(server.asked)) == (0, (), 4)


# --- the user stops it


def test_ctrl_c_waits_for_the_calls_under_way_and_keeps_their_answers(server, store, caplog):
    server.pause_s = 0.15
    server.on_ask = lambda count: os.kill(os.getpid(), signal.SIGINT) if count == 3 else None
    with pytest.raises(
        InterruptedRunError, match=r"^stopped; 3 conversations are answered and kept, 27 are left: the"
    ):
        asked(server, store, 30, concurrency=3)
    assert len(server.asked) == len(store.known(texts(30))) == 3
    assert "Ctrl-C once more drops them" in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_drops_the_calls_under_way(server, store):
    server.plan["*"] = ["late"] * 9

    def press(count):
        if count == 2:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)

    server.on_ask = press
    started_s = time.monotonic()
    with pytest.raises(InterruptedRunError, match="stopped; 0 conversations are answered and kept, 9 are left"):
        asked(server, store, 9, concurrency=2)
    assert time.monotonic() - started_s < LATE_S


def test_outside_the_main_thread_ctrl_c_is_left_alone(server, store):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: _other(server, store.file)).result(30).calls == 3


def _other(server, file, count=3, progress=silent):
    with Store(file) as store:  # SQLite wants one connection a thread
        return asked(server, store, count, progress=progress)


# --- two processes


def test_two_who_ask_the_same_teacher_pay_once(server, store):
    server.pause_s = 0.01
    waits = threading.Event()
    first = threading.Event()

    def noting(stage, done, total):
        if stage == WAITING:
            waits.set()

    server.on_ask = lambda count: first.set()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(_other, server, store.file, 40)
        assert first.wait(30)
        two = pool.submit(_other, server, store.file, 40, noting)
        found = [one.result(60), two.result(60)]
    assert waits.is_set()
    assert [(cost.calls, cost.kept) for cost in found] == [(40, 0), (0, 40)]
    assert len(server.asked) == 40


# --- cost


def test_the_tokens_of_all_runs_are_told_beside_those_of_this_one(server, store):
    server.plan["text 0"] = [CANNOT]
    first = asked(server, store, 2, Chat, kind="chat")
    assert (first.prompt_tokens, first.prompt_tokens_in_all, first.completion_tokens_in_all) == (150, 150, 3)
    second = asked(server, store, 3, Chat, kind="chat")
    assert (second.prompt_tokens, second.prompt_tokens_in_all, second.completion_tokens_in_all) == (50, 200, 4)


def test_numbers_of_tokens_that_cannot_be_are_not_counted(server, store):
    server.answer["completions"] = chatted() | {"usage": {"prompt_tokens": 2**70, "completion_tokens": 1}}
    assert asked(server, store, 2, Chat, kind="chat").prompt_tokens_in_all == 0


# --- an address without a server


@pytest.mark.parametrize("html", [False, True])
def test_an_address_where_no_such_server_is_stops_after_a_few_calls(server, store, html):
    server.rule = lambda text: (200, b"<html>hello</html>")
    config = settings(server) if html else settings(server, url="http://127.0.0.1:1/v1")
    with pytest.raises(RunError, match=r"could not reach http://127.0.0.1:\d+/v1 \(.*check teach.url.*; 0 conv"):
        ask_all(texts(50), Moderation(config), store, config)
    assert len(server.asked) <= 8 * 3


def test_the_user_is_told_once_when_all_workers_pause(server, store, caplog, monkeypatch):
    # Long enough that three workers pause at once on a machine that is busy.
    monkeypatch.setattr(pace, "_FIRST_PAUSE_S", 0.3)
    monkeypatch.setattr(pace, "_LONGEST_PAUSE_S", 0.3)
    server.plan["*"] = [BOOM] * 12
    asked(server, store, 9, concurrency=3)
    assert caplog.text.count("no call succeeds just now, all pause, the next") == 1


def test_calls_that_fail_together_do_not_condemn_the_address(server, store):
    server.plan["*"] = ["gone"] * 8
    assert asked(server, store, 20, concurrency=8).failed == ()


# --- targets


def test_a_target_that_the_server_does_not_give_is_found_at_the_first_answer(server, store):
    with pytest.raises(
        DataError, match=r"no score for 'hat': did you mean 'hate'.*; \d conversations are answered"
    ):
        asked(server, store, 90, targets=("hate", "hat"), concurrency=3)
    assert len(server.asked) == len(store.known(texts(90))) <= 6
    calls = len(server.asked)
    with pytest.raises(DataError, match="did you mean 'hate'"):
        asked(server, store, 90, targets=("hat",))
    assert len(server.asked) == calls


def test_the_library_tells_of_pauses_by_logging_alone(server, store, capfd, caplog):
    server.plan["*"] = [TOO_MANY]
    with caplog.at_level(logging.INFO, "adaptox"):
        asked(server, store, 1)
    assert capfd.readouterr().out == ""
