"""A server that speaks OpenAI's formats: how it is reached, and what it means when it does not answer.

Formats: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol

from adaptox.config import TeachConfig
from adaptox.errors import ConfigError, MissingExtraError, RunError
from adaptox.records import Conversation
from adaptox.teach.address import address
from adaptox.teach.store import Answer

if TYPE_CHECKING:
    import openai

# The client wants a key even where the server wants none.
_NO_KEY = "none"
# Longer pauses, such as those of a daily quota, are for the user to wait.
_LONGEST_ASKED_S = 900.0
# Characters of a server's message that an error repeats.
_SHOWN = 200
_EXAMPLES: Mapping[str, str] = {"moderation": "omni-moderation-latest", "chat": "gpt-4.1-mini"}
_TOO_MANY = 429
_AGAIN = frozenset((408, 409, _TOO_MANY))
_NOT_HERE = frozenset((404, 405))
# What a server calls its refusal to hand on a text at all.
_FILTERED = frozenset(("content_filter", "content_policy_violation"))
# What OpenAI says, with the status of a bad key, of a model without log-probabilities.
_NOT_GIVEN = "not allowed to request logprobs"
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
        unreached: nothing came that such a server would send; is there one at all?
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
        unreached: bool = False,
        pause_s: float | None = None,
        status: int | None = None,
        param: str = "",
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        super().__init__(message)
        self.again = again
        self.declined = declined
        self.unreached = unreached
        self.pause_s = pause_s
        self.status = status
        self.param = param
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens

    @property
    def is_haste(self) -> bool:
        """Whether calls come too fast, whatever they are about."""
        return self.status == _TOO_MANY


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
                f'set, for example, teach.model = "{_EXAMPLES[config.kind]}"'
            )
        self._config = config
        self._address = address(config)
        self._package = openai
        self._has_answered = False
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
        refused: openai.APIStatusError | None = None
        client = self._opened()
        # Made and raised outside the handlers: what openai raises may repeat the key, and would hang on as context.
        try:
            async with asyncio.timeout(self._config.timeout_s):
                response = await call(client)
            found = json.loads(response.http_response.text)
            self._has_answered = True
            return found
        except (TimeoutError, self._package.APITimeoutError):
            failure = CallError(f"no answer within {self._config.timeout_s:g} s (teach.timeout_s)")
        except self._package.APIStatusError as error:
            refused = error
        except self._package.OpenAIError as error:
            reason = error.__cause__ or error
            said = self.shown(f"{type(reason).__name__}: {reason}")
            failure = CallError(f"the connection failed: {said}", unreached=True)
        except (ValueError, RecursionError):
            said = self.shown(response.http_response.text)
            failure = CallError(f"expected JSON, got {said!r}", unreached=True)
        raise self._refusal(refused) if refused is not None else failure

    async def close(self) -> None:
        """Let go of the connections; asking again opens new ones."""
        client, self._client, self._has_answered = self._client, None, False
        if client is not None:
            await client.close()

    def shown(self, text: str) -> str:
        """Shorten a server's words for an error, without the key, which some servers repeat."""
        text = " ".join((text.replace(self._address.key, "***") if self._address.key else text).split())
        return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text

    def _opened(self) -> openai.AsyncOpenAI:
        """Give the client; it is made within the event loop that it belongs to."""
        if self._client is None:
            config = self._config
            self._client = self._package.AsyncOpenAI(
                api_key=self._address.key or _NO_KEY, base_url=config.url, timeout=config.timeout_s, max_retries=0
            )
            if not self._address.is_openai:  # taken from OPENAI_ORG_ID and OPENAI_PROJECT_ID, whatever the address
                self._client.organization = self._client.project = None
        return self._client

    def _about_the_key(self, said: str) -> str:
        url, variable = self._config.url, self._config.key_variable
        if self._address.key:
            return (
                f"{url} refuses the key in {variable} ({said}): check teach.key_variable and what it may do with "
                f"{self._config.model!r}, then run the same command again"
            )
        if "key_variable" in self._config.model_fields_set:
            return f"{url} wants a key, and none was found in the environment variable {variable} ({said}): set it"
        return (
            f"{url} wants a key, and none was sent, since the one in {variable} is OpenAI's ({said}): name the "
            "environment variable that holds it in teach.key_variable"
        )

    def _refusal(self, error: openai.APIStatusError) -> Exception:
        """Sort a status other than success."""
        config, status = self._config, error.status_code
        body = error.body if isinstance(error.body, dict) else {}
        said = f"{status}: {self.shown(str(body.get('message') or error.response.text))}"
        is_filtered = str(error.code) in _FILTERED
        if status == 403 and _NOT_GIVEN in said:
            return CallError(said, again=False, status=status, param="logprobs")
        if status == 403 and (self._has_answered or is_filtered or _is_flagged(body)):
            return CallError(said, again=False, declined=True, status=status)
        if status in (401, 403):
            return ConfigError(self._about_the_key(said))
        if status in _NOT_HERE or status < 400:
            return ConfigError(
                f"{config.url} has no model {config.model!r} of this kind ({said}): check teach.url, which often "
                "ends in /v1, teach.model and teach.kind"
            )
        if status == 402 or (status == _TOO_MANY and _NO_CREDIT.intersection((str(error.code), str(error.type)))):
            return RunError(f"the credit at {config.url} is used up ({said}): add some")
        pause_s = _asked_pause_s(error.response.headers)
        if pause_s is not None and pause_s > _LONGEST_ASKED_S:
            return RunError(f"{config.url} asks for a pause of {pause_s:.0f} s ({said}): wait for it")
        return CallError(
            said,
            again=may_pass(status),
            declined=is_filtered,
            pause_s=pause_s,
            status=status,
            param=str(body.get("param") or ""),
        )


def may_pass(status: int) -> bool:
    """Tell whether another attempt may get past a status."""
    return status in _AGAIN or status >= 500


def _is_flagged(body: Mapping[str, Any]) -> bool:
    """Tell whether a text was refused before any model saw it (https://openrouter.ai/docs/api-reference/errors)."""
    metadata = body.get("metadata")
    return (isinstance(metadata, dict) and "flagged_input" in metadata) or "input was flagged" in str(
        body.get("message")
    )


def _asked_pause_s(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds a server asks to wait: a number, milliseconds, or a date (RFC 9110, 10.2.3)."""
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            pause_s = float(headers.get(name, "")) * unit_s
        except (TypeError, ValueError):
            continue
        if math.isfinite(pause_s):
            return max(pause_s, 0.0)
    try:
        return max(parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time(), 0.0)
    except (OverflowError, TypeError, ValueError):
        return None
