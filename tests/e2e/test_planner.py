"""`plan` and `recommend` as processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from forgediag.testing.models import write_models

Forgediag = Callable[..., subprocess.CompletedProcess[str]]
SDXL = "models/Stable-diffusion/sunrise-sdxl.safetensors"
NOBODY = ("--forge", "http://127.0.0.1:9")


def test_a_plan_is_one_document_on_standard_output(forgediag: Forgediag, tmp_path: Path) -> None:
    write_models(tmp_path)
    ended = forgediag(*NOBODY, "plan", SDXL, "--vram", "8GiB", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["schema"] == "forgediag.plan/1"


def test_a_terminal_without_unicode_gets_ascii(forgediag: Forgediag, tmp_path: Path) -> None:
    write_models(tmp_path)
    ended = forgediag(*NOBODY, "recommend", SDXL, "--vram", "6GiB", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0
    assert "@ recommended" in ended.stdout
    assert ended.stdout.isascii()


def test_a_card_too_small_to_be_meant_is_a_usage_error(forgediag: Forgediag, tmp_path: Path) -> None:
    write_models(tmp_path)
    ended = forgediag(*NOBODY, "plan", SDXL, "--vram", "8")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "forgediag: --vram 8: 8 MB is too small for any model; did you mean 8GiB?\n"
