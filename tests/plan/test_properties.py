"""What must hold for every plan, whatever the numbers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from forgediag.forge.families import UNET
from forgediag.forge.memory.manager import Body, Entry, Manager
from forgediag.forge.memory.rules import Rules
from forgediag.forge.memory.swap import swap_limit
from forgediag.forge.parts import Layer, Stages, exact, segmented
from forgediag.model import MB, Advice
from forgediag.plan.predict import plan, prepare
from forgediag.plan.recommend import recommend
from forgediag.plan.request import Card, Picture, Request, Settings
from forgediag.testing.headers import header

SDXL = Request(header("sdxl"), (), Card(8000))
FLUX = Request(header("flux:fp8"), tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8"))), Card(8000))
NAMES = ("ae:bf16", "clip_l", "t5:fp8")

layers = st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 400), st.booleans()), min_size=1, max_size=40)


def stages_of(rows: list[tuple[int, int, bool]]) -> Stages:
    made = [
        Layer(str(i), weight, extra, (weight, extra) if weight else (extra,), legacy)
        for i, (weight, extra, legacy) in enumerate(rows)
    ]
    return Stages.of([(item, item, item) for item in made])


@given(layers, st.integers(0, 2_000_000))
def test_the_split_is_forges_loop_written_out(rows: list[tuple[int, int, bool]], limit: int) -> None:
    counter, swap, gpu = 0, 0, 0
    counter = gpu = sum(weight + extra for weight, extra, legacy in rows if legacy)
    kept: list[tuple[int, int]] = []
    for weight, extra, legacy in sorted(rows, key=lambda row: row[1]):
        if legacy:
            continue
        if counter + extra < limit:
            counter += extra
            gpu += extra
            kept.append((weight, extra))
        else:
            swap += weight + extra
    for weight, _ in sorted(kept, key=lambda row: row[0]):
        if counter + weight < limit:
            counter += weight
            gpu += weight
        else:
            swap += weight
    split = stages_of(rows).fresh.split(limit)
    assert (split.gpu, split.swap) == (gpu, swap)


@given(layers, st.integers(0, 3_000_000), st.integers(0, 3_000_000))
def test_a_higher_limit_never_swaps_more(rows: list[tuple[int, int, bool]], one: int, other: int) -> None:
    profile = stages_of(rows).fresh
    low, high = sorted((one, other))
    assert profile.split(high).swap <= profile.split(low).swap


@given(st.integers(300, 24_000), st.integers(0, 6000), st.integers(0, 6000))
@settings(max_examples=60, deadline=None)
def test_more_free_memory_never_means_more_swapping(free: int, more: int, inference: int) -> None:
    made = prepare(FLUX)
    swaps: list[float] = []
    for amount in (free, free + more):
        body = Body(UNET, made.components.parts[UNET].stages)
        manager = Manager(Rules("NORMAL_VRAM"), amount * MB, inference * MB, bodies=[body])
        manager.load([Entry(body)])
        swaps.append(manager.loads[0].swap)
    assert swaps[1] <= swaps[0]


@given(st.permutations(NAMES))
@settings(max_examples=6, deadline=None)
def test_the_order_of_module_files_changes_nothing_when_they_hold_different_parts(names: list[str]) -> None:
    request = Request(FLUX.checkpoint, tuple(map(header, names)), FLUX.card)
    assert [step.log for step in plan(request).steps] == [step.log for step in plan(FLUX).steps]


def test_the_last_of_two_modules_with_the_same_part_counts() -> None:
    small, large = header("t5:fp8"), header("t5")
    require = [
        plan(Request(FLUX.checkpoint, (header("ae:bf16"), header("clip_l"), *order), FLUX.card))
        .steps[0]
        .loads[0]
        .require
        for order in ((small, large), (large, small))
    ]
    assert require[0] > require[1]


@given(st.sampled_from([4096, 81_920]), st.integers(-500, 100_000), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_a_plan_for_a_small_and_a_large_card_ends(total: int, inference: int, batch: int) -> None:
    made = plan(Request(SDXL.checkpoint, (), Card(total), Settings(inference), Picture(batch=batch, images=2)))
    assert len(made.seconds) == 2
    assert all(second > 0 for second in made.seconds)


@given(st.integers(1500, 30_000))
@settings(max_examples=12, deadline=None)
def test_a_recommendation_that_fits_fits_in_its_own_plan(free: int) -> None:
    request = Request(SDXL.checkpoint, (), Card(free))
    advice = recommend(request)
    assert isinstance(advice, Advice)
    chosen = next(p for p in advice.curve if p.forge_inference_memory == advice.recommended.forge_inference_memory)
    mine = Settings(
        advice.recommended.forge_inference_memory,
        "Async" if advice.recommended.forge_async_loading == "Async" else "Queue",
        "Shared" if advice.recommended.forge_pin_shared_memory == "Shared" else "CPU",
    )
    if chosen.fits:
        assert plan(request.setting(mine)).fits


@given(st.lists(st.integers(1, 60 * MB), max_size=30))
def test_the_allocator_takes_at_least_what_is_asked_and_wastes_at_most_a_megabyte_a_tensor(sizes: list[int]) -> None:
    assert sum(sizes) <= exact(sizes) <= segmented(sizes) <= exact(sizes) + MB * len(sizes)


@given(st.integers(0, 100_000), st.integers(0, 50_000))
def test_what_stays_free_grows_with_the_reserve(free: int, inference: int) -> None:
    limit = swap_limit(free * MB, inference * MB)
    assert limit >= 0
    assert limit <= max(0, (free - inference) * MB)
