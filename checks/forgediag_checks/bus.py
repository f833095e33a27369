"""Is the way between system memory and the card wide enough for swapped weights?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forgediag.check import Problem, check
from forgediag.model import Gpu, Severity

LANE: Mapping[int, float] = {1: 0.25, 2: 0.5, 3: 0.985, 4: 1.969, 5: 3.938, 6: 7.563}
"""GB/s of one PCIe lane in one direction by generation, after encoding (PCI-SIG base specifications)."""

NARROW = 4
"""Lanes from which on a link is worth a word: cards for image generation have 8 or 16."""


@check(
    "pcie-link",
    title="The card has a wide link",
    why=(
        "What does not fit the card is moved over PCIe at every step, and four lanes carry a quarter of what sixteen"
        " do. It changes nothing while a model fits as a whole."
    ),
    severity=Severity.WARNING,
    fix=(
        "Put the card into the slot that the board's manual calls x16, without a riser.",
        "Check in the manual whether an SSD or another card takes lanes from that slot.",
        "Else choose a model or a setting that swaps nothing: `forgediag recommend` knows the link.",
    ),
)
def pcie_link(gpu: Gpu) -> Iterator[Problem]:
    """Four lanes or fewer. NVML's maximum is that of card and slot together, the current width can be power saving."""
    info = gpu.info
    lanes = info.pcie_max_width
    if lanes is None or lanes > NARROW:
        return
    generation = info.pcie_max_generation
    speed = LANE.get(generation or 0)
    at_most = "" if speed is None else f", {speed * lanes:.1f} GB/s at most"
    shown = "PCIe" if generation is None else f"PCIe {generation}"
    yield Problem(
        subject=info.name,
        message=f"the card and its slot have {shown} x{lanes}{at_most}: swapped weights move that slowly",
        evidence={"max_width": lanes, "max_generation": generation, "current_width": info.pcie_width},
    )
