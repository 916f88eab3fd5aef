"""One reader per data set → examples, with licence and origin recorded."""

from adaptox.sources.catalogue import SourceInfo, catalogue
from adaptox.sources.inputs import read_inputs
from adaptox.sources.reading import read, read_all
from adaptox.sources.toxic_chat import TOXIC_CHAT

__all__ = ["TOXIC_CHAT", "SourceInfo", "catalogue", "read", "read_all", "read_inputs"]
