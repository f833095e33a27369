"""Forge's install directory: version, commit and installed packages, read without running anything in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from forgediag.model import Gap, Install, Known

_VERSION = re.compile(r"""^version\s*=\s*["']([^"']{1,80})["']""", re.MULTILINE)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LARGEST = 4 * 1024 * 1024
_MARKS = ("modules_forge", "webui.py", "launch.py")
"""What tells a directory of Forge or one of its forks."""


def read_install(directory: str, executable: str | None = None, *, elsewhere: bool = False) -> Known[Install]:
    """What is installed in a directory.

    Args:
        directory: Forge's directory, from the config or the process.
        executable: the Python it runs with, as its command line names it; a path is enough, it is not run.
        elsewhere: whether Forge runs on another machine or in a container, where a missing directory is expected.
    """
    root = Path(directory)
    try:
        if not any((root / mark).exists() for mark in _MARKS):
            what = "is no directory of Forge" if root.is_dir() else "is not on this machine"
            return Gap(f"{directory} {what}: set directory in the config to Forge's folder", "missing", elsewhere)
        return Install(directory, _version(root), _commit(root), _packages(root, executable))
    except OSError as error:
        return Gap(f"{directory} cannot be read: {error.strerror or error}", "failed")


def _version(root: Path) -> str | None:
    """The text in modules_forge/forge_version.py (Forge dfdcbab: "2.0.1v1.10.1")."""
    found = _VERSION.search(_text(root / "modules_forge" / "forge_version.py"))
    return found[1] if found else None


def _commit(root: Path) -> str | None:
    """The commit checked out, from a clone's or a worktree's own files."""
    git = root / ".git"
    if git.is_file():  # a worktree or submodule: "gitdir: PATH"
        git = root / _text(git).removeprefix("gitdir:").strip()
    head = _text(git / "HEAD").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    ref = head.removeprefix("ref:").strip()
    if ".." in ref:
        return None
    shared = _text(git / "commondir").strip()
    for folder in (git, git / shared) if shared else (git,):
        loose = _text(folder / ref).strip()
        if _COMMIT.fullmatch(loose):
            return loose
        for line in _text(folder / "packed-refs").splitlines():
            commit, _, name = line.partition(" ")
            if name == ref and _COMMIT.fullmatch(commit):
                return commit
    return None


def _packages(root: Path, executable: str | None) -> dict[str, str]:
    """Installed packages (normalised name → version) of the first environment that has torch, else of the first."""
    first: dict[str, str] = {}
    for environment in _environments(root, executable):
        for folder in _site_packages(environment):
            packages = dict(_dist_infos(folder))
            if "torch" in packages:
                return packages
            first = first or packages
    return first


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


def _text(path: Path) -> str:
    """A small text file's contents, or nothing when it is not there."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
