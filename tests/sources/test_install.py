"""Forge's directory tells its version, commit and packages without being run."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgediag.model import Gap, Install
from forgediag.sources.install import read_install

COMMIT = "dfdcbab685e57677014f05a3309b48cc87383167"


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def forge(tmp_path: Path) -> Path:
    root = tmp_path / "webui"
    write(root / "modules_forge" / "forge_version.py", "version = '2.0.1v1.10.1'\n")
    return root


def packages(environment: Path, *names: str, layout: str = "lib/python3.10/site-packages") -> None:
    for name in names:
        (environment / layout / f"{name}.dist-info").mkdir(parents=True)


def read(root: Path, executable: str | None = None) -> Install:
    found = read_install(str(root), executable)
    assert isinstance(found, Install)
    return found


def test_the_version_is_read_as_text(forge: Path) -> None:
    assert read(forge).version == "2.0.1v1.10.1"


def test_a_fork_without_that_file_has_no_version(tmp_path: Path) -> None:
    write(tmp_path / "webui.py")
    assert (read(tmp_path).version, read(tmp_path).commit) == (None, None)


def test_a_branch_that_is_a_loose_ref(forge: Path) -> None:
    write(forge / ".git" / "HEAD", "ref: refs/heads/main\n")
    write(forge / ".git" / "refs" / "heads" / "main", COMMIT + "\n")
    assert read(forge).commit == COMMIT


def test_a_branch_that_is_packed(forge: Path) -> None:
    write(forge / ".git" / "HEAD", "ref: refs/heads/main\n")
    write(forge / ".git" / "packed-refs", f"# pack-refs\n{'0' * 40} refs/heads/other\n{COMMIT} refs/heads/main\n")
    assert read(forge).commit == COMMIT


def test_a_detached_head(forge: Path) -> None:
    write(forge / ".git" / "HEAD", COMMIT + "\n")
    assert read(forge).commit == COMMIT


def test_a_worktree_finds_its_branch_in_the_clone_it_belongs_to(forge: Path, tmp_path: Path) -> None:
    git = tmp_path / "clone" / ".git"
    write(git / "refs" / "heads" / "dev", COMMIT)
    write(git / "worktrees" / "webui" / "HEAD", "ref: refs/heads/dev")
    write(git / "worktrees" / "webui" / "commondir", "../..\n")
    write(forge / ".git", f"gitdir: {git / 'worktrees' / 'webui'}\n")
    assert read(forge).commit == COMMIT


@pytest.mark.parametrize("head", ["", "rubbish", "ref: refs/heads/gone", "ref: ../../secret"])
def test_a_head_that_says_nothing_is_no_commit(forge: Path, head: str) -> None:
    write(forge / ".git" / "HEAD", head)
    assert read(forge).commit is None


def test_packages_of_a_linux_venv(forge: Path) -> None:
    packages(forge / "venv", "torch-2.3.1+cu121", "Pillow-9.5.0", "nvidia_cuda_runtime_cu12-12.1.105", "~orch-2.0")
    assert read(forge).packages == {"torch": "2.3.1+cu121", "pillow": "9.5.0", "nvidia-cuda-runtime-cu12": "12.1.105"}


def test_packages_of_a_windows_venv(forge: Path) -> None:
    packages(forge / "venv", "torch-2.3.1+cu121", layout="Lib/site-packages")
    assert read(forge).packages == {"torch": "2.3.1+cu121"}


def test_packages_of_the_windows_package(forge: Path) -> None:
    packages(forge.parent / "system" / "python", "torch-2.3.1+cu121", layout="Lib/site-packages")
    assert read(forge).packages == {"torch": "2.3.1+cu121"}


@pytest.mark.parametrize("inside", ["bin/python3", "Scripts/python.exe"])
def test_the_environment_of_the_process_comes_first(forge: Path, tmp_path: Path, inside: str) -> None:
    packages(forge / "venv", "torch-2.3.1+cu121")
    packages(tmp_path / "other", "torch-2.7.0+cu128")
    assert read(forge, str(tmp_path / "other" / inside)).packages == {"torch": "2.7.0+cu128"}


def test_a_python_that_lies_in_its_environment(forge: Path, tmp_path: Path) -> None:
    packages(tmp_path / "python", "torch-2.7.0+cu128", layout="Lib/site-packages")
    assert read(forge, str(tmp_path / "python" / "python.exe")).packages == {"torch": "2.7.0+cu128"}


def test_an_environment_with_torch_wins_over_one_without(forge: Path) -> None:
    packages(forge / "venv", "click-8.1")
    packages(forge / ".venv", "torch-2.3.1+cu121")
    assert read(forge).packages == {"torch": "2.3.1+cu121"}


def test_without_torch_the_first_environment_is_told(forge: Path) -> None:
    packages(forge / "venv", "click-8.1")
    packages(forge / ".venv", "click-8.2")
    assert read(forge).packages == {"click": "8.1"}


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_directory_that_is_not_here_is_a_gap(tmp_path: Path, *, elsewhere: bool) -> None:
    gap = read_install(str(tmp_path / "gone"), elsewhere=elsewhere)
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.expected) == ("missing", elsewhere)
    assert "is not on this machine" in gap.reason


def test_a_directory_of_something_else_is_a_gap(tmp_path: Path) -> None:
    gap = read_install(str(tmp_path))
    assert isinstance(gap, Gap)
    assert "is no directory of Forge" in gap.reason


def test_a_directory_that_may_not_be_read_is_a_gap(forge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("forgediag.sources.install.text_of", refuse)
    gap = read_install(str(forge))
    assert isinstance(gap, Gap)
    assert "cannot be read: Permission denied" in gap.reason
