"""Exercise checks: todo, wrong with a hint, or ok; progress, reports, and running submissions again."""

from mqttsec.check.checks import Checks, Progress
from mqttsec.check.exercises import (
    Exercise,
    ExerciseBook,
    State,
    Verdict,
    is_unanswered,
    number,
    require,
    started,
)
from mqttsec.check.report import Report, Row
from mqttsec.check.students import seed_of
from mqttsec.check.verdict_log import log_to

__all__ = [
    "Checks", "Exercise", "ExerciseBook", "Progress", "Report", "Row", "State", "Verdict", "is_unanswered",
    "log_to", "number", "require", "seed_of", "started",
]
