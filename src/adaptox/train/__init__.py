"""Prepared examples + model + settings → the weights with the best validation AUPRC."""

from adaptox.errors import MissingExtraError

try:
    from adaptox.train.fitting import Fitted, fit
    from adaptox.train.rows import Targets, encoder_for, targets
    from adaptox.train.scale import fit_scales
    from adaptox.train.settings import check, is_main_process, processes, wait_for_main_process
    from adaptox.train.soup import fit_soup
except ModuleNotFoundError as error:
    raise MissingExtraError("train", "train", error.name or "torch") from error

__all__ = [
    "Fitted",
    "Targets",
    "check",
    "encoder_for",
    "fit",
    "fit_scales",
    "fit_soup",
    "is_main_process",
    "processes",
    "targets",
    "wait_for_main_process",
]
