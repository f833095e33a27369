"""Forge's install directory: version, commit and installed packages, read without running anything in it."""

from __future__ import annotations

import re
from pathlib import Path

from forgediag.forge.pins import pins_of
from forgediag.model import Gap, Install, Known
from forgediag.sources.environment import read_environment, text_of

_VERSION = re.compile(r"""^version\s*=\s*["']([^"']{1,80})["']""", re.MULTILINE)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
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
        environment = read_environment(root, executable)
        return Install(
            directory,
            _version(root),
            _commit(root),
            environment.packages,
            environment.modules,
            environment.python,
            environment.torch_cuda,
            pins_of(text_of(root / "requirements_versions.txt")),
            frozenset(path.stem for path in root.glob("backend/diffusion_engine/*.py")) - {"base", "__init__"},
            wants_torch=environment.wants_torch,
        )
    except OSError as error:
        return Gap(f"{directory} cannot be read: {error.strerror or error}", "failed")


def saved_at(directory: str, file: str) -> float | None:
    """When Forge last wrote its options, in Unix seconds; None where that cannot be told."""
    try:
        return (Path(directory) / file).stat().st_mtime
    except (OSError, ValueError):
        return None


def _version(root: Path) -> str | None:
    """The text in modules_forge/forge_version.py (Forge dfdcbab: "2.0.1v1.10.1")."""
    found = _VERSION.search(text_of(root / "modules_forge" / "forge_version.py"))
    return found[1] if found else None


def _commit(root: Path) -> str | None:
    """The commit checked out, from a clone's or a worktree's own files."""
    git = root / ".git"
    if git.is_file():  # a worktree or submodule: "gitdir: PATH"
        git = root / text_of(git).removeprefix("gitdir:").strip()
    head = text_of(git / "HEAD").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    ref = head.removeprefix("ref:").strip()
    if ".." in ref:
        return None
    shared = text_of(git / "commondir").strip()
    for folder in (git, git / shared) if shared else (git,):
        loose = text_of(folder / ref).strip()
        if _COMMIT.fullmatch(loose):
            return loose
        for line in text_of(folder / "packed-refs").splitlines():
            commit, _, name = line.partition(" ")
            if name == ref and _COMMIT.fullmatch(commit):
                return commit
    return None
