"""torch, driver and card that cannot work together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.model import Gpu, Install
from forgediag.testing.facts import GPU, INSTALL, NVML, problems
from forgediag_checks.versions import torch_driver_gpu


def install(torch: str, **packages: str) -> Install:
    return replace(INSTALL, packages={"torch": torch, **packages})


def card(capability: tuple[int, int] | None) -> Gpu:
    return replace(GPU, info=replace(GPU.info, compute_capability=capability))


def test_an_rtx_50_on_forges_own_torch_is_a_failure() -> None:
    (problem,) = problems(torch_driver_gpu, install("2.3.1+cu121"), card((12, 0)))
    assert "compute capability 5.0 to 9.0" in problem.message
    assert "no kernel image" in problem.message
    assert problem.fix is not None
    assert "cu128" in problem.fix[0]


def test_a_gtx_10_on_a_new_torch_is_a_failure() -> None:
    (problem,) = problems(torch_driver_gpu, install("2.9.0+cu128"), card((6, 1)))
    assert "7.0 to 12.0" in problem.message
    assert problem.fix is not None
    assert "cu124" in problem.fix[0]


def test_a_torch_newer_than_the_driver_is_a_failure() -> None:
    (problem,) = problems(torch_driver_gpu, install("2.9.0+cu130"))
    assert problem.subject == "driver"
    assert "580" in str(problem.fix)
    assert problem.evidence["driver_cuda"] == "12.4"


def test_a_torch_without_cuda_is_a_failure() -> None:
    (problem,) = problems(torch_driver_gpu, install("2.3.1+cpu"))
    assert "without CUDA" in problem.message


def test_a_torch_from_pypi_is_judged_by_its_runtime_package() -> None:
    (problem,) = problems(torch_driver_gpu, install("2.3.1", **{"nvidia-cuda-runtime-cu12": "12.1.105"}), card((12, 0)))
    assert problem.evidence["highest"] == "9.0"


@pytest.mark.parametrize(
    ("torch", "capability"),
    [
        ("2.3.1+cu121", (8, 9)),
        ("2.3.1+cu121", (6, 1)),
        ("2.7.0+cu128", (6, 1)),
        ("2.7.1+cu128", (12, 0)),
        ("2.11.0+cu128", (12, 1)),
        ("2.3.1", (12, 0)),
        ("weird+cu121", (12, 0)),
        ("2.3.1+rocm6.0", (12, 0)),
        ("2.3.1+cu121", None),
    ],
)
def test_what_works_or_is_not_known_is_no_finding(torch: str, capability: tuple[int, int] | None) -> None:
    assert problems(torch_driver_gpu, install(torch), card(capability)) == []


def test_a_driver_that_does_not_tell_its_cuda_accuses_nobody() -> None:
    assert problems(torch_driver_gpu, install("2.9.0+cu130"), replace(NVML, cuda=None)) == []


def test_an_install_without_torch_says_nothing() -> None:
    assert problems(torch_driver_gpu, replace(INSTALL, packages={})) == []
