"""What can be read, for people."""

from __future__ import annotations

from dataclasses import dataclass

from adaptox.config import Reader
from adaptox.sources import openai_moderation, toxic_chat


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """One thing that can be read.

    Attributes:
        reader: the value of `reader` in the settings.
        title: its name for people.
        licence: SPDX name or a sentence.
        url: where it comes from; empty for the embedded data and your own files.
        gives: what a row is, and which labels and scores it has.
        example: how it stands in the settings (TOML).
    """

    reader: Reader
    title: str
    licence: str
    url: str
    gives: str
    example: str


def _example(reader: str, path: str = "", more: str = "") -> str:
    place = f'path = "{path}"' if path else ""
    return "\n".join(line for line in ("[[sources]]", f'reader = "{reader}"', place, more) if line)


_CATALOGUE = (
    SourceInfo(
        "embedded-conversations",
        "Embedded conversations",
        "Apache-2.0",
        "",
        "chatbot prompts and short conversations; toxicity, jailbreaking, moderation scores",
        _example("embedded-conversations"),
    ),
    SourceInfo(
        "embedded-comments",
        "Embedded comments",
        "Apache-2.0",
        "",
        "short comments in the manner of social media; toxicity",
        _example("embedded-comments"),
    ),
    SourceInfo(
        "embedded-prompts",
        "Embedded prompts",
        "Apache-2.0",
        "",
        "prompts to a chatbot, toxic ones and their near neighbours; toxicity, jailbreaking",
        _example("embedded-prompts"),
    ),
    SourceInfo(
        "toxic-chat",
        "ToxicChat",
        toxic_chat.LICENCE,
        toxic_chat.URL,
        "prompts of real users, official train and test split; toxicity, jailbreaking, moderation scores",
        _example("toxic-chat", toxic_chat.TOXIC_CHAT, 'subset = "toxicchat0124"'),
    ),
    SourceInfo(
        "davidson",
        "Hate speech and offensive language (tweets)",
        "MIT",
        "https://github.com/t-davidson/hate-speech-and-offensive-language",
        "tweets; toxicity (hate or offensive)",
        _example("davidson", "data/davidson"),
    ),
    SourceInfo(
        "wikipedia-context",
        "Wikipedia talk comments with context",
        "Apache-2.0",
        "https://github.com/ipavlopoulos/context_toxicity",
        "comments, without their parents; toxicity, and a service's score as teacher",
        _example("wikipedia-context", "data/wikipedia-context"),
    ),
    SourceInfo(
        "wikipedia-comments",
        "Wikipedia comments of the unintended-bias study",
        "CC-BY-4.0",
        "https://github.com/conversationai/unintended-ml-bias-analysis",
        "comments; toxicity",
        _example("wikipedia-comments", "data/wikipedia-comments"),
    ),
    SourceInfo(
        "safenlp",
        "SafeNLP: implicit hate, machine-made and real",
        "MIT; the texts under the terms of ToxiGen and Implicit Hate",
        "https://github.com/microsoft/SafeNLP",
        "short statements about groups of people; toxicity (hate or neutral)",
        _example("safenlp", "data/safenlp"),
    ),
    SourceInfo(
        "hatecheck",
        "HateCheck: functional tests of hate-speech detectors",
        "CC-BY-4.0",
        "https://github.com/paul-rottger/hatecheck-data",
        "short sentences made from templates; toxicity (hateful or not)",
        _example("hatecheck", "data/hatecheck"),
    ),
    SourceInfo(
        "xstest",
        "XSTest: prompts that only sound harmful, and ones that are",
        "CC-BY-4.0",
        "https://github.com/paul-rottger/exaggerated-safety",
        "prompts to a chatbot; toxicity (harmful or not)",
        _example("xstest", "data/xstest"),
    ),
    SourceInfo(
        "diasafety",
        "DiaSafety: answers of chatbots that are unsafe in their context",
        "Apache-2.0",
        "https://github.com/thu-coai/DiaSafety",
        "a turn and its answer; toxicity of the answer, where that is what makes it unsafe",
        _example("diasafety", "data/diasafety"),
    ),
    SourceInfo(
        "openai-moderation",
        "OpenAI's evaluation set of undesired content",
        openai_moderation.LICENCE,
        openai_moderation.URL,
        "prompts; OpenAI's eight categories of 2022, and toxicity (any of them)",
        _example("openai-moderation", "data/openai-moderation"),
    ),
    SourceInfo(
        "table",
        "Your CSV, TSV, JSON Lines, JSON or Parquet file, or a folder of them named by split",
        "unknown",
        "",
        "texts or messages, several label and teacher columns, a split column",
        _example("table", "mine.csv", 'columns = {text = "prompt", labels = {toxicity = "is_toxic"}}'),
    ),
    SourceInfo(
        "hub",
        "Any data set of the Hugging Face hub",
        "as its card says",
        "https://huggingface.co/datasets",
        "as table, with all its splits",
        _example("hub", "owner/name", 'columns = {text = "text", labels = {toxicity = "label"}}'),
    ),
)


def catalogue() -> tuple[SourceInfo, ...]:
    """List every reader with licence, origin and an example for the settings."""
    return _CATALOGUE
