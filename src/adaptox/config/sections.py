"""The tables of the settings: every key, its type, its default and what it means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adaptox.labels import TOXICITY, LabelSet

Reader = Literal[
    "auto",
    "toxic-chat",
    "table",
    "hub",
    "davidson",
    "wikipedia-context",
    "wikipedia-comments",
    "safenlp",
    "embedded-comments",
    "embedded-conversations",
]
AdapterKind = Literal["none", "lora", "dora", "rslora", "ia3"]
LossKind = Literal["bce", "pos-weight", "focal", "asymmetric", "logit-adjusted"]
Fraction = Annotated[float, Field(ge=0, lt=1)]

# Peak learning rates of the body. none and lora come from a trial on ToxicChat, the others are starting values. An
# adapter starts as the identity and moves few weights, so its rate is more than ten times that of the whole model
# (arXiv 2602.04998).
LEARNING_RATES: dict[AdapterKind, float] = {"none": 7e-5, "lora": 1e-3, "dora": 1e-3, "rslora": 5e-4, "ia3": 5e-3}


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
    """Column of messages in OpenAI's chat form (a list, or JSON text)."""
    labels: dict[str, str] = {}
    """Our label name → column holding 0 or 1 (an empty cell is unknown)."""
    teacher: dict[str, str] = {}
    """Our label name → column holding a score in [0, 1] (an empty cell is unknown)."""
    split: str | None = None
    """Column holding train, validation or test."""


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
    """Keep a random sample of this many rows, drawn with the run's seed."""


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


class TextConfig(Section):
    """How a conversation becomes one text. Stored in the bundle, used everywhere."""

    turns: Literal["all", "user", "last-user"] = "all"
    """Which turns are read."""
    normalise: bool = True
    """Unicode NFKC, no invisible characters, single spaces."""


class EncodeConfig(Section):
    """How a text becomes tokens."""

    max_tokens: int = Field(256, ge=8, le=8192)
    """Longest window, special tokens included."""
    overflow: Literal["windows", "truncate"] = "windows"
    """Score longer texts window by window and keep the highest logit, or read the head only, as training does."""
    stride: int = Field(64, ge=0)
    """Tokens that neighbouring windows share."""

    @model_validator(mode="after")
    def _stride_fits(self) -> EncodeConfig:
        if self.stride > self.max_tokens // 2:
            raise ValueError(
                f"stride must be at most half of max_tokens ({self.max_tokens // 2}), got {self.stride}"
            )
        return self


class BaseConfig(Section):
    """The classifier or encoder to start from."""

    name: str = "minilm"
    """`minilm` (embedded), a bundle or model folder, or a hub id such as unitary/toxic-bert."""
    revision: str | None = None
    """Commit, branch or tag on the hub."""
    warm_start: bool = True
    """Keep the rows of the base's head whose label name matches ours; false rebuilds the head at random."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout of the whole model; left out, it is the base's."""
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of attention weights. At 0, torch computes attention in one fused step, which makes long rows about
    twice as fast on a CPU."""


class AdapterConfig(Section):
    """Which weights are trained."""

    kind: AdapterKind = "none"
    """none trains all parameters; the others train an adapter through PEFT."""
    r: int = Field(8, ge=1)
    """Rank."""
    alpha: int = Field(32, ge=1)
    """Scale: the update is multiplied by alpha / r (alpha / √r with rslora)."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on the adapter's input."""
    targets: tuple[str, ...] = ("query", "key", "value")
    """Names of the modules to adapt, or `all-linear`."""
    train_head: bool = True
    """Train and save the head; false freezes it."""
    train_pooler: bool = True
    """Train and save the pooler, where the base has one."""


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


class TrainConfig(Section):
    """How it is minimised."""

    epochs: float = Field(5, gt=0)
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
    evaluations_per_epoch: int = Field(1, ge=1)
    """How often validation is scored and a checkpoint written."""
    log_to: Literal["none", "tensorboard", "mlflow"] = "none"
    """Also log there, if installed."""
    allow_collapse: bool = False
    """Record a collapsed model instead of ending the run with an error."""


class ThresholdConfig(Section):
    """How scores become decisions. Fitted on validation, stored in the bundle."""

    policy: Literal["f1", "fixed"] = "f1"
    """f1 takes the threshold with the best F1 on validation; fixed takes `value`."""
    value: float = Field(0.5, gt=0, lt=1)
    """The threshold of the fixed policy, on calibrated probabilities."""
    calibration: Literal["temperature", "none"] = "temperature"
    """Temperature scaling fitted on validation (arXiv 1706.04599), or raw sigmoid outputs."""


class EvaluateConfig(Section):
    """How sure the numbers are."""

    resamples: int = Field(1000, ge=100)
    """Bootstrap resamples of prompt families."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""


def head_rate(rate: float) -> float:
    """Give the head's default peak rate: the body's, but at least 1e-4."""
    return max(1e-4, rate)


class Config(Section):
    """One adaptation."""

    name: str = "run"
    """Shown in reports; the default output folder is runs/NAME."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of splitting, sampling, initialisation and order."""
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
    loss: LossConfig = LossConfig()
    train: TrainConfig
    threshold: ThresholdConfig = ThresholdConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_learning_rates(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("train", {}), dict):
            return data
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
        return {**data, "train": {"head_learning_rate": head_rate(rate), **train}}

    @model_validator(mode="after")
    def _labels_differ(self) -> Config:
        LabelSet(self.labels)
        return self

    @property
    def label_set(self) -> LabelSet:
        """The labels as a value."""
        return LabelSet(self.labels)
