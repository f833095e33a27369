"""Coverage-guided fuzzing of the readers of model files: no crash, no hang, memory under its cap, nothing unsound.

    pip install atheris safetensors && python tests/bench/fuzz.py safetensors|gguf|pickle [SECONDS]

A run is a verdict on one input. It ends at the first that raises, takes over 10 s or 512 MiB, or where the verdict is
wrong by a reference: the real safetensors accepts what we refuse (or the reverse); CPython's own unpickler asks for a
name beyond those of model files in what we call safe. The input is then left as crash-… in the working directory.
atheris has wheels for Linux and CPython 3.11 to 3.13 only.
"""

from __future__ import annotations

import struct
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

atheris: Any = import_module("atheris")
with atheris.instrument_imports(include=["forgediag.formats"]):
    from forgediag.formats import gguf, model_file, safetensors
    from forgediag.formats.pickle import allowed, read
    from forgediag.formats.window import Held
    from forgediag.model import Fault, Header
    from forgediag.testing.asking import asked
    from forgediag.testing.corpus import corpus
    from forgediag.testing.pickles import MAGIC, packed

BYTEARRAY8 = b"\x96"
LARGEST_SEED = 4096
SECONDS = 1800


def judge_safetensors(raw: bytes) -> None:
    """Accept and reject as the real reader does; every other input has its length put right to get past that rule."""
    if len(raw) % 2 and (end := raw.rfind(b"}") + 1) > 8:
        raw = struct.pack("<Q", end - 8) + raw[8:]
    found = safetensors.read(Held(raw))
    accepted = isinstance(found, Header) or found.id == "dtype-newer-than-forge"
    try:
        real.deserialize(raw)
    except Exception as error:
        if accepted:
            raise AssertionError(f"we accept what safetensors refuses: {error}") from None
    else:
        if not accepted:
            raise AssertionError(f"we refuse what safetensors accepts: {found}")


def judge_gguf(raw: bytes) -> None:
    """A verdict on every input, with and without its magic number."""
    assert isinstance(gguf.read(Held(raw)), Header | Fault)
    assert isinstance(gguf.read(Held(b"GGUF" + raw[4:])), Header | Fault)
    model_file.inspect("model.gguf", Held(raw))


def judge_pickle(raw: bytes) -> None:
    """A verdict on the file, on a zip of these records, and on these opcodes, which must name what they ask for."""
    assert isinstance(read(Held(raw)).found, Header | Fault)
    assert isinstance(read(Held(b"PK\x03\x04" + raw)).found, Header | Fault)
    assert isinstance(read(Held(MAGIC + raw)).found, Header | Fault)
    body = raw + b"."
    if BYTEARRAY8 in body:
        return  # CPython sets aside as many bytes as the opcode says
    unknown = [name for name in asked(body) if allowed.kind(*name) == "unknown"]
    if unknown and read(Held(packed(body))).safety.safe:
        raise AssertionError(f"called safe, and asks for {unknown}")


JUDGES = {"safetensors": judge_safetensors, "gguf": judge_gguf, "pickle": judge_pickle}
SUFFIXES = {"safetensors": (".safetensors",), "gguf": (".gguf",), "pickle": (".ckpt", ".pt", ".pth", ".bin")}


def seeds(kind: str, folder: Path) -> None:
    """The small files of the test corpus of one format, and the opcodes of its pickles."""
    for number, case in enumerate(corpus()):
        raw = case.head[:LARGEST_SEED]
        if case.name.endswith(SUFFIXES[kind]):
            (folder / str(number)).write_bytes(raw)
            if kind == "pickle" and (start := raw.find(b"\x80\x02")) > 0:
                (folder / f"{number}-opcodes").write_bytes(raw[start:])


def main() -> None:
    kind = sys.argv[1]
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        seeds(kind, Path(folder))
        limits = [
            f"-max_total_time={seconds}",
            "-timeout=10",
            "-rss_limit_mb=512",
            "-max_len=4096",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *limits, folder], JUDGES[kind])
        atheris.Fuzz()


if __name__ == "__main__":
    real: Any = import_module("safetensors") if sys.argv[1:2] == ["safetensors"] else None
    main()
