"""What one generation took: from progress answers, console events and memory curves to jobs with their phases."""

from forgediag.profile.curve import Curve
from forgediag.profile.job import Recording, finished
from forgediag.profile.ledger import Context, Holdings, Weights, ledger
from forgediag.profile.pace import Pace
from forgediag.profile.phases import Span, Timeline, timeline
from forgediag.profile.progress import Ended, JobTracker
from forgediag.profile.recorder import Facts, Recorder

__all__ = [
    "Context",
    "Curve",
    "Ended",
    "Facts",
    "Holdings",
    "JobTracker",
    "Pace",
    "Recorder",
    "Recording",
    "Span",
    "Timeline",
    "Weights",
    "finished",
    "ledger",
    "timeline",
]
