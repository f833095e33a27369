"""Mutated headers against the real readers: accept and reject must never differ.

    python tests/bench/mutations.py safetensors --count 100000 [--old PYTHON]
    python tests/bench/mutations.py gguf --count 100000 [--old PYTHON --old-gguf FOLDER]

PYTHON is an interpreter with safetensors 0.4.2 (as in a Forge's venv); FOLDER holds the `gguf` package of a Forge
(packages_3rdparty). Their exception texts are compared too. The newest packages come from the group `reference`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

from forgediag.formats import gguf, safetensors
from forgediag.formats.gguf.reference import HANGS, says
from forgediag.formats.window import Held
from forgediag.model import Fault, Header
from forgediag.testing.files import safetensors_header
from forgediag.testing.gguf import gguf_header

WORKER = """
import sys, tempfile, os, warnings, logging
warnings.simplefilter("ignore"); logging.disable()
kind, folder = sys.argv[1:3]
if folder: sys.path.insert(0, folder)
if kind == "gguf":
    from gguf.gguf_reader import GGUFReader
    handle, path = tempfile.mkstemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None); os.close(handle)
    def judge(raw):
        with open(path, "wb") as file: file.write(raw)
        GGUFReader(path)
else:
    from safetensors import deserialize as judge
source, out = sys.stdin.buffer, sys.stdout.buffer
while len(size := source.read(8)) == 8:
    raw = source.read(int.from_bytes(size, "little"))
    try:
        judge(raw); answer = b""
    except BaseException as error:
        answer = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    out.write(len(answer).to_bytes(8, "little") + answer); out.flush()
if kind == "gguf": os.unlink(path)
"""
TOKENS = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"-0", b"1e3", b"\\u0061", b"\\ud800", b"null", b"true", b'"F32"',
          b'"F4"', b'"C64"', b'"F8_E8M0"', b"18446744073709551615", b"18446744073709551616", b"0", b"-1", b" ", b"\n",
          b"\xc3\xa9", b"\xff", b'"dtype"', b'"__metadata__":null,', b'"a":1,', b"00", b"1.0", b"\0"]  # fmt: skip


class Worker:
    """Another interpreter that judges files one after the other."""

    def __init__(self, python: str, kind: str, folder: str = "") -> None:
        command = [python, "-c", WORKER, kind, folder]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, raw: bytes) -> str:
        source, out = self.process.stdin, self.process.stdout
        assert source is not None
        assert out is not None
        source.write(len(raw).to_bytes(8, "little") + raw)
        source.flush()
        return out.read(int.from_bytes(out.read(8), "little")).decode()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def shapes(dice: random.Random) -> dict[str, tuple[str, tuple[int, ...]]]:
    names = [f"{dice.choice('abcde')}{number}" for number in range(dice.randint(0, 4))]
    return {
        name: (dice.choice(list(safetensors.SIZES)), tuple(dice.randint(0, 3) for _ in range(dice.randint(0, 3))))
        for name in names
    }


def safetensors_seed(dice: random.Random) -> bytes:
    head, size = safetensors_header(shapes(dice), {"k": "v"} if dice.random() < 0.3 else None)
    return head + bytes(size - len(head))


def gguf_seed(dice: random.Random) -> bytes:
    kinds = [(0, 4), (1, 3), (8, 32), (2, 64), (24, 5), (30, 2), (28, 1)]
    rows = []
    for number in range(dice.randint(0, 4)):
        kind, wide = dice.choice(kinds)
        rows.append((f"t{number}", [dice.randint(1, 3) for _ in range(dice.randint(0, 2))] + [wide], kind))
    keys: dict[str, str | float] = {"general.architecture": "flux", "a": dice.randint(0, 9), "b": True, "c": 1.5}
    if dice.random() < 0.3:
        keys["general.alignment"] = 32
    head, size = gguf_header(rows, keys, version=dice.choice((2, 3)))
    return head + bytes(size - len(head))


def mutated(raw: bytes, dice: random.Random, header: int) -> bytes:
    data = bytearray(raw)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        place = dice.randrange(max(1, min(len(data), header)))
        roll = dice.random()
        if roll < 0.3 and data:
            data[place % len(data)] = dice.choice((dice.randrange(256), 0, 255, 1, 48 + dice.randrange(10)))
        elif roll < 0.45:
            del data[place : place + dice.randint(1, 8)]
        elif roll < 0.75:
            data[place:place] = dice.choice(TOKENS)
        elif roll < 0.85:
            other = dice.randrange(max(1, len(data)))
            data[place : place + 4] = data[other : other + 4]
        elif roll < 0.93:
            del data[len(data) - dice.randint(0, 40) :]
        else:
            data += bytes(dice.randint(1, 40))
    return bytes(data)


def respelled(raw: bytes, dice: random.Random) -> bytes:
    """The same header in another spelling, most of which safetensors takes: order, blanks, lists, numbers, dtypes."""
    length = int.from_bytes(raw[:8], "little")
    text, data = raw[8 : 8 + length].decode().rstrip(), raw[8 + length :]
    entries = list(json.loads(text).items())
    dice.shuffle(entries)
    for number, (name, entry) in enumerate(entries):
        if name != "__metadata__":
            entries[number] = name, respelled_entry(entry, dice)
    body = ",".join(f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in entries)
    text = "{" + body + "}" + dice.choice(("", " ", "\n"))
    for _ in range(dice.choice((0, 0, 1, 3))):
        place = dice.randrange(len(text))
        if text[place] in ",:{[" and dice.random() < 0.9:
            text = text[: place + 1] + dice.choice((" ", "\n", "  ", "\t")) + text[place + 1 :]
    data = data[: len(data) - dice.choice((0, 0, 0, 0, 1))] if data else data
    encoded = text.encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def respelled_entry(entry: dict[str, object], dice: random.Random) -> object:
    roll = dice.random()
    shape = entry["shape"]
    assert isinstance(shape, list)
    if roll < 0.1:
        return [entry["dtype"], shape, entry["data_offsets"]]
    if roll < 0.2:
        return {**entry, dice.choice(("more", "dtypes", "")): dice.choice((None, 1, -0.5, [1, {"a": 2}], "x", True))}
    if roll < 0.3:
        return dict(reversed(entry.items()))
    if roll < 0.4:
        return {**entry, "shape": [*shape, 1]}
    if roll < 0.5:
        return {**entry, "dtype": dice.choice(("F8_E8M0", "F4", "C64", "F6_E2M3", "F8_E4M3FNUZ", "U8", "F64"))}
    if roll < 0.55:
        return {**entry, "dtype": {entry["dtype"]: None}}
    if roll < 0.6:
        return {**entry, "data_offsets": [dice.choice((0, 1, 2**63, 2**64 - 1, 2**64)), dice.choice((0, 2**64 - 1))]}
    if roll < 0.65:
        return {**entry, "shape": [dice.choice((2**61, 2**62, 2**63, 2**64 - 1)), dice.choice((0, 1, 4, 8))]}
    return entry


def repaired(raw: bytes, dice: random.Random) -> bytes:
    """A header whose length fits again, so that most mutants get past the first rule."""
    end = raw.rfind(b"}") + 1
    if end < 9 or dice.random() < 0.15:
        return raw
    return (end - 8).to_bytes(8, "little") + raw[8:]


def cases(kind: str, count: int, seed: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    for _ in range(count):
        if kind == "gguf":
            raw = gguf_seed(dice)
            yield mutated(raw, dice, min(len(raw), 320))
        else:
            raw = safetensors_seed(dice)
            if dice.random() < 0.5:
                yield respelled(raw, dice)
                continue
            yield repaired(mutated(raw, dice, 8 + int.from_bytes(raw[:8], "little")), dice)


def verdict(judge: Callable[[bytes], object], raw: bytes) -> str:
    try:
        judge(raw)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def same_text(ours: str, theirs: str) -> bool:
    """Whether two texts agree; a hash map decides which of several tensors of one place is named."""
    ours, theirs = ours.rpartition(": ")[2], theirs.rpartition(": ")[2]
    return ours == theirs or (ours[:14] == theirs[:14] == "InvalidOffset(")


def shares_a_place(raw: bytes) -> bool:
    """Whether two tensors claim one place: 0.4.2 then names either, by the order of its hash map."""
    places = re.findall(rb"\[\s*(\d+)\s*,\s*(\d+)\s*\]\s*[,}\]]", raw)
    return len(places) > len(set(places))


def judge_safetensors(raw: bytes, real: str, old: str | None, seen: Counter[str]) -> None:
    found = safetensors.read(Held(raw))
    accepts = isinstance(found, Header) or found.id == "dtype-newer-than-forge"
    seen["newest: differ"] += accepts != (not real)
    if old is not None:
        ours = found.forge_says or "" if isinstance(found, Fault) else ""
        seen["0.4.2: differ"] += bool(ours) != bool(old)
        other = bool(ours and old) and not same_text(ours, old)
        seen["0.4.2: other text"] += other and not shares_a_place(raw)
        seen["0.4.2: its hash map's order decides"] += other and shares_a_place(raw)
    seen["accepted"] += accepts


def judge_gguf(raw: bytes, real: str, old: str | None, seen: Counter[str]) -> None:
    newest = says(Held(raw), "newest")
    seen["newest: differ"] += bool(newest) != bool(real)
    seen["newest: other text"] += bool(newest and real) and newest != real
    found = gguf.read(Held(raw)) if raw.startswith(b"GGUF") else None
    if isinstance(found, Header):
        seen["ours good, Forge's reader refuses"] += says(Held(raw), "forge") is not None
    if old is not None:
        ours = says(Held(raw), "forge")
        seen["Forge: differ"] += bool(ours) != bool(old)
        seen["Forge: other text"] += bool(ours and old) and ours != old
    seen["accepted"] += not real


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("safetensors", "gguf"))
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--old", help="a Python with safetensors 0.4.2, or with numpy for Forge's gguf")
    parser.add_argument("--old-gguf", default="", help="the folder of Forge's gguf package")
    parser.add_argument("--show", type=int, default=5, help="differences to print")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    newest = Worker(sys.executable, asked.kind)
    old = Worker(asked.old, asked.kind, asked.old_gguf) if asked.old else None
    seen: Counter[str] = Counter()
    judge = judge_gguf if asked.kind == "gguf" else judge_safetensors
    shown = 0
    for number, raw in enumerate(cases(asked.kind, asked.count, asked.seed)):
        if asked.kind == "gguf" and HANGS in {says(Held(raw), "newest"), says(Held(raw), "forge")}:
            seen["left out: the reference hangs"] += 1
            continue
        real, before = newest(raw), None if old is None else old(raw)
        count = sum(value for key, value in seen.items() if "differ" in key or "text" in key or "good" in key)
        judge(raw, real, before, seen)
        after = sum(value for key, value in seen.items() if "differ" in key or "text" in key or "good" in key)
        if after > count and shown < asked.show:
            shown += 1
            ours = safetensors.read(Held(raw)) if asked.kind == "safetensors" else says(Held(raw), "newest")
            print(number, raw[:400], "\n  ours:", ours, "\n  newest:", real, "\n  old:", before)
    for worker in (newest, old):
        if worker is not None:
            worker.end()
    print(f"{asked.kind}: {asked.count:,} mutants, {dict(seen)}")


if __name__ == "__main__":
    main()
