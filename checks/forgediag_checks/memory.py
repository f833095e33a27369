"""Is the memory set and shared so that Forge can work? MB are Forge's: 1 048 576 bytes."""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.model import (
    MB,
    Gap,
    Gpu,
    GpuProcess,
    Known,
    Options,
    Process,
    Progress,
    Severity,
    Target,
    TorchMemory,
)
from forgediag_checks.sizes import gib, mb


def low_mark(total_mb: int) -> float:
    """Below this value of forge_inference_memory, in MB, Forge itself warns (Forge dfdcbab, main_entry.py)."""
    return min(512, 0.05 * total_mb)


@check(
    "inference-memory-range",
    title="forge_inference_memory is sensible",
    why=(
        "Forge accepts any number, negative ones included. It keeps this much of the card free of weights for the"
        " computation; GPU weights, the number in the web page, is the rest of the card."
    ),
    severity=Severity.FAILURE,
    fix=(
        'POST {"forge_inference_memory": 1024} to /sdapi/v1/options, or ask `forgediag recommend` for the best value.',
    ),
)
def inference_memory_range(target: Target, options: Options) -> Iterator[Problem]:
    """Negative, above the card, zero, or under Forge's own warning mark; forks without the option have none of it.

    The card's size is the one Forge itself tells, else NVML's: they differ by a few hundred MB, and Forge counts
    with its own. A negative value is wrong on every card, and on none.
    """
    value = options.inference_memory_mb
    if value is None:
        return
    total = _total_mb(target)
    if isinstance(total, Gap):
        if value < 0:
            yield Problem(_KEY, f"inference memory {value:g} MB: {_NEGATIVE}", {_KEY: value})
        elif not total.expected:
            yield Problem(_KEY, f"{total.reason}: {value:g} MB cannot be judged", {}, Severity.UNKNOWN, ())
        return
    mark = low_mark(total)
    words, severity = _range(value, total, mark)
    if words is None or (severity is Severity.WARNING and _adds_an_estimate(target)):
        return
    message = f"inference memory {value:g} MB, GPU weights {total - value:g} MB of {total} MB: {words}"
    evidence = {_KEY: value, "gpu_weights_mb": total - value, "total_mb": total, "low_mark_mb": mark}
    yield Problem(_KEY, message, evidence, severity)


_KEY = "forge_inference_memory"
_NEGATIVE = "a negative reserve lets Forge plan with more memory than the card has"


def _range(value: float, total: int, mark: float) -> tuple[str | None, Severity]:
    """What is wrong with a value, all in MB, and how bad it is."""
    if value < 0:
        return _NEGATIVE, Severity.FAILURE
    if value >= total:
        return "nothing is left for weights, every layer is moved to the card again at each step", Severity.FAILURE
    if value == 0:
        words = "nothing is kept for the computation; a model that just fits runs out of memory"
        return words, Severity.WARNING
    if value < mark:
        return f"below {mark:g} MB Forge warns of low VRAM, and large images run out of memory", Severity.WARNING
    return None, Severity.OK


def _total_mb(target: Target) -> Known[int]:
    """The card's memory in whole MB as Forge counts it (Forge dfdcbab: int of torch's total)."""
    forge = target.forge
    if not isinstance(forge, Gap) and not isinstance(forge.memory, Gap) and not isinstance(forge.memory.cuda, Gap):
        return int(forge.memory.cuda.total / MB)
    return target.gpu if isinstance(target.gpu, Gap) else int(target.gpu.info.total / MB)


def _adds_an_estimate(target: Target) -> bool:
    """Whether the value comes on top of an estimate (ersatzForge fca12a28), so that a small one is fine."""
    return not isinstance(target.forge, Gap) and target.forge.fork == "ersatzforge"


def others_mark(total: int) -> int:
    """Bytes that other programs may hold on a card of `total` bytes without a warning: 10 %, at most 1 GiB."""
    return min(total // 10, 1024 * MB)


@check(
    "gpu-other-processes",
    title="Forge has its card to itself",
    why=(
        "Forge plans with the memory that is free when it loads a model. What another program takes later is missing"
        " during the computation: it slows down or runs out of memory."
    ),
    severity=Severity.WARNING,
    fix=(
        "Close the other programs on this card, or move them to another one.",
        "If they must stay, raise forge_inference_memory by what they may still take.",
    ),
)
def gpu_other_processes(target: Target, gpu: Gpu, process: Process) -> Iterator[Problem]:
    """Memory of other compute processes on Forge's card, over 10 % of it or 1 GiB, whichever is less.

    Windows drivers in WDDM mode do not tell a process's memory. There it is estimated, while Forge is idle, as what is
    used on the card and not by torch; the desktop's own share is allowed for.
    """
    if isinstance(gpu.processes, Gap):
        if not gpu.processes.expected:
            yield Problem(gpu.info.name, gpu.processes.reason, severity=Severity.UNKNOWN, fix=())
        return
    others = [item for item in gpu.processes if item.pid != process.pid]
    if any(item.used is None for item in gpu.processes):
        held = _not_torchs(target, gpu)
        mark = others_mark(gpu.info.total) + DESKTOP
        who = f"about {gib(held)} of Forge's card is used but not by Forge"
    else:
        held = sum(map(_held, others))
        mark = others_mark(gpu.info.total)
        who = f"other programs hold {gib(held)} of Forge's card"
    if held > mark:
        most = max(others, key=_held, default=None)
        if most is not None and most.used:
            who += f", most of it process {most.pid} with {mb(most.used)}"
        yield Problem(
            subject=gpu.info.name,
            message=f"{who}: {held / gpu.info.total:.0%} of its memory is missing for models and computation",
            evidence={
                "bytes": held,
                "share": round(held / gpu.info.total, 4),
                "mark_bytes": mark,
                "processes": {str(item.pid): item.used for item in sorted(others, key=_held, reverse=True)[:10]},
            },
        )


DESKTOP = 1024 * MB
"""What a Windows desktop on the same card takes, in bytes; an allowance, not a measurement."""

CONTEXT = 818 * MB
"""A CUDA context (620 MB) and the first kernels (198 MB), in bytes: measured with Forge dfdcbab on one card."""


def _not_torchs(target: Target, gpu: Gpu) -> int:
    """Bytes used on the card beyond Forge's context and torch's pool; 0 where that cannot be told or Forge is busy."""
    forge = target.forge
    if isinstance(forge, Gap) or isinstance(forge.memory, Gap) or isinstance(gpu.memory, Gap):
        return 0
    if isinstance(forge.memory.cuda, Gap) or isinstance(forge.progress, Gap) or forge.progress.running:
        return 0
    return max(0, gpu.memory.used - forge.memory.cuda.reserved - CONTEXT)


def _held(process: GpuProcess) -> int:
    return process.used or 0


FRAGMENTED = 0.25
"""Share of torch's reserved memory that may lie in pieces between allocations while nothing runs."""


@check(
    "torch-fragmentation",
    title="Torch's reserved memory is not in pieces",
    why=(
        "Torch keeps memory in segments and gives back only whole ones. What lies free between allocations can be too"
        " small for the next one: then it runs out of memory with gigabytes reserved and unused."
    ),
    severity=Severity.WARNING,
    fix=(
        "Start Forge with PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True (Linux; torch 2.1 and newer).",
        "A restart of Forge gives everything back.",
    ),
)
def torch_fragmentation(memory: TorchMemory, progress: Progress) -> Iterator[Problem]:
    """Inactive split blocks while Forge is idle: `reserved` is what torch holds, `inactive` what is stuck in pieces."""
    cuda = memory.cuda
    if isinstance(cuda, Gap) or progress.running or not cuda.reserved:
        return
    if cuda.inactive > max(1024 * MB, FRAGMENTED * cuda.reserved):
        yield Problem(
            subject="torch",
            message=(
                f"{gib(cuda.inactive)} of the {gib(cuda.reserved)} that torch has reserved lie in pieces between"
                " allocations while nothing runs"
            ),
            evidence={"inactive": cuda.inactive, "reserved": cuda.reserved, "allocated": cuda.allocated},
        )
