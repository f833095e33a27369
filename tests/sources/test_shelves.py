"""Forge's folders as it says them, as its process shows them, as its start script has them; and what lies in them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from forgediag.config import TargetConfig
from forgediag.model import Files, Flags, Gap, Listing, Verification
from forgediag.sources.local import LocalFacts
from forgediag.sources.records import Records
from forgediag.sources.shelves import forge_folders, places
from forgediag.sources.sweep import Sweep
from forgediag.testing.facts import FORGE, PROCESS
from forgediag.testing.files import vae_shapes, write_safetensors

NONE = Gap("none")


def loras(folder: str, *, flags: bool, process: bool) -> list[str]:
    forge = replace(FORGE, flags=Flags({"lora_dir": "/from/flags"}) if flags else NONE)
    running = replace(PROCESS, folder_flags={"lora_dir": ("/from/process",)})
    found = forge_folders(folder, forge, running if process else NONE, {"/from": "/here"})
    return [item.path for item in found if item.role == "lora"]


def test_what_forge_answers_counts_before_its_process_and_its_script(tmp_path: Path) -> None:
    (tmp_path / "webui-user.sh").write_text("export COMMANDLINE_ARGS='--lora-dir /from/script'")
    (tmp_path / "webui-user.bat").write_text("set COMMANDLINE_ARGS=--lora-dir /from/script")
    where = os.path.abspath  # adds a drive on Windows
    assert loras(str(tmp_path), flags=True, process=True) == [where("/here/flags")]
    assert loras(str(tmp_path), flags=False, process=True) == [where("/here/process")]
    assert loras(str(tmp_path), flags=False, process=False) == [where("/here/script")]


def test_without_any_word_forges_own_places_count(tmp_path: Path) -> None:
    assert loras(str(tmp_path), flags=False, process=False) == [str(tmp_path / "models/Lora")]


def test_a_folder_inside_a_models_folder_has_its_role(tmp_path: Path) -> None:
    (tmp_path / "models/Stable-diffusion/xl").mkdir(parents=True)
    (tmp_path / "models/other").mkdir()
    assert [folder.role for folder in places(str(tmp_path / "models/Stable-diffusion/xl"))] == ["checkpoint"]
    assert [folder.role for folder in places(str(tmp_path / "models/other"))] == ["other"]


def test_a_target_knows_all_files_in_forges_folders_and_how_they_stand(tmp_path: Path) -> None:
    (tmp_path / "modules_forge").mkdir()
    listed = write_safetensors(tmp_path / "models/VAE/vae.safetensors", vae_shapes())
    write_safetensors(tmp_path / "models/Lora/l.safetensors", {"y": ("F32", (3,))})
    write_safetensors(tmp_path / "models/Stable-diffusion/x.sft", {"y": ("F32", (3,))})
    (tmp_path / "models/Stable-diffusion/x.safetensors.corrupted").write_bytes(listed.read_bytes())
    local = LocalFacts(TargetConfig(directory=str(tmp_path)), None, Sweep(Records(None), None, 1.0, 1e9))
    forge = replace(FORGE, listing=Listing((), ()), flags=NONE)
    asyncio.run(local.refresh("http://127.0.0.1:9", forge))
    assert isinstance(local.files, Files)
    assert {Path(file.path).name: (file.role, file.unlisted is None) for file in local.files.files} == {
        "vae.safetensors": ("module", True),
        "l.safetensors": ("lora", True),
        "x.sft": ("checkpoint", False),
        "x.safetensors.corrupted": ("checkpoint", False),
    }
    assert {Path(file.path).name: file.fault.id for file in local.files.files if file.fault is not None} == {
        "x.safetensors.corrupted": "misplaced-vae"
    }
    assert isinstance(local.verification, Verification)
    assert local.verification.counts == {"pending": 3}
