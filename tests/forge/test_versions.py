"""Torch builds by CUDA version and the cards they have code for."""

from __future__ import annotations

import pytest

from forgediag.forge.versions import Version, build_of, cuda_of, too_new, too_old


@pytest.mark.parametrize(
    ("packages", "cuda"),
    [
        ({"torch": "2.3.1+cu121"}, (12, 1)),
        ({"torch": "2.0.1+cu118"}, (11, 8)),
        ({"torch": "2.9.0+cu130"}, (13, 0)),
        ({"torch": "2.3.1", "nvidia-cuda-runtime-cu12": "12.1.105"}, (12, 1)),
        ({"torch": "2.11.0", "nvidia-cuda-runtime": "13.0.48"}, (13, 0)),
        ({"torch": "2.3.1+cpu"}, None),
        ({}, None),
    ],
)
def test_the_cuda_version_of_a_build(packages: dict[str, str], cuda: Version | None) -> None:
    assert cuda_of(packages) == cuda


@pytest.mark.parametrize(
    ("torch", "cuda", "card", "old", "new"),
    [
        ("2.3.1+cu121", (12, 1), (12, 0), False, True),
        ("2.3.1+cu121", (12, 1), (6, 1), False, False),
        ("2.3.1+cu121", (12, 1), (3, 7), True, False),
        ("2.7.0+cu128", (12, 8), (6, 1), False, False),
        ("2.8.0+cu128", (12, 8), (6, 1), True, False),
        ("2.8.0+cu129", (12, 9), (7, 0), False, False),
        ("2.11.0+cu128", (12, 8), (7, 0), True, False),
        ("2.12.0+cu132", (13, 2), (12, 0), False, False),
    ],
)
def test_a_card_against_a_build(torch: str, cuda: Version, card: Version, *, old: bool, new: bool) -> None:
    build = build_of(torch, cuda)
    assert build is not None
    assert (too_old(build, card), too_new(build, card)) == (old, new)


@pytest.mark.parametrize(("torch", "cuda"), [("git", (12, 1)), ("2.3.1", (14, 0)), ("2.7.0", (12, 9))])
def test_a_build_that_is_not_in_the_table_is_not_judged(torch: str, cuda: Version) -> None:
    assert build_of(torch, cuda) is None


def test_what_torch_itself_says_of_its_cuda_goes_before_its_tag() -> None:
    assert cuda_of({"torch": "2.3.1"}, "12.4") == (12, 4)
