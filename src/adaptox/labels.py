"""Label names and their order: dataset columns → ours → OpenAI's categories.

Sources:
    ToxicChat's columns and moderation JSON: https://huggingface.co/datasets/lmsys/toxic-chat
    OpenAI's categories: https://platform.openai.com/docs/guides/moderation
    The six Jigsaw labels of unitary/toxic-bert: https://huggingface.co/unitary/toxic-bert
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adaptox.errors import ConfigError, nearest

TOXICITY = "toxicity"
JAILBREAKING = "jailbreaking"

OPENAI_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

# A classifier's own label name → ours, tried in this order: the first match warm-starts our row of the head.
WARM_START: dict[str, tuple[str, ...]] = {
    TOXICITY: ("toxicity", "toxic", "offensive", "hate", "unsafe"),
    "harassment": ("harassment", "insult"),
    "harassment/threatening": ("harassment/threatening", "threat"),
    "hate": ("hate", "identity_hate", "identity_attack"),
    "hate/threatening": ("hate/threatening", "severe_toxic", "severe_toxicity"),
    "sexual": ("sexual", "obscene", "sexual_explicit"),
    "violence": ("violence", "threat"),
}


@dataclass(frozen=True)
class LabelSet:
    """The labels of a model, in the order of its logits.

    Raises:
        ConfigError: no label, a blank name, or a name that occurs twice.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise ConfigError("expected at least one label, got none: set labels = ['toxicity']")
        if not all(name.strip() for name in self.names):
            raise ConfigError(f"expected label names, got a blank one in {list(self.names)}")
        if len(set(self.names)) != len(self.names):
            raise ConfigError(f"label names must differ, got {', '.join(self.names)}")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @property
    def target(self) -> str:
        """The label that thresholds, selection and the report are about: the first."""
        return self.names[0]

    def index(self, name: str) -> int:
        """Give the column of a label.

        Raises:
            ConfigError: no such label.
        """
        if name not in self.names:
            raise ConfigError(f"unknown label {name!r}: {nearest(name, self.names)}")
        return self.names.index(name)
