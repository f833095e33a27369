"""The memory manager beyond the recorded situations: flags, states, extra models, hires."""

from __future__ import annotations

import re

import pytest

from forgediag.forge.components import build
from forgediag.forge.dtypes import Device, Moment
from forgediag.forge.families import TEXT_ENCODER, UNET, VAE
from forgediag.forge.layers import layer, plain
from forgediag.forge.memory.estimates import unet_estimate
from forgediag.forge.memory.manager import Body
from forgediag.forge.memory.rules import rules
from forgediag.forge.memory.run import Workload, run
from forgediag.forge.memory.start import Room, start
from forgediag.forge.memory.swap import Swap
from forgediag.forge.parts import Stages
from forgediag.model import MB
from forgediag.plan.predict import plan
from forgediag.plan.request import Card, Picture, Request, Settings
from forgediag.testing.headers import header, tensor

SDXL = header("sdxl")


def lines(request: Request) -> list[str]:
    return [line for step in plan(request).steps for line in step.log]


def sdxl(free: float, picture: Picture = Picture(), **more: object) -> Request:  # noqa: B008 - frozen
    return Request(SDXL, (), Card(free), picture=picture, **more)  # type: ignore[arg-type] # tests name the fields


def test_high_vram_prints_no_target_and_loads_everything() -> None:
    printed = lines(sdxl(20_000, flags=frozenset({"always_high_vram"})))
    assert not any("Target" in line for line in printed)
    assert printed.count("All loaded to GPU.") == 3


def test_high_vram_runs_out_of_memory_where_the_card_is_too_small() -> None:
    made = plan(sdxl(4000, flags=frozenset({"always_high_vram"})))
    assert not made.fits
    assert made.tight is not None


def test_always_gpu_keeps_unloaded_parts_on_the_card() -> None:
    made = plan(sdxl(6000, flags=frozenset({"always_gpu"}), picture=Picture(images=2, new_prompt=True)))
    assert min(step.free for step in made.steps) < 0


def test_always_offload_unloads_whatever_is_free() -> None:
    printed = lines(sdxl(20_000, flags=frozenset({"always_offload_from_vram"})))
    assert any("Unload model JointTextEncoder" in line for line in printed)
    assert not any("Current free memory" in line for line in printed)


def test_a_vae_on_the_cpu_takes_no_gpu_memory() -> None:
    made = plan(sdxl(7000, flags=frozenset({"vae_in_cpu"})))
    assert next(peak for peak in made.peaks if peak.phase == "vae_decode").needed == 0


def test_a_unet_built_on_the_card_is_there_before_its_first_load() -> None:
    made = plan(sdxl(15_000, ram_mb=12_000))
    assert made.steps[0].loads[0].free / MB == pytest.approx(15_000 - 4897.1, abs=0.1)
    never = plan(sdxl(15_000, ram_mb=12_000, flags=frozenset({"always_offload_from_vram"})))
    assert never.steps[0].loads[0].free == 15_000 * MB


def test_a_quantised_unet_is_measured_in_its_computation_type_before_it_is_built_on_the_card() -> None:
    modules = tuple(map(header, ("ae:bf16", "clip_l", "t5:fp8")))
    for free, there in ((40_000, True), (20_000, False)):
        made = plan(Request(header("flux:gguf-Q8_0"), modules, Card(free), ram_mb=12_000))
        assert (made.steps[1].loads[0].previously > 0) is there


def test_pixel_hires_decodes_and_encodes_between_the_passes() -> None:
    made = plan(sdxl(9500, Picture(hires=1.5, pixel_hires=True)))
    phases = [step.phase for step in made.steps]
    assert phases == ["text_encode", "sample", "vae_decode", "vae_encode", "sample", "vae_decode"]
    assert made.steps[-1].size == (1536, 1536)


def test_a_cached_prompt_starts_at_the_unet() -> None:
    assert [step.phase for step in plan(sdxl(7000, Picture(cached_prompt=True))).steps] == ["sample", "vae_decode"]


def test_a_cloned_unet_that_stays_loaded_is_split_by_what_it_had() -> None:
    # With the decode small enough that nothing is unloaded, each clone keeps one layer less.
    picture = Picture(256, 256, images=4, cloned_unet=True)
    made = plan(sdxl(5200, picture))
    swaps = [load.swap for step in made.steps for load in step.loads if load.target == UNET]
    assert len(swaps) == 4
    assert swaps == sorted(swaps)
    assert swaps[-1] > swaps[0]


def test_an_abandoned_clone_is_dropped_without_being_moved() -> None:
    picture = Picture(256, 256, images=2, cloned_unet=True, new_prompt=True)
    made = plan(sdxl(9000, picture))
    unloads = [name for step in made.steps for name in step.unloads]
    assert UNET not in unloads[1:]


@pytest.mark.parametrize(
    ("method", "location", "words"),
    [
        ("Queue", "CPU", "CPU Swap Loaded (blocked method)"),
        ("Queue", "Shared", "Shared Swap Loaded (blocked method)"),
        ("Async", "CPU", "CPU Swap Loaded (asynchronous method)"),
        ("Async", "Shared", "Shared Swap Loaded (asynchronous method)"),
    ],
)
def test_method_and_location_change_the_words_only(method: str, location: str, words: str) -> None:
    plain_lines = lines(sdxl(5200))
    request = sdxl(5200).setting(Settings(1024, method, location))  # type: ignore[arg-type] # parametrised words
    printed = lines(request)
    assert any(words in line for line in printed)
    assert [re.sub(r"\w+ Swap Loaded \(\w+ method\)", "", line) for line in printed] == [
        re.sub(r"\w+ Swap Loaded \(\w+ method\)", "", line) for line in plain_lines
    ]


def test_a_controlnet_is_loaded_with_the_unet_and_takes_its_room() -> None:
    moment, device = Moment(9000 * MB, 1024 * MB), Device()
    made = build(SDXL, (), device=device, moment=moment)
    weights = {"weight": tensor("F16", (1280, 1280 * 400))}
    net = layer("input", weights, plain(2))
    control = Body("ControlNet", Stages.of([(net, net, net)]))
    manager = start(rules(device, moment), made.parts, Room(9000 * MB, 1e12, 1024 * MB), swap=Swap())
    manager.bodies.append(control)
    done = run(manager, made.parts, Workload(companions=(control,), cached_prompt=True))
    targets = [load.target for step in done.steps for load in step.loads]
    assert targets == [UNET, "ControlNet", VAE]
    # 1.3 x (4897.05 + 1250.00) + 1310.72
    assert "Trying to free 9301.88 MB" in done.lines[0]


def test_a_session_without_a_text_encoder_starts_at_the_unet() -> None:
    moment, device = Moment(9000 * MB, 1024 * MB), Device()
    made = build(SDXL, (), device=device, moment=moment)
    parts = {part: found for part, found in made.parts.items() if part == VAE}
    manager = start(rules(device, moment), parts, Room(9000 * MB, 1e12, 1024 * MB))
    assert [step.phase for step in run(manager, parts, Workload(cloned_unet=True)).steps] == ["vae_decode"]
    assert TEXT_ENCODER not in parts


def test_unloading_everything_says_so() -> None:
    moment, device = Moment(9000 * MB, 1024 * MB), Device()
    made = build(SDXL, (), device=device, moment=moment)
    manager = start(rules(device, moment), made.parts, Room(9000 * MB, 1e12, 1024 * MB))
    run(manager, made.parts, Workload(cached_prompt=True))
    manager.unload_all()
    assert manager.lines[0].startswith("[Unload] Trying to free all memory for cuda:0 with 0 models keep loaded ... ")
    assert manager.lines[0].endswith("Unload model IntegratedAutoencoderKL Done.")


def test_split_attention_asks_for_more() -> None:
    assert unet_estimate(1024, 1024, 1, 2) / MB == pytest.approx(1310.72)
    assert unet_estimate(1024, 1024, 1, 4, split_attention=True) / MB == pytest.approx(3379.2)
