"""The safetensors reader says what safetensors 0.4.2 says, and why in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgediag.formats.safetensors import CAP, read
from forgediag.formats.window import Held
from forgediag.model import Fault, Header
from forgediag.testing.files import Sparse, safetensors_header

GOOD = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
ENTRY = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
SAYS = "Error while deserializing header: "


def file(header: str | bytes, data: int = 8) -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    return len(raw).to_bytes(8, "little") + raw + bytes(data)


def entry(shape: str = "[2]", offsets: str = "[0,8]", dtype: str = '"F32"', more: str = "") -> str:
    return f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}}}'


def nested(depth: int) -> str:
    return f',"x":{"[" * depth}{"]" * depth}'


ACCEPTED = {
    "minimal": file(GOOD),
    "leading white space": file("  " + GOOD),
    "space padding": file(GOOD + "   "),
    "newline padding": file(GOOD + "\n\t"),
    "empty object": file("{}", 0),
    "empty name": file(GOOD.replace('"a"', '""')),
    "escaped pair": file(GOOD.replace('"a"', '"\\ud83d\\ude00"')),
    "duplicate with the same place": file(f'{{"a":{ENTRY},"a":{ENTRY}}}'),
    "metadata": file(f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{ENTRY}}}'),
    "null metadata": file(f'{{"__metadata__":null,"a":{ENTRY}}}'),
    "unknown fields": file(entry(more=',"x":[{"y":1.5}],"x":2')),
    "minus zero in an unknown field": file(entry(more=',"x":-0')),
    "fields in another order": file('{"a":{"shape":[2],"dtype":"F32","data_offsets":[0,8]}}'),
    "entry as a list": file('{"a":["F32",[2],[0,8]]}'),
    "dtype as an object": file(entry(dtype='{"F32":null}')),
    "scalar": file(entry("[]", "[0,4]"), 4),
    "no elements": file(entry("[0]", "[0,0]"), 0),
    "nested just not too deep": file(entry(more=nested(125))),
    "reverse order": file(f'{{"b":{ENTRY.replace("[0,8]", "[8,16]")},"a":{ENTRY}}}', 16),
}

JSON_FAULTS = {
    "no header": file(b"", 0) + b"x",
    "array": file("[]"),
    "truncated": file(GOOD[:-9]),
    "trailing text": file(GOOD + "x"),
    "NUL padding": file(GOOD + "\0"),
    "byte order mark": file("\ufeff" + GOOD),
    "NaN": file(entry("[NaN]")),
    "lone surrogate": file(GOOD.replace('"a"', '"\\ud800"')),
    "metadata twice": file(f'{{"__metadata__":{{}},"__metadata__":{{}},"a":{ENTRY}}}'),
    "metadata with a number": file(f'{{"__metadata__":{{"k":1}},"a":{ENTRY}}}'),
    "metadata as a list": file(f'{{"__metadata__":[],"a":{ENTRY}}}'),
    "field twice": file(entry(more=',"dtype":"F32"')),
    "field missing": file('{"a":{"shape":[2],"data_offsets":[0,8]}}'),
    "entry is a number": file('{"a":5}'),
    "a bad entry that a later one hides": file(f'{{"a":5,"a":{ENTRY}}}'),
    "entry list too short": file('{"a":["F32",[2]]}'),
    "unknown dtype": file(entry(dtype='"f32"')),
    "dtype as a wrong object": file(entry(dtype='{"F32":1}')),
    "newer dtype": file(entry("[8]", dtype='"F8_E8M0"')),
    "shape not a list": file(entry("2")),
    "negative size": file(entry("[-2]")),
    "minus zero": file(entry("[-0]", "[0,0]"), 0),
    "float size": file(entry("[2.0]")),
    "boolean size": file(entry("[true]", "[0,4]"), 4),
    "size of 2^64": file(entry("[18446744073709551616]")),
    "float offset": file(entry(offsets="[0,8.0]")),
    "one offset": file(entry(offsets="[8]")),
    "infinite number": file(entry(more=',"x":1e400')),
    "endless number": file(entry(more=f',"x":{"9" * 400}')),
    "nested too deep": file(entry(more=nested(126))),
    "nested far too deep": file(entry(more=nested(100_000))),
}

OTHERS = {
    "HeaderTooSmall": (b"\1" * 7, "header-missing"),
    "HeaderTooLarge": ((CAP + 1).to_bytes(8, "little") + b"\1\2", "header-too-large"),
    "InvalidHeaderLength": (file(GOOD)[:30], "header-cut"),
    "InvalidHeader": (file(b'{"a\xff":1}'), "header-encoding"),
    'InvalidOffset("a")': (file(entry(offsets="[8,16]"), 16), "tensor-offsets"),
    'InvalidOffset("q\\"\\n\\u{1}")': (
        file(GOOD.replace('"a"', '"q\\"\\n\\u0001"').replace("[0,8]", "[8,0]")),
        "tensor-offsets",
    ),
    "TensorInvalidInfo": (file(entry("[3]")), "tensor-size"),
    "ValidationOverflow": (file(entry("[8589934592,8589934592]")), "tensor-size"),
    "MetadataIncompleteBuffer": (file(GOOD, 7), "data-cut"),
}


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED)
def test_a_file_that_forge_loads_has_a_header(raw: bytes) -> None:
    assert isinstance(read(Held(raw)), Header)


@pytest.mark.parametrize("raw", JSON_FAULTS.values(), ids=JSON_FAULTS)
def test_a_header_that_is_not_the_formats_json_is_refused_as_forge_refuses_it(raw: bytes) -> None:
    fault = read(Held(raw))
    assert isinstance(fault, Fault)
    assert fault.forge_says == SAYS + "InvalidHeaderDeserialization"


@pytest.mark.parametrize(("printed", "case"), OTHERS.items(), ids=[kind for _, kind in OTHERS.values()])
def test_every_other_fault_carries_what_forge_prints_for_it(printed: str, case: tuple[bytes, str]) -> None:
    raw, kind = case
    fault = read(Held(raw))
    assert isinstance(fault, Fault)
    assert (fault.forge_says, fault.id) == (SAYS + printed, kind)


def test_a_header_lists_tensors_in_the_order_of_their_data() -> None:
    raw = ACCEPTED["reverse order"]
    header = read(Held(raw))
    assert isinstance(header, Header)
    assert [(name, t.dtype, t.shape, t.nbytes) for name, t in header.tensors.items()] == [
        ("a", "F32", (2,), 8),
        ("b", "F32", (2,), 8),
    ]


def test_a_header_keeps_its_metadata() -> None:
    head, size = safetensors_header({"a": ("F16", (2,))}, {"format": "pt"})
    header = read(Sparse(head, size))
    assert isinstance(header, Header)
    assert header.metadata == {"format": "pt"}


def test_a_cut_file_says_how_much_of_it_is_there() -> None:
    head, size = safetensors_header({"a": ("F16", (1000,))})
    fault = read(Sparse(head, size - 500))
    assert isinstance(fault, Fault)
    assert "2,000 bytes of weights belong in it, 1,500 are there (75.0%)" in fault.message


def test_bytes_after_the_last_tensor_are_told_apart_from_a_cut_file() -> None:
    head, size = safetensors_header({"a": ("F16", (4,))})
    fault = read(Sparse(head, size + 3))
    assert isinstance(fault, Fault)
    assert (fault.id, fault.forge_says) == ("data-extra", SAYS + "MetadataIncompleteBuffer")


def test_a_dtype_newer_than_forge_is_named() -> None:
    raw = JSON_FAULTS["newer dtype"]
    fault = read(Held(raw))
    assert isinstance(fault, Fault)
    assert fault.id == "dtype-newer-than-forge"
    assert "F8_E8M0" in fault.message


def test_a_web_page_keeps_forges_words_and_gets_its_own_name() -> None:
    raw = b"<!DOCTYPE html><html><head></head></html>"
    fault = read(Held(raw))
    assert isinstance(fault, Fault)
    assert (fault.id, fault.forge_says) == ("html-page", SAYS + "HeaderTooLarge")


@given(st.binary(max_size=700), st.integers(0, 2**20))
def test_any_bytes_end_in_a_verdict(raw: bytes, more: int) -> None:
    size = len(raw) + more if len(raw) > 512 else len(raw)
    assert isinstance(read(Sparse(raw, size)), Header | Fault)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["dtype", "shape", "a"]) | st.text(), inner),
        max_leaves=20,
    )
)
def test_any_json_ends_in_a_verdict(value: object) -> None:
    raw = file(json.dumps({"a": value}))
    assert isinstance(read(Held(raw)), Header | Fault)


@given(st.integers(0, 60), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_reader(place: int, byte: int) -> None:
    raw = bytearray(file(GOOD))
    raw[place] = byte
    assert isinstance(read(Held(bytes(raw))), Header | Fault)


@pytest.mark.parametrize("metadata", ['{"a":', "[1", "{1:2}", "[" * 100000])
def test_damaged_metadata_at_the_front_is_refused(metadata: str) -> None:
    found = read(Held(file('{"__metadata__":' + metadata)))
    assert isinstance(found, Fault)
    assert found.forge_says == SAYS + "InvalidHeaderDeserialization"
