"""Base + head + adapter: load, warm-start, attach, merge, save."""

from adaptox.errors import MissingExtraError

try:
    from adaptox.model.adapters import (
        TrainableShare,
        attach,
        head_parameter_names,
        load_adapter,
        merge,
        save,
        save_adapter,
        share,
    )
    from adaptox.model.base import Base, device, load_base, reload
    from adaptox.model.pooling import pooling_of
    from adaptox.model.prompt import with_prompt
    from adaptox.model.start import place_of
except ModuleNotFoundError as error:
    raise MissingExtraError("model", "train", error.name or "torch") from error

__all__ = [
    "Base",
    "TrainableShare",
    "attach",
    "device",
    "head_parameter_names",
    "load_adapter",
    "load_base",
    "merge",
    "place_of",
    "pooling_of",
    "reload",
    "save",
    "save_adapter",
    "share",
    "with_prompt",
]
