"""The card's memory shared out."""

from __future__ import annotations

from dataclasses import replace

from forgediag.forge.log import Loaded, Moved, Started, Unloaded
from forgediag.model import MB, CudaMemory, GpuMemory, Ledger
from forgediag.profile.ledger import Context, Holdings, Weights, ledger

CARD = GpuMemory(12_000 * MB, 7_000 * MB, 4_600 * MB, 400 * MB)
TORCH = CudaMemory(12_000 * MB, 4_000 * MB, 5_300 * MB, 0, 5_600 * MB, 0, 5_300 * MB, 0, 0, 0, 0, 0)
HELD = Holdings(0.0, CARD, 6_400 * MB, TORCH, 800 * MB, {"KModel": 4_900 * MB})


def sizes(made: Ledger) -> dict[str, float]:
    return {part.component or part.name: part.size / MB for part in made.parts}


def test_every_part_has_its_share_and_they_add_up() -> None:
    made = ledger(HELD)

    assert sizes(made) == {
        "free": 4600, "driver": 400, "others": 600, "context": 800, "KModel": 4900, "activations": 400, "cache": 300,
    }  # fmt: skip
    assert sum(part.size for part in made.parts) == made.total


def test_each_part_says_how_it_is_known() -> None:
    basis = {part.name: part.basis for part in ledger(HELD).parts}

    assert basis == {
        "free": "read", "driver": "read", "others": "read", "context": "computed", "weights": "read",
        "activations": "computed", "cache": "computed",
    }  # fmt: skip


def test_without_torchs_answer_what_is_left_is_inferred_to_be_cache() -> None:
    made = ledger(replace(HELD, torch=None))

    assert sizes(made)["cache"] == 700
    assert next(part for part in made.parts if part.name == "cache").basis == "inferred"


def test_memory_still_in_torchs_cache_is_called_that() -> None:
    made = ledger(replace(HELD, weights={}, torch=replace(TORCH, allocated=30 * MB)))

    assert (sizes(made)["cache"], sizes(made)["activations"]) == (5570, 30)


def test_without_a_reading_of_the_context_it_is_what_torch_did_not_reserve() -> None:
    made = ledger(replace(HELD, base=None))

    assert sizes(made)["context"] == 800
    assert next(part for part in made.parts if part.name == "context").basis == "inferred"


def test_with_nothing_but_the_driver_all_that_is_used_is_one_part() -> None:
    made = ledger(Holdings(0.0, GpuMemory(8_000 * MB, 3_000 * MB, 5_000 * MB, None)))

    assert sizes(made) == {"free": 5000, "cache": 3000}


def test_weights_larger_than_what_is_held_are_not_believed() -> None:
    made = ledger(replace(HELD, weights={"KModel": 20_000 * MB, "JointTextEncoder": 5_000 * MB}))

    assert sizes(made)["KModel"] == 5600
    assert "JointTextEncoder" not in sizes(made)
    assert sum(part.size for part in made.parts) == made.total


def test_what_no_source_explains_is_named() -> None:
    made = ledger(Holdings(0.0, GpuMemory(8_000 * MB, 3_000 * MB, 4_900 * MB, 50 * MB)))

    assert sizes(made)["unexplained"] == 50


def test_weights_follow_the_console() -> None:
    weights = Weights()
    for event in (
        Loaded("JointTextEncoder", gpu=1559.0), Loaded(None), Moved(0.1), Loaded("KModel", gpu=4897.0),
        Unloaded(1024.0, "cuda:0", 1, (), ("JointTextEncoder", "ControlNet")),
    ):  # fmt: skip
        weights.feed(event)

    assert weights.placed == {"KModel": 4897 * MB}


def test_a_log_that_names_ever_more_components_is_not_followed_for_ever() -> None:
    weights = Weights()
    for number in range(100):
        weights.feed(Loaded(f"Model{number}", gpu=1.0))

    assert len(weights.placed) == 16


def test_a_start_empties_the_card() -> None:
    weights = Weights()
    weights.feed(Loaded("KModel", gpu=4897.0))
    weights.feed(Started(12282, 32000))

    assert weights.placed == {}


def test_the_context_is_the_median_of_its_readings() -> None:
    context = Context()
    assert context.size is None

    for process, reserved in ((6400, 5600), (6410, 5600), (9000, 5600), (10, 5600), (700, 0)):
        context.feed(process * MB, reserved * MB)

    assert context.size == 810 * MB
