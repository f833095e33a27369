"""The layers of the deep probe against their definitions, written out the slow way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forgediag.probing import layers as under_test
from forgediag.probing.layers import Layers, doubled
from forgediag.probing.weights import Array, Weights


def weights(path: Path, **tensors: Array) -> Weights:
    """These tensors as the only ones of a file, fp32."""
    offset, places, raw = 0, {}, b""
    for name, value in tensors.items():
        places[name.replace("__", ".")] = ("F32", value.shape, offset, value.nbytes)
        raw += value.astype("<f4").tobytes()
        offset += value.nbytes
    path.write_bytes(raw)
    return Weights(str(path), places)


def noise(*shape: int) -> Array:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def slow(x: Array, weight: Array, bias: Array, stride: int) -> Array:
    before = 1 if stride == 1 else 0
    padded = np.pad(x, ((0, 0), (before, 1), (before, 1)))
    high, wide = x.shape[1] // stride, x.shape[2] // stride
    out = np.zeros((weight.shape[0], high, wide), np.float32)
    for row in range(high):
        for column in range(wide):
            window = padded[:, row * stride : row * stride + 3, column * stride : column * stride + 3]
            out[:, row, column] = np.tensordot(weight, window, 3) + bias
    return out


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("columns", [4_000_000, 100])
def test_a_3x3_convolution_is_one_however_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int, columns: int
) -> None:
    monkeypatch.setattr(under_test, "COLUMNS", columns)
    weight, bias, x = noise(5, 3, 3, 3), noise(5), noise(3, 8, 6)
    seen: dict[str, float] = {}
    with weights(tmp_path / "w", a__weight=weight, a__bias=bias) as held:
        made = Layers(held, lambda name, out: seen.update({name: float(np.abs(out).max())}))
        out = made.convolution("a", x, stride=stride)
    assert np.allclose(out, slow(x, weight, bias, stride), atol=1e-5)
    assert seen == {"a": pytest.approx(float(np.abs(out).max()))}


def test_a_norm_makes_each_group_even_and_silu_follows(tmp_path: Path) -> None:
    weight, bias, x = noise(64), noise(64), noise(64, 4, 4) * 7 + 3
    with weights(tmp_path / "w", n__weight=weight, n__bias=bias) as held:
        made = Layers(held, lambda *_: None)
        plain = made.normalised("n", x, activate=False)
        active = made.normalised("n", x)
    groups = x.reshape(32, -1).astype(np.float64)
    even = (groups - groups.mean(1, keepdims=True)) / np.sqrt(groups.var(1, keepdims=True) + 1e-6)
    wanted = even.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]
    assert np.allclose(plain, wanted, atol=1e-5)
    assert np.allclose(active, wanted / (1 + np.exp(-wanted)), atol=1e-5)


def test_attention_mixes_all_pixels_by_softmax(tmp_path: Path) -> None:
    width, x = 32, noise(32, 2, 3)
    parts = {f"t__{part}__weight": noise(width, width, 1, 1) / np.float32(6) for part in ("q", "k", "v", "proj_out")}
    zeros = {name.replace("weight", "bias"): np.zeros(width, np.float32) for name in parts}
    norm = {"t__norm__weight": np.ones(width, np.float32), "t__norm__bias": np.zeros(width, np.float32)}
    with weights(tmp_path / "w", **parts, **zeros, **norm) as held:
        names: list[str] = []
        out = Layers(held, lambda name, _: names.append(name)).attention("t", x)
        h = Layers(held, lambda *_: None).normalised("t.norm", x, activate=False).reshape(width, -1)
    q, k, v, last = (parts[f"t__{part}__weight"].reshape(width, width) for part in ("q", "k", "v", "proj_out"))
    scores = np.exp((q @ h).T @ (k @ h) / np.sqrt(width))
    wanted = last @ ((v @ h) @ (scores / scores.sum(1, keepdims=True)).T)
    assert np.allclose(out, x + wanted.reshape(x.shape), atol=1e-4)
    assert names == ["t.q", "t.k", "t.v", "t (q.k)", "t.proj_out", "t"]


def test_a_picture_doubles_by_repeating_pixels() -> None:
    assert doubled(np.array([[[1, 2]]], np.float32)).tolist() == [[[1, 1, 2, 2], [1, 1, 2, 2]]]


@pytest.mark.parametrize(
    ("dtype", "raw", "values"),
    [
        ("F16", b"\x00\x3c\x00\xc0", [1.0, -2.0]),
        ("BF16", b"\x80\x3f\x00\xc0", [1.0, -2.0]),
        ("F64", np.array([1.5], "<f8").tobytes(), [1.5]),
        ("I8", b"\x05\xff", [5.0, -1.0]),
        ("F8_E5M2", b"\x3c\xc0\x7b\x7c", [1.0, -2.0, 57344.0, np.inf]),
        ("F8_E4M3", b"\x38\xc0\x7e\x01\x7f", [1.0, -2.0, 448.0, 2.0**-9, np.nan]),
    ],
)
def test_every_number_format_is_read_as_what_it_means(
    tmp_path: Path, dtype: str, raw: bytes, values: list[float]
) -> None:
    (tmp_path / "w").write_bytes(raw)
    with Weights(str(tmp_path / "w"), {"a": (dtype, (len(values),), 0, len(raw))}) as held:
        assert np.array_equal(held("a"), np.array(values, np.float32), equal_nan=True)
        assert "b" not in held


def test_an_unknown_format_and_a_file_that_ends_early_are_told(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\0\0")
    with Weights(str(tmp_path / "w"), {"a": ("F4", (2,), 0, 2), "b": ("F16", (9,), 0, 18)}) as held:
        with pytest.raises(ValueError, match="F4"):
            held("a")
        with pytest.raises(OSError, match="ends inside b"):
            held("b")
