"""`hash` says what files are known by and whether they are what they should be, and never guesses."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING

import blake3
import pytest

from forgediag.cli.hash import _progress
from forgediag.packages import install
from forgediag.sources import whole
from forgediag.sources.identity import identify as real
from forgediag.sources.reading import Changed
from forgediag.testing.files import safetensors_header, vae_shapes, write_safetensors, write_sparse

INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A process started from a background job ignores SIGINT else."""

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture
def vae(tmp_path: Path) -> Path:
    return write_safetensors(tmp_path / "vae.safetensors", vae_shapes(4))


def test_the_document_has_every_key_of_the_schema(run: Run, vae: Path) -> None:
    ended = run("hash", "--json", vae)
    (row,) = ended.json["files"]
    data = vae.read_bytes()
    tensors = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
    assert ended.json["schema"] == "forgediag.hash/1"
    assert (row["path"], row["bytes"], row["format"]) == (str(vae), len(data), "safetensors")
    assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert (row["autov2"], row["autov3"], row["tensors_sha256"]) == (row["sha256"][:10], tensors[:12], tensors)
    assert row["blake3"] == blake3.blake3(data).hexdigest()
    assert (row["crc32"], row["fingerprint"], row["content"], row["fault"]) == (None, None, None, None)
    assert (row["verdict"], row["claims"], ended.status) == ("unknown", [], 0)


def test_all_adds_what_is_rarely_asked_for(run: Run, vae: Path) -> None:
    (row,) = run("hash", "--json", "--all", vae).json["files"]
    assert len(row["crc32"]) == 8
    assert len(row["fingerprint"]) == 64


def test_the_terminal_shows_identities_as_sites_show_them(run: Run, vae: Path) -> None:
    os.truncate(vae, 3 * 1024 * 1024)
    out = run("hash", "--all", vae).out
    sha256 = hashlib.sha256(vae.read_bytes()).hexdigest()
    assert f"SHA256      {sha256}\n" in out
    assert f"AutoV2      {sha256[:10].upper()}  " in out
    assert "64 KiB at 1 MiB; files that differ elsewhere share it" in out
    assert "verdict     unknown: nothing on this machine says what it should be" in out


def test_forges_short_hash_of_a_small_file_is_explained(run: Run, tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "small.safetensors", {"a": ("F16", (4,))})
    assert (
        "AutoV1      e3b0c442  (Forge's `hash`: of no bytes at all, as of every file up to 1 MiB)"
        in run("hash", path).out
    )


def test_a_sidecar_that_agrees_makes_a_file_genuine(run: Run, vae: Path) -> None:
    vae.with_suffix(".sha256").write_text(hashlib.sha256(vae.read_bytes()).hexdigest())
    ended = run("hash", vae)
    assert "  = vae.sha256: sha256 " in ended.out
    assert "genuine: as published: vae.sha256" in ended.out
    assert ended.status == 0


def test_a_sidecar_that_differs_is_told_with_what_it_can_mean(run: Run, vae: Path) -> None:
    vae.with_suffix(".sha256").write_text("0" * 64)
    ended = run("hash", vae)
    assert "  ! vae.sha256: sha256 000000000000 differs: " in ended.out
    assert ended.status == 1
    (row,) = run("hash", "--json", vae).json["files"]
    assert (row["verdict"], row["claims"][0]["verdict"]) == ("differs", "differs")


def content_file(path: Path) -> Path:
    values = {"nan": [1.0, float("nan"), float("inf")], "big": [70000.0], "zero": [0.0, -0.0], "fine": [1.0]}
    entries, data = {}, b""
    for name, numbers in values.items():
        raw = struct.pack(f"<{len(numbers)}f", *numbers)
        entries[name] = {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    entries["ids"] = {"dtype": "I64", "shape": [1], "data_offsets": [len(data), len(data) + 8]}
    head = json.dumps(entries).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(len(head).to_bytes(8, "little") + head + data + bytes(8))
    return path


def test_content_names_the_odd_tensors(run: Run, tmp_path: Path) -> None:
    path = content_file(tmp_path / "lora.safetensors")
    ended = run("hash", "--content", path)
    assert "nan: 1 NaN and 1 Inf of 3" in ended.out
    assert "big: up to 70000, more than fp16 holds (65504)" in ended.out
    assert "zero: all 2 numbers are zero" in ended.out
    assert "4 tensors of floating-point numbers looked at; not: 1 I64" in ended.out
    assert ended.status == 1
    (row,) = run("hash", "--content", "--json", path).json["files"]
    assert [each["name"] for each in row["content"]["odd"]] == ["nan", "big", "zero"]


def test_many_odd_tensors_and_holes_are_told_in_short(run: Run, tmp_path: Path) -> None:
    head, size = safetensors_header({f"t{i}": ("F16", (30_000,)) for i in range(9)})
    path = write_sparse(tmp_path / "z.safetensors", head, size)
    out = run("hash", "--content", path).out
    assert "and 3 more tensors like these" in out
    assert "bytes in blocks of zeros; the longest run is" in out


def test_content_without_numpy_names_the_way_out(run: Run, vae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "numpy")
    ended = run("hash", "--content", vae)
    assert (ended.status, ended.err) == (2, f"forgediag: --content needs numpy; run {install('numpy')}\n")


def test_without_blake3_one_line_says_so(run: Run, vae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "blake3")
    monkeypatch.setitem(sys.modules, "blake3", None)
    ended = run("hash", "--json", vae)
    assert ended.err == f"forgediag: BLAKE3 is left out: it needs a package; run {install('blake3')}\n"
    assert ended.json["files"][0]["blake3"] is None


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str) -> ModuleSpec | None:
        return None if name == package else real(name)

    monkeypatch.setattr("forgediag.cli.hash.find_spec", find_spec)


def test_a_folder_stands_for_its_model_files(run: Run, tmp_path: Path) -> None:
    for name in ("b/x.safetensors", "a.gguf", "note.txt"):
        (tmp_path / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / name).write_bytes(b"GGUF")
    found = run("hash", "--json", "models").json["files"]
    assert [Path(each["path"]).as_posix() for each in found] == ["models/a.gguf", "models/b/x.safetensors"]


def test_a_folder_without_model_files_is_told(run: Run, tmp_path: Path) -> None:
    ended = run("hash", tmp_path)
    assert ended.status == 2
    assert "holds no model files" in ended.err


def test_a_damaged_header_is_a_failure_with_its_hash(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>")
    ended = run("hash", "page.safetensors")
    assert "SHA256" in ended.out
    assert "  damaged     " in ended.out
    assert ended.status == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "x"), "does not exist (any more)"),
        (PermissionError(13, "x"), "may not be read by this user"),
        (OSError(5, "Input/output error"), "Input/output error; nothing is said of it"),
        (Changed("it changed while it was read"), "it changed while it was read; nothing is said of it"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_the_others_are_hashed(
    run: Run, vae: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    if not isinstance(error, FileNotFoundError):
        Path("bad").write_bytes(b"")

    def identify(path: str, **how: object) -> object:
        if path == "bad":
            raise error
        return real(path, **how)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(whole, "identify", identify)
    ended = run("hash", "--json", "bad", vae)
    assert ended.err == f"forgediag: bad: {words}\n"
    assert [each["path"] for each in ended.json["files"]] == [str(vae)]
    assert ended.status == 3


def test_a_header_that_cannot_be_read_any_more_leaves_the_hash(
    run: Run, vae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: str) -> object:
        raise FileNotFoundError(path)

    monkeypatch.setattr("forgediag.cli.hash.read_header", gone)
    (row,) = run("hash", "--json", vae).json["files"]
    assert (row["family"], len(row["sha256"])) == ("unknown", 64)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    now = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    with _progress([str(path), "gone"]) as tell:
        tell(str(path), 50)
        tell(str(path), 100)
    assert "50%" in screen.getvalue()
    assert "100%" in screen.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process on Windows")
def test_an_interrupt_ends_it_at_once_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "big.gguf").touch()
    os.truncate(tmp_path / "big.gguf", 200 * 1024**3)
    code = f"{INTERRUPTIBLE}; from forgediag.cli import main; main()"
    command = [sys.executable, "-c", code, "hash", "big.gguf"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert out == ""


def test_a_file_that_was_read_before_is_not_read_again(run: Run, vae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.sources.records.Record.settled", lambda self, seconds: True)
    first = run("hash", "--json", "--all", vae).json["files"][0]
    with monkeypatch.context() as patch:
        patch.setattr(whole, "identify", None)
        again = run("hash", "--json", "--all", vae).json["files"][0]
        said = run("hash", vae).out
    assert first["trusted_read"] is None
    assert {**again, "trusted_read": None} == first
    assert "--full reads it again" in said
    assert run("hash", "--json", "--full", vae).json["files"][0]["trusted_read"] is None


def test_an_identity_that_was_not_taken_before_is_read_for(
    run: Run, vae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgediag.sources.records.Record.settled", lambda self, seconds: True)
    run("lock", vae)
    with_blake3 = run("hash", "--json", vae).json["files"][0]
    with_crc32 = run("hash", "--json", "--all", vae).json["files"][0]
    assert (with_blake3["trusted_read"], with_crc32["trusted_read"]) == (None, None)
    assert len(with_blake3["blake3"]) == 64


def test_a_stretch_of_zeros_is_damage(run: Run, tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "z.safetensors", {"w": ("F16", (2_000_000,))})
    with path.open("r+b") as file:
        file.seek(1_000_000)
        file.write(bytes(500_000))
    ended = run("hash", path)
    assert ended.status == 1
    assert "damaged     from about" in ended.out
