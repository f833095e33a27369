"""Why NVML, or one fact of it, is not to be had, and the way out."""

from __future__ import annotations

from forgediag.model import Gap
from forgediag.sources.nvml_library import (
    DRIVER_GONE,
    FUNCTION_NOT_FOUND,
    GPU_IS_LOST,
    LIBRARY_NOT_FOUND,
    NO_PERMISSION,
    NOT_SUPPORTED,
    RESET_REQUIRED,
    RM_VERSION_MISMATCH,
    RefusedError,
)


class DriverGoneError(Exception):
    """The driver was unloaded, reloaded or replaced: every handle is dead. `code` is NVML's."""

    def __init__(self, refused: RefusedError) -> None:
        super().__init__(str(refused))
        self.code = refused.code


def driver_gap(code: int, *, worked: bool, hardware: bool) -> Gap:
    """Why there is no NVML at all, and the way out.

    Args:
        code: what `nvmlInit` or a later call answered.
        worked: whether NVML had worked before.
        hardware: whether an NVIDIA card seems to be in this machine.
    """
    if code == RM_VERSION_MISMATCH:
        reason = (
            "the NVIDIA driver was replaced: its library and its kernel module differ; reboot, or restart forgediag"
        )
        return Gap(reason, "lost")
    if worked:
        return Gap(f"the NVIDIA driver has gone (NVML code {code}): reloaded or stopped; tried again by itself", "lost")
    if not hardware and code in DRIVER_GONE:
        return Gap("no NVIDIA GPU here: nothing is read through NVML", "missing", expected=True)
    if code == LIBRARY_NOT_FOUND:
        reason = "an NVIDIA card is here but not its driver library (libnvidia-ml.so.1, nvml.dll): "
        return Gap(reason + "install the NVIDIA driver; start a container with --gpus all", "missing")
    if code in DRIVER_GONE:
        return Gap("the NVIDIA driver is installed but not loaded: `modprobe nvidia`, or reboot", "missing")
    return Gap(f"nvmlInit fails with code {code}: see what `nvidia-smi` says", "failed")


def card_gap(refused: RefusedError, index: int, name: str) -> Gap:
    """Why one fact of one GPU is not known, and the way out."""
    gpu = f"GPU {index} ({name})"
    if refused.code in (GPU_IS_LOST, RESET_REQUIRED):
        reason = f"{gpu} is lost ({refused.text}): it fell off the bus or must be reset; "
        return Gap(reason + "see the system log for NVRM: Xid, then reboot", "lost")
    if refused.code in (NOT_SUPPORTED, FUNCTION_NOT_FOUND):
        return Gap(f"{gpu}: this driver does not have it: {refused}", "unsupported")
    if refused.code == NO_PERMISSION:
        return Gap(f"{gpu}: the driver does not let this user ask: {refused}", "failed")
    return Gap(f"{gpu}: {refused}", "failed")
