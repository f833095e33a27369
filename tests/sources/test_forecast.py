"""The prediction for the selected files: made once for each selection and version, in another process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from forgediag.model import Fault, Gap, ModelFile, Prediction
from forgediag.sources import apart
from forgediag.sources.forecast import Forecast, predicted
from forgediag.testing.facts import model_file, vae_file
from forgediag.testing.files import vae_shapes, write_safetensors


@pytest.fixture
def files(tmp_path: Path) -> tuple[ModelFile, ...]:
    """A VAE chosen as the checkpoint, and one as its module."""
    write_safetensors(tmp_path / "a.safetensors", vae_shapes(4))
    write_safetensors(tmp_path / "b.safetensors", vae_shapes(16))
    first, second = model_file(), vae_file()
    return replace(first, local=str(tmp_path / "a.safetensors")), replace(second, local=str(tmp_path / "b.safetensors"))


def test_the_files_are_read_once_for_each_version(files: tuple[ModelFile, ...]) -> None:
    forecast = Forecast()
    first = forecast.of(files, (1, 1))
    assert isinstance(first, Prediction)
    assert first.error is not None
    assert first == predicted(files)
    Path(files[0].local).rename(Path(files[0].local + ".away"))
    assert forecast.of(files, (1, 1)) is first
    assert forecast.of(files, (1, 2)) is None
    Path(files[0].local + ".away").rename(files[0].local)
    assert forecast.of(files, (1, 2)) == first


def test_a_file_with_a_fault_is_not_read_again(files: tuple[ModelFile, ...]) -> None:
    broken = replace(files[0], local="/nowhere", fault=Fault("data-cut", "cut", ()))
    made = predicted((broken,))
    assert isinstance(made, Prediction)
    assert made.phase == "read"


def test_a_file_that_is_gone_leaves_it_open(files: tuple[ModelFile, ...]) -> None:
    assert predicted((replace(files[0], local="/nowhere"),)) is None


def test_a_process_that_cannot_be_had_is_a_gap_and_tried_again(
    files: tuple[ModelFile, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast = Forecast()
    with monkeypatch.context() as patched:
        patched.setattr(apart.sys, "executable", "/nowhere/python")
        failed = forecast.of(files, (1, 1))
    assert isinstance(failed, Gap)
    assert "no process for it could be started" in failed.reason
    assert isinstance(forecast.of(files, (1, 1)), Prediction)
