"""The exact versions Forge asks for, against what is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PIN = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*([^\s#;]+)", re.MULTILINE)


def pins_of(requirements: str) -> dict[str, str]:
    """Packages pinned by `==` in a requirements file: normalised name to version."""
    return {normal(name): version for name, version in _PIN.findall(requirements)}


def normal(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True, slots=True)
class Fragile:
    """A package whose other versions are known to break Forge. `since` is the first bad version; `until` ends it."""

    name: str
    since: tuple[int, ...]
    says: str
    source: str


FRAGILE = (
    Fragile(
        "numpy",
        (2,),
        "A module that was compiled using NumPy 1.x cannot be run in NumPy 2",
        "lllyasviel/stable-diffusion-webui-forge issue 2969",
    ),
    Fragile(
        "pydantic",
        (2, 11),
        "TypeError: argument of type 'bool' is not iterable",
        "gradio-app/gradio issue 10792; cagliostrolab/forge-colab issue 36",
    ),
    Fragile("protobuf", (4,), "Descriptors cannot be created directly", "protobuf 4.21 release notes"),
    Fragile("httpx", (0, 28), "unexpected keyword argument 'proxies'", "httpx 0.28 release notes"),
)
"""Packages of which a newer version than Forge's pin is known to matter."""


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `2.3.1+cu121` is (2, 3, 1)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def broken(pins: Mapping[str, str], packages: Mapping[str, str]) -> list[tuple[Fragile, str, str]]:
    """Packages whose installed version is known to break what the pin would not: what, pinned, installed."""
    return [
        (item, pins[item.name], packages[item.name])
        for item in FRAGILE
        if item.name in pins
        and item.name in packages
        and numbers(packages[item.name]) >= item.since > numbers(pins[item.name])
    ]
