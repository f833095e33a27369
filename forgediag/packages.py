"""How a package that only some need is installed into the place where forgediag itself is."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path


def install(*packages: str) -> str:
    """The command that installs packages beside this forgediag, to follow "run".

    The environments of `pipx` and `uv tool` have a note of who made them, and neither they nor those of `uv venv` need
    have pip; the packages are named, not an extra of forgediag, so that it does not matter where that came from.
    """
    wanted = " ".join(packages)
    if (Path(sys.prefix) / "pipx_metadata.json").exists():
        return f"pipx inject {Path(sys.prefix).name} {wanted}"
    python = sys.executable or "python"
    shown = f'"{python}"' if sys.platform == "win32" else shlex.quote(python)
    if find_spec("pip") is None or (Path(sys.prefix) / "uv-receipt.toml").exists():
        return f"uv pip install --python {shown} {wanted}"
    return f"{shown} -m pip install {wanted}"
