"""The deep probe's child process: what it is asked, the time and memory it may take, what it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from forgediag.forge.autoencoder import convert
from forgediag.forge.autoencoder.expected import Config, tensors
from forgediag.forge.autoencoder.place import find
from forgediag.model import DeepProbe, Gap, Header, Known, Pass
from forgediag.packages import install

SCALES: Mapping[int, tuple[float, float]] = {4: (0.13025, 0.0), 16: (0.3611, 0.1159)}
"""Scaling and shift by which Forge divides and moves a latent before it is decoded: of the families with that many
channels the one that makes it largest (SDXL, and Flux; their VAE's config.json)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the child may take: seconds of wall time, bytes of address space (resident memory on Windows)."""

    seconds: float = 120.0
    memory: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Try:
    """One pass to make. `size` of the latent in pixels, `times` the usual spread of its values, `flat`: no noise."""

    way: str
    size: int
    times: float = 1.0
    flat: bool = False

    @property
    def given(self) -> str:
        """In words."""
        if self.way == "encode":
            return f"a noisy picture of {8 * self.size}x{8 * self.size}"
        kind = "flat" if self.flat else "gaussian"
        return f"{kind} {self.size}x{self.size} latent{f', {self.times:g} times as wide' if self.times != 1 else ''}"


TRIES = (Try("decode", 8), Try("decode", 8, 4.0), Try("decode", 8, 3.0, flat=True), Try("decode", 16), Try("encode", 8))
"""A usual latent, one far wider than samplers leave, one of a single value, a larger one, and a picture to encode."""


def deep(path: str, header: Header, tries: Sequence[Try] = TRIES, limits: Limits | None = None) -> Known[DeepProbe]:
    """Run the VAE in a file, decode and encode, on the CPU in fp32.

    Args:
        path: a safetensors file: a VAE alone, or a checkpoint with one in it.
        header: its header.
        tries: what to put through it.
        limits: what the child may take.

    Returns:
        What was seen, or why it cannot be run: no VAE, tensors missing, no numpy, memory or time gone.
    """
    found = _tensors(path, header)
    if isinstance(found, Gap):
        return found
    channels, places = found
    limits = limits or Limits()
    request = {
        "path": path,
        "channels": channels,
        "tensors": places,
        "memory": limits.memory,
        "seconds": int(limits.seconds) + 1,
        "passes": [_asked(one, channels) for one in tries],
    }
    answer = _run(json.dumps(request), limits)
    return answer if isinstance(answer, Gap) else _probe(path, channels, answer)


def _tensors(path: str, header: Header) -> Known[tuple[int, dict[str, Any]]]:
    """Channels, and every tensor Forge's class has: `[dtype, shape, offset, length]` by its name there."""
    vae = find(header)
    if header.format != "safetensors":
        return Gap(f"{path} is no safetensors file: only those are run", "unsupported")
    if vae is None:
        return Gap(f"{path} has no VAE that Forge would take for one", "missing")
    with Path(path).open("rb") as file:
        offset = 8 + int.from_bytes(file.read(8), "little")
    other = f"{vae.prefix}{convert.MARK}" in header.tensors
    there: dict[str, Any] = {}
    for name, tensor in header.tensors.items():
        if name.startswith(vae.prefix):
            bare = name.removeprefix(vae.prefix)
            there[convert.renamed(bare) if other else bare] = (tensor.dtype, tensor.shape, offset, tensor.nbytes)
        offset += tensor.nbytes
    quantising = vae.latent_channels == 4
    wanted = tensors(Config(vae.latent_channels, quantising, quantising))
    unfit = [name for name, shape in wanted.items() if name not in there or not _fits(there[name][1], shape)]
    if unfit:
        told = f"{len(unfit)} of the tensors Forge needs are missing or of another shape, first {unfit[0]}"
        return Gap(f"{path} cannot be run: {told}", "invalid")
    return vae.latent_channels, {name: (there[name][0], shape, *there[name][2:]) for name, shape in wanted.items()}


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Diffusers stores the attention's 1x1 convolutions as matrices."""
    return shape in {wanted, wanted[:2] if wanted[2:] == (1, 1) else wanted}


def _asked(one: Try, channels: int) -> dict[str, Any]:
    scaling, shift = SCALES.get(channels, (1.0, 0.0))
    return {
        "way": one.way,
        "given": one.given,
        "size": one.size,
        "scale": one.times / scaling,
        "shift": shift,
        "flat": one.flat,
    }


def _run(request: str, limits: Limits) -> Known[dict[str, Any]]:
    """The child's answer. One thread: OpenBLAS's second one spins when the other core is busy (measured)."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    child = subprocess.Popen(
        [sys.executable, "-m", "forgediag.probing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **threads},
    )
    try:
        text = _watched(child, request, limits)
    finally:
        child.kill()
        child.communicate()
    if isinstance(text, Gap):
        return text
    return _answer(child.returncode, text)


def _watched(child: subprocess.Popen[str], request: str, limits: Limits) -> Known[str]:
    until = time.monotonic() + limits.seconds
    given: str | None = request
    while time.monotonic() < until:
        try:
            return child.communicate(given, timeout=0.2)[0]
        except subprocess.TimeoutExpired:
            given = None
        try:
            held = psutil.Process(child.pid).memory_info().rss
        except psutil.Error:
            continue
        if held > limits.memory:
            return Gap(f"the deep probe was ended: it held more than {limits.memory >> 20} MB", "invalid")
    return Gap(f"the deep probe was ended: it took more than {limits.seconds:g} s", "timeout")


def _answer(status: int, text: str) -> Known[dict[str, Any]]:
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError:
        return Gap(f"the deep probe's child process ended with status {status} and no answer", "invalid")
    if status == 3:
        return Gap(f"the deep probe needs numpy; run {install('numpy')}", "unsupported")
    return Gap(f"the deep probe failed: {answer['error']}", "invalid") if status else answer


def _probe(path: str, channels: int, answer: Mapping[str, Any]) -> DeepProbe:
    passes = tuple(
        Pass(one["way"], one["given"], one["largest"], one["spread"], one["seconds"]) for one in answer["passes"]
    )
    return DeepProbe(path, channels, passes, answer["seconds"], answer["peak"])
