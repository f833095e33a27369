"""Which torch builds, NVIDIA drivers and cards work together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Build:
    """The cards that official torch wheels of one CUDA version have code for.

    `cuda` and `torch` are inclusive ranges of (major, minor). `lowest` and `highest` are compute capabilities; a card
    runs code of its own major version up to its own minor one. `lowest` is None where Linux and Windows wheels differ.
    """

    cuda: tuple[Version, Version]
    torch: tuple[Version, Version]
    lowest: Version | None
    highest: Version
    source: str


_ANY_TORCH = ((0, 0), (99, 0))

BUILDS = (
    Build(
        ((11, 0), (12, 6)), _ANY_TORCH, (5, 0), (9, 0), "pytorch .ci/manywheel/build_cuda.sh; PyTorch RELEASE.md 2.14"
    ),
    Build(
        ((12, 8), (12, 8)), ((0, 0), (2, 7)), None, (12, 0), "PyTorch CUDA upgrade runbook at 2.7; 2.8.0 release notes"
    ),
    Build(
        ((12, 8), (12, 9)), ((2, 8), (2, 10)), (7, 0), (12, 0), "pytorch .ci/manywheel/build_cuda.sh; pytorch#157517"
    ),
    Build(((12, 8), (12, 9)), ((2, 11), (99, 0)), (7, 5), (12, 0), "pytorch#172352"),
    Build(((13, 0), (13, 99)), _ANY_TORCH, (7, 5), (12, 0), "PyTorch RELEASE.md 2.14"),
)
"""Compute capabilities in torch wheels, by the CUDA version they are built for."""

LEAST_DRIVER: Mapping[int, str] = {11: "450", 12: "525", 13: "580"}
"""The oldest NVIDIA driver branch that runs programs built for a major CUDA version.

Source: docs.nvidia.com/deploy/cuda-compatibility, minor version compatibility, table 1.
"""

_CUDA_TAG = re.compile(r"\+cu(\d+)(\d)\b")
_TORCH = re.compile(r"(\d+)\.(\d+)")


def cuda_of(packages: Mapping[str, str], told: str | None = None) -> Version | None:
    """The CUDA version torch is built for, from installed packages (normalised name → version).

    `told` is what torch/version.py says. `2.3.1+cu121` says it too; wheels from PyPI do not, but bring NVIDIA's
    runtime as a package. None: not known.
    """
    if found := _TORCH.match(told or ""):
        return int(found[1]), int(found[2])
    if tag := _CUDA_TAG.search(packages.get("torch", "")):
        return int(tag[1]), int(tag[2])
    for name in (
        "nvidia-cuda-runtime",
        "nvidia-cuda-runtime-cu13",
        "nvidia-cuda-runtime-cu12",
        "nvidia-cuda-runtime-cu11",
    ):
        if found := _TORCH.match(packages.get(name, "")):
            return int(found[1]), int(found[2])
    return None


def build_of(torch: str, cuda: Version) -> Build | None:
    """The row of `BUILDS` for a torch version as text and the CUDA version it is built for, or None."""
    found = _TORCH.match(torch)
    if found is None:
        return None
    version = int(found[1]), int(found[2])
    return next(
        (
            build
            for build in BUILDS
            if build.cuda[0] <= cuda <= build.cuda[1] and build.torch[0] <= version <= build.torch[1]
        ),
        None,
    )


def too_new(build: Build, capability: Version) -> bool:
    """Whether a card's generation came after the newest one the build has code for."""
    return capability[0] > build.highest[0]


def too_old(build: Build, capability: Version) -> bool:
    """Whether a card is older than the oldest one the build has code for."""
    return build.lowest is not None and capability < build.lowest
