"""Fixtures for the whole test suite: a fake NVIDIA driver under the real pynvml, a real Prometheus."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from forgediag.testing.prometheus import Prometheus, running

if TYPE_CHECKING:
    from tests.fake_nvml.control import FakeNvml

FAKE_NVML = Path(__file__).parent / "fake_nvml"


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fake_nvml_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake libnvidia-ml.so.1, built once."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the fake NVIDIA driver cannot be built, so nothing about NVML is tested")
    library: Path = _module(FAKE_NVML / "build.py").build(tmp_path_factory.mktemp("nvml"))
    return library


@pytest.fixture
def make_fake_nvml(nvml_library: Path, tmp_path: Path) -> Callable[[str], FakeNvml]:
    """A fake driver for other processes: run them with its `environment`."""

    def make(state: str) -> FakeNvml:
        fake: FakeNvml = _module(FAKE_NVML / "control.py").FakeNvml(nvml_library, tmp_path, state)
        return fake

    return make


@pytest.fixture
def fake_nvml(
    nvml_library: Path, make_fake_nvml: Callable[[str], FakeNvml], monkeypatch: pytest.MonkeyPatch
) -> FakeNvml:
    """A fake driver with one GPU for this process too: pynvml finds a library already loaded by its soname."""
    fake = make_fake_nvml("gpus = 1\n")
    monkeypatch.setenv("FAKE_NVML_DIR", fake.environment["FAKE_NVML_DIR"])
    ctypes.CDLL(str(nvml_library))
    return fake


def _debian(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: nothing about it is tested (Debian: apt-get install prometheus)")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of promtool."""
    return _debian("promtool")


@pytest.fixture(scope="module")
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Prometheus]]:
    """Starts a real Prometheus that scrapes "host:port" targets every second; it ends with the module."""
    binary = _debian("prometheus")
    with ExitStack() as stack:

        def start(targets: Sequence[str], rules: Sequence[Path] = (), discovery: Sequence[str] = ()) -> Prometheus:
            directory = tmp_path_factory.mktemp("prometheus")
            return stack.enter_context(running(directory, targets, rules=rules, discovery=discovery, binary=binary))

        yield start
