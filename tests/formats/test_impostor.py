"""What is no model is recognised from its first bytes."""

from __future__ import annotations

import gzip
import pickle

import pytest

from forgediag.formats.impostor import recognise

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 2132696762\n"
KINDS = {
    "empty": b"",
    "zeros": bytes(512),
    "lfs-pointer": LFS,
    "html-page": b"\n<html><body>Sign in</body></html>",
    "json-answer": b'{"error":"Repository not found"}',
    "text": b"Entry not found",
    "named-wrong-gguf": b"GGUF\3\0\0\0",
    "named-wrong-zip": b"PK\x03\x04\0\0",
    "named-wrong-pickle": pickle.dumps({}, 2),
    "archive": gzip.compress(b"x"),
}


@pytest.mark.parametrize(("kind", "head"), KINDS.items(), ids=KINDS)
def test_an_impostor_is_recognised(kind: str, head: bytes) -> None:
    fault = recognise(head, len(head))
    assert fault is not None
    assert fault.id == kind
    assert fault.fix


def test_a_pointer_tells_the_size_of_the_real_file() -> None:
    fault = recognise(LFS, len(LFS))
    assert fault is not None
    assert "2,132,696,762" in fault.message


def test_a_pointer_without_a_size_is_a_pointer_too() -> None:
    fault = recognise(LFS[:60], 60)
    assert fault is not None
    assert fault.id == "lfs-pointer"


def test_long_text_is_quoted_in_part_on_one_line() -> None:
    head = b"Access to model\n" + b"x" * 200
    fault = recognise(head, len(head))
    assert fault is not None
    assert "Access to model xxx" in fault.message
    assert "…" in fault.message
    assert "\n" not in fault.message


@pytest.mark.parametrize("head", [b"\x7f" * 20, b"\x01\x02\x03\x04", b"   \n"])
def test_bytes_that_are_nothing_known_are_not_named(head: bytes) -> None:
    assert recognise(head, len(head)) is None
