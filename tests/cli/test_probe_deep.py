"""`forgediag probe --deep` and `--live`, and `doctor --cure`."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forgediag.cli.probe_deep import document, text
from forgediag.forge.autoencoder.expected import Config, tensors
from forgediag.model import DeepProbe, Pass
from forgediag.testing.files import write_safetensors
from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.forge.files import MODULES, Module
from forgediag.testing.headers import header

INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A process started from a background job ignores SIGINT else."""

if TYPE_CHECKING:
    from tests.cli.conftest import Run

FAST = Pace(0, 0, 0, 0, 0, 0, 0)
CLI = "from forgediag.cli import main; main()"
MODULE_LIST = "forge_additional_modules"
SD15 = "meadow-sd15.safetensors"


@pytest.fixture
def forge() -> Iterator[ForgeThread]:
    """A quick Forge with a VAE of NaN."""
    with ForgeThread(Setup(pace=FAST, modules=(*MODULES, Module("nan.safetensors", state="nan")))) as running:
        yield running


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The selected checkpoint, as a file here."""
    made = header("sd15")
    return write_safetensors(tmp_path / SD15, {key: (one.dtype, one.shape) for key, one in made.tensors.items()})


def vae(path: Path, channels: int, first_bias: float) -> Path:
    shapes = {name: ("F32", shape) for name, shape in tensors(Config(channels, channels == 4, channels == 4)).items()}
    write_safetensors(path, shapes)
    with path.open("r+b") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        for name, (_, shape) in shapes.items():
            if name == "decoder.conv_in.bias":
                file.seek(start)
                file.write(struct.pack("<f", first_bias))
            start += 4 * math.prod(shape)
    return path


def test_a_vae_alone_is_run(run: Run, tmp_path: Path) -> None:
    ended = run("probe", vae(tmp_path / "v.safetensors", 4, math.nan), "--deep")
    assert ended.status == 1
    assert "gives NaN in decoder.conv_in" in ended.out
    assert "NOT safe" in ended.out


def test_the_document_names_layer_and_formats(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    ended = run("probe", checkpoint, "--module", vae(tmp_path / "v.safetensors", 4, 1e5), "--deep", "--json")
    told = ended.json
    assert told["loads_ok"]
    assert told["deep"]["file"].endswith("v.safetensors")
    assert told["deep"]["first_above_fp16"]["layer"] == "decoder.conv_in"
    assert told["deep"]["safe_dtypes"] == {"float16": False, "bfloat16": True, "float32": True}
    assert {"autoencoder-run"} == {finding["check"] for finding in told["findings"]}


def test_what_cannot_be_run_is_unknown_and_no_failure(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    ended = run("probe", path, "--deep", "--json")
    assert ended.status == 0
    assert ended.json["verdict"] == "unknown"
    assert not ended.json["deep"]["ran"]
    assert "was not run" in run("probe", path, "--deep").out


def test_numbers_that_json_has_not_become_texts() -> None:
    made = DeepProbe("v", 4, (Pass("decode", "gaussian", {"a": 1.0, "b": math.inf}, None, 0.1),))
    assert json.loads(json.dumps(document(made), allow_nan=False))["passes"][0]["largest"] == {"a": 1.0, "b": "inf"}
    assert "decode gaussian: not finite in b" in "\n".join(text(made))


def test_live_a_good_checkpoint_is_a_picture(run: Run, checkpoint: Path, forge: ForgeThread) -> None:
    ended = run("--forge", forge.url, "probe", checkpoint, "--live", "--prove")
    assert ended.status == 0
    assert "Forge answered the 64x64 picture with a picture" in ended.out
    assert "put back: forge_additional_modules = []" in ended.out
    assert "With the selection put back: a picture" in ended.out
    assert "asking for a 64x64 picture" in ended.err


def test_live_a_vae_of_nan_is_black(run: Run, checkpoint: Path, tmp_path: Path, forge: ForgeThread) -> None:
    bad = vae(tmp_path / "nan.safetensors", 4, 0.0)
    ended = run("--forge", forge.url, "probe", checkpoint, "--module", bad, "--live", "--json")
    assert ended.status == 1
    assert ended.json["live"]["outcome"]["end"] == "black"
    assert ended.json["findings"][0]["check"] == "live-picture"


def test_live_a_wrong_vae_is_forges_error_and_its_cure(
    run: Run, checkpoint: Path, tmp_path: Path, forge: ForgeThread
) -> None:
    bad = vae(tmp_path / "ae.safetensors", 16, 0.0)
    ended = run("--forge", forge.url, "probe", checkpoint, "--module", bad, "--live")
    assert ended.status == 1
    assert "with RuntimeError: Error(s) in loading state_dict" in ended.out
    assert "It has a model again" in ended.out


def test_live_is_not_asked_of_a_file_forge_would_rename(run: Run, tmp_path: Path, forge: ForgeThread) -> None:
    path = tmp_path / SD15
    path.write_text("<html>")
    ended = run("--forge", forge.url, "probe", path, "--live")
    assert ended.status == 1
    assert "would rename" in ended.err
    assert not forge.call(lambda it: [one for one in it.requests if one.startswith("POST")])


def test_live_without_a_forge_or_with_a_refusal_is_one_line(run: Run, checkpoint: Path, forge: ForgeThread) -> None:
    assert "nothing answers" in run("--forge", "http://127.0.0.1:9", "probe", checkpoint, "--live").err
    forge.call(lambda it: it.files.checkpoints.pop("no-vae-sd15.safetensors"))
    other = checkpoint.rename(checkpoint.with_name("other.safetensors"))
    assert "does not list other.safetensors" in run("--forge", forge.url, "probe", other, "--live").err


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is not there on Windows")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_everything_is_put_back(
    run: Run, checkpoint: Path, tmp_path: Path, how: signal.Signals
) -> None:
    slow = Pace(0, 0, 2.0, 0, 0, 0, 0)
    config = {"forge_additional_modules": ["/opt/forge/models/VAE/vae-4ch.safetensors"]}
    with ForgeThread(Setup(pace=slow, config=config)) as running:
        child = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{INTERRUPTIBLE}; from forgediag.cli import main; main()",
                "--forge",
                running.url,
                "probe",
                checkpoint,
                "--live",
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        )
        until = time.monotonic() + 20
        while "POST /sdapi/v1/txt2img" not in running.call(lambda it: list(it.requests)):
            assert time.monotonic() < until
            time.sleep(0.02)
        child.send_signal(how)
        said = child.communicate(timeout=20)[1]
        modules = running.call(lambda it: it.options.value(MODULE_LIST))
        if how is signal.SIGINT:
            assert "interrupted: the options are back" in said
        else:
            assert modules == []
            while running.call(lambda it: it.engine.state.job):
                time.sleep(0.05)
            told = run("--forge", running.url, "doctor", "--json").json["findings"]
            (left,) = [finding for finding in told if finding["check"] == "probe-unfinished"]
            assert left["evidence"]["before"][MODULE_LIST] == config[MODULE_LIST]
            assert "put back what a probe that was killed" in run("--forge", running.url, "doctor", "--cure").err
        assert running.call(lambda it: it.options.value(MODULE_LIST)) == config[MODULE_LIST]


def cured(run: Run, forge: ForgeThread) -> Any:
    return run("--forge", forge.url, "doctor", "--cure")


def test_cure_of_a_healthy_forge_asks_for_one_picture_and_changes_nothing(run: Run, forge: ForgeThread) -> None:
    assert "the answer: a picture" in cured(run, forge).err
    assert forge.call(lambda it: list(it.requests).count("POST /sdapi/v1/options")) == 0


def test_cure_of_a_stuck_forge(run: Run, forge: ForgeThread, checkpoint: Path) -> None:
    run("--forge", forge.url, "probe", checkpoint, "--live")
    forge.call(lambda it: it.options.post({"forge_additional_modules": ["ae.safetensors"]}))
    assert "what to do: forgediag probe" in cured(run, forge).err
    forge.call(lambda it: it.options.post({"forge_additional_modules": []}))
    told = cured(run, forge).err
    assert "a failed load has left Forge without a model" in told
    assert "with the selection put back: a picture" in told


def test_cure_of_broken_options_and_of_a_memory_value_not_in_effect(run: Run, forge: ForgeThread) -> None:
    forge.call(lambda it: it.options.post({"forge_inference_memory": 3000, "CLIP_stop_at_last_layers": "two"}))
    forge.wait(lambda it: it.restart())
    told = cured(run, forge).err
    assert "setting CLIP_stop_at_last_layers from 'two' back to its default 1" in told
    assert "read back: forge_inference_memory is 3000" in told
    assert forge.call(lambda it: it.options.effective_mb) == 3000


def test_cure_without_a_forge_is_one_line(run: Run) -> None:
    ended = run("--forge", "http://127.0.0.1:9", "doctor", "--cure")
    assert ended.status == 1
    assert "nothing was cured" in ended.err


def test_cure_that_does_not_work_says_to_restart(run: Run, forge: ForgeThread) -> None:
    forge.call(lambda it: it.options.post({"forge_additional_modules": []}))
    run("--forge", forge.url, "doctor", "--cure")
    forge.call(lambda it: it.options.post({"forge_additional_modules": ["ae.safetensors"]}))
    run("--forge", forge.url, "doctor", "--cure")
    forge.call(lambda it: it.options.post({"forge_additional_modules": []}))
    forge.call(lambda it: it.files.disk.clear())
    ended = cured(run, forge)
    assert ended.status == 1
    assert "not cured: Forge is still without a model; restart Forge" in ended.err


def test_live_with_a_pickle_that_forge_would_rename_is_not_asked(run: Run, tmp_path: Path, forge: ForgeThread) -> None:
    path = tmp_path / "other.ckpt"
    path.write_bytes(b"PK\x03\x04" + bytes(64))
    ended = run("--forge", forge.url, "probe", path, "--live")
    assert "Forge would rename" in ended.err
    assert "it was not asked" in ended.err
