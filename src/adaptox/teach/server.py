"""A server that speaks OpenAI's formats: how it is reached, and what it means when it does not answer.

Formats: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from adaptox.config import TeachConfig
from adaptox.errors import ConfigError, MissingExtraError, RunError
from adaptox.records import Conversation
from adaptox.teach.store import Answer

if TYPE_CHECKING:
    import openai

_LOCAL = ("localhost", "127.0.0.1", "::1")
# The client wants a key even where the server wants none.
_NO_KEY = "none"
# Longer pauses, such as those of a daily quota, are for the user to wait.
_LONGEST_ASKED_S = 900.0
# Characters of a server's message that an error repeats.
_SHOWN = 200
_AGAIN = frozenset((408, 409, 429))
_NOT_HERE = frozenset((404, 405))
# What a server calls its refusal to hand on a text at all.
_FILTERED = frozenset(("content_filter", "content_policy_violation"))
_NO_CREDIT = frozenset(("insufficient_quota", "billing_hard_limit_reached"))


class Ask(Protocol):
    """A teacher that is asked about one conversation at a time."""

    async def __call__(self, conversation: Conversation) -> Answer:
        """Ask once.

        Raises:
            CallError: no answer came of it.
            ConfigError: the server knows no such key, address or model.
            RunError: the server will not answer today.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections; asking again opens new ones."""
        ...


class CallError(Exception):
    """A call that gave no answer.

    Attributes:
        again: another attempt may give one.
        declined: the server is well and says nothing of this conversation, which may be the end of it.
        pause_s: how long the server asks to wait, None if it does not say.
        status: of the response, None if none came.
        param: the field of the request that the server blames, empty if none.
        prompt_tokens: paid for all the same.
        completion_tokens: likewise.
    """

    def __init__(
        self,
        message: str,
        *,
        again: bool = True,
        declined: bool = False,
        pause_s: float | None = None,
        status: int | None = None,
        param: str = "",
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        super().__init__(message)
        self.again = again
        self.declined = declined
        self.pause_s = pause_s
        self.status = status
        self.param = param
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens


class Server:
    """The server of a teacher. Its key is in the requests' headers and nowhere else.

    Args:
        config: url, model, key_variable and timeout_s.

    Raises:
        ConfigError: no url, no model, or no key.
        MissingExtraError: openai is not installed.
    """

    def __init__(self, config: TeachConfig) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingExtraError("teach", "teach", "openai") from error
        if not config.model:
            raise ConfigError(
                "expected the server's name of a model in teach.model, got none: "
                'set, for example, teach.model = "omni-moderation-latest"'
            )
        self._config = config
        self._key = _key(config, _host(config.url))
        self._package = openai
        self._client: openai.AsyncOpenAI | None = None

    async def ask(self, call: Callable[[openai.AsyncOpenAI], Awaitable[Any]]) -> Any:
        """Make one call, and give the JSON that came.

        Args:
            call: makes a call of `with_raw_response`.

        Raises:
            CallError: no JSON came.
            ConfigError: the server knows no such key, address or model.
            RunError: the server will not answer today.
        """
        failure: Exception
        client = self._opened()
        # Raised outside the handlers: what openai raises may repeat the key, and would hang on as the context.
        try:
            async with asyncio.timeout(self._config.timeout_s):
                response = await call(client)
            return json.loads(response.http_response.text)
        except (TimeoutError, self._package.APITimeoutError):
            failure = CallError(f"no answer within {self._config.timeout_s:g} s (teach.timeout_s)")
        except self._package.APIStatusError as error:
            failure = self._refusal(error)
        except self._package.OpenAIError as error:
            reason = error.__cause__ or error
            failure = CallError(f"the connection failed: {self.shown(f'{type(reason).__name__}: {reason}')}")
        except (ValueError, RecursionError):
            failure = CallError(f"expected JSON, got {self.shown(response.http_response.text)!r}")
        raise failure

    async def close(self) -> None:
        """Let go of the connections; asking again opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def shown(self, text: str) -> str:
        """Shorten a server's words for an error, without the key, which some servers repeat."""
        text = " ".join(text.replace(self._key, "***").split()) if self._key != _NO_KEY else " ".join(text.split())
        return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text

    def _opened(self) -> openai.AsyncOpenAI:
        """Give the client; it is made within the event loop that it belongs to."""
        if self._client is None:
            config = self._config
            self._client = self._package.AsyncOpenAI(
                api_key=self._key, base_url=config.url, timeout=config.timeout_s, max_retries=0
            )
        return self._client

    def _refusal(self, error: openai.APIStatusError) -> Exception:
        """Sort a status other than success."""
        config, status = self._config, error.status_code
        body = error.body if isinstance(error.body, dict) else {}
        said = f"{status}: {self.shown(str(body.get('message') or error.response.text))}"
        if status in (401, 403):
            return ConfigError(
                f"{config.url} refuses the key in {config.key_variable} ({said}): check teach.key_variable and "
                f"what it may do with {config.model!r}, then run the same command again"
            )
        if status in _NOT_HERE or status < 400:
            return ConfigError(
                f"{config.url} has no model {config.model!r} of this kind ({said}): check teach.url, which often "
                "ends in /v1, teach.model and teach.kind"
            )
        if status == 402 or (status == 429 and _NO_CREDIT.intersection((error.code, error.type))):
            return RunError(f"the credit at {config.url} is used up ({said}): add some")
        pause_s = _asked_pause_s(error.response.headers)
        if pause_s is not None and pause_s > _LONGEST_ASKED_S:
            return RunError(f"{config.url} asks for a pause of {pause_s:.0f} s ({said}): wait for it")
        return CallError(
            said,
            again=status in _AGAIN or status >= 500,
            declined=error.code in _FILTERED,
            pause_s=pause_s,
            status=status,
            param=str(body.get("param") or ""),
        )


def _host(url: str) -> str:
    """Give the host of a server's address."""
    if "@" in url or "?" in url:
        raise ConfigError(
            "expected teach.url without a user, password or query, since settings are written into results: "
            "put the key into the variable that teach.key_variable names"
        )
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 and parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise ConfigError(f"expected an address such as https://api.openai.com/v1 in teach.url, got {url!r}")
    return host


def _key(config: TeachConfig, host: str) -> str:
    key = os.environ.get(config.key_variable, "").strip()
    if not key and host in _LOCAL:
        return _NO_KEY
    if not key:
        raise ConfigError(
            f"expected the key of {config.url} in the environment variable {config.key_variable}, got none: set "
            "it, or name another variable in teach.key_variable"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(
            f"expected a key in the environment variable {config.key_variable}, got something with spaces or "
            "characters that no key has: set it again"
        )
    return key


def _asked_pause_s(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds a server asks to wait: a number, milliseconds, or a date (RFC 9110, 10.2.3)."""
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            pause_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(pause_s):
            return max(pause_s, 0.0)
    try:
        return max(parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
