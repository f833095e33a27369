"""What the environment that Forge runs in tells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from forgediag.model import Install
from forgediag.sources.install import read_install, saved_at
from forgediag.testing.models import write_install


def test_the_environment_tells_python_torch_and_what_was_built_for_it(tmp_path: Path) -> None:
    write_install(tmp_path)
    packages = tmp_path / "venv/lib/python3.10/site-packages"
    (packages / "torch").mkdir()
    (packages / "torch/version.py").write_text("__version__ = '2.3.1'\ncuda: Optional[str] = '12.1'\n")
    (packages / "xformers-0.0.30.dist-info").mkdir()
    (packages / "xformers-0.0.30.dist-info/METADATA").write_text("Name: xformers\nRequires-Dist: torch==2.7.0\n")
    (packages / "pkg_resources").mkdir()
    (tmp_path / "venv/pyvenv.cfg").write_text("home = /usr\nversion = 3.10.6\n")
    (tmp_path / "requirements_versions.txt").write_text("numpy==1.26.2\n")
    engines = tmp_path / "backend/diffusion_engine"
    engines.mkdir(parents=True)
    for name in ("base", "flux", "chroma"):
        (engines / f"{name}.py").write_text("")
    install = read_install(str(tmp_path))
    assert isinstance(install, Install)
    assert (install.python, install.torch_cuda) == ((3, 10), "12.1")
    assert install.wants_torch == {"xformers": "2.7.0"}
    assert install.modules == {"pkg_resources"}
    assert install.pins == {"numpy": "1.26.2"}
    assert install.engines == {"flux", "chroma"}


def test_without_pyvenv_the_folder_tells_the_python(tmp_path: Path) -> None:
    write_install(tmp_path)
    install = read_install(str(tmp_path))
    assert isinstance(install, Install)
    assert install.python == (3, 10)
    assert install.torch_cuda is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such time to set here")
def test_when_the_settings_were_saved(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert saved_at(str(tmp_path), "config.json") is not None
    assert saved_at(str(tmp_path), "gone.json") is None
    assert saved_at(str(tmp_path), "\0") is None
