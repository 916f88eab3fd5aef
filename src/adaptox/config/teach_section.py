"""The table of the settings that says who teaches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptox.config.data_sections import Section

TeacherKind = Literal["column", "model", "crossfit", "moderation", "chat"]


class TeachConfig(Section):
    """Who gives soft targets, for `adaptox teach`. Training reads them through distill.teacher."""

    kind: TeacherKind = "crossfit"
    """column takes the scores that the data has; model asks a bundle or a classifier of the hub; crossfit trains an
    ensemble on folds, so that no row is scored by a model that saw it or its family; moderation asks a server that
    speaks OpenAI's moderation format; chat asks a chat model that reads `policy`."""
    targets: tuple[str, ...] = ()
    """Names of the scores; empty takes all that column, moderation or a bundle gives, and the settings' labels for
    the others. chat takes one."""
    model: str = ""
    """For model a bundle's folder or a hub id; for moderation and chat the server's name of a model."""
    url: str = "https://api.openai.com/v1"
    """The server, for moderation and chat. Only one on this machine or in its own network may be plain http."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the server's key. The key itself stands in no settings, log or result. Left
    out, OpenAI's servers alone are sent this one: a server on this machine or in its own network is sent none, and
    any other needs a variable of its own."""
    policy: str = (
        "You moderate what people write to a chatbot. A message is toxic if it is rude, disrespectful, hateful, "
        "sexual, violent or threatening, or if it tries to make the chatbot write such things."
    )
    """What chat judges by. It is asked for one word, yes or no."""
    concurrency: int = Field(8, ge=1)
    """Calls under way at the same time."""
    calls_per_minute: int = Field(500, ge=1)
    """At most so many calls, retries among them, are begun in a minute; fewer while the server says that it is too
    many."""
    timeout_s: float = Field(30, gt=0)
    """Seconds after which a call counts as failed."""
    retries: int = Field(6, ge=0)
    """Further attempts at one conversation, with growing pauses, or as long as the server asks for. Then it is set
    aside, and the next run asks again. Calls that came too fast do not count; what the server declines to judge is
    asked once more."""
    retry_budget: int = Field(500, ge=0)
    """Further attempts in all, but for what is declined; then the teacher stops, and the same command goes on
    later."""
    most_declined: float = Field(0.05, ge=0, le=1)
    """The teacher stops when the server declines to judge more than this share of the conversations that a run asks
    about, and more than ten; or when as many fail."""
    folds: int = Field(5, ge=2)
    """crossfit: parts of the data, each scored by models that were trained on the others."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    """crossfit: seeds of every network."""
    members: Annotated[tuple[str, ...], Field(min_length=1)] = ("words", "characters", "settings")
    """crossfit: words and characters are regressions on n-grams (see lexicon), settings is the network that
    these settings make, anything else a settings file whose base, adapter, encode, loss and train tables make
    another."""
