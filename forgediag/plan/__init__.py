"""What will happen, and what to set instead: plans, recommendations and comparisons from headers alone."""

from forgediag.plan.compare import Variant, compare
from forgediag.plan.console import console_speed, speed_seen
from forgediag.plan.document import document
from forgediag.plan.peaks import Peak, Prepared, device_peaks, phase_peaks
from forgediag.plan.predict import Plan, plan, prepare
from forgediag.plan.recommend import recommend
from forgediag.plan.request import Card, Picture, RefusedError, Request, Second, Settings, flags_of
from forgediag.plan.speed import Observation, Speed, calibrated, estimated, from_console

__all__ = [
    "Card",
    "Observation",
    "Peak",
    "Picture",
    "Plan",
    "Prepared",
    "RefusedError",
    "Request",
    "Second",
    "Settings",
    "Speed",
    "Variant",
    "calibrated",
    "compare",
    "console_speed",
    "device_peaks",
    "document",
    "estimated",
    "flags_of",
    "from_console",
    "phase_peaks",
    "plan",
    "prepare",
    "recommend",
    "speed_seen",
]
