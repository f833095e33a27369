"""All checks together: silent on a healthy set-up, declared well, documented."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pytest

from forgediag.check import Check, run_checks
from forgediag.model import Severity
from forgediag.plugins import checks
from forgediag.testing.facts import SNAPSHOT
from forgediag_checks import CHECKS
from forgediag_checks.docs import render

ANEW = (
    'python -c "from forgediag_checks import CHECKS; from forgediag_checks.docs import render;'
    " print(render(CHECKS), end='')\" > docs/checks.md"
)
PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_a_healthy_set_up_has_no_findings() -> None:
    ticks = count()
    findings, results = run_checks(CHECKS, SNAPSHOT, lambda: float(next(ticks)))
    assert findings == ()
    assert {result.status for result in results} == {Severity.OK}


def test_the_checks_are_found_through_their_entry_point() -> None:
    assert set(CHECKS) <= set(checks())


def test_no_two_checks_share_an_id() -> None:
    assert len({item.id for item in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("item", CHECKS, ids=[item.id for item in CHECKS])
def test_a_check_is_declared_in_full(item: Check) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", item.id)
    assert item.title
    assert item.fix
    assert item.why.endswith(".")


@pytest.mark.skipif(not PAGE.parent.exists(), reason="docs/ is not beside the tests (they run on the wheel)")
def test_the_page_about_the_checks_is_what_they_declare() -> None:
    assert PAGE.read_text("utf-8") == render(CHECKS), f"write it anew: {ANEW}"
