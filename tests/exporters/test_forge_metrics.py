"""What facts about a Forge become in the metric table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from forgediag.model import (
    MB,
    CudaMemory,
    Distribution,
    Files,
    Gap,
    Install,
    PhaseTally,
    Process,
    Report,
    Tally,
    TorchMemory,
)
from forgediag.testing.facts import FILES, FORGE, GIB, TARGET, options, vae_file
from forgediag.testing.reports import JOB_BOUNDS, cuda, distribution, gpu, report, with_target

Samples = Callable[[str, Report], Mapping[tuple[str, ...], float | Distribution]]
GAP = Gap("not known", "missing")


def test_a_forge_that_answers_nothing_but_progress_keeps_what_is_known(samples: Samples) -> None:
    bare = replace(FORGE, fork=GAP, options=GAP, memory=GAP, listing=GAP)
    given = with_target(report(), forge=bare, process=GAP, install=GAP)
    assert samples("forge_info", given) == {("forge", "unknown", "unknown", "unknown"): 1.0}
    assert samples("forge_job_running", given) == {("forge",): 0.0}
    for name in ("forge_inference_memory_bytes", "forge_model_loaded", "forge_process_resident_memory_bytes"):
        assert not samples(name, given)


def test_a_down_forge_is_still_known_by_its_install_directory(samples: Samples) -> None:
    given = with_target(report(), forge=GAP, install=Install("/forge", None, "dfdcbab" * 5, {}))
    assert samples("forge_info", given) == {("forge", "unknown", "dfdcbabdfdcb", "unknown"): 1.0}


def test_gpu_weights_are_whole_megabytes_of_the_card_less_the_inference_memory(samples: Samples) -> None:
    card = gpu(0)
    odd = replace(card, info=replace(card.info, total=24 * GIB - 123))
    given = with_target(report(), gpu=odd, forge=replace(FORGE, options=options(forge_inference_memory=1024.0)))
    assert samples("forge_gpu_weights_bytes", given) == {("forge",): (24 * 1024 - 1 - 1024) * MB}


def test_a_fork_without_the_option_has_no_inference_memory(samples: Samples) -> None:
    given = with_target(report(), forge=replace(FORGE, options=options(forge_inference_memory=None)))
    assert not samples("forge_inference_memory_bytes", given)
    assert not samples("forge_gpu_weights_bytes", given)


def test_inference_memory_without_a_gpu_has_no_gpu_weights(samples: Samples) -> None:
    given = with_target(report(), gpu=GAP)
    assert samples("forge_inference_memory_bytes", given) == {("forge",): 1024 * MB}
    assert not samples("forge_gpu_weights_bytes", given)
    assert not samples("forge_target_gpu_info", given)


def test_an_unknown_effective_inference_memory_has_no_series(samples: Samples) -> None:
    given = report()
    unknown = replace(given, snapshot=replace(given.snapshot, tallies={"forge": Tally()}))
    assert not samples("forge_inference_memory_effective_bytes", unknown)
    assert not samples("forge_job_duration_seconds", unknown)
    assert not samples("forge_api_request_duration_seconds", unknown)
    assert set(samples("forge_jobs", unknown).values()) == {0}


def test_an_endpoint_never_asked_has_no_histogram(samples: Samples) -> None:
    given = report()
    tally = Tally(requests={"progress": Distribution((1.0,), (0,), 0, 0.0)})
    assert not samples(
        "forge_api_request_duration_seconds",
        replace(given, snapshot=replace(given.snapshot, tallies={"forge": tally})),
    )


@pytest.mark.parametrize("name", ["dir/model", "dir\\model", "model"])
def test_a_loaded_model_is_called_by_its_file_alone(samples: Samples, name: str) -> None:
    forge = report().snapshot.targets[0].forge
    assert not isinstance(forge, Gap)
    assert not isinstance(forge.listing, Gap)
    loaded = replace(forge.listing.checkpoints[0], name=name)
    listing = replace(forge.listing, checkpoints=(replace(loaded, name="other", sha256=None), loaded))
    given = with_target(report(), forge=replace(forge, listing=listing))
    assert samples("forge_model_loaded", given) == {("forge", "model"): 1.0}


def test_a_loaded_model_that_is_not_listed_has_no_series(samples: Samples) -> None:
    forge = report().snapshot.targets[0].forge
    assert not isinstance(forge, Gap)
    given = with_target(report(), forge=replace(forge, options=options(sd_checkpoint_hash="0" * 64)))
    assert not samples("forge_model_loaded", given)


def test_a_remote_forge_tells_its_resident_memory_itself(samples: Samples) -> None:
    given = with_target(report(), process=GAP, forge=replace(FORGE, memory=TorchMemory(5 * GIB, cuda())))
    assert samples("forge_process_resident_memory_bytes", given) == {("forge",): 5 * GIB}


def test_a_forge_on_the_cpu_has_no_cuda_memory(samples: Samples) -> None:
    given = with_target(report(), forge=FORGE)
    for name in ("forge_cuda_memory_bytes", "forge_cuda_memory_peak_bytes", "forge_cuda_ooms"):
        assert not samples(name, given)


def test_torchs_pools_and_their_peaks_are_told_apart(samples: Samples) -> None:
    memory = CudaMemory(24, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    given = with_target(report(), forge=replace(FORGE, memory=TorchMemory(1, memory)))
    now, peak = samples("forge_cuda_memory_bytes", given), samples("forge_cuda_memory_peak_bytes", given)
    assert {labels[1]: value for labels, value in now.items()} == {
        "allocated": 2,
        "reserved": 4,
        "active": 6,
        "inactive": 8,
    }
    assert {labels[1]: value for labels, value in peak.items()} == {
        "allocated": 3,
        "reserved": 5,
        "active": 7,
        "inactive": 9,
    }
    assert samples("forge_cuda_alloc_retries", given) == {("forge",): 10}
    assert samples("forge_cuda_ooms", given) == {("forge",): 11}


def test_model_files_are_counted_by_what_their_headers_say(samples: Samples) -> None:
    files = Files((*FILES.files, vae_file()), {"/gone": "no permission", "/gone2": "no permission"})
    assert samples("forge_model_files", with_target(report(), files=files)) == {
        ("forge", "sdxl", "safetensors", "whole"): 1,
        ("forge", "vae", "safetensors", "whole"): 2,
        ("forge", "unknown", "unknown", "unreadable"): 2,
    }


def test_findings_are_counted_for_every_forge_also_those_that_have_none(samples: Samples) -> None:
    given = report()
    other = replace(TARGET, name="other", process=Process(7, 1, 0.0, "/other"))
    both = replace(given, snapshot=replace(given.snapshot, targets=(*given.snapshot.targets, other)))
    counts = samples("forge_findings", both)
    assert counts["forge", "warning"] == 1
    assert sum(value for value in counts.values() if not isinstance(value, Distribution)) == 1
    assert len(counts) == 6


def test_a_phase_without_a_memory_peak_has_only_its_time(samples: Samples) -> None:
    empty = PhaseTally(distribution(JOB_BOUNDS, 1.0, 2), distribution(JOB_BOUNDS, 1.0, 0))
    given = report()
    given = replace(given, snapshot=replace(given.snapshot, tallies={"forge": Tally(phases={"sample": empty})}))

    assert list(samples("forge_phase_duration_seconds", given)) == [("forge", "sample")]
    assert samples("forge_phase_memory_peak_bytes", given) == {}
    assert samples("forge_job_swapped_bytes", given) == {}
    assert samples("forge_job_memory_growth_bytes", given) == {}


def test_the_ledger_is_exported_part_by_part(samples: Samples) -> None:
    given = report()
    ledger = given.snapshot.targets[0].ledger
    assert ledger is not None

    parts = samples("forge_memory_ledger_bytes", given)

    assert sum(float(size) for size in parts.values() if isinstance(size, int | float)) == ledger.total
    assert ("forge", "weights", "KModel") in parts
    assert samples("forge_memory_ledger_bytes", with_target(given, ledger=None)) == {}


def test_a_step_is_that_of_the_last_job(samples: Samples) -> None:
    assert samples("forge_job_step_seconds", report()) == {("forge",): 0.25}
    assert samples("forge_job_step_seconds", with_target(report(), jobs=())) == {}
