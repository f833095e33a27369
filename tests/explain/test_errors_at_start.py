"""What goes wrong while Forge is installed and started."""

import pytest

from forgediag.explain import explain
from forgediag.testing.explained import roots

START = ["Python 3.10.6", "Version: f2.0.1", *(["fine"] * 20)]
TRITON = "WARNING:xformers:A matching Triton is not available, some optimizations will not be enabled"


def ids(lines: list[str]) -> list[str]:
    return roots(explain(lines))


def test_a_start_with_nothing_but_a_harmless_traceback_is_asked_about() -> None:
    raised = [
        "Traceback (most recent call last):",
        '  File "D:\\x\\lib\\site-packages\\xformers\\__init__.py", line 57, in _is_triton_available',
        "ModuleNotFoundError: No module named 'triton'",
    ]
    assert ids([*START, TRITON, *raised, TRITON]) == ["xformers-wants-triton"]
    assert ids([*START, TRITON, "fine", *raised, TRITON]) == ["xformers-without-triton"]
    assert ids([TRITON, "Error caught was: No module named 'triton'"]) == ["xformers-wants-triton"]
    assert ids([*START, *START, *raised]) == []
    assert ids([*START, TRITON]) == []
    assert ids([*START, "something failed"]) == []


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("FileNotFoundError: [WinError 3] The system cannot find the path specified: 'D:\\x'", "file-not-found"),
        ("The system cannot find the path specified.", "batch-path-missing"),
        ("certificate verify failed: unable to get local issuer certificate", "certificate"),
        ("SSL: certificate subject name '*.x' does not match", "?"),
    ],
)
def test_a_line_of_the_system_is_told_from_one_of_a_batch_file(line: str, cause: str) -> None:
    assert ids([line]) == [cause]
