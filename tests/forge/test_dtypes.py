"""Forge's choice of types, card by card."""

from __future__ import annotations

import pytest

from forgediag.forge import dtypes
from forgediag.forge.dtypes import BF16, E4M3, FP16, FP32, Device, Moment, computation_type, storage_type, vae_type
from forgediag.forge.families import Base
from forgediag.model import MB
from forgediag.testing.headers import header

ROOMY, TIGHT = Moment(80_000 * MB, 1024 * MB), Moment(6000 * MB, 1024 * MB)
FLUX = 11_901_408_320


@pytest.mark.parametrize(
    ("device", "base", "moment", "computation", "storage"),
    [
        (Device((8, 9)), "sdxl", ROOMY, FP16, FP16),
        (Device((8, 9)), "flux-dev", ROOMY, BF16, BF16),
        (Device((7, 5), "NVIDIA GeForce RTX 2060"), "flux-dev", TIGHT, FP16, BF16),
        (Device((7, 5), "NVIDIA GeForce RTX 2060"), "flux-dev", ROOMY, FP16, FP16),
        (Device((7, 5), "NVIDIA GeForce GTX 1660"), "sdxl", ROOMY, FP32, FP32),
        (Device((6, 1), "NVIDIA GeForce GTX 1070"), "sdxl", TIGHT, FP32, FP16),
        (Device((6, 1), "NVIDIA GeForce GTX 1070"), "sdxl", ROOMY, FP32, FP32),
        (Device((6, 1), "NVIDIA Unknown"), "sdxl", ROOMY, FP32, FP32),
        (Device((5, 2), "NVIDIA GeForce GTX 980"), "sdxl", ROOMY, FP32, FP32),
        (Device((8, 9)), "sdxl", Moment(1, 1, frozenset({"all_in_fp32"})), FP32, FP32),
        (Device((5, 2)), "sdxl", Moment(1, 1, frozenset({"all_in_fp16"})), FP16, FP16),
        (Device((8, 9)), "sdxl", Moment(1, 1, frozenset({"unet_in_fp8_e4m3fn"})), FP16, E4M3),
    ],
)
def test_types_by_card(device: Device, base: Base, moment: Moment, computation: str, storage: str) -> None:
    params = FLUX if base == "flux-dev" else 2_567_463_684
    assert computation_type(base, device, moment, params) == computation
    assert storage_type(base, device, moment, params, FP16) == storage


def test_a_quantised_file_keeps_its_type_unless_the_option_says_otherwise() -> None:
    for stored in (E4M3, "float8_e5m2", "nf4", "gguf"):
        assert storage_type("flux-dev", Device(), ROOMY, FLUX, stored) == stored
        assert storage_type("flux-dev", Device(), ROOMY, FLUX, stored, E4M3) == E4M3


@pytest.mark.parametrize(
    ("flag", "cast"),
    [("vae_in_fp16", FP16), ("vae_in_fp32", FP32), ("vae_in_bf16", BF16), ("vae_in_cpu", FP32), ("other", BF16)],
)
def test_the_vae_follows_its_flags(flag: str, cast: str) -> None:
    assert vae_type(Device((8, 9)), Moment(1, 1, frozenset({flag}))) == cast
    assert vae_type(Device((7, 5)), ROOMY) == FP32


def test_text_encoders_are_fp16_unless_a_flag_says_otherwise() -> None:
    assert dtypes.text_encoder_type(ROOMY) == FP16
    assert dtypes.text_encoder_type(Moment(1, 1, frozenset({"clip_in_fp8_e4m3fn"}))) == E4M3


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (None, None),
        ("Automatic", None),
        ("Automatic (fp16 LoRA)", None),
        ("float8-e4m3fn", E4M3),
        ("float8-e4m3fn (fp16 LoRA)", E4M3),
        ("bnb-nf4", "nf4"),
        ("fp8_e4m3fn", E4M3),
        ("float8_e5m2", "float8_e5m2"),
    ],
)
def test_every_spelling_of_the_option_is_understood(option: str | None, name: str | None) -> None:
    assert dtypes.storage_name(option) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [("flux:gguf-Q4_0", "gguf"), ("flux:nf4", "nf4"), ("flux:fp4", "fp4"), ("flux:fp8", E4M3), ("flux:bf16", BF16)],
)
def test_what_a_file_is_stored_in(name: str, stored: str) -> None:
    assert dtypes.stored_type(header(name).tensors) == stored


def test_nothing_is_stored_in_fp16() -> None:
    assert dtypes.stored_type({}) == FP16


def test_mb_is_forges() -> None:
    assert dtypes.mb(3 * MB) == 3
