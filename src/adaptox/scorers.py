"""Conversations → Scores: the one scoring path of evaluation, command line and library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from tokenizers import Tokenizer

from adaptox import bundle as bundles
from adaptox.config import TextConfig
from adaptox.decide import Decider
from adaptox.encode import Encoder, batches
from adaptox.errors import DataError
from adaptox.lexicon import Lexicon
from adaptox.records import Conversation, FloatArray, Progress, Scores, Turn, Verdict, silent
from adaptox.text import render

if TYPE_CHECKING:
    import torch

# Padded tokens per forward pass: small enough for a laptop's cache, large enough to keep its cores busy.
TOKENS_PER_BATCH = 4096
# Conversations encoded at a time, which bounds memory on long inputs.
CHUNK = 4096


class Scorer(Protocol):
    """Anything that scores conversations."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of the scores."""
        ...

    def score(self, conversations: Sequence[Conversation], progress: Progress = silent) -> Scores:
        """Score conversations, in input order."""
        ...


class TorchScorer:
    """Scores with a torch classifier, in full precision.

    A conversation's logit is the highest over its windows, so that one offending passage is enough.

    Args:
        network: a transformers classifier with one logit a label; scoring puts it into evaluation mode.
        encoder: the encoder it was trained with.
        labels: names of its logits.
    """

    def __init__(self, network: torch.nn.Module, encoder: Encoder, labels: tuple[str, ...]) -> None:
        self._network = network
        self._encoder = encoder
        self._labels = labels

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of the scores."""
        return self._labels

    def score(self, conversations: Sequence[Conversation], progress: Progress = silent) -> Scores:
        """Score conversations, in input order.

        Args:
            conversations: any number, also none.
            progress: told how many are done.
        """
        self._network.eval()
        logits = np.empty((len(conversations), len(self._labels)))
        windows = np.zeros(len(conversations), dtype=np.int64)
        truncated = np.zeros(len(conversations), dtype=np.bool_)
        for start in range(0, len(conversations), CHUNK):
            encoded = self._encoder.encode(conversations[start : start + CHUNK])
            rows = slice(start, start + len(encoded))
            windows[rows] = [len(one.windows) for one in encoded]
            truncated[rows] = [one.truncated for one in encoded]
            owners = np.repeat(np.arange(len(encoded)), windows[rows])
            flat = [window for one in encoded for window in one.windows]
            best = np.full((len(encoded), len(self._labels)), -np.inf)
            done = 0
            for batch in batches([len(window) for window in flat], TOKENS_PER_BATCH):
                np.maximum.at(best, owners[batch], self._forward([flat[position] for position in batch]))
                done += len(batch)
                progress("score", start + done * len(encoded) // len(flat), len(conversations))
            logits[rows] = best
        return Scores(self._labels, logits, windows, truncated)

    def _forward(self, windows: Sequence[Sequence[int]]) -> FloatArray:
        """Give the logits (windows, labels) of one batch."""
        import torch

        padded = self._encoder.pad(windows)
        device = next(self._network.parameters()).device
        with torch.inference_mode():
            output = self._network(
                input_ids=torch.from_numpy(padded.input_ids).to(device),
                attention_mask=torch.from_numpy(padded.attention_mask).to(device),
            )
        logits: FloatArray = output.logits.double().cpu().numpy()
        return logits


class WordedScorer:
    """Adds what words say to a network's logits.

    Args:
        scorer: of the network.
        lexicon: whose logits are added, by name of the label.
        config: how a conversation is rendered; a lexicon reads all of it.
    """

    def __init__(self, scorer: Scorer, lexicon: Lexicon, config: TextConfig) -> None:
        self._scorer = scorer
        self._lexicon = lexicon
        self._config = config

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of the scores."""
        return self._scorer.labels

    def score(self, conversations: Sequence[Conversation], progress: Progress = silent) -> Scores:
        """Score conversations, in input order."""
        scores = self._scorer.score(conversations, progress)
        texts = [render(conversation, self._config).text for conversation in conversations]
        return add_logits(scores, self._lexicon.labels, self._lexicon.score(texts))


def add_logits(scores: Scores, labels: Sequence[str], logits: FloatArray) -> Scores:
    """Add logits to scores.

    Args:
        scores: whose logits are added to.
        labels: names of the columns of `logits`; what they do not name stays as it is.
        logits: (conversations, labels).
    """
    summed = scores.logits.copy()
    for column, label in enumerate(labels):
        summed[:, scores.labels.index(label)] += logits[:, column]
    return replace(scores, logits=summed)


class Moderator:
    """A bundle at work: scorer and decider together.

    Args:
        scorer: gives logits.
        decider: gives calibrated probabilities and decisions.
        bundle: where both came from.
    """

    def __init__(self, scorer: Scorer, decider: Decider, bundle: bundles.Bundle) -> None:
        self.scorer = scorer
        self.decider = decider
        self.bundle = bundle

    @classmethod
    def open(cls, folder: Path) -> Moderator:
        """Open a bundle.

        Raises:
            BundleError: missing, damaged, or of another version.
            MissingExtraError: torch is not installed.
        """
        bundle = bundles.load(folder)
        decider = Decider.from_json(bundle.manifest.decider)
        return cls(open_scorer(bundle), decider, bundle)

    def score(
        self,
        inputs: Iterable[object],
        ids: Sequence[str] | None = None,
        progress: Progress = silent,
    ) -> list[Verdict]:
        """Score texts and conversations.

        Args:
            inputs: each a text, or a list of messages in the chat form of OpenAI or ShareGPT.
            ids: one for each input; positions if absent.
            progress: told how many are done.

        Returns:
            One verdict for each input, in order.

        Raises:
            DataError: not a list, an item that is neither a text nor messages, or not one id for each.
        """
        items = _listed(inputs)
        names = [str(position) for position in range(len(items))] if ids is None else list(ids)
        if len(names) != len(items) or isinstance(ids, str):
            raise DataError(f"expected one id for each of the {len(items)} inputs, got {len(names)} ids")
        conversations = [Conversation.of(item) for item in items]
        return list(self.decider.apply(self.scorer.score(conversations, progress), names))


def _listed(inputs: object) -> list[object]:
    """Make a list of the inputs; refuse a single text or conversation, whose parts would be taken for inputs."""
    single = isinstance(inputs, str | bytes | Mapping) or not isinstance(inputs, Iterable)
    items = [] if single else list(cast(Iterable[object], inputs))
    if single or any(isinstance(item, Mapping | Turn) for item in items):
        raise DataError("expected a list of texts or conversations, got a single one: put it into a list, [one]")
    return items


def open_scorer(bundle: bundles.Bundle) -> Scorer:
    """Open the weights of a bundle.

    Raises:
        BundleError: its lexicon is none.
        MissingExtraError: torch or transformers is not installed.
    """
    from adaptox import model

    manifest = bundle.manifest
    encoder = Encoder(
        Tokenizer.from_file(str(bundle.folder / bundles.TOKENIZER)),
        manifest.pad_token_id,
        manifest.encode,
        manifest.text,
    )
    network: torch.nn.Module = model.reload(bundle.folder)
    scorer = TorchScorer(network.to(model.device()), encoder, manifest.labels)
    if bundles.LEXICON not in manifest.files:
        return scorer
    lexicon = Lexicon.from_json((bundle.folder / bundles.LEXICON).read_text(encoding="utf-8"))
    return WordedScorer(scorer, lexicon, manifest.text)
