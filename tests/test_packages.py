"""What to run for a missing package fits how forgediag itself was installed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from forgediag import packages
from forgediag.packages import install


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "forgediag"
    place.mkdir()
    monkeypatch.setattr(sys, "prefix", str(place))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "executable", "/my tools/bin/python")
    monkeypatch.setattr(packages, "find_spec", lambda name: name)
    return place


def test_in_a_venv_its_own_pip_does_it() -> None:
    assert shlex.split(install("numpy", "blake3")) == [
        "/my tools/bin/python",
        "-m",
        "pip",
        "install",
        "numpy",
        "blake3",
    ]


def test_pipx_injects_by_the_name_of_its_environment(environment: Path) -> None:
    (environment / "pipx_metadata.json").touch()
    assert install("numpy") == "pipx inject forgediag numpy"


def test_uv_tool_and_venvs_without_pip_are_left_to_uv(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (environment / "uv-receipt.toml").touch()
    assert install("numpy") == "uv pip install --python '/my tools/bin/python' numpy"
    (environment / "uv-receipt.toml").unlink()
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert install("numpy").startswith("uv pip install")


def test_windows_quotes_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "executable", r"C:\My Tools\python.exe")
    assert install("numpy") == r'"C:\My Tools\python.exe" -m pip install numpy'
