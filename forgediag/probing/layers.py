"""The layers of Forge's VAE in numpy: fp32, one picture at a time, the range after each told to who watches."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (numpy's stubs leave `reshape` and `view` partly unknown)

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from forgediag.probing.weights import Array, Weights

GROUPS = 32
EPSILON = np.float32(1e-6)
COLUMNS = 4 * 1024 * 1024
"""Numbers of a picture's neighbourhoods laid out at once: 16 MB."""

Watch = Callable[[str, Array], None]


class Layers:
    """Layers by their names in Forge. A picture is an array of channels x height x width."""

    def __init__(self, weights: Weights, watch: Watch) -> None:
        self._weights = weights
        self._watch = watch

    def convolution(self, name: str, x: Array, *, stride: int = 1) -> Array:
        """1x1, or 3x3 over zeros around the picture; with stride 2 the zeros are right and below (Forge's pad)."""
        weight, bias = self._weights(f"{name}.weight"), self._weights(f"{name}.bias")
        if weight.shape[-1] == 1:
            out: Array = (_flat(weight) @ _flat(x)).reshape(-1, *x.shape[1:])
        else:
            out = _three(weight, x, stride)
        out += bias[:, None, None]
        self._watch(name, out)
        return out

    def normalised(self, name: str, x: Array, *, activate: bool = True) -> Array:
        """Group norm, and the SiLU that follows it everywhere but in the attention."""
        weight, bias = self._weights(f"{name}.weight"), self._weights(f"{name}.bias")
        groups = x.reshape(GROUPS, -1)
        out: Array = groups - groups.mean(axis=1, keepdims=True)
        out /= np.sqrt(np.einsum("ij,ij->i", out, out)[:, None] / np.float32(out.shape[1]) + EPSILON)
        out = out.reshape(x.shape)
        out *= weight[:, None, None]
        out += bias[:, None, None]
        if activate:
            gate: Array = np.exp(-out)
            gate += 1
            out /= gate
        return out

    def residual(self, name: str, x: Array) -> Array:
        """A ResnetBlock."""
        out = self.convolution(f"{name}.conv1", self.normalised(f"{name}.norm1", x))
        out = self.convolution(f"{name}.conv2", self.normalised(f"{name}.norm2", out))
        if f"{name}.nin_shortcut.weight" in self._weights:
            x = self.convolution(f"{name}.nin_shortcut", x)
        out += x
        self._watch(name, out)
        return out

    def attention(self, name: str, x: Array) -> Array:
        """Single-head attention over all pixels."""
        h = self.normalised(f"{name}.norm", x, activate=False)
        q, k, v = (_flat(self.convolution(f"{name}.{part}", h)) for part in "qkv")
        scores = q.T @ k
        self._watch(f"{name} (q.k)", scores)
        scores *= np.float32(q.shape[0] ** -0.5)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        out = self.convolution(f"{name}.proj_out", (v @ scores.T).reshape(x.shape))
        out += x
        self._watch(name, out)
        return out


def doubled(x: Array) -> Array:
    """Each pixel as four of its kind."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def _flat(x: Array) -> Array:
    return x.reshape(x.shape[0], -1)


def _three(weight: Array, x: Array, stride: int) -> Array:
    """A 3x3 convolution as products of the kernel with the picture's neighbourhoods, some rows at a time."""
    channels, height, width = x.shape
    before = 1 if stride == 1 else 0
    padded = np.pad(x, ((0, 0), (before, 1), (before, 1)))
    high, wide = height // stride, width // stride
    kernel = _flat(weight)
    out = np.empty((weight.shape[0], high, wide), np.float32)
    step_c, step_y, step_x = padded.strides
    rows = max(1, COLUMNS // (9 * channels * wide))
    for top in range(0, high, rows):
        count = min(rows, high - top)
        windows = np.lib.stride_tricks.as_strided(
            padded[:, top * stride :],
            (channels, 3, 3, count, wide),
            (step_c, step_y, step_x, step_y * stride, step_x * stride),
            writeable=False,
        )
        out[:, top : top + count] = (kernel @ windows.reshape(9 * channels, -1)).reshape(-1, count, wide)
    return out
