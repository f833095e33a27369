"""Phases of a generation from Forge's console."""

from __future__ import annotations

from forgediag.forge.log import (
    BarMoved,
    Event,
    LoadBegan,
    Loaded,
    ModelLoaded,
    Moved,
    OutOfMemory,
    Raised,
    Seen,
    Tiled,
    Unloaded,
)
from forgediag.profile.phases import Timeline, timeline

ROOM = Unloaded(1024.0, "cuda:0", 0, (), ())
TEXT, UNET, VAE = Loaded("JointTextEncoder"), Loaded("KModel"), Loaded("IntegratedAutoencoderKL")
NAMELESS = Loaded(None)


def bar(step: int, steps: int = 2, *, total: bool = False) -> BarMoved:
    return BarMoved(step, steps, 0, None, total)


def told(*events: tuple[float, Event], end: float = 100.0) -> Timeline:
    return timeline([Seen(event, at, at) for at, event in events], 0.0, end)


def names(made: Timeline) -> list[tuple[str, float, float]]:
    return [(span.name, span.start, span.end) for span in made.spans]


def test_a_first_image_has_every_phase() -> None:
    made = told(
        (1, LoadBegan("/m/a.safetensors", ())), (2, ROOM), (9, ModelLoaded(8.0, {})),
        (10, ROOM), (10.5, TEXT), (11, Moved(0.5)), (12, ROOM), (12.5, UNET), (14, Moved(1.5)),
        (14.1, bar(0)), (15, bar(1)), (16, bar(2)), (16.5, ROOM), (16.6, VAE), (17, Moved(0.1)), end=18.0,
    )  # fmt: skip

    assert names(made) == [
        ("load", 1, 9),
        ("other", 9, 10),
        ("text_encode", 10, 12),
        ("unet_load", 12, 14),
        ("sample", 14, 16.5),
        ("vae_decode", 16.5, 18),
    ]
    assert made.checkpoint == "/m/a.safetensors"
    assert made.loads == (TEXT, UNET, VAE)


def test_models_in_their_place_still_have_phases() -> None:
    made = told((1, ROOM), (1.1, bar(0)), (2, bar(1)), (3, bar(2)), (3.5, ROOM), end=4.0)

    assert names(made) == [("sample", 1, 3.5), ("vae_decode", 3.5, 4)]


def test_room_made_in_the_middle_of_encoding_begins_nothing() -> None:
    made = told((1, ROOM), (1.1, TEXT), (1.2, ROOM), (2, ROOM), (2.1, UNET), (3, Moved(1)), end=4.0)

    assert names(made) == [("text_encode", 1, 2), ("unet_load", 2, 3), ("sample", 3, 4)]


def test_a_second_image_of_a_request_begins_with_its_own_sampling() -> None:
    made = told(
        (1, bar(0)), (2, bar(2)), (2.5, ROOM), (2.6, VAE), (3, ROOM), (3.1, bar(0)), (4, bar(2)), (5, ROOM), end=6.0
    )  # fmt: skip

    assert names(made) == [("sample", 1, 2.5), ("vae_decode", 2.5, 3), ("sample", 3, 5), ("vae_decode", 5, 6)]


def test_a_picture_is_encoded_before_anything_is_sampled() -> None:
    made = told((1, ROOM), (1.1, VAE), (2, ROOM), (2.1, UNET), (3, bar(0)), end=4.0)

    assert names(made)[0] == ("vae_encode", 1, 2)


def test_a_vae_that_is_loaded_twice_is_one_phase() -> None:
    made = told((1, bar(0)), (2, bar(2)), (3, VAE), (4, VAE), end=5.0)

    assert names(made)[-1] == ("vae_decode", 3, 5)


def test_a_controlnet_placed_while_sampling_is_part_of_it() -> None:
    made = told((1, bar(0)), (2, bar(1)), (2.5, Loaded("ControlNet")), (3, bar(2)), end=3.0)

    assert names(made) == [("sample", 1, 3)]


def test_on_a_cpu_the_order_tells_the_models_apart() -> None:
    made = told(
        (1, NAMELESS), (2, Moved(0)), (3, NAMELESS), (4, bar(0)), (5, bar(2)), (6, NAMELESS), end=7.0
    )  # fmt: skip

    assert names(made) == [("text_encode", 1, 3), ("unet_load", 3, 4), ("sample", 4, 6), ("vae_decode", 6, 7)]


def test_without_a_word_from_the_console_there_are_no_phases() -> None:
    assert told() == Timeline(())


def test_phases_begin_no_earlier_than_the_job() -> None:
    seen = [Seen(ROOM, -5.0, -4.0), Seen(TEXT, -4.0, -3.0)]

    assert timeline(seen, 0.0, 2.0).spans[0].start == 0.0


def test_a_bar_over_the_whole_request_that_ends_last_begins_nothing() -> None:
    made = told((1, bar(0)), (2, bar(2)), (3, ROOM), (4, VAE), (5, bar(2, total=True)), end=6.0)

    assert names(made) == [("sample", 1, 3), ("vae_decode", 3, 6)]


def test_sampling_that_begins_again_at_once_is_one_phase() -> None:
    made = told((1, UNET), (2, Moved(1)), (2, ROOM), (2.1, bar(0)), (3, bar(1)), end=4.0)

    assert names(made) == [("unet_load", 1, 2), ("sample", 2, 4)]


def test_what_comes_after_the_last_step_is_the_vaes_work() -> None:
    made = told((1, bar(0)), (2, bar(2)), end=3.0)

    assert names(made) == [("sample", 1, 2), ("vae_decode", 2, 3)]


def test_an_error_that_polling_provokes_is_no_jobs() -> None:
    assert told((1, Raised("fastapi.exceptions.ResponseValidationError", "1 validation errors:"))).error is None


def test_steps_are_the_times_between_a_bars_prints() -> None:
    made = told((1, bar(0, 4)), (2, bar(1, 4)), (4, bar(3, 4)), (4.5, bar(4, 4)))

    assert made.steps == (1.0, 1.0, 1.0, 0.5)


def test_the_bar_that_was_printed_more_often_tells_the_steps() -> None:
    made = told((1, bar(0, 3, total=True)), (2, bar(1, 3, total=True)), (4, bar(3, 3, total=True)), (5, bar(3, 3)))

    assert made.steps == (1.0, 1.0, 1.0)


def test_a_new_bar_does_not_go_on_where_another_ended() -> None:
    made = told((1, bar(0)), (2, bar(2)), (9, bar(0, 8)), (10, bar(8, 8)))

    assert made.steps == (0.5, 0.5, *[0.125] * 8)


def test_the_first_error_is_the_jobs_own() -> None:
    made = told((1, Raised("ValueError", "first")), (2, Raised("TypeError", "second")))

    assert made.error == "ValueError: first"


def test_an_error_without_a_message_is_its_type() -> None:
    assert told((1, Raised("KeyboardInterrupt", ""))).error == "KeyboardInterrupt"


def test_running_out_of_memory_and_tiling_are_told() -> None:
    made = told((1, OutOfMemory("CUDA out of memory")), (2, Tiled("decoding")))

    assert (made.out_of_memory, made.tiled) == (True, True)
