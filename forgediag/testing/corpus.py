"""A corpus of model files, good and bad, each with the one right finding."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from forgediag.formats.safetensors.dtypes import BITS, SIZES
from forgediag.model import Header, Role
from forgediag.testing.adapters import control_lora, controlnet, lora
from forgediag.testing.corpus_gguf import gguf_cases
from forgediag.testing.corpus_headers import ACCEPTED, REFUSED, entry, file
from forgediag.testing.corpus_pickles import PICKLES
from forgediag.testing.files import safetensors_header, vae_shapes, write_sparse
from forgediag.testing.headers import header

__all__ = ["Case", "corpus"]

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 2132696762\n"
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Case:
    """A file: what it begins with, its size (a hole follows, and `end` closes it), and the finding it must get.

    `finding` is a fault's id, None for a good file.
    """

    label: str
    name: str
    head: bytes
    finding: str | None
    size: int | None = None
    end: bytes = b"\x3c" * 4096
    role: Role | None = None

    def write(self, folder: Path) -> Path:
        """Write it into a folder of its own."""
        size = len(self.head) if self.size is None else self.size
        return write_sparse(folder / self.label / self.name, self.head, size, end=self.end)


def _st(label: str, raw: bytes, finding: str | None, size: int | None = None) -> Case:
    return Case(label, "model.safetensors", raw, finding, size)


def _of(label: str, made: Header, role: Role, finding: str | None) -> Case:
    head, size = safetensors_header({name: (t.dtype, t.shape) for name, t in made.tensors.items()}, {"format": "pt"})
    return Case(label, "model.safetensors", head, finding, size, role=role)


def _rules() -> Iterator[Case]:
    for label, raw in ACCEPTED.items():
        yield _st(f"ok-{label}", raw, None)
    for label, (raw, wrong) in REFUSED.items():
        yield _st(f"bad-{label}", raw, wrong)
    for dtype, bits in BITS.items():
        finding = None if dtype in SIZES else "dtype-newer-than-forge"
        raw = file(entry("[8]", f"[0,{bits}]", f'"{dtype}"'), bits)
        yield _st(f"dtype-{dtype}", raw, finding)
        if dtype not in SIZES:
            yield _st(f"dtype-cut-{dtype}", raw[:-1], "data-cut")


_SHAPES = {"mib": (1024, 520), "mib16": (4096, 2048), "gib": (1024, 1024, 4096), "gib24": (3, 2**32)}


def _sizes() -> Iterator[Case]:
    """Small, about 1 MiB, and many GiB: whole, cut, longer, and not written to the end."""
    for label, shape in {
        "mib": (1024, 520),
        "mib16": (4096, 2048),
        "gib": (1024, 1024, 4096),
        "gib24": (3, 2**32),
    }.items():
        head, size = safetensors_header({"a": ("F16", shape), "b": ("F16", (100,)), "c": ("F16", (33,))})
        yield _st(f"whole-{label}", head, None, size=size)
        yield _st(f"cut-1-{label}", head, "data-cut", size=size - 1)
        yield _st(f"cut-half-{label}", head, "data-cut", size=size // 2)
        yield _st(f"cut-all-{label}", head, "data-cut", size=len(head))
        yield _st(f"cut-header-{label}", head[:40], "header-cut")
        yield _st(f"extra-1-{label}", head, "data-extra", size=size + 1)
        yield replace(_st(f"hole-{label}", head, "tail-hole", size=size), end=b"")
        yield replace(_st(f"zeros-{label}", head, "tail-zeros", size=size), end=bytes(1024 * 1024 + 4096))
        yield _st(f"preallocated-{label}", b"", "zeros", size=size)
        small, length = safetensors_header({"z": ("U8", (16,))})
        glued = small + b"\1" * 16 + small + b"\1" * 16
        yield _st(f"two-{label}", glued, "two-files", size=2 * length)


IMPOSTORS: Mapping[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "lfs": (LFS, "lfs-pointer"),
    "html": (b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>", "html-page"),
    "html-late": (b"\n\n  <html><body>404</body></html>", "html-page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "html-page"),
    "json": (b'{"error":"Repository not found"}', "json-answer"),
    "not-found": (b"Entry not found", "text"),
    "forbidden": (b"Access to model x is restricted. You must be authenticated to access it.", "text"),
    "zeros": (bytes(3000), "zeros"),
    "gzip": (gzip.compress(b"x" * 100, mtime=0), "archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\0\4" * 40, "archive"),
    "rar": (b"Rar!\x1a\7\1\0" + b"\1" * 60, "archive"),
    "zstd": (b"\x28\xb5\x2f\xfd" + b"\4" * 60, "archive"),
    "zip-of-model": (b"PK\3\4" + bytes(22) + b"\x11\0\0\0" + b"model.safetensors" + b"\1" * 60, "archive"),
}


def _impostors() -> Iterator[Case]:
    for label, (raw, finding) in IMPOSTORS.items():
        for ending in ("safetensors", "gguf", "ckpt"):
            if (label, ending) != ("zip-of-model", "ckpt"):  # `PICKLES` has a whole one
                yield Case(f"{label}-{ending}", f"model.{ending}", raw, finding)
    good = file(entry())
    gguf = b"GGUF\3\0\0\0" + bytes(16)
    torch_zip = b"PK\3\4" + bytes(22) + b"\x10\0\0\0" + b"archive/data.pkl" + b"\1" * 60
    yield Case("safetensors-as-gguf", "model.gguf", good, "gguf-magic")
    yield Case("safetensors-as-ckpt", "model.ckpt", good, "named-wrong-safetensors")
    yield Case("gguf-as-safetensors", "model.safetensors", gguf, "named-wrong-gguf")
    yield Case("gguf-as-ckpt", "model.ckpt", gguf, "named-wrong-gguf")
    yield Case("zip-as-safetensors", "model.safetensors", torch_zip, "named-wrong-zip")
    yield Case("zip-as-gguf", "model.gguf", torch_zip, "named-wrong-zip")
    yield Case("pickle-as-safetensors", "model.safetensors", b"\x80\2}q\0." + bytes(40), "named-wrong-pickle")
    yield Case("pickle-as-gguf", "model.gguf", b"\x80\2}q\0." + bytes(40), "named-wrong-pickle")


def _pickles() -> Iterator[Case]:
    for label, (raw, finding) in PICKLES.items():
        yield Case(f"pickle-{label}", "model.ckpt", raw, finding)


def _names() -> Iterator[Case]:
    good = file(entry())
    for ending in ("part", "partial", "tmp", "crdownload", "download", "opdownload", "incomplete"):
        yield Case(f"leftover-{ending}", f"model.safetensors.{ending}", good[:-1], "download-leftover")
        yield Case(f"finished-{ending}", f"model.safetensors.{ending}", good, "download-leftover-whole")
    yield Case("aria2", "model.safetensors.aria2", b"\0\1\0\0", "control-file")
    yield Case("corrupted-whole", "model.safetensors.corrupted", good, "corrupted-but-whole")
    yield Case("corrupted-cut", "model.safetensors.corrupted", good[:-1], "data-cut")
    yield Case("corrupted-newer", "model.safetensors.corrupted", file(entry("[8]", "[0,8]", '"F8_E8M0"')),
               "dtype-newer-than-forge")  # fmt: skip
    yield Case("sft", "model.sft", good, "sft-not-listed")
    yield Case("sft-cut", "model.sft", good[:-1], "data-cut")
    yield Case("blob", "ab" * 32, good, None)
    yield Case("blob-cut", "ab" * 32, good[:-1], "data-cut")
    yield Case("blob-incomplete", "ab" * 32 + ".incomplete", good[:-1], "download-leftover")
    yield Case("upper-case", "MODEL.SAFETENSORS", good, None)


def _places() -> Iterator[Case]:
    vae = Header("safetensors", header("vae").tensors)
    embedding = file(json.dumps({"emb_params": {"dtype": "F16", "shape": [4, 768], "data_offsets": [0, 6144]}}), 6144)
    upscaler = safetensors_header({f"conv_first.{leaf}": ("F16", (64,)) for leaf in ("weight", "bias")})
    unet = safetensors_header({f"down_blocks.0.resnets.{n}.conv1.weight": ("F16", (4, 4)) for n in range(9)})
    for family in ("sd15", "sdxl"):
        yield _of(f"{family}-place", header(family), "checkpoint", None)
        yield _of(f"{family}-lora-place", lora(family), "checkpoint", "misplaced-lora")
        yield _of(f"{family}-controlnet-place", controlnet(family), "checkpoint", "misplaced-controlnet")
    yield _of("control-lora-place", control_lora("sdxl"), "checkpoint", "misplaced-controlnet")
    for kind in ("flux", "chroma", "sd35m", "sd3m", "sd2", "refiner", "sdxl-inpaint"):
        yield _of(f"{kind}-place", header(kind), "checkpoint", None)
    yield _of("vae-place", vae, "checkpoint", "misplaced-vae")
    yield _of("vae-module", vae, "module", None)
    for kind in ("t5", "clip_l", "clip_g"):
        yield _of(f"{kind}-place", header(kind), "checkpoint", "misplaced-text-encoder")
        yield _of(f"{kind}-module", header(kind), "module", None)
    yield Case("embedding-place", "e.safetensors", embedding, "misplaced-embedding", role="checkpoint")
    yield Case("upscaler-place", "u.safetensors", upscaler[0], "misplaced-upscaler", upscaler[1], role="checkpoint")
    yield Case("diffusers-place", "unet.safetensors", unet[0], "diffusers-part", unet[1], role="checkpoint")
    small = safetensors_header(vae_shapes(16))
    yield Case("small-vae-module", "ae.safetensors", small[0], None, small[1], role="module")


@lru_cache(maxsize=1)
def corpus() -> tuple[Case, ...]:
    """All files of the corpus; labels are unique."""
    made = [*_rules(), *_sizes(), *_impostors(), *_pickles(), *_names(), *_places()]
    made += [Case(label, "model.gguf", head, finding, size) for label, head, size, finding in gguf_cases()]
    return tuple(made)
