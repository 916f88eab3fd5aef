"""Typed settings: TOML written by hand comes in, resolved JSON goes out.

Every default of adaptox stands here and nowhere else. This room imports no torch.
"""

from adaptox.config.reading import load, override, parse, resolved_json
from adaptox.config.sections import (
    LEARNING_RATES,
    AdapterConfig,
    AdapterKind,
    BaseConfig,
    ColumnMap,
    Config,
    EncodeConfig,
    EvaluateConfig,
    Fraction,
    LossConfig,
    LossKind,
    PrepareConfig,
    Reader,
    Section,
    SourceConfig,
    TextConfig,
    ThresholdConfig,
    TrainConfig,
)

__all__ = [
    "LEARNING_RATES",
    "AdapterConfig",
    "AdapterKind",
    "BaseConfig",
    "ColumnMap",
    "Config",
    "EncodeConfig",
    "EvaluateConfig",
    "Fraction",
    "LossConfig",
    "LossKind",
    "PrepareConfig",
    "Reader",
    "Section",
    "SourceConfig",
    "TextConfig",
    "ThresholdConfig",
    "TrainConfig",
    "load",
    "override",
    "parse",
    "resolved_json",
]
