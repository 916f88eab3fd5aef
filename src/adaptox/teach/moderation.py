"""A moderation model as teacher: https://platform.openai.com/docs/api-reference/moderations."""

from __future__ import annotations

import math
from typing import Any

from adaptox.config import TeachConfig, TextConfig
from adaptox.records import Conversation
from adaptox.teach.server import CallError, Server
from adaptox.teach.store import Answer
from adaptox.text import render

# All turns, as `text` renders them for every model, but as they were written: the server normalises as it sees fit.
_AS_WRITTEN = TextConfig(turns="all", normalise=False)


class Moderation:
    """Asks a server for the scores of its moderation categories, under the server's names.

    Args:
        config: url, model, key_variable and timeout_s.

    Raises:
        ConfigError: no url, no model, or no key.
        MissingExtraError: openai is not installed.
    """

    def __init__(self, config: TeachConfig) -> None:
        self._server = Server(config)
        self._model = config.model

    async def __call__(self, conversation: Conversation) -> Answer:
        """Ask once about the conversation as one text.

        Raises:
            CallError: no answer came of it.
            ConfigError: the server knows no such key, address or model.
            RunError: the server will not answer today.
        """
        text = render(conversation, _AS_WRITTEN).text
        found = await self._server.ask(
            lambda client: client.moderations.with_raw_response.create(model=self._model, input=text)
        )
        return Answer(self._scores(found))

    async def close(self) -> None:
        """Let go of the connections; asking again opens new ones."""
        await self._server.close()

    def _scores(self, found: Any) -> dict[str, float]:
        """Read the scores; the client's own types take any shape, and rename hate/threatening."""
        try:
            (result,) = found["results"]
            scores = dict(result["category_scores"].items())
        except (AttributeError, KeyError, TypeError, ValueError):
            scores = {}
        if not scores:
            raise CallError(f"expected one result with category_scores, got {self._server.shown(repr(found))}")
        for name, score in scores.items():
            number = isinstance(score, int | float) and not isinstance(score, bool)
            if not number or not math.isfinite(score) or not 0 <= score <= 1:
                raise CallError(f"expected a score of {name} in [0, 1], got {self._server.shown(repr(score))}")
        return {name: float(score) for name, score in scores.items()}
