"""Typed settings: TOML written by hand comes in, resolved JSON goes out.

Every default of adaptox stands here and nowhere else. This room imports no torch.
"""

from adaptox.config.data_sections import (
    ColumnMap,
    EncodeConfig,
    Fraction,
    Keep,
    PrepareConfig,
    Reader,
    Section,
    SourceConfig,
    TextConfig,
)
from adaptox.config.kept import alone, cache_root
from adaptox.config.reading import load, override, parse, read_toml, resolved_json, without_former_keys
from adaptox.config.recipe import PLAIN_BASE, RECIPE, START, START_DATA, START_RECIPE, by_recipe
from adaptox.config.sections import (
    LEARNING_RATES,
    AdapterConfig,
    AdapterKind,
    BaseConfig,
    Config,
    DistillConfig,
    DistillKind,
    EvaluateConfig,
    Grams,
    LexiconConfig,
    LossConfig,
    LossKind,
    ScaleKind,
    TrainConfig,
)
from adaptox.config.teach_section import TeachConfig, TeacherKind
from adaptox.config.threshold_section import ThresholdConfig

__all__ = [
    "LEARNING_RATES",
    "PLAIN_BASE",
    "RECIPE",
    "START",
    "START_DATA",
    "START_RECIPE",
    "AdapterConfig",
    "AdapterKind",
    "BaseConfig",
    "ColumnMap",
    "Config",
    "DistillConfig",
    "DistillKind",
    "EncodeConfig",
    "EvaluateConfig",
    "Fraction",
    "Grams",
    "Keep",
    "LexiconConfig",
    "LossConfig",
    "LossKind",
    "PrepareConfig",
    "Reader",
    "ScaleKind",
    "Section",
    "SourceConfig",
    "TeachConfig",
    "TeacherKind",
    "TextConfig",
    "ThresholdConfig",
    "TrainConfig",
    "alone",
    "by_recipe",
    "cache_root",
    "load",
    "override",
    "parse",
    "read_toml",
    "resolved_json",
    "without_former_keys",
]
