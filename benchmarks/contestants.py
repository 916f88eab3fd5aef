"""The tools that benchmarks/peers.py compares: each learns from the same rows and the same base, and predicts.

Each brings its own libraries when it is asked to, so that the memory of its process is its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from adaptox import config as settings
from adaptox.config import Config
from adaptox.errors import InputError
from adaptox.records import Example, FloatArray
from adaptox.text import render

FEW = 16  # rows of each class, where SetFit is at home
# The threshold of tools that come without one.
HALF = 0.5
# What benchmarks/setfit_settings.py chose for SetFit on the training rows, and how it did there.
SETFIT_CHOSEN = Path(__file__).parents[1] / "docs" / "results" / "setfit-settings.json"


@dataclass(frozen=True, slots=True)
class Rows:
    """Prepared rows as other tools read them."""

    texts: list[str]
    truth: list[int]
    groups: list[str]

    @classmethod
    def of(cls, examples: Sequence[Example], config: Config) -> Rows:
        """Render examples as adaptox does; those without the target label are left out."""
        target = config.label_set.target
        known = [example for example in examples if target in example.labels]
        return cls(
            [render(example.conversation, config.text).text for example in known],
            [int(example.labels[target]) for example in known],
            [example.group or example.id for example in known],
        )

    def take(self, places: Sequence[int]) -> Rows:
        """Give the rows at some places, in their order."""
        return Rows(
            [self.texts[at] for at in places],
            [self.truth[at] for at in places],
            [self.groups[at] for at in places],
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """A contestant after training: it gives the probability of each text; its threshold; what it is."""

    predict: Callable[[list[str]], FloatArray]
    threshold: float
    origin: str
    about: str
    rows: int


# Rows → what came of learning from them.
Learn = Callable[[Rows], Trained]


def tf_idf(config: Config, work: Path) -> Learn:
    """Count words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, TunedThresholdClassifierCV
    from sklearn.pipeline import make_pipeline

    def learn(train: Rows) -> Trained:
        plain = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
            LogisticRegression(C=10, class_weight="balanced", max_iter=1000),
        )
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=config.seed)
        folds = splitter.split(train.texts, train.truth, train.groups)
        tuned = TunedThresholdClassifierCV(plain, scoring="f1", cv=list(folds), n_jobs=1)
        tuned.fit(train.texts, train.truth)
        return Trained(
            lambda texts: tuned.predict_proba(texts)[:, 1],
            float(tuned.best_threshold_),
            "F1 on five folds of train",
            f"scikit-learn {version('scikit-learn')}: words and pairs",
            len(train.texts),
        )

    return learn


def setfit(config: Config, work: Path) -> Learn:
    """Learn from pairs of a few texts by SetFit's defaults, then fit a logistic head."""
    learn_all = _setfit(config, work, SetFitSettings(), f"its defaults, {FEW} rows of each class")

    def learn(train: Rows) -> Trained:
        order = np.random.default_rng(config.seed).permutation(len(train.truth))
        few = [int(at) for label in (0, 1) for at in [at for at in order if train.truth[at] == label][:FEW]]
        return learn_all(train.take(few))

    return learn


def setfit_best(config: Config, work: Path) -> Learn:
    """Learn from all rows by the settings and the threshold that did best on training rows left out."""
    if not SETFIT_CHOSEN.is_file():
        raise InputError(f"expected what benchmarks/setfit_settings.py chose in {SETFIT_CHOSEN}: run that first")
    chosen = json.loads(SETFIT_CHOSEN.read_text(encoding="utf-8"))["chosen"]
    used = SetFitSettings(**chosen["settings"])
    how = f"the best of its settings on rows left out, {used.steps} steps of pairs of all rows"
    return _setfit(config, work, used, how, chosen["threshold"], "F1 on a third of train left out")


@dataclass(frozen=True, slots=True)
class SetFitSettings:
    """How SetFit learns: by its defaults, unless told otherwise.

    Attributes:
        steps: of pairs; None for all pairs, of which 5,000 rows have twelve millions.
        learning_rate: of the network; None for the default, 2e-5.
        pair_tokens: of each text of a pair; None for as many as are read later.
        head: of scikit-learn's LogisticRegression, by its names.
    """

    steps: int | None = None
    learning_rate: float | None = None
    pair_tokens: int | None = None
    head: Mapping[str, Any] | None = None

    def options(self) -> dict[str, Any]:
        """Give what SetFit's TrainingArguments are told."""
        rate = self.learning_rate
        given = {"max_steps": self.steps, "body_learning_rate": None if rate is None else (rate, rate)}
        return {name: value for name, value in given.items() if value is not None}


def teach_setfit_body(train: Rows, config: Config, work: Path, used: SetFitSettings) -> Any:
    """Let SetFit train its network on pairs; the head is not fitted yet.

    Returns:
        The SetFit trainer, whose `model` reads as many tokens as adaptox.

    Raises:
        InputError: SetFit is not installed.
    """
    try:
        from setfit import SetFitModel, TrainingArguments
        from setfit import Trainer as SetFitTrainer
    except ImportError as error:
        raise InputError(f"setfit cannot be imported ({error}): pip install setfit, or --without setfit") from error
    from datasets import Dataset

    model = SetFitModel.from_pretrained(_base(config), head_params=dict(used.head or {}))
    arguments = TrainingArguments(
        output_dir=str(work),
        seed=config.seed,
        save_strategy="no",
        report_to="none",
        show_progress_bar=False,
        **used.options(),
    )
    data = Dataset.from_dict({"text": train.texts, "label": train.truth})
    taught = SetFitTrainer(model=model, args=arguments, train_dataset=data)
    model.model_body.max_seq_length = used.pair_tokens or config.encode.max_tokens
    if used.steps != 0:
        taught.train_embeddings(train.texts, train.truth, args=arguments)
    model.model_body.max_seq_length = config.encode.max_tokens
    return taught


def _setfit(
    config: Config,
    work: Path,
    used: SetFitSettings,
    how: str,
    threshold: float = HALF,
    origin: str = str(HALF),
) -> Learn:
    def learn(train: Rows) -> Trained:
        taught = teach_setfit_body(train, config, work, used)
        taught.train_classifier(train.texts, train.truth)
        model = taught.model
        return Trained(
            lambda texts: np.asarray(model.predict_proba(texts, as_numpy=True), dtype=np.float64)[:, 1],
            threshold,
            origin,
            f"SetFit {version('setfit')}: {how}",
            len(train.texts),
        )

    return learn


def trainer(config: Config, work: Path) -> Learn:
    """Fine-tune with a short script that leaves all but the length to the library."""
    import torch
    import transformers
    from datasets import Dataset

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]

    def learn(train: Rows) -> Trained:
        tokenizer = transformers.AutoTokenizer.from_pretrained(_base(config))

        def tokens(texts: list[str]) -> Dataset:
            return Dataset.from_dict(dict(tokenizer(texts, truncation=True, max_length=config.encode.max_tokens)))

        arguments = transformers.TrainingArguments(
            output_dir=str(work),
            seed=config.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        transformers.set_seed(config.seed)
        taught = transformers.Trainer(
            model=transformers.AutoModelForSequenceClassification.from_pretrained(_base(config)),
            args=arguments,
            train_dataset=tokens(train.texts).add_column("label", train.truth),
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
        )
        taught.remove_callback(transformers.PrinterCallback)
        taught.train()

        def predict(texts: list[str]) -> FloatArray:
            logits = torch.from_numpy(np.asarray(taught.predict(tokens(texts)).predictions))
            probs: FloatArray = logits.double().softmax(dim=1)[:, 1].numpy()
            return probs

        about = f"transformers {version('transformers')}: its Trainer's defaults"
        return Trained(predict, HALF, str(HALF), about, len(train.texts))

    return learn


def plain(config: Config, work: Path) -> Learn:
    """Run adaptox by its plain defaults, as `adaptox train FILE.toml` does."""
    return _adaptox(config, work, "its plain defaults")


def recipe(config: Config, work: Path) -> Learn:
    """Run the recipe of `adaptox train DATA` from the others' base: all its trainings, and words."""
    given = config.model_dump(exclude_unset=True, mode="json")
    plain = config.base.name == settings.PLAIN_BASE["name"]
    base = {"base": settings.PLAIN_BASE if plain else config.base.model_dump(mode="json")}
    return _adaptox(settings.parse({**given, **settings.RECIPE, **base}), work, "its recipe")


def _adaptox(config: Config, work: Path, how: str) -> Learn:
    """Adapt: the run reads and prepares the same rows once more, and evaluates and reports, all within its time."""
    import adaptox
    from adaptox.adapt import adapt

    def learn(train: Rows) -> Trained:
        adapt(config, work / "run", overwrite=True)
        moderator = adaptox.load(work / "run" / "bundle")
        target = config.label_set.target
        cut = moderator.decider.threshold(target)
        if cut.value is None:
            raise InputError(f"the run in {work} learned no threshold for {target}: nothing can be compared")

        def predict(texts: list[str]) -> FloatArray:
            return np.array([verdict.scores[target] for verdict in moderator.score(texts)])

        about = f"adaptox {version('adaptox')}: {how}"
        return Trained(predict, cut.value, cut.origin, about, len(train.texts))

    return learn


def _base(config: Config) -> str:
    from adaptox.model.places import find

    return str(find(config.base.name, None).folder)


CONTESTANTS: dict[str, Callable[[Config, Path], Learn]] = {
    "tf-idf": tf_idf,
    "setfit": setfit,
    "setfit-best": setfit_best,
    "trainer": trainer,
    "adaptox": plain,
    "adaptox-recipe": recipe,
}
# Those whose answers change with adaptox's code.
ADAPTOX = ("adaptox", "adaptox-recipe")
