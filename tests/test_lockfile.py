"""The lock file's text: the same for the same files, and what is no lock file says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgediag.lockfile import Lock, Locked, LockError, parse, render

A = Locked("Lora/a.safetensors", 10, "a" * 64, "safetensors", "sdxl", autov3="c" * 64)
B = Locked("b.gguf", 20, "b" * 64, "gguf", "flux", blake3="d" * 64)
LOCK = Lock((".",), {"b.gguf": B, "Lora/a.safetensors": A})


def test_what_is_written_is_read_back() -> None:
    assert parse(render(LOCK)) == LOCK


def test_the_order_of_files_does_not_show() -> None:
    assert render(LOCK) == render(Lock((".",), {"Lora/a.safetensors": A, "b.gguf": B}))


def test_a_changed_file_changes_only_its_block() -> None:
    other = Lock((".",), {**LOCK.files, "b.gguf": replace(B, size=21, sha256="e" * 64)})
    before, after = render(LOCK).splitlines(), render(other).splitlines()
    assert len(before) == len(after)
    assert [line for line, now in zip(before, after, strict=True) if line != now] == [
        "bytes = 20",
        f'sha256 = "{"b" * 64}"',
    ]


def test_line_ends_that_git_changed_do_not_matter() -> None:
    assert parse(render(LOCK).replace("\n", "\r\n")) == LOCK


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_any_name_survives(name: str) -> None:
    lock = Lock((name,), {name: replace(A, path=name)})
    assert parse(render(lock)) == lock


HEAD = 'schema = "forgediag.lock/1"\nfolders = ["."]\n'
BLOCK = f'[[file]]\npath = "x"\nbytes = 1\nsha256 = "{"0" * 64}"\n'


def test_format_and_family_may_be_left_out() -> None:
    assert parse(HEAD + BLOCK).files["x"].family == "unknown"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<<<<<<< HEAD", "not TOML"),
        ('schema = "forgediag.lock/2"', "schema"),
        ('schema = "forgediag.lock/1"', "folders"),
        ('schema = "forgediag.lock/1"\nfolders = [1]', "folders"),
        (HEAD + "file = 1", r"\[\[file\]\]"),
        (HEAD + "file = [1]", "without a path"),
        (HEAD + "[[file]]\nbytes = 1", "without a path"),
        (HEAD + '[[file]]\npath = "x"', "no size of x"),
        (HEAD + '[[file]]\npath = "x"\nbytes = true', "no size of x"),
        (HEAD + '[[file]]\npath = "x"\nbytes = 1', "no sha256 of x"),
        (HEAD + '[[file]]\npath = "x"\nbytes = 1\nsha256 = "AB"', "sha256 of x that is none"),
        (HEAD + BLOCK + BLOCK, "names x twice"),
    ],
)
def test_what_is_no_lock_file_says_why(text: str, says: str) -> None:
    with pytest.raises(LockError, match=says):
        parse(text)
