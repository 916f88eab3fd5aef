"""The tables of the settings that say what is read, and how: sources, cleaning, splitting, rendering, tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Reader = Literal[
    "auto",
    "toxic-chat",
    "table",
    "hub",
    "davidson",
    "wikipedia-context",
    "wikipedia-comments",
    "safenlp",
    "hatecheck",
    "xstest",
    "diasafety",
    "openai-moderation",
    "embedded-comments",
    "embedded-prompts",
    "embedded-conversations",
]
Keep = Literal["head", "tail", "head-tail"]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A table of the settings: frozen, every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class ColumnMap(Section):
    """Which columns of a table hold what."""

    id: str | None = None
    """Column of the row's id; the row number if absent."""
    text: str | None = None
    """Column of the text. One of text and messages is needed."""
    messages: str | None = None
    """Column of messages in OpenAI's chat form or ShareGPT's (a list, or JSON text). developer counts as system;
    messages of tools, and those without content, are left out."""
    labels: dict[str, str] = {}
    """Our label name → column holding 0 or 1, or no and yes (an empty cell is unknown); left out, columns that are
    named as our labels are, and for toxicity a usual one such as toxic. A field of an object is a column, such as
    labels.toxicity; if none is named and none is found, those of `labels` are taken, and of `teacher`."""
    teacher: dict[str, str] = {}
    """Our label name → column holding a score in [0, 1] (an empty cell is unknown)."""
    split: str | None = None
    """Column holding train, validation or test; left out, a column split is read where some row of it names one."""


class SourceConfig(Section):
    """One data set to read."""

    reader: Reader = "auto"
    """Which reader; `auto` recognises ToxicChat's layout, the embedded data and plain tables."""
    path: str = ""
    """Hub id, folder or file, relative to the working folder; empty for the embedded data."""
    subset: str = ""
    """The hub data set's configuration, e.g. toxicchat0124."""
    columns: ColumnMap = ColumnMap()
    """Column mapping for plain tables and hub data sets."""
    max_examples: int | None = Field(None, ge=1)
    """Keep a random sample of this many rows, drawn with prepare.seed, or the run's seed where that is unset."""
    use: Literal["all", "train"] = "all"
    """all takes rows into every part; train mixes them into the training part alone, without those whose family is
    in another source's validation or test part."""
    weight: float = Field(1.0, gt=0)
    """What its rows' labels count for in training, beside those of a source with 1. A teacher's scores count alike
    for all rows, and so does what is measured."""


class PrepareConfig(Section):
    """Cleaning and splitting."""

    min_chars: int = Field(2, ge=1)
    """Rows whose rendered text is shorter are dropped."""
    drop_repeats: bool = True
    """Drop exact repeats (after normalisation); where their labels conflict, every copy. All are listed."""
    language: Literal["en", "any"] = "en"
    """Drop rows that are surely in another language than English, or keep all."""
    split: Literal["official", "resplit"] = "resplit"
    """Keep the published test split and carve validation from train, or pool all rows and split again."""
    test_fraction: Fraction = 0.3
    """Share of rows for test when splitting again (the study: 7:3)."""
    validation_fraction: Fraction = 0.15
    """Share of the remaining training rows that becomes validation."""
    group: Literal["family", "none"] = "family"
    """Keep prompt families whole, or split at random as the study did (near-copies then leak into test)."""
    sample: Literal["all", "balanced"] = "all"
    """Train on all rows, or on a balanced down-sample of the training part."""
    seed: int | None = Field(None, ge=0, lt=2**31)
    """Seed of splitting and sampling; left out, it is the run's. Set it to repeat a training on the same rows."""


class TextConfig(Section):
    """How a conversation becomes one text. Stored in the bundle, used everywhere."""

    turns: Literal["all", "conversation", "user", "last-user"] = "all"
    """Which turns are read; conversation is all but those of the system."""
    normalise: bool = True
    """Unicode NFKC, no invisible characters, single spaces."""


class EncodeConfig(Section):
    """How a text becomes tokens."""

    max_tokens: int = Field(256, ge=8, le=8192)
    """Longest window, special tokens included."""
    keep: Literal["auto", Keep] = "auto"
    """What training reads of a text that is longer than a window: its beginning (head), its end (tail), or both,
    a quarter of the window from its beginning and the rest from its end (head-tail, arXiv 1905.05583). auto takes
    the beginning of a single turn and the end of several, the last of which most labels are about."""
    overflow: Literal["windows", "truncate"] = "windows"
    """Score longer texts window by window and keep the highest logit, or read as much of them as training does."""
    stride: int = Field(64, ge=0)
    """Tokens that neighbouring windows share."""

    @model_validator(mode="after")
    def _stride_fits(self) -> EncodeConfig:
        if self.stride > self.max_tokens // 2:
            raise ValueError(
                f"stride must be at most half of max_tokens ({self.max_tokens // 2}), got {self.stride}"
            )
        return self
