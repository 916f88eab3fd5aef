"""What a call to a chat model asks for beside its messages, and with what a server of another taste is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adaptox.teach.server import CallError

# More than one, so that a refusal which begins with "No" is not taken for an answer.
_WORD_TOKENS = 4
# Models that want the other field think before they answer, and their thoughts count. OpenAI advises 25,000 for a
# start (https://platform.openai.com/docs/guides/reasoning); one word about one conversation needs far less thought,
# and only what is used is paid for.
_THOUGHT_TOKENS = 4_000

# What is sent, best first; where a server refuses one of its fields, the next one is. Yes and no have several
# spellings, so as many tokens as OpenAI gives, then as many as older or smaller servers do.
_LADDERS: tuple[tuple[Mapping[str, object], ...], ...] = (
    ({"max_tokens": _WORD_TOKENS}, {"max_completion_tokens": _THOUGHT_TOKENS}),
    ({"temperature": 0}, {}),
    ({"logprobs": True, "top_logprobs": 20}, {"logprobs": True, "top_logprobs": 5}, {}),
)

# 403 is what OpenAI says of log-probabilities that a model does not give.
_REFUSALS = frozenset((400, 403, 422))
# A server that takes max_tokens may still blame it, for example for a conversation that fills the context.
_UNSUPPORTED = re.compile(r"unsupported|not support|instead|deprecated|unknown|unrecogni[sz]ed|not permitted", re.I)
# Where a message names a field as such, at its beginning, in quotation marks or after a word for it: other messages
# may repeat the conversation.
_NAMED = (
    r"^{0}\b"
    r"|['\"`]{0}\\?['\"`]"
    r"|\b(?:supports?|supported|request|sample|invalid|fields?|parameters?|arguments?|supplied)\b:?\s+{0}\b"
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The fields of a call that not every server takes.

    Attributes:
        steps: how far down each of the ladders of limit, temperature and log-probabilities.
    """

    steps: tuple[int, ...] = (0,) * len(_LADDERS)

    def fields(self) -> dict[str, Any]:
        """Give what is sent."""
        chosen = (ladder[step] for ladder, step in zip(_LADDERS, self.steps, strict=True))
        return {name: value for fields in chosen for name, value in fields.items()}

    @property
    def asks_for_logprobs(self) -> bool:
        """Tell whether log-probabilities are still asked for."""
        return "logprobs" in self.fields()

    def after(self, error: CallError) -> Parameters:
        """Go one step down where a server blames a field of a call; stay where it blames none of these."""
        blamed = self._blamed(error)
        return Parameters(
            tuple(
                step + 1 if blamed in ladder[step] and step + 1 < len(ladder) else step
                for ladder, step in zip(_LADDERS, self.steps, strict=True)
            )
        )

    def fewest(self, other: Parameters) -> Parameters:
        """Go as far down as either."""
        return Parameters(tuple(map(max, self.steps, other.steps)))

    def _blamed(self, error: CallError) -> str:
        """Name the field that a server refuses, empty if it refuses something else."""
        if error.status not in _REFUSALS or error.declined:
            return ""
        message = str(error).removeprefix(f"{error.status}: ")
        for name in self.fields():
            if error.param:
                is_named = error.param == name
            else:
                is_named = re.search(_NAMED.format(name), message, re.I) is not None
            if is_named and (name != "max_tokens" or _UNSUPPORTED.search(message)):
                return name
        return ""
