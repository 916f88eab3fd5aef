"""Which servers a teacher may be asked at, which key they see, and what they say of it."""

from __future__ import annotations

import json
import traceback

import pytest

import endpoint
from adaptox.config import TeachConfig
from adaptox.errors import ConfigError, RunError
from adaptox.records import Conversation
from adaptox.teach.asking import ask_all
from adaptox.teach.moderation import Moderation
from adaptox.teach.server import _asked_pause_s


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with endpoint.running() as server:
        yield server


def asked(server, store, **changes):
    config = TeachConfig(kind="moderation", url=server.url, model="m", **changes)
    return ask_all({"key": Conversation.of("text")}, Moderation(config), store, config)


@pytest.mark.parametrize(
    ("url", "changes", "key"),
    [
        ("https://api.openai.com/v1", {}, "sk-openai"),
        ("https://eu.api.openai.com/v1", {}, "sk-openai"),
        ("https://mine.openai.azure.com/openai/v1", {}, "sk-openai"),
        ("https://openrouter.ai/api/v1", {"key_variable": "OPENAI_API_KEY"}, "sk-openai"),
        ("https://openrouter.ai/api/v1", {"key_variable": "MY_KEY"}, "sk-mine"),
        ("http://localhost:8000/v1", {}, ""),
        ("http://[::1]:8000/v1", {}, ""),
        ("http://192.168.1.7/v1", {}, ""),
        ("http://vllm:8000/v1", {}, ""),
        ("http://localhost:8000/v1", {"key_variable": "MY_KEY"}, "sk-mine"),
    ],
)
def test_openais_key_goes_to_openai_or_where_the_user_sends_it(monkeypatch, url, changes, key):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("MY_KEY", "sk-mine")
    teacher = Moderation(TeachConfig(kind="moderation", model="m", url=url, **changes))
    assert teacher._server._address.key == key


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://openrouter.ai/api/v1", "key of openrouter.ai in teach.key_variable, which is left out"),
        ("https://notopenai.com/v1", "key of notopenai.com in teach.key_variable"),
        ("https://api.openai.com.evil.example/v1", r"key of api.openai.com.evil.example in teach.key_variable"),
        ("http://api.openai.com/v1", "expected https"),
        ("http://8.8.8.8/v1", "expected https"),
        ("https://api.openai.com/v1\n", "expected an address"),
        ("https://api.openai.com/\x07v1", "expected an address"),
        ("https://api.ope nai.com/v1", "expected an address"),
        ("https://999.1.1.1/v1", "expected an address"),
        ("https://[::]z/v1", "expected an address"),
        ("https://api.öpenai.com/v1", "expected an address"),
        ("https://api.openai.com\\@evil.example/v1", "without a user"),
    ],
)
def test_an_address_that_may_see_no_key_is_refused(monkeypatch, url, message):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    with pytest.raises(ConfigError, match=message):
        Moderation(TeachConfig(kind="moderation", model="m", url=url))


def test_a_server_that_is_not_openais_learns_nothing_of_the_user_there(server, store, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, f"secret-{name}")
    asked(server, store)
    assert server.keys == ["Bearer none"]
    assert "secret" not in json.dumps(server.headers)
    assert not {"openai-organization", "openai-project"} & {name.casefold() for name in server.headers[0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "wants a key, and none was sent, since the one in OPENAI_API_KEY is OpenAI's"),
        ({"key_variable": "MY_KEY"}, "wants a key, and none was found in the environment variable MY_KEY"),
    ],
)
def test_a_server_that_wants_a_key_and_got_none_says_so(server, store, changes, message):
    server.rule = lambda text: (401, {"error": {"message": "who are you"}})
    with pytest.raises(ConfigError, match=message):
        asked(server, store, **changes)


def test_a_date_that_no_calendar_has_is_no_pause_and_shows_no_key(server, store, monkeypatch):
    absurd = "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"
    for header in (absurd, "Wed, 21 Oct 2015 07:28:00 +9999999999999999", "1e999"):
        assert _asked_pause_s({"retry-after": header}) in (None, 0)
    monkeypatch.setenv("MY_KEY", "sk-canary")
    server.rule = lambda text: (500, {"error": {"message": "sk-canary"}}, {"Retry_After": absurd})
    with pytest.raises(RunError) as caught:
        asked(server, store, retries=0, key_variable="MY_KEY")
    assert "sk-canary" not in "".join(traceback.format_exception(caught.value))
