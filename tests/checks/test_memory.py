"""Memory set wrongly, or shared with others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.model import MB, CudaMemory, Gap, GpuMemory, GpuProcess, Progress, Severity, Target, TorchMemory
from forgediag.testing.facts import FORGE, GIB, GPU, TARGET, options, problems
from forgediag_checks.memory import gpu_other_processes, inference_memory_range, torch_fragmentation


@pytest.mark.parametrize(
    ("value", "severity", "words"),
    [
        (-1000.0, Severity.FAILURE, "inference memory -1000 MB, GPU weights 25576 MB of 24576 MB"),
        (99999.0, Severity.FAILURE, "GPU weights -75423 MB"),
        (24576.0, Severity.FAILURE, "nothing is left for weights"),
        (0.0, Severity.WARNING, "nothing is kept for the computation"),
        (511.0, Severity.WARNING, "below 512 MB"),
    ],
)
def test_a_value_out_of_range_says_both_numbers(value: float, severity: Severity, words: str) -> None:
    (problem,) = problems(inference_memory_range, options(forge_inference_memory=value))
    assert problem.severity is severity
    assert words in problem.message
    assert "GPU weights" in problem.message


@pytest.mark.parametrize("value", [512.0, 1024.0, 24575.0])
def test_a_value_in_range_is_fine(value: float) -> None:
    assert problems(inference_memory_range, options(forge_inference_memory=value)) == []


def test_a_small_card_has_a_lower_mark() -> None:
    small = replace(TARGET, gpu=replace(GPU, info=replace(GPU.info, total=4 * GIB)))
    assert problems(inference_memory_range, options(forge_inference_memory=205.0), small) == []


def test_the_total_that_forge_tells_counts_before_nvmls() -> None:
    memory = TorchMemory(GIB, CudaMemory(8 * GIB, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    target = replace(TARGET, forge=replace(FORGE, memory=memory))
    (problem,) = problems(inference_memory_range, target, options(forge_inference_memory=9000.0))
    assert problem.evidence["total_mb"] == 8192


def test_a_negative_value_is_wrong_without_a_card_too() -> None:
    target = replace(TARGET, gpu=Gap("no driver", "missing", expected=True))
    (problem,) = problems(inference_memory_range, target, options(forge_inference_memory=-1000.0))
    assert problem.severity is None
    assert "-1000 MB" in problem.message


@pytest.mark.parametrize("expected", [True, False])
def test_a_value_on_a_card_of_unknown_size_is_unknown_unless_that_is_expected(*, expected: bool) -> None:
    target = replace(TARGET, gpu=Gap("the driver hangs", "hung", expected))
    found = problems(inference_memory_range, target)
    assert [problem.severity for problem in found] == ([] if expected else [Severity.UNKNOWN])


def test_without_any_forge_the_cards_size_is_nvmls() -> None:
    target = replace(TARGET, forge=Gap("down", "refused"))
    (problem,) = problems(inference_memory_range, target, options(forge_inference_memory=0.0))
    assert problem.evidence["total_mb"] == 24576


def test_a_fork_without_the_option_is_fine() -> None:
    assert problems(inference_memory_range, options(forge_inference_memory=None)) == []


def test_ersatzforge_adds_an_estimate_so_a_small_value_is_fine() -> None:
    target = replace(TARGET, forge=replace(FORGE, fork="ersatzforge"))
    assert problems(inference_memory_range, target, options(forge_inference_memory=0.0)) == []


def test_memory_held_by_others_is_told_with_its_share() -> None:
    busy = replace(GPU, processes=(GpuProcess(100, 7 * GIB), GpuProcess(200, 300 * MB), GpuProcess(300, 6 * GIB)))
    (problem,) = problems(gpu_other_processes, busy)
    assert problem.evidence["bytes"] == 6 * GIB + 300 * MB
    assert problem.evidence["processes"] == {"300": 6 * GIB, "200": 300 * MB}
    assert "6.3 GiB" in problem.message
    assert "26%" in problem.message


WDDM = replace(
    GPU,
    memory=GpuMemory(24 * GIB, 20 * GIB, 4 * GIB, 0),
    processes=(GpuProcess(100, None), GpuProcess(200, None)),
)


def torch_holds(reserved: int, progress: Progress = FORGE.progress) -> Target:
    cuda = CudaMemory(24 * GIB, 4 * GIB, 0, 0, reserved, reserved, 0, 0, 0, 0, 0, 0)
    return replace(TARGET, forge=replace(FORGE, memory=TorchMemory(GIB, cuda), progress=progress))


def test_where_the_driver_does_not_tell_what_torch_does_not_hold_is_others() -> None:
    (problem,) = problems(gpu_other_processes, WDDM, torch_holds(8 * GIB))
    assert problem.evidence["bytes"] == 12 * GIB - 818 * MB
    assert "about 11.2 GiB" in problem.message


def test_a_desktop_on_the_same_card_is_allowed_for() -> None:
    assert problems(gpu_other_processes, WDDM, torch_holds(18 * GIB)) == []


@pytest.mark.parametrize(
    "target",
    [
        torch_holds(0, replace(FORGE.progress, job_count=1)),
        TARGET,
        replace(TARGET, forge=Gap("down", "refused")),
    ],
)
def test_nobody_is_accused_where_forges_own_share_is_not_known(target: Target) -> None:
    assert problems(gpu_other_processes, WDDM, target) == []


def test_a_process_list_that_cannot_be_read_is_unknown() -> None:
    (problem,) = problems(gpu_other_processes, replace(GPU, processes=Gap("no permission")))
    assert (problem.severity, problem.message) == (Severity.UNKNOWN, "no permission")


def test_a_process_list_this_driver_never_has_is_no_finding() -> None:
    gone = replace(GPU, processes=Gap("WDDM", "unsupported", expected=True))
    assert problems(gpu_other_processes, gone) == []


def in_pieces(inactive: int, *, reserved: int = 8 * GIB, count: int = 0) -> list[str]:
    cuda = CudaMemory(24 * GIB, GIB, 4 * GIB, 0, reserved, 0, 4 * GIB, 0, inactive, 0, 0, 0)
    idle = Progress("", count, 0, "", 0, 0, 0.0, interrupted=False)
    return [problem.message for problem in problems(torch_fragmentation, TorchMemory(1, cuda), idle)]


def test_memory_in_pieces_at_idle_is_told() -> None:
    (message,) = in_pieces(3 * GIB)
    assert "3.0 GiB of the 8.0 GiB that torch has reserved lie in pieces" in message


def test_a_little_or_a_job_or_nothing_reserved_is_no_fragmentation() -> None:
    assert in_pieces(GIB // 2) == []
    assert in_pieces(3 * GIB, reserved=16 * GIB) == []
    assert in_pieces(3 * GIB, count=1) == []
    assert in_pieces(3 * GIB, reserved=0) == []
    assert problems(torch_fragmentation, TorchMemory(1, Gap("no card")), Progress("", 0, 0, "", 0, 0, 0, False)) == []
