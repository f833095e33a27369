"""Cards by their names."""

from __future__ import annotations

import pytest

from forgediag.forge.cards import capability_of, size_of, tensor_speed


@pytest.mark.parametrize(
    ("name", "capability", "gb"),
    [
        ("NVIDIA GeForce RTX 5090", (12, 0), 32),
        ("NVIDIA B200", (10, 0), None),
        ("NVIDIA H100 80GB HBM3", (9, 0), 80),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", (8, 9), 16),
        ("NVIDIA GeForce RTX 4060 Ti 16GB", (8, 9), 16),
        ("NVIDIA RTX 6000 Ada Generation", (8, 9), 48),
        ("NVIDIA L4", (8, 9), 24),
        ("NVIDIA L40S", (8, 9), 48),
        ("NVIDIA A100-SXM4-40GB", (8, 0), 40),
        ("NVIDIA GeForce RTX 3060", (8, 6), 12),
        ("NVIDIA RTX A4000", (8, 6), 16),
        ("NVIDIA A10", (8, 6), 24),
        ("Quadro RTX 8000", (7, 5), None),
        ("NVIDIA GeForce GTX 1660 Ti", (7, 5), 6),
        ("Tesla T4", (7, 5), 16),
        ("NVIDIA GeForce MX450", (7, 5), None),
        ("Tesla V100-SXM2-32GB", (7, 0), 32),
        ("Tesla P100-PCIE-16GB", (6, 0), 16),
        ("NVIDIA GeForce GTX 1060", (6, 1), 6),
        ("Tesla P40", (6, 1), 24),
        ("NVIDIA GeForce GTX 980", (5, 2), None),
        ("Voodoo2", None, None),
    ],
)
def test_a_name_tells_capability_and_memory(name: str, capability: tuple[int, int] | None, gb: int | None) -> None:
    assert capability_of(name) == capability
    assert size_of(name) == (None if gb is None else gb * 1024)


def test_the_longest_name_counts() -> None:
    assert tensor_speed("NVIDIA GeForce RTX 4060 Ti", (8, 9)) > tensor_speed("NVIDIA GeForce RTX 4060", (8, 9))
