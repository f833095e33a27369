"""Do torch, the driver and the card work together?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.versions import LEAST_DRIVER, Build, build_of, cuda_of, too_new, too_old
from forgediag.model import Gpu, Install, Nvml, Severity

_REINSTALL = "Delete Forge's venv folder if pip leaves a mixture behind; Forge builds it again at its next start."


@check(
    "torch-driver-gpu",
    title="torch, driver and card work together",
    why=(
        "Forge installs torch 2.3.1 for CUDA 12.1, which has no code for RTX 50 cards; new torch wheels have none for"
        " GTX 10 cards; and a driver older than torch's CUDA version cannot run it at all."
    ),
    severity=Severity.FAILURE,
    fix=("Install a torch wheel that has code for this card into Forge's venv.",),
)
def torch_driver_gpu(install: Install, nvml: Nvml, gpu: Gpu) -> Iterator[Problem]:
    """The installed torch build against the driver's CUDA version and the card's compute capability."""
    torch = install.packages.get("torch")
    if torch is None:
        return
    if torch.endswith("+cpu"):
        yield Problem(
            "torch",
            f"torch {torch} is built without CUDA: Forge cannot use {gpu.info.name}",
            {"torch": torch},
            fix=("In Forge's venv: pip uninstall torch torchvision, then install the CUDA wheels.", _REINSTALL),
        )
        return
    cuda = cuda_of(install.packages, install.torch_cuda)
    if cuda is None:
        return
    if nvml.cuda is not None and nvml.cuda[0] < cuda[0]:
        yield _old_driver(torch, cuda, nvml)
    build = build_of(torch, cuda)
    if build is not None and gpu.info.compute_capability is not None:
        yield from _card(torch, build, gpu.info.name, gpu.info.compute_capability)


def _old_driver(torch: str, cuda: tuple[int, int], nvml: Nvml) -> Problem:
    least = LEAST_DRIVER.get(cuda[0], "newer")
    return Problem(
        "driver",
        (
            f"torch {torch} is built for CUDA {_dotted(cuda)}, but driver {nvml.driver} supports CUDA"
            f" {_dotted(nvml.cuda or (0, 0))} at most: 'CUDA driver version is insufficient for CUDA runtime version'"
        ),
        {
            "torch": torch,
            "torch_cuda": _dotted(cuda),
            "driver": nvml.driver,
            "driver_cuda": _dotted(nvml.cuda or (0, 0)),
        },
        fix=(
            f"Install an NVIDIA driver of branch {least} or newer and reboot.",
            "In a container the driver of the host counts.",
        ),
    )


def _card(torch: str, build: Build, name: str, capability: tuple[int, int]) -> Iterator[Problem]:
    new = too_new(build, capability)
    if not new and not too_old(build, capability):
        return
    lowest = _dotted(build.lowest) if build.lowest else "?"
    wheel = "2.7 or newer for cu128" if new else "2.6 for cu124 or a cu126 one"
    yield Problem(
        subject=name,
        message=(
            f"torch {torch} has code for compute capability {lowest} to {_dotted(build.highest)}, but {name} has"
            f" {_dotted(capability)}: 'no kernel image is available for execution on the device'"
        ),
        evidence={
            "torch": torch,
            "compute_capability": _dotted(capability),
            "lowest": lowest,
            "highest": _dotted(build.highest),
            "source": build.source,
        },
        fix=(
            f"Install a torch {wheel} (with torchvision and xformers to match) into Forge's venv.",
            "Or use a fork that brings one: Forge Neo for RTX 50 cards.",
            _REINSTALL,
        )
        if new
        else (f"Install a torch {wheel} (with torchvision and xformers to match) into Forge's venv.", _REINSTALL),
    )


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
