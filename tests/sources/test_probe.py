"""The deep probe's child process on VAEs that are holes on the disk, with planted values."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forgediag.forge.autoencoder import ranges
from forgediag.forge.autoencoder.expected import Config, tensors
from forgediag.model import DeepProbe, Gap, Header
from forgediag.packages import install
from forgediag.probing import passes
from forgediag.sources import probe as under_test
from forgediag.sources.headers import read_header
from forgediag.sources.probe import Limits, Try, deep
from forgediag.testing.files import write_safetensors
from forgediag.testing.loads import MODULES

TRIES = (Try("decode", 1), Try("decode", 1, 3.0, flat=True), Try("encode", 1))
Make = Callable[..., Path]


@pytest.fixture
def vae(tmp_path: Path) -> Make:
    """A VAE of zeros, with some first values of tensors set to others."""

    def make(channels: int = 4, prefix: str = "", without: str = "", **planted: float) -> Path:
        four = channels == 4
        shapes = {prefix + name: ("F32", shape) for name, shape in tensors(Config(channels, four, four)).items()}
        shapes = {"alone": ("F32", (1,)), **{name: held for name, held in shapes.items() if name != without}}
        path = write_safetensors(tmp_path / f"vae{channels}.safetensors", shapes)
        with path.open("r+b") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            for name, (_, shape) in shapes.items():
                if (value := planted.get(name.removeprefix(prefix).replace(".", "__"))) is not None:
                    file.seek(start)
                    file.write(struct.pack("<f", value))
                start += 4 * math.prod(shape)
        return path

    return make


def read(path: Path) -> Header:
    found = read_header(str(path))
    assert isinstance(found, Header)
    return found


def probed(path: Path, **how: Any) -> DeepProbe:
    made = deep(str(path), read(path), how.pop("tries", TRIES), **how)
    assert isinstance(made, DeepProbe), made
    return made


def refused(path: Path, **how: Any) -> str:
    made = deep(str(path), read(path), TRIES, **how)
    assert isinstance(made, Gap)
    return made.reason


@pytest.mark.parametrize(("channels", "prefix"), [(4, ""), (16, "vae."), (4, "first_stage_model.")])
def test_a_vae_of_zeros_answers_one_colour(vae: Make, channels: int, prefix: str) -> None:
    made = probed(vae(channels, prefix))
    assert made.latent_channels == channels
    assert [one.way for one in made.passes] == ["decode", "decode", "encode"]
    assert list(made.passes[0].largest)[-1] == "decoder.conv_out"
    assert [finding.check for finding in ranges.judge(made)] == ["autoencoder-run"]
    assert "one colour" in ranges.judge(made)[0].message


def test_the_first_layer_beyond_fp16_is_found(vae: Make) -> None:
    made = probed(vae(decoder__up__1__block__1__conv2__bias=290_000.0), tries=TRIES[:1])
    peak = ranges.leaves(made)
    assert peak is not None
    assert (peak.layer, peak.largest) == ("decoder.up.1.block.1.conv2", 290_000.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_ends_the_pass_where_it_begins(vae: Make, value: float) -> None:
    made = probed(vae(decoder__mid__block_1__conv1__bias=value), tries=TRIES[:1])
    assert list(made.passes[0].largest)[-1] == "decoder.mid.block_1.conv1"
    assert made.passes[0].spread is None


def test_a_missing_tensor_and_a_file_without_a_vae_are_told(vae: Make, tmp_path: Path) -> None:
    assert "1 of the tensors Forge needs are missing or of another shape, first decoder.mid.attn_1.q.bias" in refused(
        vae(without="decoder.mid.attn_1.q.bias")
    )
    other = write_safetensors(tmp_path / "clip.safetensors", {"a": ("F16", (1,))})
    assert "has no VAE" in refused(other)


def test_too_little_memory_or_time_ends_it(vae: Make) -> None:
    path = vae()
    assert "deep probe" in refused(path, limits=Limits(memory=40 << 20))
    assert "took more than 0.05 s" in refused(path, limits=Limits(seconds=0.05))


def test_without_numpy_it_says_what_to_install(vae: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "hidden" / "numpy"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('no numpy here')")
    monkeypatch.setenv("PYTHONPATH", str(hidden.parent))
    assert install("numpy") in refused(vae())


def test_a_child_that_says_nothing_is_told(vae: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "no answer" in refused(vae())


def test_the_passes_can_keep_what_came_out(vae: Make, tmp_path: Path) -> None:
    path = vae(16)
    found = under_test._tensors(str(path), read(path))
    assert not isinstance(found, Gap)
    keep = str(tmp_path / "out.npy")
    asked = [under_test._asked(one, 16) for one in TRIES]
    made = passes.run({"path": str(path), "channels": 16, "tensors": found[1], "passes": asked, "keep": keep})
    assert len(made["passes"]) == 3
    assert Path(keep).exists()


@pytest.mark.parametrize("kind", ["vae-4-old-diffusers", "vae-4-diffusers", "vae-16-diffusers"])
def test_a_vae_in_diffusers_layout_is_run_by_forges_names(tmp_path: Path, kind: str) -> None:
    shapes = {name: ("F16", shape) for name, shape in MODULES[kind]().items()}
    path = write_safetensors(tmp_path / "vae.safetensors", shapes)
    made = probed(path, tries=(Try("decode", 1), Try("encode", 1)))
    assert "decoder.up.3.upsample.conv" in made.passes[0].largest
    assert "encoder.down.1.block.0.nin_shortcut" in made.passes[1].largest


def test_only_safetensors_files_are_run(tmp_path: Path) -> None:
    made = deep(str(tmp_path / "vae.gguf"), Header("gguf", {}))
    assert isinstance(made, Gap)
    assert "no safetensors file" in made.reason
