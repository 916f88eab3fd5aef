"""A chat model's response → the probability of yes: https://platform.openai.com/docs/api-reference/chat/object."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adaptox.teach.server import CallError, may_pass

_YES, _NO = "yes", "no"
# Around a word, and around a token, may stand spaces, quotation marks, asterisks and other signs of any script, and
# what tokenizers write for a space or the end of a line (that of SentencePiece, U+2581, is a sign).
_WORD = re.compile(rf"[\W_ĠĊ]*({_YES}|{_NO})[\W_ĠĊ]*", re.IGNORECASE)
# Servers round: the logarithm of a probability of 1 may be a little above 0.
_ROUNDING = 1e-3
_FILTERED = "content_filter"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a response says.

    Attributes:
        probability: of yes.
        why_word: why the word alone decides, which makes 1 or 0; empty if probabilities of tokens do.
        prompt_tokens: that were paid for, 0 where the server does not say.
        completion_tokens: likewise.
    """

    probability: float
    why_word: str
    prompt_tokens: int
    completion_tokens: int


def check(found: Any, shown: Callable[[str], str]) -> None:
    """Look for an error in a response of status 200.

    OpenRouter sends there what fails while the model is at work, with the status as the error's code:
    https://openrouter.ai/docs/api/reference/errors-and-debugging

    Args:
        found: the JSON that came.
        shown: shortens a server's words for an error.

    Raises:
        CallError: there is one, with its code for a status.
    """
    choice = _choice(found)
    error = _dict(found).get("error") or choice.get("error")
    if not error and choice.get("finish_reason") != "error":
        return
    body = _dict(error)
    code, status = body.get("code"), _status(body.get("code"))
    said = shown(str(body.get("message") or error or "finish_reason is error"))
    raise CallError(
        f"{status}: {said}" if status else f"expected an answer, got an error: {said}",
        again=status is None or may_pass(status),
        declined=code == _FILTERED,
        status=status,
        param=str(body.get("param") or ""),
        prompt_tokens=_tokens(found, "prompt_tokens"),
        completion_tokens=_tokens(found, "completion_tokens"),
    )


def read(found: Any, shown: Callable[[str], str]) -> Reading:
    """Read the probability of yes, p(yes) / (p(yes) + p(no)).

    Args:
        found: the JSON that came, without an error.
        shown: shortens a server's words for an error.

    Raises:
        CallError: it is neither yes nor no, or of another shape. Declined only if the model spoke, or was not let.
    """
    choice = _choice(found)
    message, finish = _dict(choice.get("message")), choice.get("finish_reason")
    content = message.get("content")
    prompt_tokens, completion_tokens = _tokens(found, "prompt_tokens"), _tokens(found, "completion_tokens")
    word, refusal = _word(content), message.get("refusal")
    if not word or refusal:
        spoke = "content" in message and (content is None or isinstance(content, str))
        said = refusal or (content if spoke else found)
        ended = f" (finish_reason {finish})" if finish in ("length", _FILTERED) else ""
        raise CallError(
            f"expected yes or no, got {shown(repr(said))}{ended}",
            declined=bool(spoke or refusal or finish == _FILTERED),
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )
    logprobs = _dict(choice.get("logprobs")).get("content")
    try:
        mass, why_word = _mass(word, logprobs if isinstance(logprobs, list) else [])
    except (OverflowError, ValueError) as error:
        raise CallError(
            f"expected the logarithm of a probability beside each token, got {shown(str(error))}",
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        ) from None
    probability = float(word == _YES) if why_word else mass[_YES] / (mass[_YES] + mass[_NO])
    return Reading(probability, why_word, prompt_tokens, completion_tokens)


def _mass(word: str, logprobs: list[Any]) -> tuple[dict[str, float], str]:
    """Sum the probabilities of the spellings of yes and of no, at the token that is the word.

    It is the last one: some servers list the tokens of hidden thoughts before.

    Returns:
        The sums, and why they say nothing, empty if they do.

    Raises:
        ValueError: one is no probability.
    """
    mass = {_YES: 0.0, _NO: 0.0}
    own = next((token for token in reversed(logprobs) if _word(_spelling(token)) == word), None)
    if own is None:
        return mass, "no token of its answer is yes or no" if logprobs else "its answer came without them"
    listed = own.get("top_logprobs")
    top = [token for token in listed if _spelling(token)] if isinstance(listed, list) else []
    others = [token for token in top if _spelling(token) != _spelling(own)]
    for token in top if len(others) < len(top) else [own, *top]:
        spelt = _word(_spelling(token))
        if spelt in mass:
            mass[spelt] += _exp(token.get("logprob"))
    if not others:
        return mass, "its answer came without alternatives to a token"
    return mass, "" if sum(mass.values()) > 0 else "yes and no have a probability of 0"


def _word(text: Any) -> str:
    """Give yes or no without what stands around it, empty where it is neither."""
    match = _WORD.fullmatch(text) if isinstance(text, str) else None
    return match[1].casefold() if match else ""


def _spelling(token: Any) -> str:
    text = _dict(token).get("token")
    return text if isinstance(text, str) else ""


def _exp(logprob: Any) -> float:
    if isinstance(logprob, bool) or not isinstance(logprob, int | float) or not logprob <= _ROUNDING:
        raise ValueError(repr(logprob))
    return math.exp(logprob)


def _tokens(found: Any, name: str) -> int:
    """Read how many tokens a call took, 0 where the server does not say."""
    count = _dict(_dict(found).get("usage")).get(name)
    return count if isinstance(count, int) and count >= 0 else 0


def _status(code: Any) -> int | None:
    """Read an error's code as a status, None where it is another kind of code."""
    try:
        status = int(code)
    except (OverflowError, TypeError, ValueError):
        return None
    return status if 400 <= status < 600 else None


def _choice(found: Any) -> dict[str, Any]:
    choices = _dict(found).get("choices")
    return _dict(choices[0]) if isinstance(choices, list) and choices else {}


def _dict(value: Any) -> dict[str, Any]:
    """Take what is no object for one without fields."""
    return value if isinstance(value, dict) else {}
