"""The files and the selections of `loads.py`: good ones, and every kind of bad one that users have."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgediag.testing import architectures as nets
from forgediag.testing import loads, unets
from forgediag.testing.files import safetensors_header, write_safetensors
from forgediag.testing.headers import UNET, header
from forgediag.testing.pickles import Weight, packed, torch_legacy, torch_zip

Shapes = Mapping[str, tuple[int, ...]]
Write = Callable[[Path], object]

SD15 = {name: tensor.shape for name, tensor in header("sd15").tensors.items()}
TEXT, VAE = "cond_stage_model.", "first_stage_model."
LORA = {f"lora_unet_down_blocks_{i}_proj_in.lora_{side}.weight": (8, 8) for i in range(20) for side in ("up", "down")}


@dataclass(frozen=True)
class Case:
    """A selection. `deleted` names a file that is deleted after it was selected and used."""

    key: str
    checkpoint: str
    modules: tuple[str, ...] = ()
    deleted: str = ""


def _sparse(shapes: Shapes, cut: float | int | None = None) -> Write:
    def write(path: Path) -> None:
        write_safetensors(path, {name: ("F16", shape) for name, shape in shapes.items()})
        if cut is not None:
            os.truncate(path, int(path.stat().st_size * cut) if isinstance(cut, float) else cut)

    return write


def _real(shapes: Shapes, nan: str = "-") -> Write:
    """Small random numbers in fp16, NaN in every tensor whose name begins with `nan`."""

    def write(path: Path) -> None:
        head, size = safetensors_header({name: ("F16", shape) for name, shape in shapes.items()})
        block = np.random.default_rng(1).normal(0, 0.02, 1 << 20).astype(np.float16).tobytes()
        with path.open("wb") as file:
            file.write(head)
            for name, shape in shapes.items():
                count = 2 * int(np.prod(shape))
                told = (
                    b"\x00\x7e" * (count // 2) if name.startswith(nan) else (block * (count // len(block) + 1))[:count]
                )
                file.write(told)
        assert path.stat().st_size == size

    return write


def _bytes(content: bytes) -> Write:
    return lambda path: path.write_bytes(content)


def _gguf(shapes: Shapes, version: int = 3, magic: bytes = b"GGUF", cut: int | None = None) -> Write:
    def write(path: Path) -> None:
        head, at = magic + struct.pack("<IQQ", version, len(shapes), 0), 0
        for name, shape in shapes.items():
            sizes = b"".join(struct.pack("<Q", length) for length in reversed(shape))
            head += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape)) + sizes
            head += struct.pack("<IQ", 0, at)
            at += -(-4 * int(np.prod(shape)) // 32) * 32
        head += bytes(-len(head) % 32)
        path.write_bytes(head)
        os.truncate(path, cut or len(head) + at)

    return write


def _pickled(shapes: Shapes) -> bytes:
    return torch_zip({"state_dict": {name: Weight("F16", shape) for name, shape in shapes.items()}})


def _no(*prefixes: str) -> Shapes:
    return {name: shape for name, shape in SD15.items() if not name.startswith(prefixes)}


TINY = {
    **{f"double_blocks.{i}.img_attn.norm.{n}_norm.scale": (128,) for i in range(19) for n in ("key", "query")},
    **{f"single_blocks.{i}.norm.{n}_norm.scale": (128,) for i in range(38) for n in ("key", "query")},
    "guidance_in.in_layer.weight": (64, 16),
    "img_in.weight": (64, 64),
}
HTML, LFS = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>" * 9,
    b"version https://git-lfs.github.com/",
)
_FEW = [f"b.{i}" for i in range(20)]
NO_ENGINE: Mapping[str, Shapes] = {
    "hunyuan": {
        "mlp_t5.0.weight": (8, 8),
        "x_embedder.proj.weight": (1408, 4, 2, 2),
        "extra_embedder.0.weight": (8, 1024),
    },
    "cascade": {"clf.1.weight": (8, 8), "clip_txt_mapper.weight": (2048, 8)},
    "auraflow": {
        "double_layers.0.attn.w1q.weight": (8, 8),
        "positional_encoding": (1, 64, 8),
        "cond_seq_linear.weight": (8, 2048),
    },
    "auraflow-other": {
        "double_layers.0.attn.w1q.weight": (8, 8),
        "positional_encoding": (1, 64, 8),
        "cond_seq_linear.weight": (8, 9),
    },
}

UNETS = {
    **{f"sd15-{harm}": ("sd15", harm) for harm in unets.HARMS if harm != "whole"},
    "sd15-inpaint": ("sd15-inpaint", "whole"),
    "sd15-inpaint-half": ("sd15-inpaint", "half-convolution"),
    **{f"sdxl-{harm}": ("sdxl", harm) for harm in ("no-middle", "no-keys", "half-convolution", "no-last-up")},
}
"""Harmed UNets between text encoder and VAE that fit."""


def _with_unet(family: str, harm: str) -> Shapes:
    rest = _no(UNET) if family.startswith("sd15") else loads.checkpoint("sdxl+vae")
    return {**{k: s for k, s in rest.items() if not k.startswith(UNET)}, **loads.under(UNET, unets.unet(family, harm))}


CHECKPOINTS: Mapping[str, Write] = {
    "good.safetensors": _real(SD15),
    "e2-nan-unet.safetensors": _real(SD15, UNET),
    "e3-nan-vae.safetensors": _real(SD15, VAE),
    "a-cut.safetensors": _sparse(SD15, 0.6),
    "a2-cut-in-header.safetensors": _sparse(SD15, 2000),
    "b-html.safetensors": _bytes(HTML),
    "b2-json.safetensors": _bytes(
        b'{"error":"Unauthorized","message":"You need to be logged in to download this model"}'
    ),
    "c-lfs.safetensors": _bytes(LFS + b"spec/v1\noid sha256:" + b"6ce0161689b38" * 5 + b"\nsize 4265146304\n"),
    "d-empty.safetensors": _bytes(b""),
    "d2-empty.ckpt": _bytes(b""),
    "e-zeros.safetensors": _sparse(SD15),
    "g-no-vae.safetensors": _sparse(_no(VAE)),
    "h-no-clip.safetensors": _sparse(_no(TEXT)),
    "h3-unet-only.safetensors": _sparse(_no(TEXT, VAE)),
    "i-flux-bare.safetensors": _sparse(TINY),
    "i2-flux-prefixed.safetensors": _sparse(loads.under(UNET, TINY)),
    "j-lora.safetensors": _sparse(LORA),
    "k-cut.ckpt": lambda path: path.write_bytes(torch_zip({"a": 1})[:-60]),
    "k2-corrupt.ckpt": _bytes(packed(b"\xa7\x02}q\x00.")),
    "k3-html.ckpt": _bytes(HTML),
    "k4-no-model.ckpt": _bytes(torch_zip({"a": 1})),
    "k5-lora.ckpt": _bytes(_pickled(LORA)),
    "k6-flux.ckpt": _bytes(_pickled(TINY)),
    "k7-flux-old.ckpt": _bytes(torch_legacy({"state_dict": {k: Weight("F16", s) for k, s in TINY.items()}})),
    "k8-code.ckpt": _bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."),
    "l-deleted.safetensors": _sparse(SD15),
    "n-cut.gguf": _gguf(TINY, cut=12001),
    "n2-version-99.gguf": _gguf(TINY, 99),
    "n3-version-1.gguf": _gguf(TINY, 1),
    "n4-magic.gguf": _gguf(TINY, magic=b"GGUX"),
    "n5-flux.gguf": _gguf(TINY),
    "n6-cut-even.gguf": _gguf(TINY, cut=12000),
    **{f"{n}.safetensors": _sparse(loads.checkpoint(n)) for n in ("sdxl", "sdxl+vae", "sdxl-bare", "sd2", "sd3-text")},
    **{f"{n}.safetensors": _sparse(loads.checkpoint(n)) for n in ("schnell-bare", "chroma-bare", "flux+vae")},
    **{f"{n}.safetensors": _sparse({**s, **dict.fromkeys(_FEW, (8,))}) for n, s in NO_ENGINE.items()},
    "vae-as-model.safetensors": _sparse(nets.vae(4)),
    "t5-as-model.safetensors": _sparse(loads.module("t5")),
    "empty-model.safetensors": _sparse({}),
    **{f"{name}.safetensors": _sparse(_with_unet(*what)) for name, what in UNETS.items()},
}

VAES: Mapping[str, Write] = {
    "vae-4": _sparse(nets.vae(4)),
    "ae": _sparse(nets.vae(16)),
    "f2-cut": _sparse(nets.vae(4), 100_000_000),
    "html-vae": _bytes(b"<html>" * 50),
    "m2-deleted": _sparse(nets.vae(4)),
    "nan-vae": _real(nets.vae(4), "decoder."),
    **{
        name: _sparse(loads.module(name))
        for name in (
            *("vae-4-decoder", "vae-4-odd", "vae-4-prefixed", "vae-4-extracted", "vae-16-extracted", "vae-4-half"),
            *("vae-4-diffusers", "vae-4-diffusers-conv", "vae-8", "vae-4-17-keys", "vae-4-16-keys", "taesd"),
        )
    },
}
TEXTS: Mapping[str, Write] = {
    name: _sparse(loads.module(name))
    for name in (
        *("clip_l", "clip_g", "clip_g-no-projection", "clip_h-plain", "t5", "t5-large", "clip_l-vocabulary"),
        "clip_l-open",
    )
}


def _cases() -> list[Case]:
    made: list[Case] = []
    for text in CASES_TEXT.strip().splitlines():
        key, checkpoint, *rest = text.split()
        name = checkpoint if "." in checkpoint else f"{checkpoint}.safetensors"
        modules = tuple(word for word in rest if not word.startswith("-"))
        made.append(Case(key, name, modules, next((word[1:] for word in rest if word.startswith("-")), "")))
    return made


CASES_TEXT = """
a a-cut
a2 a2-cut-in-header
b b-html
b2 b2-json
c c-lfs
d d-empty
d2 d2-empty.ckpt
e e-zeros
e2 e2-nan-unet
e3 e3-nan-vae
e4 good nan-vae
f good ae
f2 good f2-cut
f3 good vae-4-decoder
g g-no-vae
g2 g-no-vae vae-4
h h-no-clip
h2 h-no-clip clip_l
h3 h3-unet-only
h4 h3-unet-only vae-4 clip_l
i i-flux-bare
i2 i2-flux-prefixed
i3 i-flux-bare ae
i4 i-flux-bare ae clip_l
j j-lora
k k-cut.ckpt
k2 k2-corrupt.ckpt
k3 k3-html.ckpt
k4 k4-no-model.ckpt
k5 k5-lora.ckpt
k6 k6-flux.ckpt
k7 k7-flux-old.ckpt
k8 k8-code.ckpt
l l-deleted vae-4 -l-deleted
m2 good m2-deleted -m2-deleted
n n-cut.gguf
n2 n2-version-99.gguf
n3 n3-version-1.gguf
n4 n4-magic.gguf
n5 n5-flux.gguf
n6 n6-cut-even.gguf
m01 good
m02 e-zeros vae-4
m03 good vae-4-odd
m04 e-zeros vae-4-prefixed
m05 good vae-4-extracted
m06 e-zeros vae-16-extracted
m07 good vae-4-diffusers
m08 e-zeros vae-4-diffusers-conv
m09 good vae-8
m10 e-zeros vae-4-17-keys
m11 good taesd
m12 e-zeros vae-4-half
m13 good ae vae-4
m14 e-zeros vae-4 ae
m15 good html-vae
m16 g-no-vae vae-4-16-keys
m17 g-no-vae vae-4-prefixed
m18 g-no-vae taesd
m19 good clip_l
m20 e-zeros clip_g
m21 good t5
m22 e-zeros clip_l-vocabulary
m23 h-no-clip clip_g
m24 h-no-clip clip_h-plain
m25 h-no-clip clip_l-open
m26 h3-unet-only clip_l
m27 h3-unet-only clip_l ae
x01 sdxl
x02 sdxl ae
x03 sdxl+vae ae
x04 sdxl-bare clip_l
x05 sdxl-bare clip_l clip_g-no-projection
x06 sdxl-bare clip_l clip_g
x07 sdxl-bare clip_g clip_l ae
x08 sd2 ae
x09 sd2
x10 sd3-text clip_l
x11 sd3-text clip_l clip_g
x12 schnell-bare clip_l t5
x13 schnell-bare clip_l t5 vae-4
x14 schnell-bare t5-large clip_l ae
x15 schnell-bare clip_g t5 ae
x16 chroma-bare ae
x17 chroma-bare clip_l ae
x18 chroma-bare t5
x19 chroma-bare t5 vae-4
x20 chroma-bare t5-large ae
x21 flux+vae vae-4
x22 flux+vae clip_l-vocabulary
y1 vae-as-model
y2 t5-as-model ae
y3 empty-model vae-4
y4 hunyuan
y5 cascade
y6 auraflow vae-4
y7 auraflow-other
"""
CASES = [*_cases(), *(Case(f"u{i:02}", f"{name}.safetensors") for i, name in enumerate(UNETS, 1))]


def module_path(models: Path, name: str) -> Path:
    """Where a module lies."""
    return models / ("VAE" if name in VAES else "text_encoder") / f"{name}.safetensors"


def _files(models: Path) -> dict[Path, Write]:
    found = {models / "Stable-diffusion" / name: write for name, write in CHECKPOINTS.items()}
    return found | {module_path(models, name): write for name, write in {**VAES, **TEXTS}.items()}


def make(models: Path) -> str:
    """Write every file that is not there; what to do next."""
    for path, write in _files(models).items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
    return (
        f"{len(CHECKPOINTS) + len(VAES) + len(TEXTS)} files are in {models}: now start Forge with --models-dir {models}"
    )


def remake(models: Path, case: Case) -> None:
    """Put back the files of a case that Forge has renamed, or that were deleted."""
    paths = {models / "Stable-diffusion" / case.checkpoint, *(module_path(models, name) for name in case.modules)}
    for path, write in _files(models).items():
        if path in paths:
            Path(f"{path}.corrupted").unlink(missing_ok=True)
            if not path.exists():
                write(path)
