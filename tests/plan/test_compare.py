"""The same model in other storage types."""

from __future__ import annotations

from forgediag.model import Header
from forgediag.plan.compare import compare
from forgediag.plan.request import Card, Request
from forgediag.testing.headers import header

MODULES = tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8")))


def test_flux_is_compared_over_every_type_it_is_published_in() -> None:
    rows = compare(Request(header("flux"), MODULES, Card(11_264, name="RTX 4070"), ram_mb=65_536))
    names = [row.storage for row in rows]
    assert names[:3] == ["bfloat16", "float8_e4m3fn", "nf4"]
    assert {"gguf:Q8_0", "gguf:Q4_K", "gguf:Q2_K"} <= set(names)
    assert [row.same for row in rows] == [True] + [False] * (len(rows) - 1)
    assert all(row.advice is not None for row in rows)
    assert rows[0].require_mb > rows[1].require_mb > rows[2].require_mb


def test_sdxl_is_compared_with_fp8() -> None:
    rows = compare(Request(header("sdxl"), (), Card(5120)))
    assert [(row.storage, row.require_mb) for row in rows] == [("float16", 4897.05), ("float8_e4m3fn", 2448.52)]


def test_the_type_a_file_has_is_told_once() -> None:
    rows = compare(Request(header("flux:fp8"), MODULES, Card(11_264)))
    assert [row.storage for row in rows].count("float8_e4m3fn") == 1
    assert rows[0].same


def test_a_model_inside_a_whole_checkpoint_is_requantised_alone() -> None:
    rows = compare(Request(header("flux-aio:fp8"), (), Card(11_264)))
    q8 = next(row for row in rows if row.storage == "gguf:Q8_0")
    assert q8.advice is not None
    assert q8.require_mb < rows[0].require_mb * 1.1


def test_a_file_forge_refuses_says_why_in_each_row() -> None:
    rows = compare(Request(header("flux"), (), Card(11_264)))
    assert all(row.advice is None and "CLIP" in row.reason for row in rows)


def test_a_missing_unet_has_no_size() -> None:
    tensors = header("flux").tensors
    few = {name: tensors[name] for name in list(tensors)[:8]}
    few["double_blocks.0.img_attn.norm.key_norm.scale"] = tensors["double_blocks.0.img_attn.norm.key_norm.scale"]
    rows = compare(Request(Header("safetensors", few), MODULES, Card(11_264)))
    assert rows[0].require_mb == 0
    assert "model state dict" in rows[0].reason


def test_a_lora_has_nothing_to_compare() -> None:
    lora = Header("safetensors", {"a.lora_up.weight": header("sd15").tensors["model.diffusion_model.out.0.weight"]})
    assert compare(Request(lora, (), Card(8000))) == ()


def test_a_quantised_file_is_compared_with_other_files_only() -> None:
    rows = compare(Request(header("flux:gguf-Q8_0"), MODULES, Card(11_264)))
    assert all(row.storage.startswith("gguf:") for row in rows)
    assert len(compare(Request(header("flux:nf4"), MODULES, Card(11_264)))) == 1
