"""What goes through the VAE, and what is noted of it."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (numpy's stubs leave `reshape` and `view` partly unknown)

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from forgediag.probing.autoencoder import decode, encode
from forgediag.probing.weights import Array, Place, Weights


class _NotFinite(Exception):  # noqa: N818 - not an error: what was looked for
    pass


def run(asked: Mapping[str, Any]) -> dict[str, Any]:
    """All passes of a request.

    Args:
        asked: `path`; `tensors`, each `[dtype, shape, offset, length]` by the name it has in Forge; `channels` of the
            latent; `passes`, each with `way`, `given`, `size` of the latent, `scale` and `shift`; and perhaps `keep`,
            a file for the last pass's output.

    Raises:
        OSError: the file cannot be read.
        KeyError: a tensor is missing.
        MemoryError: the limit is reached.
    """
    places: dict[str, Place] = {
        name: (dtype, tuple(shape), offset, length) for name, (dtype, shape, offset, length) in asked["tensors"].items()
    }
    with np.errstate(all="ignore"), Weights(asked["path"], places) as weights:
        passes = [_pass(weights, one, int(asked["channels"]), asked.get("keep")) for one in asked["passes"]]
    return {"passes": passes}


def _pass(weights: Weights, one: Mapping[str, Any], channels: int, keep: str | None) -> dict[str, Any]:
    largest: dict[str, float] = {}

    def watch(name: str, x: Array) -> None:
        value = float(max(x.max(), -x.min()))
        largest[name] = value
        if not np.isfinite(value):
            raise _NotFinite

    started = time.perf_counter()
    given = _given(one, channels)
    try:
        out = (decode if one["way"] == "decode" else encode)(weights, given, watch)
    except _NotFinite:
        spread = None
    else:
        spread = float(out.max() - out.min())
        if keep:
            np.save(keep, out)
    seconds = time.perf_counter() - started
    return {"way": one["way"], "given": one["given"], "largest": largest, "spread": spread, "seconds": seconds}


def _given(one: Mapping[str, Any], channels: int) -> Array:
    """A latent as the sampler hands it to the decoder, or a picture: noise over a slope, from -1 to 1."""
    size = int(one["size"])
    random = np.random.default_rng(0)
    if one["way"] == "encode":
        slope = np.linspace(-0.5, 0.5, 8 * size, dtype=np.float32)
        picture = random.uniform(-0.5, 0.5, (3, 8 * size, 8 * size)).astype(np.float32) + slope
        return np.asarray(picture, np.float32)
    if one.get("flat"):
        noise = np.full((channels, size, size), one["scale"], np.float32)
    else:
        noise = random.standard_normal((channels, size, size), np.float32) * np.float32(one["scale"])
    return np.asarray(noise + np.float32(one["shift"]), np.float32)
