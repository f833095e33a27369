"""Recorded runs through a fake driver, a simulated Forge and its console, watched by a real `forgediag profile`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPLAY = Path(__file__).parents[1] / "bench" / "replay.py"
SHORT = ("sd_512_4g_inf256", "xl_1024_busy", "sd_512_4g_inf1536")


@pytest.mark.slow
@pytest.mark.usefixtures("nvml_library")
@pytest.mark.parametrize("name", SHORT)
def test_a_recorded_run_is_told_as_it_was(name: str) -> None:
    done = subprocess.run([sys.executable, str(REPLAY), name], capture_output=True, text=True, timeout=60, check=False)
    told = json.loads(done.stdout.splitlines()[0])

    assert told["in_order"], told
    assert told["sums"], told
    assert done.returncode == 0, (told, done.stderr)
