"""One configuration → a run folder with its bundle: the main job."""

from adaptox.adapt.against import Against
from adaptox.adapt.anew import DecidedAnew, Flagged, decide_anew
from adaptox.adapt.assess import Assessment, assess
from adaptox.adapt.data import Data, prepare_only, read_and_prepare
from adaptox.adapt.folder import is_finished
from adaptox.adapt.lesson import Lesson, Plan, make_lesson, plan_lesson
from adaptox.adapt.run import Adaptation, adapt, make_start
from adaptox.adapt.story import cautions

__all__ = [
    "Adaptation",
    "Against",
    "Assessment",
    "Data",
    "DecidedAnew",
    "Flagged",
    "Lesson",
    "Plan",
    "adapt",
    "assess",
    "cautions",
    "decide_anew",
    "is_finished",
    "make_lesson",
    "make_start",
    "plan_lesson",
    "prepare_only",
    "read_and_prepare",
]
