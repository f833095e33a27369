"""Files against a lock file: every state, and nothing claimed that is not known."""

from __future__ import annotations

import pytest

from forgediag.lockfile import Lock, Locked
from forgediag.model import Severity
from forgediag.verify import Difference, Seen, compare, findings

A, B, C = "a" * 64, "b" * 64, "c" * 64


def lock(**files: str) -> Lock:
    return Lock((".",), {name: Locked(name, 10, sha256, "gguf", "flux") for name, sha256 in files.items()})


def states(locked: Lock, **now: Seen) -> dict[str, str]:
    return {item.path: item.state for item in compare(locked, now)}


def test_files_as_locked_are_no_difference() -> None:
    assert states(lock(x=A), x=Seen(10, A)) == {}


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (Seen(11, None), "changed"),
        (Seen(11, B), "changed"),
        (Seen(10, B), "changed"),
        (Seen(10, B, first=A, traceless=True), "corrupted"),
        (Seen(10, B, first=A), "corrupted"),
        (Seen(10, B, first=C), "changed"),
        (Seen(10, A, first=B), None),
        (Seen(10, None), "unreadable"),
        (Seen(10, None, unreadable="may not be read"), "unreadable"),
        (Seen(0, None, unreadable="may not be read"), "unreadable"),
    ],
)
def test_one_file(seen: Seen, state: str | None) -> None:
    assert states(lock(x=A), x=seen) == ({} if state is None else {"x": state})


def test_corruption_says_whether_anything_wrote() -> None:
    (silent,) = compare(lock(x=A), {"x": Seen(10, B, first=A, traceless=True)})
    (hidden,) = compare(lock(x=A), {"x": Seen(10, B, first=A)})
    assert "no trace of a write" in silent.message
    assert "set its time back" in hidden.message


def test_a_file_under_another_name_has_moved() -> None:
    (moved,) = compare(lock(x=A), {"y": Seen(10, A)})
    assert (moved.path, moved.state, moved.other) == ("y", "moved", ("x",))


def test_two_copies_of_a_file_that_has_gone_are_one_move_and_one_new_file() -> None:
    found = states(lock(x=A), y=Seen(10, A), z=Seen(10, A))
    assert found["z"] == "new"


def test_a_file_that_is_gone_is_missing() -> None:
    assert states(lock(x=A, y=B), y=Seen(10, B)) == {"x": "missing"}


def test_a_new_file_that_cannot_be_read_is_unreadable() -> None:
    assert states(lock(), x=Seen(10, unreadable="may not be read")) == {"x": "unreadable"}


def test_the_same_contents_twice_are_one_duplicate() -> None:
    (twice,) = compare(lock(x=A, y=A), {"x": Seen(10, A), "y": Seen(10, A)})
    assert (twice.path, twice.state, twice.other) == ("x", "duplicate", ("y",))
    assert "more than once" in twice.message


def test_links_take_no_space() -> None:
    (twice,) = compare(lock(x=A, y=A), {"x": Seen(10, A, copies=("y",)), "y": Seen(10, A, copies=("x",))})
    assert "no space is taken twice" in twice.message


def test_a_file_that_was_not_read_is_nobodys_duplicate() -> None:
    assert states(lock(x=A, y=A), x=Seen(11, None), y=Seen(11, None)) == {"x": "changed", "y": "changed"}


def test_the_worst_comes_first_and_carries_its_evidence() -> None:
    found = findings(compare(lock(x=A, y=B), {"x": Seen(10, C, first=A), "z": Seen(10, B), "w": Seen(5, None)}))
    assert [item.severity for item in found] == [Severity.FAILURE, Severity.WARNING, Severity.WARNING]
    assert found[0].evidence == {"state": "corrupted", "locked_sha256": A, "sha256": C}
    assert found[2].check == "model-file-new" or found[1].check == "model-file-new"
    assert isinstance(Difference("x", "new", ""), Difference)
