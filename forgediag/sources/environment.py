"""The Python environment Forge runs in: its packages, Python and torch build, read from files and never imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WATCHED = frozenset({"pkg_resources"})
"""Import packages looked for by name: Forge's start imports pkg_resources, which newer setuptools no longer bring."""

BUILT_FOR_TORCH = ("xformers", "torchvision", "torchaudio")
"""Packages whose compiled code works with one torch only; their METADATA says which."""

LARGEST = 4 * 1024 * 1024
"""Bytes read of a text file in an install."""

_PYTHON = re.compile(r"^version(?:_info)?\s*=\s*(\d+)\.(\d+)", re.MULTILINE)
_FOLDER = re.compile(r"python(\d+)\.(\d+)")
_TORCH = re.compile(r"^Requires-Dist: torch ?\(?==(\d[\w.+]*)", re.MULTILINE)
_CUDA = re.compile(r"""^cuda(?:\s*:[^=\n]+)?\s*=\s*["']([\d.]{1,12})["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Environment:
    """What was found; see `forgediag.model.Install` for the fields."""

    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    modules: frozenset[str] = frozenset()
    python: tuple[int, int] | None = None
    torch_cuda: str | None = None
    wants_torch: Mapping[str, str] = field(default_factory=dict[str, str])


def read_environment(root: Path, executable: str | None) -> Environment:
    """The first environment of an install that has torch, else the first that has anything."""
    first = Environment()
    for environment in _environments(root, executable):
        for folder in _site_packages(environment):
            found = _read(environment, folder)
            if "torch" in found.packages:
                return found
            first = first if first.packages else found
    return first


def _read(environment: Path, folder: Path) -> Environment:
    cuda = _CUDA.search(text_of(folder / "torch" / "version.py"))
    return Environment(
        dict(_dist_infos(folder)),
        frozenset(name for name in WATCHED if (folder / name).is_dir()),
        _python(environment, folder),
        cuda[1] if cuda else None,
        dict(_wants_torch(folder)),
    )


def _wants_torch(folder: Path) -> Iterator[tuple[str, str]]:
    for name in BUILT_FOR_TORCH:
        for found in folder.glob(f"{name}-*.dist-info"):
            if wanted := _TORCH.search(text_of(found / "METADATA")):
                yield name, wanted[1]


def _python(environment: Path, folder: Path) -> tuple[int, int] | None:
    """From a venv's own pyvenv.cfg, else from the name of the folder its packages lie in."""
    found = _PYTHON.search(text_of(environment / "pyvenv.cfg")) or _FOLDER.search(folder.parent.name)
    return (int(found[1]), int(found[2])) if found else None


def _environments(root: Path, executable: str | None) -> Iterator[Path]:
    """Where Forge's Python may have its packages, the process's own first.

    `venv/bin/python` and `venv/Scripts/python.exe` lie two below their environment; the Python of the Windows
    package, `system/python/python.exe` beside `webui`, lies in it.
    """
    if executable:
        folder = (root / executable).parent
        yield folder.parent if folder.name.lower() in {"bin", "scripts"} else folder
    yield root / "venv"
    yield root / ".venv"
    yield root.parent / "system" / "python"


def _site_packages(environment: Path) -> Iterator[Path]:
    yield from sorted(environment.glob("lib/python3.*/*-packages"))
    if (windows := environment / "Lib" / "site-packages").is_dir():
        yield windows


def _dist_infos(folder: Path) -> Iterator[tuple[str, str]]:
    """Names and versions from `NAME-VERSION.dist-info`; pip renames what it is about to remove to `~ame`."""
    for entry in folder.glob("*-*.dist-info"):
        name, _, version = entry.name.removesuffix(".dist-info").rpartition("-")
        if not name.startswith("~"):
            yield re.sub(r"[-_.]+", "-", name).lower(), version


def text_of(path: Path) -> str:
    """A small text file's contents, or nothing when it is not there."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
