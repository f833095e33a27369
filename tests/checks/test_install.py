"""Packages, features and settings of an install that do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from forgediag.check import Problem
from forgediag.model import MB, Fault, Files, Flags, Gap, Install, ModelFile, Severity, Tally, Target
from forgediag.testing.facts import FORGE, INSTALL, PROCESS, TARGET, model_file, options, problems
from forgediag_checks.effective import inference_memory_effective, options_reset_by_page
from forgediag_checks.features import forge_knows_model
from forgediag_checks.packages import bitsandbytes, python_packages, python_version
from forgediag_checks.renamed import model_file_renamed
from forgediag_checks.unchanged import model_file_listed

GOOD = replace(
    INSTALL,
    packages={"torch": "2.3.1+cu121", "setuptools": "69.5.1", "numpy": "1.26.2", "xformers": "0.0.27"},
    modules=frozenset({"pkg_resources"}),
    python=(3, 10),
    pins={"numpy": "1.26.2", "setuptools": "69.5.1"},
    engines=frozenset({"sd15", "sdxl", "flux"}),
    commit="17a42e58" + "0" * 32,
    wants_torch={"xformers": "2.3.1"},
)


def with_packages(**packages: str) -> Install:
    return replace(GOOD, packages={**GOOD.packages, **packages})


def test_a_good_environment_says_nothing() -> None:
    assert problems(python_packages, GOOD) == []
    assert problems(python_packages, replace(GOOD, packages={})) == []


def test_setuptools_without_pkg_resources() -> None:
    (problem,) = problems(python_packages, replace(with_packages(setuptools="82.0.0"), modules=frozenset()))
    assert "has no pkg_resources any more" in problem.message
    assert problems(python_packages, with_packages(setuptools="81.0.0")) == []


def test_numpy_2_under_a_forge_that_pins_1() -> None:
    (problem,) = problems(python_packages, with_packages(numpy="2.2.6"))
    assert problem.fix is not None
    assert problem.fix[0] == "python -m pip install numpy==1.26.2"


@pytest.mark.parametrize(
    ("name", "severity", "way"),
    [
        ("xformers", Severity.FAILURE, "Forge runs without it"),
        ("torchvision", Severity.FAILURE, "the same index"),
        ("torchaudio", Severity.WARNING, "the same index"),
    ],
)
def test_code_built_for_another_torch(name: str, severity: Severity, way: str) -> None:
    (problem,) = problems(python_packages, replace(GOOD, wants_torch={name: "2.7.0"}))
    assert "is built for torch 2.7.0, but torch 2.3.1+cu121 is installed" in problem.message
    assert problem.severity is severity
    assert way in str(problem.fix)


@pytest.mark.parametrize(
    ("python", "fork", "told"),
    [((3, 10), "forge", 0), ((3, 13), "forge", 1), ((3, 13), "neo", 0), (None, "forge", 0), ((3, 9), "forge", 1)],
)
def test_a_python_that_forges_pins_do_not_know(python: Any, fork: Any, told: int) -> None:
    target = replace(TARGET, forge=replace(FORGE, fork=fork))
    assert len(problems(python_version, replace(GOOD, python=python), target)) == told
    assert len(problems(python_version, replace(GOOD, python=python), replace(TARGET, forge=Gap("down")))) == (
        told or (fork == "neo")
    )


def test_nf4_needs_bitsandbytes() -> None:
    files = Files((replace(model_file(), traits=frozenset({"bitsandbytes"})),))
    (problem,) = problems(bitsandbytes, GOOD, files)
    assert "sd_xl_base_1.0.safetensors needs bitsandbytes" in problem.message
    (problem,) = problems(bitsandbytes, GOOD, options(forge_unet_storage_dtype="bnb-nf4 (fp16 LoRA)"))
    assert "forge_unet_storage_dtype bnb-nf4" in problem.message
    assert problems(bitsandbytes, with_packages(bitsandbytes="0.45.3"), files) == []
    assert problems(bitsandbytes, replace(GOOD, packages={}), files) == []
    assert problems(bitsandbytes, GOOD) == []


def chroma() -> Files:
    return Files((replace(model_file(), family="chroma"),))


@pytest.mark.parametrize(
    ("install", "words"),
    [
        (GOOD, "this Forge is of 2025-05"),
        (replace(GOOD, commit=None), "this Forge has no code for it"),
        (replace(GOOD, engines=frozenset()), "this Forge is of 2025-05"),
    ],
)
def test_a_model_that_came_later_than_this_forge(install: Install, words: str) -> None:
    (problem,) = problems(forge_knows_model, install, chroma())
    assert problem.message.endswith(words)
    assert problem.evidence["since_commit"] == "963e7643"


@pytest.mark.parametrize(
    ("install", "fork"),
    [
        (replace(GOOD, engines=frozenset({"chroma"})), "forge"),
        (replace(GOOD, engines=frozenset(), commit="0" * 40), "forge"),
        (GOOD, "neo"),
    ],
)
def test_what_can_be_loaded_or_is_not_known_is_no_finding(install: Install, fork: Any) -> None:
    assert problems(forge_knows_model, install, chroma(), replace(TARGET, forge=replace(FORGE, fork=fork))) == []


def test_a_forge_that_is_down_is_judged_by_its_files() -> None:
    assert len(problems(forge_knows_model, GOOD, chroma(), replace(TARGET, forge=Gap("down")))) == 1


def started(saved: float | None, **forge: Any) -> Target:
    made = replace(FORGE, **{"flags": Flags({"nowebui": True}), **forge})
    return replace(TARGET, forge=made, process=replace(PROCESS, started=100.0), install=replace(GOOD, saved=saved))


def effective(target: Target, shown: float | None = 4096.0, tally: Tally | None = None) -> list[Problem]:
    return problems(
        inference_memory_effective, target, options(forge_inference_memory=shown), Tally() if tally is None else tally
    )


def test_a_saved_reserve_is_not_in_effect_after_a_start() -> None:
    (problem,) = effective(started(99.0))
    assert "shows forge_inference_memory 4096 MB but works with 1024 MB (nothing was saved since" in problem.message


def test_a_reserve_that_was_followed_since_the_start_is_known() -> None:
    (problem,) = effective(started(None), tally=Tally(effective_inference_memory=2048 * MB))
    assert "works with 2048 MB (seen since its start)" in problem.message


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (started(101.0), 4096.0),
        (started(None), 4096.0),
        (started(99.0), 1024.0),
        (started(99.0), None),
        (started(99.0, flags=Flags({})), 4096.0),
        (started(99.0, flags=Gap("no")), 4096.0),
        (started(99.0, fork="ersatzforge"), 4096.0),
        (replace(started(99.0), process=Gap("elsewhere")), 4096.0),
        (replace(started(99.0), install=Gap("elsewhere")), 4096.0),
        (replace(TARGET, forge=Gap("down")), 4096.0),
    ],
)
def test_what_is_in_effect_or_not_known_is_no_finding(target: Target, shown: float | None) -> None:
    assert effective(target, shown) == []


def test_options_that_the_web_page_reset_are_told() -> None:
    (problem,) = problems(options_reset_by_page, Tally(page_reset={"forge_inference_memory": (4096.0, 1024.0)}))
    assert "reset forge_inference_memory 4096.0 -> 1024.0" in problem.message
    assert problems(options_reset_by_page, Tally()) == []


def aside(path: str, **more: Any) -> ModelFile:
    return replace(model_file(path=path), selected=False, unlisted="Forge renamed it", **more)


def test_a_good_file_that_was_put_aside_comes_back_safely() -> None:
    files = Files((aside("/m/x.safetensors.corrupted"), aside("/m/y.ckpt.corrupted", format="pickle")))
    first, second = problems(model_file_renamed, files)
    assert "its header and length are right" in first.message
    assert "it may be whole" in second.message
    assert first.fix is not None
    assert "First make room" in first.fix[0]
    assert problems(model_file_listed, files) == []


def test_a_broken_file_or_one_that_was_replaced_may_stay_aside() -> None:
    broken = aside("/m/x.safetensors.corrupted", fault=Fault("cut", "is cut", ()))
    back = (aside("/m/y.safetensors.corrupted"), model_file(path="/m/y.safetensors"))
    assert problems(model_file_renamed, Files((broken, *back))) == []
    assert len(problems(model_file_listed, Files((broken, *back)))) == 1
