"""The speed a console log shows for a request."""

from __future__ import annotations

from forgediag.model import Header
from forgediag.plan.console import console_speed
from forgediag.plan.predict import plan
from forgediag.plan.request import Card, Request
from forgediag.testing.headers import header

LOG = "100%|##########| 20/20 [00:05<00:00,  4.00it/s]\n"
REQUEST = Request(header("sdxl"), (), Card(8192, name="RTX 4060"))


def test_a_finished_progress_bar_calibrates() -> None:
    speed = console_speed(REQUEST, LOG)
    assert speed is not None
    assert (speed.confidence, speed.jobs) == ("calibrated", 1)
    assert 5 < (plan(REQUEST, speed).next_seconds or 0) < 10


def test_three_make_it_measured() -> None:
    speed = console_speed(REQUEST, LOG * 3)
    assert speed is not None
    assert speed.confidence == "measured"


def test_a_log_without_a_finished_progress_bar_tells_nothing() -> None:
    assert console_speed(REQUEST, "Startup time: 5 s\n") is None


def test_a_file_that_is_no_model_has_no_speed() -> None:
    assert console_speed(Request(Header("safetensors", {}), (), Card(8192)), LOG) is None
