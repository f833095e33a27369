"""Measure what identities cost: `python tests/bench/identity.py [MIB [ROUNDS]]`, on a disk of its own, Linux.

Everything is a ratio to the loop Forge hashes a checkpoint with (SHA-256 over reads of 1 MiB, one core): interleaved
rounds, medians. The cold part drops the file from the page cache first and looks at the cache of this file and of
another one (mincore) afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from mmap import PAGESIZE
from pathlib import Path

import blake3
import numpy as np

from forgediag.sources.content import sample
from forgediag.sources.identity import ALL, blake3_alone, fingerprint, identify
from forgediag.sources.reading import BLOCK
from forgediag.sources.resident import pages

MIB = 1024 * 1024
FULL = frozenset({"sha256", "autov1", "fingerprint"})


def model(path: Path, mib: int) -> str:
    """A safetensors file of ordinary fp16 weights in tensors of 8 MiB, written to the disk."""
    count, size = max(1, mib // 8), 8 * MIB
    entries = {
        f"t{i}": {"dtype": "F16", "shape": [size // 2], "data_offsets": [i * size, (i + 1) * size]}
        for i in range(count)
    }
    head = json.dumps(entries).encode()
    head += b" " * (-len(head) % 8)
    random = np.random.default_rng(mib + len(path.name))
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for _ in range(count):
            file.write(random.standard_normal(size // 2, dtype=np.float32).astype(np.float16).tobytes())
        file.flush()
        os.fsync(file.fileno())
    return str(path)


def forge(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()


def read_only(path: str) -> None:
    buffer = bytearray(BLOCK)
    with Path(path).open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def on_one_core(act: Callable[[], object]) -> Callable[[], object]:
    def pinned() -> object:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cores)})
        try:
            return act()
        finally:
            os.sched_setaffinity(0, cores)

    return pinned


def two(act: Callable[[str], object], paths: list[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(act, paths))


def drop(path: str) -> None:
    with Path(path).open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident_mib(path: str) -> float:
    with Path(path).open("rb") as file:
        return sum(byte & 1 for byte in pages(file.fileno(), Path(path).stat().st_size)) * PAGESIZE / MIB


Times = dict[str, list[float]]


def rounds(cases: Mapping[str, Callable[[], object]], count: int, before: Callable[[], None]) -> Times:
    taken: Times = {name: [] for name in cases}
    for _ in range(count):
        for name, act in cases.items():
            before()
            began = time.perf_counter()
            act()
            taken[name].append(time.perf_counter() - began)
    return taken


def show(title: str, taken: Times, mib: int, base: str) -> dict[str, float]:
    """Print medians, their ratio to the base, and the same of the best rounds, which a shared machine disturbs less."""
    print(f"\n{title}\n{'':34} {'ms':>8} {'GiB/s':>7} {'time':>7} {'speed':>7} {'best ms':>8} {'speed':>7}")
    found = {name: statistics.median(times) for name, times in taken.items()}
    for name, seconds in found.items():
        ratio, best = seconds / found[base], min(taken[name])
        print(
            f"{name:34} {seconds * 1000:8.1f} {mib / 1024 / seconds:7.2f} {ratio:7.3f} {1 / ratio:7.2f}"
            f" {best * 1000:8.1f} {min(taken[base]) / best:7.2f}"
        )
    return found


def warm(path: str, other: str, mib: int, count: int) -> None:
    cases: dict[str, Callable[[], object]] = {
        "Forge's loop": on_one_core(lambda: forge(path)),
        "sha256, one core": on_one_core(lambda: identify(path)),
        "full pass, one core": on_one_core(lambda: identify(path, wanted=FULL, content=True)),
        "full pass": lambda: identify(path, wanted=FULL, content=True),
        "sha256 + autov3": lambda: identify(path, wanted=frozenset({"autov3"})),
        "every identity and content": lambda: identify(path, wanted=ALL, content=True),
        "blake3 alone, one core": on_one_core(lambda: blake3_alone(path)),
        "blake3 alone": lambda: blake3_alone(path),
        "fingerprint": lambda: fingerprint(path),
        "sample (NaN, Inf, zeros)": lambda: sample(path),
    }
    for act in cases.values():
        act()
    show(f"warm, {mib} MiB", rounds(cases, count, lambda: None), mib, "Forge's loop")
    pair = {
        "Forge's loop, one after the other": lambda: (forge(path), forge(other)),
        "two files": lambda: two(lambda each: identify(each, cores=1), [path, other]),
        "two files, full pass": lambda: two(
            lambda each: identify(each, wanted=FULL, content=True, cores=1), [path, other]
        ),
    }
    show(f"two files, {2 * mib} MiB", rounds(pair, count, lambda: None), 2 * mib, "Forge's loop, one after the other")


def cold(path: str, other: str, mib: int, count: int) -> None:
    cases = {
        "disk alone": lambda: read_only(path),
        "Forge's loop": lambda: forge(path),
        "sha256": lambda: identify(path),
        "full pass": lambda: identify(path, wanted=FULL, content=True),
        "sha256, one core": on_one_core(lambda: identify(path)),
        "sample (NaN, Inf, zeros)": lambda: sample(path),
    }
    found = show(f"cold, {mib} MiB", rounds(cases, count, lambda: drop(path)), mib, "Forge's loop")
    slower = max(found["disk alone"], found["Forge's loop"])
    for name in ("sha256", "full pass", "sha256, one core"):
        print(f"{name}: {slower / found[name]:.2f} of the slower of disk and Forge's loop")
    drop(path)
    forge(other)
    before = resident_mib(other)
    identify(path, wanted=FULL, content=True)
    print(f"page cache after a cold full pass: {resident_mib(path):.0f} MiB of its own")
    print(f"another program's file: {before:.0f} MiB before, {resident_mib(other):.0f} MiB after")
    half = Path(path).stat().st_size // 2
    with Path(path).open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(file.fileno(), half, 0)
    before = resident_mib(path)
    identify(path)
    print(f"a file that another program holds in part: {before:.0f} MiB before, {resident_mib(path):.0f} MiB after")


def main(mib: int = 512, count: int = 9) -> None:
    print(f"load {os.getloadavg()[0]:.2f}, {len(os.sched_getaffinity(0))} cores, blake3 {blake3.__version__}")
    with tempfile.TemporaryDirectory(prefix="forgediag-bench-") as place:
        path, other = model(Path(place) / "a.safetensors", mib), model(Path(place) / "bb.safetensors", mib)
        warm(path, other, mib, count)
        cold(path, other, mib, count)
    print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
