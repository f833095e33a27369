"""A traceback without its error: what was read whole is told before it."""

from __future__ import annotations

from forgediag.cli.explain_text import text
from forgediag.explain import explain
from forgediag.testing.explained import roots

CUT = 'Traceback (most recent call last):\n  File "/w/modules/launch_utils.py", line 412, in prepare_environment'


def test_a_warning_is_told_before_a_traceback_that_breaks_off() -> None:
    loading = "Loading Model: {'checkpoint_info': {'filename': '/w/a.safetensors', 'hash': '1'}}"
    found = explain(["INCOMPATIBLE PYTHON VERSION", loading, *CUT.splitlines()])
    assert roots(found) == ["python-version-warning", "traceback-cut-off"]


def test_that_it_breaks_off_is_not_called_a_state_that_works() -> None:
    assert text(explain(CUT.splitlines())).startswith("The traceback breaks off")
