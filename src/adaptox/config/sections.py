"""The tables of the settings that say what is learnt, and how; and the whole of them, `Config`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from adaptox.config.data_sections import EncodeConfig, Fraction, PrepareConfig, Section, SourceConfig, TextConfig
from adaptox.config.teach_section import TeachConfig
from adaptox.config.threshold_section import ThresholdConfig
from adaptox.errors import nearest
from adaptox.labels import TOXICITY, LabelSet

AdapterKind = Literal["none", "lora", "dora", "rslora", "ia3", "prompt"]
LossKind = Literal["bce", "pos-weight", "focal", "asymmetric", "logit-adjusted"]
DistillKind = Literal["bce", "mse"]
ScaleKind = Literal["raw", "logit", "quantile"]
Grams = Literal["words", "characters"]

# Peak learning rates of the body. none and lora come from a trial on ToxicChat, the others are starting values. An
# adapter starts as the identity and moves few weights, so its rate is more than ten times that of the whole model
# (arXiv 2602.04998).
LEARNING_RATES: dict[AdapterKind, float] = {
    "none": 7e-5,
    "lora": 1e-3,
    "dora": 1e-3,
    "rslora": 5e-4,
    "ia3": 5e-3,
    "prompt": 3e-3,
}


class BaseConfig(Section):
    """The classifier or encoder to start from."""

    name: str = "minilm"
    """`minilm` (embedded), `minilm-prompts` (taught by the embedded prompts on first use), a bundle or model
    folder, or a hub id such as unitary/toxic-bert."""
    revision: str | None = None
    """Commit, branch or tag on the hub."""
    warm_start: bool = True
    """Keep the rows of the base's head whose label name matches ours; false rebuilds the head at random."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout of the whole model; left out, it is the base's."""
    pooling: Literal["own", "mean"] = "own"
    """What the head reads: own is what the base gives it, such as BERT's pooler of the first token; mean is the
    mean of all tokens, as sentence encoders are trained. A bundle that was trained with mean keeps it, and needs
    adaptox to load it: transformers alone would make up a pooler."""
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of attention weights. At 0, torch computes attention in one fused step, which makes long rows about
    twice as fast on a CPU."""


class AdapterConfig(Section):
    """Which weights are trained."""

    kind: AdapterKind = "none"
    """none trains all parameters; the others train an adapter through PEFT, prompt the embeddings of tokens that
    are put before every text."""
    r: int = Field(8, ge=1)
    """Rank."""
    alpha: int = Field(32, ge=1)
    """Scale: the update is multiplied by alpha / r (alpha / √r with rslora)."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on the adapter's input."""
    targets: tuple[str, ...] = ("query", "key", "value")
    """Names of the modules to adapt, or `all-linear`."""
    prompt_tokens: int = Field(16, ge=1)
    """How many tokens kind prompt puts before a text; they count among encode.max_tokens."""
    train_head: bool = True
    """Train and save the head; false freezes it."""
    train_pooler: bool = True
    """Train and save the pooler, where the base has one."""


class LexiconConfig(Section):
    """Words beside the network: regressions on n-grams, whose logits are added to its own."""

    grams: tuple[Grams, ...] = ()
    """words (and pairs of words), characters (two to five in a row within words), or both; empty adds none. How
    much each counts is fitted where the threshold is, on rows that neither it nor the network saw."""

    @model_validator(mode="after")
    def _grams_differ(self) -> LexiconConfig:
        if len(set(self.grams)) < len(self.grams):
            raise ValueError(f"grams names one twice, got {list(self.grams)}: each counts once")
        return self


class LossConfig(Section):
    """What is minimised."""

    kind: LossKind = "bce"
    """bce, plain or with weighted positives; focal (arXiv 1708.02002); asymmetric (2009.14119);
    logit-adjusted (2007.07314)."""
    pos_weight: float | None = Field(None, gt=0)
    """Weight of positives for pos-weight; left out, it is negatives / positives of the training part."""
    gamma: float = Field(2.0, ge=0)
    """Focusing exponent of focal, and of asymmetric's negatives."""
    tau: float = Field(1.0, ge=0)
    """Strength of the logit adjustment."""


class DistillConfig(Section):
    """What a teacher's scores teach beside the labels (arXiv 1503.02531)."""

    targets: tuple[str, ...] = ()
    """Names of the teacher's scores to learn, such as OpenAI's categories; none trains on labels alone. A name that
    is not among `labels` gets an output of its own."""
    teacher: str = ""
    """A bundle that scores every row, or a folder that `adaptox teach` wrote; empty takes the scores that the data
    has. Rows without a score are masked. With threshold.folds, a crossfit teacher flatters the numbers on
    validation rows: what a fold learns from was scored by models that saw the labels of the rows left out."""
    sigma: float = Field(0.8, ge=0, le=1)
    """The loss is sigma · loss(labels) + (1 - sigma) · distillation(scores)."""
    kind: DistillKind = "bce"
    """bce is cross-entropy with the scores as soft targets; mse is the squared distance of logits."""
    temperature: float = Field(1.0, gt=0)
    """Softens both sides of bce; the loss is multiplied by its square."""
    scale: ScaleKind = "raw"
    """raw takes the scores as they are; logit moves and stretches their logits to mean 0 and deviation 1; quantile
    takes their rank. Fitted on the training part, for each name."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Weight of each name in the distillation; 1 where left out."""

    @model_validator(mode="after")
    def _teacher_has_targets(self) -> DistillConfig:
        if self.teacher and "targets" not in self.model_fields_set:
            raise ValueError(
                f"teacher is {self.teacher!r}, and no targets say which of its scores to learn: set, for example, "
                'distill.targets=["toxicity"]; an empty list trains on labels alone'
            )
        return self

    @model_validator(mode="after")
    def _weights_have_targets(self) -> DistillConfig:
        unknown = sorted(set(self.weights) - set(self.targets))
        if unknown:
            raise ValueError(
                f"weights names {unknown[0]!r}, which is no target: {nearest(unknown[0], self.targets)}"
            )
        return self


class TrainConfig(Section):
    """How it is minimised."""

    epochs: float = Field(3, gt=0)
    """Passes over the training part."""
    learning_rate: float = Field(gt=0)
    """Peak rate of the body or the adapter; left out, it follows adapter.kind."""
    head_learning_rate: float = Field(gt=0)
    """Peak rate of the head; left out, it is the larger of 1e-4 and learning_rate."""
    batch_size: int = Field(16, ge=1)
    """Rows per step on each device."""
    accumulation: int = Field(1, ge=1)
    """Steps whose gradients are added before an update."""
    warmup_fraction: Fraction = 0.06
    """Share of the updates with a rising rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the rate falls after warm-up."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW's decay, not applied to biases and norms."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are clipped to this norm."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto takes bf16 autocast where it multiplies matrices clearly faster than fp32, which is measured."""
    buckets: bool = True
    """Batch rows of like length together."""
    gradient_checkpointing: bool = False
    """Trade time for memory."""
    patience: int = Field(2, ge=1)
    """Evaluations without a better validation AUPRC before training stops."""
    keep_best: bool = True
    """Keep the checkpoint with the best validation AUPRC; false keeps the last (the study)."""
    average: int = Field(1, ge=1)
    """Average the weights of this many checkpoints, the best by validation AUPRC (arXiv 2203.05482); with
    keep_best = false the last. 1 keeps one."""
    soup: int = Field(1, ge=1)
    """Train this many times from the same start, with other orders of rows and other dropout, and keep the mean of
    the weights (a model soup, arXiv 2203.05482). Takes that many trainings."""
    evaluations_per_epoch: int = Field(1, ge=1)
    """How often validation is scored and a checkpoint written."""
    log_to: Literal["none", "tensorboard", "mlflow"] = "none"
    """Also log there, if installed."""
    allow_collapse: bool = False
    """Record a collapsed model instead of ending the run with an error."""


class EvaluateConfig(Section):
    """How sure the numbers are."""

    resamples: int = Field(1000, ge=100)
    """Bootstrap resamples of prompt families."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""
    base: bool = True
    """Judge the base as it is, too, on the same rows."""


_RATES = ("learning_rate", "head_learning_rate")


def head_rate(rate: float) -> float:
    """Give the head's default peak rate: the body's, but at least 1e-4."""
    return max(1e-4, rate)


class Config(Section):
    """One adaptation."""

    name: str = "run"
    """Shown in reports; the default output folder is runs/NAME."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of initialisation, order and dropout; and of splitting and sampling, unless prepare.seed is set."""
    labels: tuple[str, ...] = (TOXICITY,)
    """The model's labels; the first is the one that is thresholded and reported."""
    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)] = (
        SourceConfig(reader="embedded-conversations"),
    )
    """What to read; several are joined."""
    prepare: PrepareConfig = PrepareConfig()
    text: TextConfig = TextConfig()
    encode: EncodeConfig = EncodeConfig()
    base: BaseConfig = BaseConfig()
    adapter: AdapterConfig = AdapterConfig()
    lexicon: LexiconConfig = LexiconConfig()
    loss: LossConfig = LossConfig()
    teach: TeachConfig = TeachConfig()
    distill: DistillConfig = DistillConfig()
    train: TrainConfig
    threshold: ThresholdConfig = ThresholdConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="wrap")
    @classmethod
    def _fill_learning_rates(cls, data: Any, handler: ModelWrapValidatorHandler[Config]) -> Config:
        if not isinstance(data, dict) or not isinstance(data.get("train", {}), dict):
            return handler(data)
        adapter = data.get("adapter", {})
        if isinstance(adapter, dict):
            kind = adapter.get("kind")
        else:
            kind = adapter.kind if isinstance(adapter, AdapterConfig) else None
        default = next((rate for name, rate in LEARNING_RATES.items() if name == kind), LEARNING_RATES["none"])
        train = {"learning_rate": default, **data.get("train", {})}
        try:
            rate = float(train["learning_rate"])
        except (TypeError, ValueError):
            rate = default  # the field itself says what is wrong with it
        made = handler({**data, "train": {"head_learning_rate": head_rate(rate), **train}})
        # Rates that were left out count as unset, so that they follow when what they depend on is changed.
        made.train.model_fields_set.difference_update({*_RATES} - data.get("train", {}).keys())
        return made

    @model_validator(mode="after")
    def _labels_differ(self) -> Config:
        LabelSet(self.labels)
        LabelSet(self.distill.targets or self.labels)
        return self

    @property
    def label_set(self) -> LabelSet:
        """The labels as a value."""
        return LabelSet(self.labels)

    @property
    def data_seed(self) -> int:
        """Seed of sampling, splitting and down-sampling."""
        return self.seed if self.prepare.seed is None else self.prepare.seed

    @property
    def outputs(self) -> LabelSet:
        """Names of the network's logits: the labels, then what only a teacher knows."""
        return LabelSet(tuple(dict.fromkeys((*self.labels, *self.distill.targets))))
