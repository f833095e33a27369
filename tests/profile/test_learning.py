"""What finished generations teach."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from forgediag.model import MB, Gap, Header, Job
from forgediag.plan.recommend import recommend
from forgediag.plan.request import Card, Request
from forgediag.profile.evidence import evidence
from forgediag.profile.learning import learned_speed
from forgediag.profile.trends import Growth, Slowdown, growing, slower
from forgediag.testing.headers import header
from forgediag.testing.jobs import job

MODEL = "sd_xl_base_1.0.safetensors [31e35c80fc]"
REQUEST = Request(header("sdxl"), (), Card(24_000, name="NVIDIA GeForce RTX 4090"))


def timed(step: float, start: float = 0.0, *, decode: float = 0.4, **changes: object) -> Job:
    """A job whose console was followed: every step took as long, nothing was moved while it decoded."""
    made = job(start)
    phases = tuple(
        replace(
            phase,
            end=phase.start + (decode if phase.name == "vae_decode" else phase.seconds),
            moved=4897 * MB if phase.name == "unet_load" else 0,
            freed=0,
        )
        for phase in made.phases
    )
    return replace(made, phases=phases, step_seconds=(3 * step, *[step] * 19), **changes)  # type: ignore[arg-type]


def noisy(steps: Sequence[float]) -> list[Job]:
    return [timed(step, float(start)) for start, step in enumerate(steps)]


def seconds(jobs: Sequence[Job]) -> float:
    advice = recommend(REQUEST, speed=learned_speed(REQUEST, MODEL, jobs))
    assert not isinstance(advice, Gap)
    assert advice.expected.per_image_seconds is not None
    return advice.expected.per_image_seconds


def test_five_jobs_make_it_measured_and_the_next_is_foreseen_within_5_percent() -> None:
    chance = random.Random(3)
    jobs = noisy([0.25 * chance.uniform(0.97, 1.03) for _ in range(5)])
    advice = recommend(REQUEST, speed=learned_speed(REQUEST, MODEL, jobs))

    assert not isinstance(advice, Gap)
    assert advice.confidence == "measured"
    assert seconds(jobs) == pytest.approx(20 * 0.25 + 0.4, rel=0.05)


def test_without_jobs_it_is_estimated() -> None:
    assert learned_speed(REQUEST, MODEL, ()) is None
    advice = recommend(REQUEST)
    assert not isinstance(advice, Gap)
    assert advice.confidence == "estimated"


def test_two_jobs_calibrate() -> None:
    speed = learned_speed(REQUEST, MODEL, noisy([0.25, 0.25]))

    assert speed is not None
    assert (speed.confidence, speed.jobs) == ("calibrated", 2)


def test_one_wild_outlier_moves_nothing_by_more_than_2_percent() -> None:
    chance = random.Random(4)
    jobs = noisy([0.25 * chance.uniform(0.98, 1.02) for _ in range(7)])

    for wild in (0.01, 25.0):
        assert seconds([*jobs, timed(wild, 99.0)]) == pytest.approx(seconds(jobs), rel=0.02)


def test_jobs_of_another_model_or_outcome_or_without_steps_teach_nothing() -> None:
    others = [
        timed(9.0, model="other.safetensors"),
        timed(9.0, model=None),
        timed(9.0, outcome="oom"),
        replace(timed(9.0), step_seconds=(9.0,)),
    ]

    assert learned_speed(REQUEST, MODEL, others) is None


def test_a_model_is_known_by_its_path_title_or_bare_name() -> None:
    for name in (
        "/m/SD_XL_base_1.0.safetensors",
        "C:\\m\\sd_xl_base_1.0.safetensors",
        "sd_xl_base_1.0.safetensors [abc]",
    ):
        assert learned_speed(REQUEST, name, noisy([0.25])) is not None


def test_another_size_teaches_the_speed_but_does_not_count_as_measured() -> None:
    jobs = [timed(0.07, float(start), pixels=512 * 512) for start in range(5)]

    speed = learned_speed(REQUEST, MODEL, jobs)

    assert speed is not None
    assert speed.confidence == "calibrated"


def test_a_size_that_is_not_known_is_taken_for_the_one_asked() -> None:
    speed = learned_speed(REQUEST, MODEL, [timed(0.25, float(start), pixels=None) for start in range(3)])

    assert speed is not None
    assert speed.confidence == "measured"


def test_swapped_weights_teach_the_bandwidth_of_their_location() -> None:
    plain = noisy([0.25] * 3)
    settings = (("forge_async_loading", "Queue"), ("forge_pin_shared_memory", "Shared"))
    swapped = [
        replace(
            timed(0.35, 10.0 + start),
            settings=settings,
            phases=tuple(replace(phase, swapped=1000 * MB) for phase in timed(0.35).phases),
        )
        for start in range(3)
    ]

    speed = learned_speed(REQUEST, MODEL, [*plain, *swapped])

    assert speed is not None
    assert speed.pinned == pytest.approx(1000 * MB / 0.1, rel=0.05)


def test_a_unet_that_is_put_away_for_the_decode_teaches_how_long_that_takes() -> None:
    jobs = [
        replace(
            made,
            phases=tuple(
                replace(phase, freed=4897 * MB, end=phase.start + 2.0) if phase.name == "vae_decode" else phase
                for phase in made.phases
            ),
        )
        for made in noisy([0.25] * 3)
    ]

    speed = learned_speed(REQUEST, MODEL, jobs)

    assert speed is not None
    assert speed.unload == pytest.approx(4897 * MB / 2.0, rel=0.01)


def test_phases_that_only_progress_told_teach_no_loads() -> None:
    made = timed(0.25)
    jobs = [replace(made, phases=tuple(replace(phase, seen_in="progress") for phase in made.phases))]

    assert learned_speed(REQUEST, MODEL, jobs) is not None


def test_a_file_that_is_no_model_learns_nothing() -> None:
    assert learned_speed(Request(Header("safetensors", {}), (), Card(8192)), MODEL, noisy([0.25])) is None


def ended(device: float, resident: float = 7000.0, **changes: object) -> Job:
    made = replace(job(0.0), device_end=int(device * MB), resident_end=int(resident * MB))
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_leak_of_50_mb_a_job_is_found_within_12() -> None:
    chance = random.Random(5)
    jobs = [ended(8000 + 50 * number + chance.gauss(0, 15)) for number in range(12)]

    (found,) = growing(jobs)

    assert (found.memory, found.jobs) == ("gpu", 12)
    assert found.each == pytest.approx(50 * MB, rel=0.2)
    assert growing(jobs[:11]) == ()


def test_a_leak_of_system_memory_is_told_as_that() -> None:
    jobs = [ended(8000, 7000 + 60 * number) for number in range(12)]

    assert growing(jobs) == (Growth("ram", 60 * MB, 12),)


@pytest.mark.parametrize("seed", range(4))
def test_there_is_no_alarm_in_500_clean_jobs(seed: int) -> None:
    """Sizes and caches come and go by up to 600 MB, readings scatter by 40 MB."""
    chance = random.Random(seed)
    jobs = [
        ended(
            8000 + chance.choice((0, 0, 250, 600)) + chance.gauss(0, 40),
            7000 + 300 * (1 - 0.7**number) + chance.gauss(0, 40),
        )
        for number in range(500)
    ]

    assert [number for number in range(1, 501) if growing(jobs[:number])] == []


def test_a_cache_that_fills_up_is_no_leak() -> None:
    assert growing([ended(8000 + 1500 * (1 - 0.6**number)) for number in range(12)]) == ()


def test_another_model_or_setting_begins_anew() -> None:
    jobs = [ended(8000 + 50 * number) for number in range(12)]

    assert growing([*jobs[:6], ended(8300, model="other"), *jobs[6:]]) == ()
    assert growing([replace(made, settings=()) if n < 3 else made for n, made in enumerate(jobs)]) == ()


def test_memory_that_was_not_read_grows_nowhere() -> None:
    assert growing([replace(ended(1), device_end=None, resident_end=None)] * 12) == ()
    assert growing(()) == ()


def test_steps_that_got_slower_are_told_with_how_long_they_took() -> None:
    assert slower(noisy([0.25] * 6 + [0.5] * 3)) == Slowdown(0.5, 0.25, full=False)


def test_two_slow_jobs_are_chance() -> None:
    assert slower(noisy([0.25] * 7 + [0.5] * 2)) is None


def test_too_few_jobs_tell_nothing() -> None:
    assert slower(noisy([0.25] * 3 + [0.5] * 3)) is None
    assert slower(()) is None


def test_another_size_is_not_compared() -> None:
    assert slower([*noisy([0.25] * 6), *(timed(1.0, 50.0, pixels=2048 * 2048) for _ in range(3))]) is None


def test_a_card_that_is_full_while_it_samples_is_told() -> None:
    found = slower(noisy([0.25] * 6 + [0.5] * 3), total=9_500 * MB)

    assert found is not None
    assert found.full


def test_a_job_like_the_ones_before_is_no_new_evidence() -> None:
    jobs = noisy([0.25, 0.251, 0.249])

    assert evidence(MODEL, [*jobs, timed(0.25, 3.0)]) == evidence(MODEL, jobs)
    assert evidence(MODEL, [*jobs, timed(99.0, 3.0, outcome="failed")]) == evidence(MODEL, jobs)
    assert evidence(MODEL, [*jobs, replace(timed(0.25, 3.0), model="another")]) == evidence(MODEL, jobs)


def test_first_jobs_a_new_size_and_another_pace_are_new_evidence() -> None:
    jobs = noisy([0.25, 0.251, 0.249])

    assert evidence(MODEL, jobs[:2]) != evidence(MODEL, jobs)
    assert evidence(MODEL, [*jobs, timed(0.07, 3.0, pixels=512 * 512)]) != evidence(MODEL, jobs)
    assert evidence(MODEL, [*jobs, *(timed(0.5, 3.0 + start) for start in range(4))]) != evidence(MODEL, jobs)
    assert evidence(MODEL, [replace(jobs[0], step_seconds=())]) == evidence(MODEL, ())
