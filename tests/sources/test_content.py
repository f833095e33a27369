"""NaN, Inf, zeros and fp16 overflow are counted as a plain reading of each format counts them."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from forgediag.formats.gguf.types import SCALES, TYPES
from forgediag.formats.pickle import places
from forgediag.formats.window import Held
from forgediag.model.identity import Content
from forgediag.sources import content as module
from forgediag.sources.content import LAYOUTS, sample
from forgediag.sources.identity import BLOCK, SLICE, identify
from forgediag.sources.reading import Changed, Reading
from forgediag.testing.gguf import assembled, info, key
from forgediag.testing.pickles import Weight, torch_legacy, torch_zip

MIB = 1024 * 1024
BITS = {"F64": "<u8", "F32": "<u4", "F16": "<u2", "BF16": "<u2", "F8_E5M2": "u1", "F8_E4M3": "u1"}
INF = {"F64": 0x7FF << 52, "F32": 0x7F800000, "F16": 0x7C00, "BF16": 0x7F80, "F8_E5M2": 0x7C}


def write(path: Path, tensors: dict[str, tuple[str, bytes]], pad: int = 0) -> Path:
    """A safetensors file; `pad` moves its data off the boundaries of elements."""
    entries: dict[str, object] = {}
    at = 0
    for name, (dtype, data) in tensors.items():
        size = np.dtype(BITS.get(dtype, {"I64": "<i8"}.get(dtype, "u1"))).itemsize
        entries[name] = {"dtype": dtype, "shape": [len(data) // size], "data_offsets": [at, at + len(data)]}
        at += len(data)
    head = json.dumps(entries).encode()
    head += b" " * (-len(head) % 8 + pad)
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(data for _, data in tensors.values()))
    return path


def bits(dtype: str, *values: int, fill: int = 0, count: int = 100) -> bytes:
    array = np.full(count, fill, BITS[dtype])
    array[: len(values)] = values
    return array.tobytes()


def scan(path: Path) -> Content:
    found = identify(str(path), content=True).content
    assert found is not None
    return found


@pytest.mark.parametrize("dtype", INF)
@pytest.mark.parametrize("negative", [False, True])
def test_nan_and_inf_of_either_sign_are_counted_apart(tmp_path: Path, dtype: str, negative: bool) -> None:
    sign = (1 << (8 * LAYOUTS[dtype].size - 1)) if negative else 0
    inf = INF[dtype]
    (odd,) = scan(
        write(tmp_path / "a.safetensors", {"w": (dtype, bits(dtype, sign | inf, sign | inf + 1, sign | inf))})
    ).odd
    assert (odd.name, odd.dtype, odd.elements, odd.nan, odd.infinite, odd.largest) == ("w", dtype, 100, 1, 2, 0.0)
    assert not odd.zero


def test_e4m3fn_has_nan_and_no_inf(tmp_path: Path) -> None:
    (odd,) = scan(write(tmp_path / "a.safetensors", {"w": ("F8_E4M3", bits("F8_E4M3", 0x7F, 0xFF, 0x7E, fill=1))})).odd
    assert (odd.nan, odd.infinite, odd.largest) == (2, 0, 448.0)


@pytest.mark.parametrize("dtype", LAYOUTS)
def test_the_largest_finite_number_of_each_format(tmp_path: Path, dtype: str) -> None:
    layout = LAYOUTS[dtype]
    known = {"F64": sys.float_info.max, "F32": 3.4028234663852886e38, "F16": 65504.0, "BF16": 3.3895313892515355e38}
    assert layout.value(layout.first - 1) == {**known, "F8_E5M2": 57344.0, "F8_E4M3": 448.0}[dtype]


def test_every_value_of_the_small_formats_is_read_as_it_is() -> None:
    for code in range(0x7C00):
        assert LAYOUTS["F16"].value(code) == float(np.array(code, "<u2").view("<f2"))
        assert LAYOUTS["BF16"].value(code) == float(np.array(code << 16, "<u4").view("<f4"))
    for code in range(0x7C):
        assert LAYOUTS["F8_E5M2"].value(code) == float(np.array(code << 8, "<u2").view("<f2"))


def test_ordinary_numbers_are_not_odd(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).standard_normal(5000)
    tensors = {
        dtype: (dtype, numbers.astype(kind).tobytes())
        for dtype, kind in (("F16", "<f2"), ("F32", "<f4"), ("F64", "<f8"))
    }
    found = scan(write(tmp_path / "a.safetensors", tensors))
    assert (found.examined, found.odd, found.zero_bytes, found.whole) == (3, (), 0, True)


@pytest.mark.parametrize(("value", "over"), [(65504.0, False), (65505.0, True), (-70000.0, True), (-65504.0, False)])
def test_a_number_fp16_cannot_hold_is_named(tmp_path: Path, value: float, over: bool) -> None:
    data = np.array([1.0, value, -2.0], "<f4").tobytes()
    odd = scan(write(tmp_path / "a.safetensors", {"w": ("F32", data)})).odd
    assert [(each.overflows, each.largest) for each in odd] == ([(True, abs(value))] if over else [])


def test_bf16_just_above_fp16_is_named(tmp_path: Path) -> None:
    tensors = {"ok": ("BF16", bits("BF16", 0x477F, fill=1)), "big": ("BF16", bits("BF16", 0xC780, fill=1))}
    assert [(each.name, each.largest) for each in scan(write(tmp_path / "a.safetensors", tensors)).odd] == [
        ("big", 65536.0)
    ]


def test_zeros_of_both_signs_are_zero_and_the_smallest_number_is_not(tmp_path: Path) -> None:
    tensors = {
        "zero": ("F16", bits("F16", 0x8000, 0)),
        "tiny": ("F16", bits("F16", 1)),
        "minus tiny": ("F16", bits("F16", 0x8001)),
    }
    assert [(each.name, each.zero) for each in scan(write(tmp_path / "a.safetensors", tensors)).odd] == [("zero", True)]


def test_integers_are_counted_by_type_and_not_looked_at(tmp_path: Path) -> None:
    tensors = {"a": ("U8", b"\xff" * 10), "b": ("I64", b"\x7f" * 8), "c": ("U8", b""), "d": ("F16", b"")}
    found = scan(write(tmp_path / "a.safetensors", tensors))
    assert (found.examined, found.unexamined) == (0, {"U8": 2, "I64": 1})


@pytest.mark.parametrize("pad", range(8))
@pytest.mark.parametrize("dtype", ["F64", "F32", "F16"])
def test_an_element_cut_by_a_slice_is_seen(tmp_path: Path, dtype: str, pad: int) -> None:
    size = LAYOUTS[dtype].size
    one = np.full(3 * SLICE // size, 1, BITS[dtype])
    path = write(tmp_path / "a.safetensors", {"w": (dtype, one.tobytes())}, pad)
    start = path.stat().st_size - 3 * SLICE
    cut = -(-(SLICE - start) // size) - 1 if (SLICE - start) % size else (SLICE - start) // size
    one[cut] = INF[dtype]
    write(path, {"w": (dtype, one.tobytes())}, pad)
    found = scan(path)
    assert [(each.elements, each.infinite) for each in found.odd] == [(len(one), 1)]


def test_a_scan_agrees_with_numpy_on_random_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    arrays = {f"{i}": rng.integers(0, 65536, rng.integers(1, 400_000), "<u2") for i in range(30)}
    found = scan(
        write(tmp_path / "a.safetensors", {name: ("F16", array.tobytes()) for name, array in arrays.items()}, 3)
    )
    seen = {each.name: each for each in found.odd}
    for name, array in arrays.items():
        floats = array.view("<f2").astype("<f4")
        nan, inf = int(np.isnan(floats).sum()), int(np.isinf(floats).sum())
        if nan or inf:
            largest = float(np.abs(floats[np.isfinite(floats)]).max(initial=0))
            assert (seen[name].elements, seen[name].nan, seen[name].infinite) == (len(array), nan, inf)
            assert seen[name].largest == largest
        else:
            assert name not in seen


def test_blocks_of_zeros_are_measured_with_their_longest_run(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    data = bytearray(b"\x01" * (3 * BLOCK + 100))
    data[65536 * 3 : 65536 * 4] = bytes(65536)
    data[2 * MIB - 65536 : 2 * MIB + 65536] = bytes(131072)
    data[3 * BLOCK - 65536 :] = bytes(65636)
    data[65536 * 10 : 65536 * 10 + 65535] = bytes(65535)
    path.write_bytes(data)
    found = scan(path)
    assert (found.examined, found.zero_bytes, found.zero_run) == (0, 65536 * 4 + 100, (2 * MIB - 65536, 131072))


def test_a_few_zeros_at_the_end_are_no_block(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"\x01" * 65536 + bytes(100))
    assert scan(path).zero_run is None


def test_samples_find_damage_and_say_that_they_are_samples(tmp_path: Path) -> None:
    array = np.full(32 * MIB // 2, 0x3C00, "<u2")
    array[len(array) // 2 : len(array) // 2 + MIB // 2] = 0x7C01
    path = write(tmp_path / "a.safetensors", {"a": ("F16", array.tobytes()), "b": ("F16", bytes(1000))})
    found = sample(str(path))
    assert [(each.name, each.infinite) for each in found.odd] == [("a", 0), ("b", 0)]
    assert found.odd[0].nan > 1000
    assert not found.whole


def test_samples_of_zeros_do_not_make_a_tensor_zero(tmp_path: Path) -> None:
    array = np.zeros(32 * MIB // 4, "<f4")
    array[100_000] = 1
    found = sample(str(write(tmp_path / "a.safetensors", {"w": ("F32", array.tobytes())})))
    assert found.odd == ()
    assert found.zero_bytes > 60 * 65536


def test_samples_of_a_file_that_is_cut_meanwhile_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.safetensors", {"w": ("F32", bytes(4000))})
    monkeypatch.setattr(Reading, "read", lambda self, offset, length: (8).to_bytes(8, "little")[:length])
    with pytest.raises(Changed):
        sample(str(path))


def test_a_damaged_header_leaves_the_blocks_of_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(bytes(131072))
    found = scan(path)
    assert (found.examined, found.zero_bytes) == (0, 131072)


def test_without_numpy_identities_are_still_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.delitem(sys.modules, module.__name__)
    path = tmp_path / "a.bin"
    path.write_bytes(b"x")
    assert len(identify(str(path)).sha256) == 64
    with pytest.raises(ImportError):
        identify(str(path), content=True)


def gguf_file(path: Path, kind: int, data: bytes, shape: tuple[int, ...]) -> Path:
    raw = assembled([info("a", (32,), 0, 0), info("w", shape, kind, 128)], [key("general.architecture", "flux")])
    path.write_bytes(raw + struct.pack("<32f", *range(1, 33)) + data)
    return path


@pytest.mark.parametrize(("kind", "dtype", "nan"), [(0, "F32", 0x7FC00000), (1, "F16", 0x7E00), (30, "BF16", 0x7FC0)])
def test_the_plain_numbers_of_a_gguf_file_are_looked_at(tmp_path: Path, kind: int, dtype: str, nan: int) -> None:
    path = gguf_file(tmp_path / "a.gguf", kind, bits(dtype, nan, fill=1, count=96), (96,))
    (odd,) = scan(path).odd
    assert (odd.name, odd.dtype, odd.elements, odd.nan, odd.infinite) == ("w", f"GGUF:{dtype}", 96, 1, 0)


@pytest.mark.parametrize(
    ("kind", "scale"), [(number, place) for number, (name, _, _) in TYPES.items() for place in SCALES.get(name, ())]
)
def test_a_scale_that_is_nan_makes_a_block_useless(tmp_path: Path, kind: int, scale: int) -> None:
    name, elements, size = TYPES[kind]
    blocks = bytearray(b"\x3c" * size * 5)
    blocks[2 * size + scale : 2 * size + scale + 2] = struct.pack("<H", 0x7C00)
    blocks[3 * size + scale : 3 * size + scale + 2] = struct.pack("<H", 0x7E01)
    path = gguf_file(tmp_path / "a.gguf", kind, bytes(blocks), (elements * 5,))
    (odd,) = scan(path).odd
    assert (odd.name, odd.dtype, odd.nan, odd.infinite) == ("w", f"GGUF:{name}", 1, 1)
    assert odd.elements == 5 * len(SCALES[name])


def test_quantised_tensors_of_zeros_only_are_told(tmp_path: Path) -> None:
    path = gguf_file(tmp_path / "a.gguf", 8, bytes(34 * 4), (128,))
    (odd,) = scan(path).odd
    assert odd.zero


def test_blocks_whose_layout_is_not_simple_are_said_not_to_be_looked_at(tmp_path: Path) -> None:
    path = gguf_file(tmp_path / "a.gguf", 16, bytes(66), (256,))
    found = scan(path)
    assert (found.examined, found.unexamined) == (1, {"GGUF:IQ2_XXS": 1})


def test_blocks_across_the_edges_of_slices_are_seen_whole(tmp_path: Path) -> None:
    count = 3 * SLICE // 34
    blocks = np.full((count, 34), 0x3C, "u1")
    blocks[:, :2] = np.frombuffer(struct.pack("<H", 0x7C00), "u1")
    path = gguf_file(tmp_path / "a.gguf", 8, blocks.tobytes(), (count * 32,))
    (odd,) = scan(path).odd
    assert odd.infinite == odd.elements == count


def test_the_numbers_of_a_torch_archive_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(
        torch_zip({"w": Weight("F32", (4, 4)), "view": Weight("F32", (2,), share="0"), "i": Weight("I64", (2,))})
    )
    place = path.read_bytes().index(b"archive/data/0")
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        (first,) = (found for found in places(Held(file.read())) if found.name == "w")
    assert first.begin > place
    data[first.begin : first.begin + 4] = struct.pack("<f", float("nan"))
    path.write_bytes(data)
    found = scan(path)
    assert [(odd.name, odd.nan) for odd in found.odd if odd.nan] == [("w", 1)]
    assert (found.examined, found.unexamined) == (1, {"I64": 1})


@pytest.mark.parametrize(
    "content",
    [torch_legacy({"a": Weight("F32", (2, 3))}), torch_zip({"a": Weight("F32", (2, 300))}, deflated=True)],
    ids=["before torch 1.6", "packed"],
)
def test_numbers_whose_place_is_not_known_are_said_not_to_be_looked_at(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    found = scan(tmp_path / "a.ckpt")
    assert (found.examined, found.unexamined) == (0, {"F32": 1})
