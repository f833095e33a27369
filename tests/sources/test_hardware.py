from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from forgediag.sources import hardware
from forgediag.sources.hardware import nvidia_present


def device(root: Path, vendor: str, kind: str) -> None:
    folder = root / "sys/bus/pci/devices" / f"0000:{vendor[2:]}:00.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(vendor + "\n", "ascii")
    (folder / "class").write_text(kind + "\n", "ascii")


@pytest.mark.parametrize(
    ("vendor", "kind", "present"),
    [
        ("0x10de", "0x030000", True),
        ("0x10de", "0x030200", True),
        ("0x10de", "0x0c0330", False),
        ("0x1002", "0x030000", False),
    ],
)
def test_only_a_display_device_of_nvidia_counts(tmp_path: Path, vendor: str, kind: str, *, present: bool) -> None:
    device(tmp_path, vendor, kind)
    assert nvidia_present(tmp_path) is present


@pytest.mark.parametrize("trace", ["proc/driver/nvidia/version", "usr/lib/wsl/lib/libnvidia-ml.so.1"])
def test_traces_of_the_driver_count(tmp_path: Path, trace: str) -> None:
    (tmp_path / trace).parent.mkdir(parents=True)
    (tmp_path / trace).touch()
    assert nvidia_present(tmp_path)


def test_a_system_without_sys_has_no_card(tmp_path: Path) -> None:
    assert not nvidia_present(tmp_path)


def test_a_device_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "sys/bus/pci/devices/0000:01:00.0").mkdir(parents=True)
    assert not nvidia_present(tmp_path)


class Key:
    def __enter__(self) -> Key:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize(("entry", "present"), [("VEN_10DE&DEV_2786", True), ("VEN_8086&DEV_0000", False)])
def test_windows_is_asked_for_its_pci_entries(monkeypatch: pytest.MonkeyPatch, entry: str, *, present: bool) -> None:
    winreg = SimpleNamespace(
        HKEY_LOCAL_MACHINE=1,
        OpenKey=lambda *_: Key(),
        QueryInfoKey=lambda _: (1, 0, 0),
        EnumKey=lambda _, index: [entry][index],
    )
    monkeypatch.setitem(sys.modules, "winreg", winreg)
    monkeypatch.setattr(hardware, "os", SimpleNamespace(name="nt"))
    assert nvidia_present() is present
