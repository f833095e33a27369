"""The question the planner is asked, and when there is none."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from forgediag import advise
from forgediag.advise import Adviser, Question, answer, ask, free_before_loading, settings_of
from forgediag.model import (
    MB,
    Advice,
    CudaMemory,
    Fault,
    Files,
    Forge,
    Gap,
    GpuProcess,
    Host,
    Options,
    Target,
    TorchMemory,
)
from forgediag.plan.request import Picture, Settings
from forgediag.testing.facts import FILES, FORGE, GIB, GPU, HOST, OPTIONS, PROCESS, TARGET, model_file
from forgediag.testing.files import write_safetensors
from forgediag.testing.headers import header

GAP = Gap("not there", "missing")
CUDA = CudaMemory(24 * GIB, 10 * GIB, 1, 1, 6 * GIB, 1, 1, 1, 1, 1, 0, 0)


def question(target: Target = TARGET) -> Question | Gap:
    return ask(target, HOST, Picture())


def test_a_known_target_poses_a_question_with_all_that_matters() -> None:
    asked = question()
    assert isinstance(asked, Question)
    assert asked.name == "sd_xl_base_1.0.safetensors"
    assert asked.modules == ("/forge/models/VAE/sdxl_vae.safetensors",)
    assert asked.settings == Settings(1024, "Queue", "CPU")
    assert asked.card.total_mb == 24 * 1024
    assert asked.ram_mb == 32 * 1024
    assert asked.fork == "forge"


def changed(target: Target = TARGET, **parts: object) -> Target:
    assert isinstance(target.forge, Forge)
    return replace(target, forge=replace(target.forge, **parts))  # type: ignore[arg-type] # any part may be a gap


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (replace(TARGET, forge=GAP), "not there"),
        (changed(options=GAP), "no recommendation: not there"),
        (replace(TARGET, gpu=GAP), "no recommendation: not there"),
        (replace(TARGET, files=GAP), "no recommendation: not there"),
        (replace(TARGET, files=Files(())), "the selected checkpoint cannot be read here"),
        (replace(TARGET, files=Files((model_file(fault=Fault("x", "bad", ())),))), "is damaged or no safetensors"),
        (replace(TARGET, gpu=replace(GPU, processes=GAP)), "what Forge itself holds"),
    ],
)
def test_without_a_fact_there_is_a_reason(target: Target, told: str) -> None:
    asked = question(target)
    assert isinstance(asked, Gap)
    assert told in asked.reason


def test_flags_storage_fork_and_host_are_optional() -> None:
    options = Options({**OPTIONS.values, "forge_unet_storage_dtype": "float8-e4m3fn"})
    asked = ask(changed(flags=GAP, fork=GAP, options=options), GAP, Picture())
    assert isinstance(asked, Question)
    assert (asked.flags, asked.storage, asked.fork, asked.ram_mb) == (frozenset(), "float8-e4m3fn", "other", None)
    automatic = Options({**OPTIONS.values, "forge_unet_storage_dtype": "Automatic (fp16 LoRA)"})
    asked = question(changed(options=automatic))
    assert isinstance(asked, Question)
    assert asked.storage is None


def test_what_torch_holds_counts_as_free() -> None:
    forge = replace(FORGE, memory=TorchMemory(1, CUDA))
    assert free_before_loading(forge, PROCESS, GPU) == 16 * GIB


def test_without_torch_the_process_own_entry_less_its_context_counts() -> None:
    assert free_before_loading(FORGE, PROCESS, GPU) == 16 * GIB + 7 * GIB - 818 * MB


def test_under_wddm_nothing_is_made_up() -> None:
    hidden = replace(GPU, processes=(GpuProcess(100, None),))
    assert isinstance(free_before_loading(FORGE, PROCESS, hidden), Gap)
    assert isinstance(free_before_loading(FORGE, GAP, GPU), Gap)


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({}, Settings(1024, "Queue", "CPU")),
        ({"forge_inference_memory": 2048.0, "forge_async_loading": "Async"}, Settings(2048, "Async", "CPU")),
        ({"forge_pin_shared_memory": "Shared"}, Settings(1024, "Queue", "Shared")),
        ({"forge_swap": "Shared + Async"}, Settings(1024, "Async", "Shared")),
    ],
)
def test_the_settings_are_those_of_the_options(values: dict[str, object], settings: Settings) -> None:
    assert settings_of(Options(values)) == settings


def on_disk(folder: Path) -> Target:
    path = folder / "model.safetensors"
    shapes = {name: (tensor.dtype, tensor.shape) for name, tensor in header("sdxl").tensors.items()}
    write_safetensors(path, shapes)
    file = replace(model_file(), path=str(path), local=str(path), size=path.stat().st_size)
    return replace(TARGET, files=Files((file,)))


def test_the_planner_answers_from_the_files_headers(tmp_path: Path) -> None:
    asked = question(on_disk(tmp_path))
    assert isinstance(asked, Question)
    given = answer(asked)
    assert isinstance(given, Advice)
    assert given.model == "model.safetensors"
    assert given.recommended.gpu_weights_mb == 24 * 1024 - given.recommended.forge_inference_memory


def test_a_file_that_went_away_or_broke_is_a_reason(tmp_path: Path) -> None:
    asked = question(on_disk(tmp_path))
    assert isinstance(asked, Question)
    gone = answer(replace(asked, checkpoint=str(tmp_path / "gone.safetensors")))
    assert isinstance(gone, Gap)
    assert "gone.safetensors cannot be read: No such file" in gone.reason
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"<html>")
    faulty = answer(replace(asked, checkpoint=str(broken)))
    assert isinstance(faulty, Gap)
    assert "broken.safetensors" in faulty.reason


def test_what_the_planner_refuses_is_a_reason(tmp_path: Path) -> None:
    asked = question(on_disk(tmp_path))
    assert isinstance(asked, Question)
    refused = answer(replace(asked, picture=Picture(width=63)))
    assert isinstance(refused, Gap)
    assert "width 63" in refused.reason


def test_the_planner_is_asked_only_when_something_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Question] = []

    async def count(_: object, question: Question, jobs: object) -> Gap:
        asked.append(question)
        return GAP

    monkeypatch.setattr(advise, "apart", count)
    target = on_disk(tmp_path)

    async def act() -> None:
        adviser = Adviser()
        await adviser.refresh(target, HOST)
        await adviser.refresh(target, HOST)
        await adviser.refresh(target, Host(64 * GIB, 1, 1, 1))
        await adviser.refresh(replace(target, forge=GAP), HOST)
        assert adviser.advice == GAP

    asyncio.run(act())
    assert len(asked) == 2


def test_the_daemons_adviser_plans_in_another_process(tmp_path: Path) -> None:
    adviser, target = Adviser(), on_disk(tmp_path)
    asyncio.run(adviser.refresh(target, HOST))
    asked = question(target)
    assert isinstance(asked, Question)
    assert isinstance(adviser.advice, Advice)
    assert adviser.advice == answer(asked)


def test_a_planner_that_breaks_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    adviser = Adviser()
    asyncio.run(adviser.refresh(on_disk(tmp_path), HOST))
    assert isinstance(adviser.advice, Gap)
    assert "no process for it could be started" in adviser.advice.reason


def test_a_module_comes_after_the_checkpoint_wherever_it_is_listed() -> None:
    turned = replace(TARGET, files=Files(tuple(reversed(FILES.files))))
    asked = question(turned)
    assert isinstance(asked, Question)
    assert asked.checkpoint.endswith("sd_xl_base_1.0.safetensors")
