"""How fast headers are judged, as ratios of one run: json.loads, gguf-py, hashing, and a folder of 2,000 files.

python tests/bench/headers.py   (needs the dependency group `reference`)
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from forgediag.forge.judge import judge
from forgediag.formats import gguf, safetensors
from forgediag.formats.gguf.types import TYPES
from forgediag.formats.tail import SAMPLES, sampled
from forgediag.sources.window import opened
from forgediag.testing.adapters import lora
from forgediag.testing.files import safetensors_header, write_sparse
from forgediag.testing.gguf import gguf_header
from forgediag.testing.headers import header

NUMBERS = {name: number for number, (name, _, _) in TYPES.items()}
GB = 10**9


def seconds(*jobs: Callable[[], object], rounds: int = 15) -> list[float]:
    """The median of each job's times, the jobs taking turns."""
    taken: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, times in zip(jobs, taken, strict=True):
            begin = time.perf_counter()
            job()
            times.append(time.perf_counter() - begin)
    return [statistics.median(times) for times in taken]


def written(folder: Path, name: str) -> tuple[Path, bytes]:
    made = lora(name.removeprefix("lora-")) if name.startswith("lora-") else header(name)
    if made.format == "gguf":
        rows = [(key, tensor.shape, NUMBERS[tensor.dtype[5:]]) for key, tensor in made.tensors.items()]
        head, size = gguf_header(rows)
        return write_sparse(folder / f"{name.replace(':', '-')}.gguf", head, size), head
    head, size = safetensors_header({key: (t.dtype, t.shape) for key, t in made.tensors.items()}, {"format": "pt"})
    return write_sparse(folder / f"{name}.safetensors", head, size), head


def through(path: Path, read: Callable[[object], object]) -> Callable[[], object]:
    def job() -> object:
        with opened(str(path)) as window:
            return read(window)

    return job


def header_ratios(folder: Path) -> None:
    from gguf import GGUFReader  # noqa: PLC0415 - the reference alone needs it

    for name in ("vae", "flux", "sdxl", "lora-sdxl"):
        path, head = written(folder, name)
        ours, plain = seconds(through(path, safetensors.read), lambda raw=head[8:]: json.loads(raw))
        print(f"safetensors {name:10} {ours * 1e3:7.2f} ms, json.loads {plain * 1e3:6.2f} ms: {ours / plain:.2f} x")
    for name in ("flux:gguf-Q8_0", "flux:gguf-Q4_0"):
        path, _ = written(folder, name)
        ours, theirs = seconds(through(path, gguf.read), lambda path=path: GGUFReader(path))
        print(f"gguf {name:17} {ours * 1e3:7.2f} ms, gguf-py {theirs * 1e3:9.2f} ms: {theirs / ours:.1f} times as fast")


def triage(folder: Path) -> None:
    """A 24 GB file on which only the sampled blocks hold data, against the hash of 256 MiB, scaled to 24 GB."""
    size, path = 24 * GB, folder / "24gb.bin"
    with path.open("wb") as file:
        file.truncate(size)
        for number in range(SAMPLES):
            file.seek((size - 4096) * number // (SAMPLES - 1))
            file.write(b"\1" * 4096)
    sample = b"\1" * (1024 * 1024)

    def hashed() -> None:
        digest = hashlib.sha256()
        for _ in range(256):
            digest.update(sample)

    ours, hashing = seconds(through(path, sampled), hashed, rounds=5)
    whole = hashing * size / (256 * 1024 * 1024)
    ratio = f"{whole / ours:,.0f} times as fast"
    print(f"triage of 24 GB {ours * 1e3:.2f} ms (warm), SHA-256 of it {whole:.1f} s (scaled): {ratio}")


def two_thousand(folder: Path) -> None:
    paths = []
    for name in ("vae", "lora-sd15", "lora-sdxl", "flux", "sdxl", "clip_l", "flux:gguf-Q8_0"):
        path, _ = written(folder / "2000", name)
        raw = path.open("rb").read(600_000)
        size = path.stat().st_size
        paths += [write_sparse(path.with_name(f"{number}-{path.name}"), raw, size) for number in range(2000 // 7 + 1)]
    paths = paths[:2000]

    def all_of_them() -> None:
        for path in paths:
            with opened(str(path)) as window:
                found = judge(str(path), window, "checkpoint" if "sdxl.s" in path.name else None)
                assert found.header is not None

    (taken,) = seconds(all_of_them, rounds=3)
    print(f"2,000 files of 7 kinds, warm: {taken:.2f} s")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        header_ratios(Path(folder))
        triage(Path(folder))
        two_thousand(Path(folder))
    print(f"Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
