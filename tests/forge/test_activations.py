"""Activations: the measured points, and what lies between and beyond them."""

from __future__ import annotations

import pytest

from forgediag.forge import activations
from forgediag.forge.cards import bus_speed, tensor_speed
from forgediag.forge.families import Base
from forgediag.model import MB


@pytest.mark.parametrize(
    ("base", "size", "images", "mb"),
    [
        ("sdxl", (1024, 1024), 2, 310.3),
        ("sdxl", (2048, 2048), 2, 1234.5),
        ("sd15", (512, 512), 2, 126.5),
        ("flux-dev", (1024, 1024), 1, 588.0),
        ("chroma", (1024, 1024), 2, 1167.5),
        ("sd3", (1024, 1024), 1, 375.0),
    ],
)
def test_observed_points_are_met(base: Base, size: tuple[int, int], images: int, mb: float) -> None:
    assert activations.sampling(base, size, images, 2) / MB == pytest.approx(mb, rel=0.01)


def test_beyond_the_last_point_the_curve_goes_on_and_before_the_first_it_does_not_vanish() -> None:
    assert activations.sampling("sdxl", (4096, 4096), 2, 2) / MB == pytest.approx(4948, rel=0.02)
    assert activations.sampling("sdxl", (64, 64), 2, 2) / MB == pytest.approx(92.1 * 0.6)


def test_fp32_takes_twice_as_much() -> None:
    half, full = (activations.sampling("sd15", (512, 512), 2, size) for size in (2, 4))
    assert full == 2 * half


def test_a_swapped_layer_shows_at_small_sizes_only() -> None:
    layer = 56 * MB
    assert activations.sampling("sd15", (512, 512), 2, 2, layer) > activations.sampling("sd15", (512, 512), 2, 2)
    assert activations.sampling("sd15", (1024, 1024), 2, 2, layer) == activations.sampling("sd15", (1024, 1024), 2, 2)


def test_a_decode_gives_up_its_workspace_then_its_wholeness() -> None:
    size = (1024, 1024)
    assert activations.decoding(size, 1, 2, 4000 * MB) == (2178 * MB, False)
    assert activations.decoding(size, 1, 2, 2000 * MB) == (1280 * MB, False)
    assert activations.decoding(size, 1, 2, 1000 * MB) == (activations.TILED, True)


def test_decode_batches_grow_with_free_memory() -> None:
    estimate = 4356 * MB
    assert [activations.decode_images(4, free * MB, estimate) for free in (1000, 9000, 80_000)] == [1, 2, 4]


def test_encoders_that_are_not_t5_grow_with_the_batch() -> None:
    assert activations.text(("clip_l", "clip_g"), 4) > activations.text(("clip_l", "clip_g"), 1)
    assert activations.text(("clip_l", "t5xxl"), 1) == activations.text(("clip_l", "t5xxl"), 4) == 211 * MB
    assert activations.text(("t5xxl",), 1) == 211 * MB


def test_copies_in_flight_count_in_the_type_they_are_computed_in() -> None:
    assert activations.in_flight(1000, 1, 2) == 2000
    assert activations.in_flight(1000, 2, 2) == 1000
    assert activations.in_flight(1000, 4, 2) == 1000


def test_an_encode_takes_its_share() -> None:
    assert activations.encoding((1024, 1024), 1, 2) == 1310 * MB


def test_cards_are_known_by_their_longest_name_or_their_generation() -> None:
    assert tensor_speed("NVIDIA GeForce RTX 4070 Ti", (8, 9)) == 80e12
    assert tensor_speed("NVIDIA GeForce RTX 4070", (8, 9)) == 58e12
    assert tensor_speed("Something New", (12, 0)) == 60e12
    assert tensor_speed("", (99, 0)) == 40e12


def test_a_card_in_a_narrow_slot_copies_slowly() -> None:
    assert bus_speed(4, 16)[0] == pytest.approx(4 * bus_speed(4, 4)[0])
    assert bus_speed(None, None) == bus_speed(4, 16)
    assert bus_speed(5, 16)[0] == pytest.approx(55e9, rel=0.02)
    assert bus_speed(3, 4)[1] < bus_speed(3, 4)[0]
