"""Sources joined into one Snapshot: which GPU is a Forge's, which gap stands for what."""

from __future__ import annotations

from collections.abc import Sequence

from forgediag.model import Forge, Gap, Gpu, Known, Nvml, Process


def gpu_of(
    nvml: Known[Nvml], process: Known[Process], forge: Known[Forge], configured: str | None, *, local: bool
) -> Known[Gpu]:
    """The GPU a Forge works on, joined by UUID, never by position alone when that could be wrong.

    In order: the configured index, UUID or its beginning; the GPU whose process list holds Forge's pid; Forge's
    `--gpu-device-id` (which sets CUDA_VISIBLE_DEVICES: Forge dfdcbab, modules_forge/initialization.py); the first
    entry of CUDA_VISIBLE_DEVICES; the only GPU there is.
    """
    if isinstance(nvml, Gap):
        return nvml
    if configured is not None:
        return _named(nvml.gpus, configured, "the configured gpu")
    if not local:
        return Gap("Forge runs on another machine: its GPU is not visible here", "unsupported", expected=True)
    if _on_cpu(forge):
        return Gap("Forge runs with --always-cpu: it uses no GPU", "unsupported", expected=True)
    return _used_by(process, nvml.gpus)


def _on_cpu(forge: Known[Forge]) -> bool:
    return not isinstance(forge, Gap) and not isinstance(forge.flags, Gap) and forge.flags.on("always_cpu")


def _used_by(process: Known[Process], gpus: Sequence[Gpu]) -> Known[Gpu]:
    if isinstance(process, Process):
        if own := _listing(gpus, process.pid):
            return own
        device = process.device_flag if process.device_flag is not None else process.visible_devices
        if device is not None:
            return _visible(gpus, device)
    if len(gpus) == 1:
        return gpus[0]
    return Gap(f"one of {len(gpus)} GPUs is Forge's, but which is not known yet: set gpu in the config", "missing")


def _listing(gpus: Sequence[Gpu], pid: int) -> Gpu | None:
    """The GPU on which a process holds most memory; a process that lists no amount (WDDM) counts as zero."""
    held = [
        (process.used or 0, -gpu.info.index, gpu)
        for gpu in gpus
        if not isinstance(gpu.processes, Gap)
        for process in gpu.processes
        if process.pid == pid
    ]
    return max(held, key=lambda item: item[:2])[2] if held else None


def _named(gpus: Sequence[Gpu], name: str, what: str) -> Known[Gpu]:
    for gpu in gpus:
        if name == str(gpu.info.index) or gpu.info.uuid.lower().startswith(name.lower()):
            return gpu
    known = ", ".join(f"{gpu.info.index} = {gpu.info.uuid}" for gpu in gpus)
    return Gap(f"{what} {name!r} is none of {known or 'no GPU at all'}", "missing")


def _visible(gpus: Sequence[Gpu], devices: str) -> Known[Gpu]:
    """The first device of CUDA_VISIBLE_DEVICES. CUDA numbers cards fastest first, NVML by PCI bus."""
    first = devices.split(",", maxsplit=1)[0].strip()
    if first in {"", "-1"}:
        return Gap("Forge's CUDA_VISIBLE_DEVICES hides every GPU from it", "unsupported", expected=True)
    if first.startswith("MIG-"):
        return Gap(f"Forge runs on a MIG instance ({first}), which is not measured", "unsupported")
    if first.isdigit() and len({gpu.info.name for gpu in gpus}) > 1:
        return Gap(
            f"Forge's device {first} is CUDA's number, which on different cards need not be NVML's: set gpu to a UUID",
            "missing",
        )
    return _named(gpus, first, "Forge's CUDA_VISIBLE_DEVICES")
