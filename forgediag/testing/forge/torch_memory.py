"""Torch's caching allocator as GET /sdapi/v1/memory tells it: enough of it to look alive and to run out."""

from __future__ import annotations

from dataclasses import dataclass, field

from forgediag.testing.forge.files import ForgeError

MB = 1024 * 1024
SEGMENT = 2 * MB
CONTEXT_MB = 620.0
"""A CUDA context with cuBLAS and cuDNN, measured on an H100."""

POOLS = ("allocated", "reserved", "active", "inactive")


@dataclass
class TorchMemory:
    """Bytes held on the card, `outside` by other processes.

    `available`: whether there is a CUDA device at all; `running`: whether Forge's process lives.
    """

    total: int
    available: bool = True
    running: bool = True
    outside: int = 0
    allocated: int = 0
    reserved: int = 0
    retries: int = 0
    ooms: int = 0
    peaks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(POOLS, 0))

    @property
    def free(self) -> int:
        """What the driver has left."""
        return max(0, self.total - self.used - self.outside)

    @property
    def used(self) -> int:
        """What Forge's process holds on the card, its context included, as NVML sees it."""
        return int(CONTEXT_MB * MB) + self.reserved if self.available and self.running else 0

    @property
    def usable(self) -> int:
        """Free for Forge: what the driver has, and what lies unused in torch's cache."""
        return self.free + self.reserved - self.allocated

    def hold(self, size: int) -> None:
        """Change what is allocated to `size`; the cache grows in segments and never shrinks by itself.

        Raises:
            ForgeError: OutOfMemoryError, torch's text; counted as one retry and one out-of-memory event.
        """
        if size - self.allocated > self.usable:
            wanted, self.retries, self.ooms = size - self.allocated, self.retries + 1, self.ooms + 1
            raise ForgeError("OutOfMemoryError", self._oom(wanted))
        self.allocated = size
        self.reserved = max(self.reserved, -(-size // SEGMENT) * SEGMENT)
        for pool, current in self._pools().items():
            self.peaks[pool] = max(self.peaks[pool], current)

    def release(self) -> None:
        """Free everything and empty the cache."""
        self.allocated = self.reserved = 0

    def _oom(self, wanted: int) -> str:
        gib = 1024 * MB
        return (
            f"CUDA out of memory. Tried to allocate {wanted / gib:.2f} GiB. GPU 0 has a total capacity of "
            f"{self.total / gib:.2f} GiB of which {self.free / MB:.2f} MiB is free. Of the allocated memory "
            f"{self.allocated / gib:.2f} GiB is allocated by PyTorch, and "
            f"{(self.reserved - self.allocated) / MB:.2f} MiB is reserved by PyTorch but unallocated."
        )

    def _pools(self) -> dict[str, int]:
        inactive = min(self.reserved - self.allocated, self.allocated // 50)
        return {
            "allocated": self.allocated,
            "reserved": self.reserved,
            "active": self.allocated,
            "inactive": inactive,
        }

    def answer(self) -> dict[str, object]:
        """The `cuda` of GET /sdapi/v1/memory."""
        if not self.available:
            return {"error": "unavailable"}
        pools = {name: {"current": now, "peak": self.peaks[name]} for name, now in self._pools().items()}
        system = {"free": self.free, "used": self.total - self.free, "total": self.total}
        return {"system": system, **pools, "events": {"retries": self.retries, "oom": self.ooms}}
