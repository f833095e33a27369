"""Whose graphics card a console speaks of."""

from __future__ import annotations

from typing import Literal

Machine = Literal["", "amd", "nvidia"]

WORDS = (
    "ZLUDA",
    "zluda",
    "ROCm: ",
    "ROCm agents",
    "+rocm",
    "HIP GPUs",
    "HIP error",
    "amdgpu-forge",
    "AMD Radeon",
    "NVIDIA GeForce",
    "NVIDIA RTX",
)
"""What tells it: the AMD forks' own words, torch's for ROCm, and the cards' names in `Device: cuda:0 …`."""


def machine_of(line: str) -> Machine:
    """Whose card a line tells of; empty where it tells nothing.

    ZLUDA passes an AMD card off as CUDA's, so its word counts whatever else stands in the line.
    """
    if not any(word in line for word in WORDS):
        return ""
    return "amd" if any(word in line for word in WORDS[:-2]) else "nvidia"
