"""Full reports, every fact known: one moment of a Forge that works, on a machine with as many GPUs as asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from forgediag.model import (
    MB,
    Advice,
    CheckResult,
    CudaMemory,
    CurvePoint,
    Distribution,
    Expected,
    Finding,
    Gap,
    Gpu,
    GpuInfo,
    GpuMemory,
    GpuProcess,
    GpuTelemetry,
    Nvml,
    Own,
    PhaseTally,
    Progress,
    Report,
    Setting,
    Severity,
    Snapshot,
    SourceHealth,
    Tally,
    TorchMemory,
    Verification,
)
from forgediag.testing.facts import BASE_SHA256, FORGE, GIB, HOST, LISTING, PROCESS, TARGET, options
from forgediag.testing.jobs import PHASES, STEPS, job, shared_out

CHECKS = (
    "forge-reachable",
    "options-readable",
    "selected-model-missing",
    "model-file-whole",
    "model-file-genuine",
    "model-will-load",
    "inference-memory-range",
    "gpu-other-processes",
    "host-ram",
    "torch-driver-gpu",
    "secrets-exposed",
)
"""Ids of checks, as a daemon with the checks that come with forgediag has them."""

ENDPOINTS = ("progress", "options", "memory", "sd-models", "sd-modules", "cmd-flags", "samplers")
REQUEST_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
JOB_BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
PEAK_BOUNDS = (8.0 * GIB, 12.0 * GIB, 24.0 * GIB)
JOB_SECONDS = 10.0
"""A job of `report` takes this long, and the next begins at once."""


def report(gpus: int = 1, *, seconds: float = 0.0, start: float = 1_700_000_000.0) -> Report:
    """A report `seconds` after the daemon's start (Unix seconds): a job is under way, counters grow, memory moves.

    One warning, one job in ten runs out of memory. The first of the `gpus` is Forge's; every GPU holds two processes.
    """
    cards = tuple(gpu(index, seconds) for index in range(gpus))
    target = replace(
        TARGET,
        gpu=cards[0],
        forge=replace(
            FORGE,
            options=options(sd_checkpoint_hash=BASE_SHA256),
            memory=TorchMemory(4 * GIB, cuda(seconds)),
            progress=progress(seconds),
            listing=replace(LISTING, checkpoints=(replace(LISTING.checkpoints[1], sha256=BASE_SHA256),)),
        ),
        ledger=shared_out(start + seconds, memory(0, seconds)),
        jobs=(job(start - 20.0), job(start - 10.0)),
        verification=Verification("lock", {"ok": 9, "pending": 1}, 60_000_000_000, 54_000_000_000, 604_800.0, start),
    )
    snapshot = Snapshot(
        at=start + seconds,
        targets=(target,),
        nvml=Nvml("550.90", (12, 4), cards),
        host=replace(HOST, ram_available=HOST.ram_available - int(_wave(seconds) * GIB)),
        sources=_sources(start + seconds),
        tallies={target.name: tally(seconds)},
        sampler_lag=0.0004,
        own=Own(resident=34 * MB, cpu_seconds=0.5 + seconds / 500, started=start - 1.5),
    )
    return Report(snapshot, (warning(),), _results(target.name), {target.name: advice()})


def with_target(given: Report, **changes: Any) -> Report:
    """The report with fields of its first target replaced."""
    first, *others = given.snapshot.targets
    return replace(given, snapshot=replace(given.snapshot, targets=(replace(first, **changes), *others)))


def with_gpu(given: Report, **changes: Any) -> Report:
    """The report with fields of its first GPU replaced.

    Raises:
        TypeError: the report has no GPU.
    """
    nvml = given.snapshot.nvml
    if isinstance(nvml, Gap):
        raise TypeError(f"no GPU to change: {nvml.reason}")
    first, *others = nvml.gpus
    changed = replace(nvml, gpus=(replace(first, **changes), *others))
    return replace(given, snapshot=replace(given.snapshot, nvml=changed))


def memory(index: int, seconds: float) -> GpuMemory:
    """A 24 GB card's memory."""
    used, reserved = int((8 + 8 * _wave(seconds + index)) * GIB), 300 * MB
    return GpuMemory(24 * GIB, used, 24 * GIB - used - reserved, reserved)


def gpu(index: int, seconds: float = 0.0) -> Gpu:
    """A 24 GB card with every reading and two processes: Forge's own on the first card, and another's."""
    held = memory(index, seconds)
    used = held.used
    info = GpuInfo(
        index=index,
        uuid=f"GPU-{index:08x}-5f1c-4b4e-9d3a-0123456789ab",
        name="NVIDIA GeForce RTX 4090",
        total=held.total,
        compute_capability=(8, 9),
        power_limit=450.0,
        max_sm_clock=3.105e9,
        max_memory_clock=1.0501e10,
        pcie_generation=4,
        pcie_max_generation=4,
        pcie_width=16,
        pcie_max_width=16,
        default_power_limit=450.0,
        max_power_limit=600.0,
        slowdown_temperature=95.0,
        shutdown_temperature=100.0,
        display_active=False,
        persistence_mode=True,
    )
    telemetry = GpuTelemetry(
        utilization=0.9,
        memory_utilization=0.55,
        temperature=61.0 + index % 8,
        power=round(300 + 100 * _wave(seconds), 1),
        sm_clock=2.52e9,
        memory_clock=1.0501e10,
        throttle_reasons=0x4,
        performance_state=2,
    )
    return Gpu(
        info=info,
        memory=held,
        peaks={15: used, 60: max(used, 17 * GIB), 300: max(used, 17 * GIB)},
        telemetry=telemetry,
        processes=(GpuProcess(PROCESS.pid + 1000 * index, used - 500 * MB), GpuProcess(200, 300 * MB)),
    )


def _wave(seconds: float) -> float:
    """0 to 1 and back within one job."""
    return 1 - abs(2 * (seconds % JOB_SECONDS) / JOB_SECONDS - 1)


def cuda(seconds: float = 0.0) -> CudaMemory:
    """Torch's allocator in the middle of a job."""
    allocated = int((5 + 8 * _wave(seconds)) * GIB)
    reserved = allocated + GIB
    return CudaMemory(
        total=24 * GIB,
        free=24 * GIB - reserved - 500 * MB,
        allocated=allocated,
        allocated_peak=13 * GIB,
        reserved=reserved,
        reserved_peak=14 * GIB,
        active=allocated,
        active_peak=13 * GIB,
        inactive=256 * MB,
        inactive_peak=512 * MB,
        retries=int(seconds // JOB_SECONDS),
        ooms=int(seconds // (10 * JOB_SECONDS)),
    )


def progress(seconds: float = 0.0) -> Progress:
    """A txt2img job under way."""
    ratio = (seconds % JOB_SECONDS) / JOB_SECONDS
    return Progress("scripts_txt2img", 1, 0, "20231114221320", int(ratio * STEPS), STEPS, ratio, interrupted=False)


def tally(seconds: float = 0.0) -> Tally:
    """What was counted in `seconds` of jobs back to back."""
    jobs = int(seconds // JOB_SECONDS)
    ooms = jobs // 10
    return Tally(
        option_changes=int(seconds // 30),
        jobs={"done": jobs - ooms, "oom": ooms},
        job_seconds=distribution(JOB_BOUNDS, JOB_SECONDS, jobs),
        requests={name: distribution(REQUEST_BOUNDS, 0.004, 1 + int(2 * seconds)) for name in ENDPOINTS},
        effective_inference_memory=GIB,
        phases={
            name: PhaseTally(distribution(JOB_BOUNDS, lasts, jobs), distribution(PEAK_BOUNDS, peak * MB, jobs))
            for name, lasts, _, peak in PHASES
        },
        swapped=0,
        growth=(64 * MB, 0),
    )


def distribution(bounds: tuple[float, ...], value: float, count: int) -> Distribution:
    """`count` observations, each of `value`."""
    return Distribution(bounds, tuple(count if value <= bound else 0 for bound in bounds), count, value * count)


def warning() -> Finding:
    """A finding with evidence and steps."""
    return Finding(
        check="gpu-other-processes",
        severity=Severity.WARNING,
        target=TARGET.name,
        subject="GPU 0",
        message="Other programs hold 300 MB of Forge's card.",
        evidence={"processes": [{"pid": 200, "used_mb": 300}]},
        fix=("Close what is not needed.", "Let the desktop run on another card."),
    )


def advice() -> Advice:
    """A recommendation with two points of its curve."""
    return Advice(
        model="sd_xl_base_1.0",
        current=Setting(1024, 23552, "Queue", "CPU"),
        recommended=Setting(3072, 21504, "Queue", "CPU"),
        also_set={"xl_GPU_MB": 21504},
        expected=Expected(),
        curve=(CurvePoint(1024, 23552, 0.0, None, fits=False), CurvePoint(3072, 21504, 0.0, None, fits=True)),
        because=("The VAE decodes 1024x1024 in 2.9 GB.",),
        confidence="estimated",
    )


def _results(target: str) -> tuple[CheckResult, ...]:
    return tuple(
        CheckResult(name, target, Severity.WARNING if name == warning().check else Severity.OK, 0.00005)
        for name in CHECKS
    )


def _sources(at: float) -> tuple[SourceHealth, ...]:
    return (
        SourceHealth("nvml", success=True, last_success=at, duration=0.00012, errors={}),
        SourceHealth("host", success=True, last_success=at, duration=0.0002, errors={}),
        SourceHealth(f"forge:{TARGET.name}", success=True, last_success=at, duration=0.004, errors={"timeout": 1}),
        SourceHealth(f"files:{TARGET.name}", success=True, last_success=at, duration=0.02, errors={}),
    )
