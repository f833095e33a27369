"""Safetensors headers for each rule of the format: those the library takes, and those it refuses."""

from __future__ import annotations

from collections.abc import Mapping

from forgediag.formats.safetensors import CAP

GOOD = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
ENTRY = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
SECOND = ENTRY.replace("[0,8]", "[8,16]")


def file(header: str | bytes, data: int = 8) -> bytes:
    """A header with its length before it and some bytes of data behind it."""
    raw = header.encode() if isinstance(header, str) else header
    return len(raw).to_bytes(8, "little") + raw + b"\1" * data


def entry(shape: str = "[2]", offsets: str = "[0,8]", dtype: str = '"F32"', more: str = "") -> str:
    """The header of a file with one tensor `a`, its parts as JSON."""
    return f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}}}'


def nested(depth: int) -> str:
    """An unknown field of lists in lists."""
    return f',"x":{"[" * depth}{"]" * depth}'


ACCEPTED: Mapping[str, bytes] = {
    "minimal": file(GOOD),
    "leading-white-space": file("  " + GOOD),
    "space-padding": file(GOOD + "   "),
    "newline-padding": file(GOOD + "\n\t"),
    "empty-object": file("{}", 0),
    "empty-name": file(GOOD.replace('"a"', '""')),
    "name-with-nul": file(GOOD.replace('"a"', '"\\u0000"')),
    "escaped-pair": file(GOOD.replace('"a"', '"\\ud83d\\ude00"')),
    "duplicate-same-place": file(f'{{"a":{ENTRY},"a":{ENTRY}}}'),
    "metadata": file(f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{ENTRY}}}'),
    "metadata-last": file(f'{{"a":{ENTRY},"__metadata__":{{"format":"tf"}}}}'),
    "metadata-escaped": file(f'{{"__metadata__":{{"k":"\\u00e9"}},"a":{ENTRY}}}'),
    "metadata-only": file('{"__metadata__":{"k":"1"}}', 0),
    "null-metadata": file(f'{{"__metadata__":null,"a":{ENTRY}}}'),
    "unknown-fields": file(entry(more=',"x":[{"y":1.5}],"x":2')),
    "minus-zero-unknown": file(entry(more=',"x":-0')),
    "fields-in-another-order": file('{"a":{"shape":[2],"dtype":"F32","data_offsets":[0,8]}}'),
    "entry-as-list": file('{"a":["F32",[2],[0,8]]}'),
    "dtype-as-object": file(entry(dtype='{"F32":null}')),
    "blanks": file(GOOD.replace(":", ": ").replace(",", ", ")),
    "scalar": file(entry("[]", "[0,4]"), 4),
    "no-elements": file(entry("[0]", "[0,0]"), 0),
    "zero-in-the-middle": file(f'{{"a":{ENTRY},"z":{{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}}}'),
    "nested-not-too-deep": file(entry(more=nested(125))),
    "reverse-order": file(f'{{"b":{SECOND},"a":{ENTRY}}}', 16),
    "unaligned": file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                      '"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}', 5),
}  # fmt: skip

REFUSED: Mapping[str, tuple[bytes, str]] = {
    "seven-bytes": (b"\1" * 7, "header-missing"),
    "cap-plus-1": ((CAP + 1).to_bytes(8, "little") + b"\1\2", "header-too-large"),
    "cap": (CAP.to_bytes(8, "little") + b"\1\2", "header-cut"),
    "length-max": (b"\xff" * 8 + b"\1\2", "header-too-large"),
    "length-plus-1": ((len(GOOD) + 9).to_bytes(8, "little") + GOOD.encode() + b"\1" * 8, "header-cut"),
    "no-header": (bytes(8) + b"\1", "header-json"),
    "not-utf8": (file(b'{"a\xff":1}'), "header-encoding"),
    "array": (file("[]"), "header-json"),
    "string": (file('"x"'), "header-json"),
    "truncated-json": (file(GOOD[:-9]), "header-json"),
    "trailing-comma": (file(GOOD[:-1] + ",}"), "header-json"),
    "comment": (file("{/**/" + GOOD[1:]), "header-json"),
    "trailing-text": (file(GOOD + "x"), "header-json"),
    "nul-padding": (file(GOOD + "\0"), "header-json"),
    "byte-order-mark": (file("\ufeff" + GOOD), "header-json"),
    "nan": (file(entry("[NaN]")), "header-json"),
    "lone-surrogate": (file(GOOD.replace('"a"', '"\\ud800"')), "header-json"),
    "metadata-twice": (file(f'{{"__metadata__":{{}},"__metadata__":{{}},"a":{ENTRY}}}'), "header-json"),
    "metadata-number": (file(f'{{"__metadata__":{{"k":1}},"a":{ENTRY}}}'), "header-json"),
    "metadata-null-value": (file(f'{{"__metadata__":{{"k":null}},"a":{ENTRY}}}'), "header-json"),
    "metadata-object-value": (file(f'{{"__metadata__":{{"k":{{}}}},"a":{ENTRY}}}'), "header-json"),
    "metadata-list": (file(f'{{"__metadata__":[],"a":{ENTRY}}}'), "header-json"),
    "metadata-string": (file(f'{{"__metadata__":"x","a":{ENTRY}}}'), "header-json"),
    "field-twice": (file(entry(more=',"dtype":"F32"')), "header-json"),
    "no-dtype": (file('{"a":{"shape":[2],"data_offsets":[0,8]}}'), "header-json"),
    "no-shape": (file('{"a":{"dtype":"F32","data_offsets":[0,8]}}'), "header-json"),
    "no-offsets": (file('{"a":{"dtype":"F32","shape":[2]}}'), "header-json"),
    "entry-number": (file('{"a":5}'), "header-json"),
    "entry-null": (file('{"a":null}'), "header-json"),
    "hidden-bad-entry": (file(f'{{"a":5,"a":{ENTRY}}}'), "header-json"),
    "short-entry-list": (file('{"a":["F32",[2]]}'), "header-json"),
    "dtype-f7": (file(entry(dtype='"F7"')), "dtype-unknown"),
    "dtype-lower-case": (file(entry(dtype='"f32"')), "dtype-unknown"),
    "dtype-torch": (file(entry(dtype='"float32"')), "dtype-unknown"),
    "dtype-gguf": (file(entry(dtype='"Q8_0"')), "dtype-unknown"),
    "dtype-wrong-object": (file(entry(dtype='{"F32":1}')), "dtype-unknown"),
    "shape-number": (file(entry("2")), "header-json"),
    "shape-null": (file(entry("null")), "header-json"),
    "shape-text": (file(entry('["2"]')), "header-json"),
    "shape-negative": (file(entry("[-2]")), "header-json"),
    "shape-minus-zero": (file(entry("[-0]", "[0,0]"), 0), "header-json"),
    "shape-float": (file(entry("[2.0]")), "header-json"),
    "shape-true": (file(entry("[true]", "[0,4]"), 4), "header-json"),
    "shape-2-64": (file(entry("[18446744073709551616]")), "header-json"),
    "shape-overflow": (file(entry("[8589934592,8589934592]")), "tensor-size"),
    "bits-overflow": (file(entry("[4611686018427387904]")), "tensor-size"),
    "shape-zero-bytes": (file(entry("[0]")), "tensor-size"),
    "offset-float": (file(entry(offsets="[0,8.0]")), "header-json"),
    "offset-negative": (file(entry(offsets="[-8,0]")), "header-json"),
    "offset-2-64": (file(entry(offsets="[0,18446744073709551616]")), "header-json"),
    "one-offset": (file(entry(offsets="[8]")), "header-json"),
    "three-offsets": (file(entry(offsets="[0,8,8]")), "header-json"),
    "number-infinite": (file(entry(more=',"x":1e400')), "header-json"),
    "number-endless": (file(entry(more=f',"x":{"9" * 400}')), "header-json"),
    "nested-too-deep": (file(entry(more=nested(126))), "header-json"),
    "nested-far-too-deep": (file(entry(more=nested(100_000))), "header-json"),
    "offsets-reversed": (file(entry(offsets="[8,0]")), "tensor-offsets"),
    "offset-from-8": (file(entry(offsets="[8,16]"), 16), "tensor-offsets"),
    "hole": (file(f'{{"a":{ENTRY},"b":{ENTRY.replace("[0,8]", "[12,20]")}}}', 20), "tensor-offsets"),
    "overlap": (file(f'{{"a":{ENTRY},"b":{ENTRY.replace("[0,8]", "[4,12]")}}}', 12), "tensor-offsets"),
    "shared": (file(f'{{"a":{ENTRY},"b":{ENTRY}}}'), "tensor-offsets"),
    "duplicate-second-place": (file(f'{{"a":{ENTRY},"a":{SECOND}}}', 16), "tensor-offsets"),
    "zero-inside": (file(f'{{"a":{ENTRY},"z":{{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}}}'), "tensor-offsets"),
    "too-small": (file(entry("[3]")), "tensor-size"),
    "too-big": (file(entry("[1]")), "tensor-size"),
    "f4-odd": (file(entry("[3]", "[0,1]", '"F4"'), 1), "tensor-size"),
    "data-short": (file(GOOD, 7), "data-cut"),
    "data-none": (file(GOOD, 0), "data-cut"),
    "data-long": (file(GOOD, 9), "data-extra"),
    "empty-object-data": (file("{}", 8), "data-extra"),
}
