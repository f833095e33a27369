"""Metrics of the memory each Forge holds: torch's allocator with its peaks, the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from forgediag.model import CudaMemory, Forge, Gap, Report, TorchMemory
from forgediag_exporters.metric import Metric, Sample, Samples


def _cuda(values: Callable[[CudaMemory], Iterable[tuple[tuple[str, ...], float]]]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for target in report.snapshot.targets:
            memory = target.forge.memory if isinstance(target.forge, Forge) else target.forge
            if isinstance(memory, TorchMemory) and isinstance(memory.cuda, CudaMemory):
                for labels, value in values(memory.cuda):
                    yield (target.name, *labels), value

    return samples


def _pools(cuda: CudaMemory) -> tuple[tuple[tuple[str, ...], float], ...]:
    return (
        (("allocated",), cuda.allocated),
        (("reserved",), cuda.reserved),
        (("active",), cuda.active),
        (("inactive",), cuda.inactive),
    )


def _pool_peaks(cuda: CudaMemory) -> tuple[tuple[tuple[str, ...], float], ...]:
    return (
        (("allocated",), cuda.allocated_peak),
        (("reserved",), cuda.reserved_peak),
        (("active",), cuda.active_peak),
        (("inactive",), cuda.inactive_peak),
    )


def _resident(report: Report) -> Iterator[Sample]:
    """The process's own entry, or what Forge says of itself when it runs elsewhere."""
    for target in report.snapshot.targets:
        if not isinstance(target.process, Gap):
            yield (target.name,), target.process.resident
        elif isinstance(target.forge, Forge) and isinstance(target.forge.memory, TorchMemory):
            yield (target.name,), target.forge.memory.resident


TORCH_METRICS: tuple[Metric, ...] = (
    Metric(
        "forge_cuda_memory_bytes",
        "gauge",
        "Memory of torch's caching allocator in Forge.",
        ("target", "kind"),
        "What does torch hold?",
        _cuda(_pools),
    ),
    Metric(
        "forge_cuda_memory_peak_bytes",
        "gauge",
        "Highest memory of torch's caching allocator since Forge started.",
        ("target", "kind"),
        "What did torch hold at most?",
        _cuda(_pool_peaks),
    ),
    Metric(
        "forge_cuda_alloc_retries",
        "counter",
        "Allocations that torch could only make after emptying its cache.",
        ("target",),
        "Is memory about to run out?",
        _cuda(lambda cuda: [((), cuda.retries)]),
    ),
    Metric(
        "forge_cuda_ooms",
        "counter",
        "CUDA out-of-memory errors in Forge.",
        ("target",),
        "Did memory run out?",
        _cuda(lambda cuda: [((), cuda.ooms)]),
    ),
    Metric(
        "forge_process_resident_memory_bytes",
        "gauge",
        "System memory the Forge process holds (RSS).",
        ("target",),
        "Does Forge eat the system's memory?",
        _resident,
    ),
)
