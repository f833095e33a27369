"""ControlNets and LoRAs beside a model: what is loaded, and what is only kept free."""

from __future__ import annotations

import pytest

from forgediag.forge.dtypes import Device, Moment
from forgediag.forge.extras import companions, preserved
from forgediag.model import MB, Header
from forgediag.testing.adapters import control_lora, controlnet, lora
from forgediag.testing.headers import tensor

MOMENT = Moment(8000 * MB, 1024 * MB)
CONTROL_LORA = control_lora("sd15")
ADAPTER = Header("safetensors", {"body.0.block1.weight": tensor("F16", (320, 320, 3, 3))})


def test_a_controlnet_is_cast_to_the_cards_type_whatever_its_file_has() -> None:
    nets = [controlnet("sd15", kind, prefix) for kind, prefix in (("F16", ""), ("F32", "control_model."))]
    sizes = [body.profile.size / MB for body in companions(nets, Device(), MOMENT)]
    assert sizes == [pytest.approx(689.09, abs=0.005)] * 2


def test_adapters_and_control_loras_are_not_loaded_with_the_unet() -> None:
    assert companions([ADAPTER, CONTROL_LORA], Device(), MOMENT) == ()


def test_a_control_lora_keeps_four_bytes_an_element_free() -> None:
    elements = sum(t.nbytes for t in CONTROL_LORA.tensors.values()) / 2
    assert preserved([CONTROL_LORA, ADAPTER], [], "float16", "float16") == 4 * elements


@pytest.mark.parametrize(("storage", "kept"), [("float16", 0), ("float8_e4m3fn", 81.17), ("nf4", 81.17)])
def test_a_lora_keeps_room_only_where_it_is_not_merged(storage: str, kept: float) -> None:
    assert preserved([], [lora("sdxl")], storage, "float16") / MB == pytest.approx(kept, abs=0.005)
