"""Whether an NVIDIA card is in this machine, asked without its driver."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

NVIDIA_PCI_VENDOR = "0x10de"


def nvidia_present(root: Path = Path("/")) -> bool:
    """Whether the system lists an NVIDIA display device or has traces of the NVIDIA kernel driver.

    Linux: PCI devices of class 03 (display) in /sys, /proc/driver/nvidia, and WSL's /dev/dxg beside its driver
    folder. Windows: PCI entries of vendor 10DE in the registry. False where none of these can be read.
    """
    if os.name == "nt":
        return _in_registry()
    if (root / "proc/driver/nvidia").exists() or (root / "usr/lib/wsl/lib/libnvidia-ml.so.1").exists():
        return True
    return any(_is_nvidia_display(device) for device in _entries(root / "sys/bus/pci/devices"))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_nvidia_display(device: Path) -> bool:
    try:
        vendor, kind = (device / "vendor").read_text("ascii").strip(), (device / "class").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return vendor == NVIDIA_PCI_VENDOR and kind.startswith("0x03")


def _in_registry() -> bool:
    """Looked up dynamically: type checkers on Linux know no `winreg`."""
    winreg: Any = importlib.import_module("winreg")
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Enum\PCI") as key:
        count: int = winreg.QueryInfoKey(key)[0]
        return any(winreg.EnumKey(key, index).upper().startswith("VEN_10DE") for index in range(count))
