"""Jobs put together from what was seen of them."""

from __future__ import annotations

from typing import Any

import pytest

from forgediag.forge.log import BarMoved, Event, LoadBegan, Loaded, OutOfMemory, Raised, Seen, Unloaded
from forgediag.model import MB, Gap, Job, Outcome, Progress
from forgediag.profile.curve import Curve
from forgediag.profile.job import Recording, finished
from forgediag.profile.progress import Ended
from forgediag.profile.recorder import Facts, Recorder


def answer(step: int, steps: int = 4, *, count: int = 1, job: str = "txt2img") -> Progress:
    return Progress(job, count, 0, "20261124", step, steps, 0.0, interrupted=False)


def curve(*points: tuple[float, int]) -> Curve:
    made = Curve()
    for at, value in points:
        made.add(at, value * MB)
    return made


def seen(*events: tuple[float, Event]) -> list[Seen]:
    return [Seen(event, at, at) for at, event in events]


def recorded(outcome: Outcome = "done", **values: Any) -> Job:
    return finished(Recording("forge", 10.0, 20.0, outcome, 1000.0, **values))


PROGRESS = ((10.5, answer(0, count=-1)), (12.0, answer(0)), (13.0, answer(1)), (15.0, answer(3)), (16.0, answer(4)))


def test_without_a_console_progress_tells_the_phases() -> None:
    job = recorded(progress=PROGRESS)

    assert [(phase.name, phase.start, phase.end, phase.seen_in) for phase in job.phases] == [
        ("load", 1010.0, 1012.0, "progress"),
        ("other", 1012.0, 1013.0, "progress"),
        ("sample", 1013.0, 1016.0, "progress"),
        ("vae_decode", 1016.0, 1020.0, "progress"),
    ]
    assert job.steps == 4
    assert job.step_seconds == (1.0, 1.0, 1.0)


def test_a_job_that_failed_while_it_loaded_has_no_phases_it_did_not_reach() -> None:
    assert recorded("failed", progress=((10.5, answer(0, count=-1)),)).phases == ()


def test_nothing_seen_is_nothing_told() -> None:
    job = recorded()

    assert (job.phases, job.steps, job.pixels, job.step_seconds, job.device_end) == ((), None, None, (), None)


def test_each_phase_has_its_peak_and_its_start() -> None:
    job = recorded(
        progress=PROGRESS,
        device=curve((9.0, 1000), (12.5, 6000), (14.0, 6300), (17.0, 8000), (18.0, 6100)),
        resident=curve((9.0, 500), (11.0, 900)),
    )

    assert [phase.device_peak for phase in job.phases] == [size * MB for size in (1000, 6000, 6300, 8000)]
    assert job.phases[2].above_weights == 300 * MB
    assert (job.device_start, job.device_end) == (1000 * MB, 6100 * MB)
    assert (job.resident_start, job.resident_end) == (500 * MB, 900 * MB)
    assert job.phases[0].resident_peak == 900 * MB


def test_weights_that_were_swapped_belong_to_loading_and_sampling_the_unet() -> None:
    job = recorded(
        events=seen(
            (11, LoadBegan("/m/flux.safetensors", ())),
            (12, Loaded("KModel", swapped=2394.0)),
            (13, BarMoved(0, 20, 0, None, total=False)),
        )
    )

    assert [(phase.name, phase.swapped) for phase in job.phases] == [
        ("load", None),
        ("unet_load", 2394 * MB),
        ("sample", 2394 * MB),
    ]
    assert (job.model, job.steps) == ("/m/flux.safetensors", 20)


def test_an_out_of_memory_that_progress_took_for_a_failure_is_told() -> None:
    assert recorded("failed", events=seen((11, OutOfMemory("CUDA out of memory")))).outcome == "oom"


def test_an_error_tells_how_a_job_ended_that_progress_lost() -> None:
    job = recorded("unknown", events=seen((11, Raised("AssertionError", "You do not have CLIP state dict!"))))

    assert (job.outcome, job.error) == ("failed", "AssertionError: You do not have CLIP state dict!")


def test_a_job_that_was_done_after_all_stays_done() -> None:
    assert recorded("done", events=seen((11, OutOfMemory("CUDA out of memory")))).outcome == "done"


@pytest.mark.parametrize(
    ("element", "needed", "pixels"), [(2, 4563.42, 1024 * 1024), (4, 8919.42, 1024 * 1024), (2, 1231.43, None)]
)
def test_the_size_follows_from_the_room_made_for_the_vae(element: int, needed: float, pixels: int | None) -> None:
    vae = Loaded("IntegratedAutoencoderKL", required=159.56, inference=1024.0)
    room = Unloaded(needed, "cuda:0", 0, (), ())

    job = recorded(events=seen((11, vae), (12, room), (13, vae)), vae_bytes=element)

    assert job.pixels == (None if pixels is None else pytest.approx(pixels, rel=0.001))


def test_a_recorder_gives_a_job_with_what_the_console_told_before_it_was_noticed() -> None:
    recorder = Recorder("forge", 1000.0)
    recorder.progress(Gap("down"), 4.0)
    recorder.progress(answer(0, job="", count=0), 4.5)
    assert recorder.console(seen((5.0, LoadBegan("/m/a.safetensors", ()))))
    recorder.progress(answer(0, count=-1), 6.0)
    recorder.resident.add(6.0, 5)
    assert recorder.console(seen((7.0, BarMoved(0, 2, 0, None, total=False))))

    job = recorder.end(Ended("done", 3.0), 9.0, Curve(), Facts("a", "sdxl", {"forge_inference_memory": 1024.0}))

    assert (job.started, job.ended, job.family, job.resident_start) == (1005.0, 1009.0, "sdxl", None)
    assert [phase.name for phase in job.phases] == ["load", "sample"]
    assert job.settings == (("forge_inference_memory", 1024.0),)


def test_a_second_job_has_nothing_of_the_first() -> None:
    recorder = Recorder("forge", 0.0)
    recorder.console(seen((1.0, LoadBegan("/m/a.safetensors", ()))))
    recorder.end(Ended("done", 1.0), 2.0, Curve(), Facts())

    job = recorder.end(Ended("done", None), 3.0, Curve(), Facts())

    assert (job.started, job.phases, job.model) == (3.0, (), None)


def test_an_idle_answer_forgets_what_was_printed_before_it() -> None:
    recorder = Recorder("forge", 0.0)
    recorder.console(seen((1.0, LoadBegan("/m/a.safetensors", ()))))
    recorder.progress(answer(0, job="", count=0), 50.0)
    recorder.console(seen((100.0, OutOfMemory("CUDA out of memory"))))

    job = recorder.end(Ended("failed", 1.0), 101.0, Curve(), Facts())

    assert (job.model, job.outcome) == (None, "oom")


def test_a_forge_that_does_not_answer_for_long_loses_nothing_it_printed() -> None:
    recorder = Recorder("forge", 0.0)
    recorder.console(seen((1.0, LoadBegan("/m/a.safetensors", ()))))
    recorder.progress(Gap("slow", "timeout"), 30.0)
    recorder.console(seen((60.0, BarMoved(0, 2, 0, None, total=False))))

    job = recorder.end(Ended("done", 2.0), 61.0, Curve(), Facts())

    assert (job.started, job.model) == (1.0, "/m/a.safetensors")


def test_an_error_of_somebody_elses_request_is_not_a_done_jobs() -> None:
    assert recorded("done", events=seen((11, Raised("ValueError", "x")))).error is None
