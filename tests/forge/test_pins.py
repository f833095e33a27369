"""Forge's pins against what is installed."""

from __future__ import annotations

import pytest

from forgediag.forge.pins import broken, numbers, pins_of

REQUIREMENTS = "setuptools==69.5.1  # temp fix\npytorch_lightning==1.9.4\nnumpy==1.26.2\ntorch\n# x==1\nhttpx==0.24.1\n"


def test_pins_are_read_with_names_as_pypi_compares_them() -> None:
    pins = pins_of(REQUIREMENTS)
    assert pins == {"setuptools": "69.5.1", "pytorch-lightning": "1.9.4", "numpy": "1.26.2", "httpx": "0.24.1"}


@pytest.mark.parametrize(
    ("packages", "names"),
    [
        ({"numpy": "2.2.6"}, ["numpy"]),
        ({"numpy": "1.26.4", "httpx": "0.28.1"}, ["httpx"]),
        ({"numpy": "1.26.2", "transformers": "5.0"}, []),
        ({}, []),
        ({"numpy": "weird"}, []),
    ],
)
def test_only_versions_that_are_known_to_break_forge_count(packages: dict[str, str], names: list[str]) -> None:
    assert [item.name for item, _, _ in broken(pins_of(REQUIREMENTS), packages)] == names


def test_a_fork_that_pins_the_new_version_is_right() -> None:
    assert broken({"numpy": "2.1.0"}, {"numpy": "2.2.6"}) == []


def test_the_numbers_of_a_version() -> None:
    assert numbers("2.3.1+cu121") == (2, 3, 1)
    assert numbers("x") == ()
