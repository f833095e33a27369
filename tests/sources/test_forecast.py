"""The prediction for the selected files: made once for each selection and version."""

from __future__ import annotations

from dataclasses import replace

from forgediag.model import Fault, Header, Prediction
from forgediag.sources.forecast import Forecast
from forgediag.testing.facts import model_file, vae_file
from forgediag.testing.headers import header

FILES = (model_file(), vae_file())


class Disk:
    """Headers by path, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.gone = False

    def read(self, path: str) -> Header | Fault:
        self.asked += 1
        if self.gone:
            raise OSError("gone")
        return header("sdxl" if path == FILES[0].local else "ae:bf16")


def test_the_files_are_read_once_for_each_version() -> None:
    disk, forecast = Disk(), Forecast()
    first = forecast.of(FILES, (1, 1), disk.read)
    assert isinstance(first, Prediction)
    assert first.error is not None
    assert forecast.of(FILES, (1, 1), disk.read) is first
    assert disk.asked == 2
    forecast.of(FILES, (1, 2), disk.read)
    assert disk.asked == 4


def test_a_file_that_is_gone_meanwhile_leaves_it_open() -> None:
    disk, forecast = Disk(), Forecast()
    disk.gone = True
    assert forecast.of(FILES, (1, 1), disk.read) is None
    disk.gone = False
    assert forecast.of(FILES, (1, 1), disk.read) is not None


def test_a_file_with_a_fault_is_not_read_again() -> None:
    disk = Disk()
    broken = replace(FILES[0], fault=Fault("data-cut", "cut", ()))
    made = Forecast().of((broken,), (1,), disk.read)
    assert isinstance(made, Prediction)
    assert (made.phase, disk.asked) == ("read", 0)
