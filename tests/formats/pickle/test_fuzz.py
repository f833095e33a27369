"""Any bytes at all: a verdict each, and nothing that Python would import is called safe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forgediag.formats.pickle import allowed, read
from forgediag.formats.window import Held
from forgediag.model import Fault, Header
from forgediag.testing.asking import asked
from forgediag.testing.pickles import Weight, packed, torch_legacy, torch_zip

PIECES = (
    b"cos\nsystem\n", b"\x8c\x02os", b"\x8c\x06system", b"\x93", b"h\0", b"h\1", b"q\0", b"q\1", b"\x94", b"g0\n",
    b"p0\n", b"(ios\nsystem\n", b")", b"R", b"b", b"o", b"\x81", b"0", b"1", b"2", b"(", b"t", b"\x85", b"\x86", b"]",
    b"}", b"a", b"s", b"u", b"e", b"l", b"d", b"N", b"S'os'\n", b"Vsystem\n", b"ccollections\nOrderedDict\n",
    b"\x80\2", b"\x80\4", b"\x95\3\0\0\0\0\0\0\0", b"\x95\x0c\0\0\0\0\0\0\0", b"Q", b"\x82\1", b"C\2os", b".", b"x",
)  # fmt: skip
SEEDS = (torch_zip({"a": Weight("F32", (2, 3))}), torch_legacy({"a": Weight("F32", (2, 3))}))


@given(st.binary(max_size=2000))
def test_any_bytes_end_in_a_verdict(data: bytes) -> None:
    assert isinstance(read(Held(data)).found, Header | Fault)
    assert isinstance(read(Held(b"PK\x03\x04" + data)).found, Header | Fault)


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=8)), max_size=6))
def test_a_damaged_file_ends_in_a_verdict(seed: bytes, damage: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for place, new in damage:
        data[place : place + len(new)] = new
    assert isinstance(read(Held(bytes(data))).found, Header | Fault)


@given(st.lists(st.sampled_from(PIECES), max_size=24))
def test_nothing_that_python_would_import_is_called_safe(pieces: list[bytes]) -> None:
    body = b"".join(pieces) + b"."
    unknown = [name for name in asked(body) if allowed.kind(*name) == "unknown"]
    assert not unknown or not read(Held(packed(body))).safety.safe
