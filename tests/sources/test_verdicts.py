"""What a header says is remembered by stamp, name, role and rules, and comes back as it was."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from forgediag.model import Fault, ModelFile, Safety
from forgediag.model.safety import Call
from forgediag.sources import headers as source
from forgediag.sources import verdicts
from forgediag.sources.headers import Headers
from forgediag.sources.records import Record, Records
from forgediag.sources.stamp import Stamp
from forgediag.sources.verdicts import Verdict
from forgediag.testing.files import vae_shapes, write_safetensors
from forgediag.testing.pickles import Weight, call, packed, torch_zip

LONG_AGO = Stamp(10, 1, 1, 7)
FILE = ModelFile(
    "/m/a.ckpt", "/m/a.ckpt", "module", False, 10, "pickle", "vae", None, 4, {"VAE": 3}, verdicts.NOT_SELECTED
)
FULL = replace(
    FILE,
    fault=Fault("data-cut", "it is cut", ("again",), "Error", 5),
    traits=frozenset({"GGUF", "b"}),
    dtype="F16",
    safety=Safety((Call("os", "system", "GLOBAL", 3, "data.pkl"),), ("trick",), "too long"),
)


def verdict(file: ModelFile = FILE, stamp: Stamp = LONG_AGO, began: float = 1000.0) -> Verdict:
    return Verdict(stamp, began, file.path, file.role, file)


@pytest.mark.parametrize("file", [FILE, FULL], ids=["plain", "full"])
def test_a_verdict_comes_back_as_it_was_in_the_next_process(tmp_path: Path, file: ModelFile) -> None:
    Records(tmp_path / "j").judged([(file.local, verdict(file))])
    assert Records(tmp_path / "j").verdict(file.local, LONG_AGO, file.path, "module") == file


@pytest.mark.parametrize(
    ("stamp", "name", "role"),
    [(Stamp(10, 1, 2, 7), FILE.path, "module"), (LONG_AGO, "/m/a.gguf", "module"), (LONG_AGO, FILE.path, "checkpoint")],
)
def test_another_version_name_or_role_is_judged_anew(stamp: Stamp, name: str, role: str) -> None:
    records = Records(None)
    records.judged([(FILE.local, verdict())])
    assert records.verdict(FILE.local, stamp, name, role) is None


def test_other_rules_judge_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(None)
    records.judged([(FILE.local, verdict())])
    monkeypatch.setattr(verdicts, "rules", lambda: "others")
    assert records.verdict(FILE.local, LONG_AGO, FILE.path, "module") is None


def test_a_file_written_a_moment_ago_is_not_remembered() -> None:
    records = Records(None)
    records.judged([(FILE.local, verdict(began=30.0))])
    assert records.verdict(FILE.local, LONG_AGO, FILE.path, "module") is None


@pytest.mark.parametrize("row", [b"{}", b"[]", b"nonsense", b'{"rules": "x"}'])
def test_a_line_that_is_no_verdict_says_nothing(row: bytes) -> None:
    assert verdicts.read(row) is None


def test_headers_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.sources.records._settled", lambda *_: True)
    path = str(write_safetensors(tmp_path / "a.safetensors", vae_shapes()))
    records, stamp = Records(tmp_path / "j"), Stamp.at(path)
    headers = Headers(records)
    first = headers.of(path, path, "module", stamp)
    headers.flush()
    monkeypatch.setattr(source, "examine", None)
    assert Headers(Records(tmp_path / "j")).of(path, path, "module", stamp) == first


def test_many_verdicts_are_written_down_from_time_to_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.sources.records._settled", lambda *_: True)
    monkeypatch.setattr(source, "AT_ONCE", 2)
    headers = Headers(Records(tmp_path / "j"))
    for name in "abc":
        path = str(write_safetensors(tmp_path / f"{name}.safetensors", vae_shapes()))
        headers.of(path, path, "module", Stamp.at(path))
    assert len((tmp_path / "j").read_bytes().splitlines()) == 2


def test_what_loading_a_pickle_would_run_is_remembered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.sources.records._settled", lambda *_: True)
    path = tmp_path / "a.ckpt"
    path.write_bytes(packed(b"\x80\x02" + call(b"cos\nsystem\n", "x") + b"."))
    records, stamp = Records(None), Stamp.at(str(path))
    headers = Headers(records)
    first = headers.of(str(path), str(path), "checkpoint", stamp)
    headers.flush()
    again = headers.of(str(path), str(path), "checkpoint", stamp)
    assert first.safety is not None
    assert [found.target for found in first.safety.calls] == ["os.system"] * 2
    assert again == first


def test_damage_that_was_found_when_the_file_was_read_whole_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(torch_zip({"a": Weight("F32", (2, 3))}))
    stamp, now = Stamp.at(str(path)), time.time()
    damage = Fault("record-crc", "changed", ())
    records = Records(tmp_path / "j")
    records.add(str(path), Record(stamp, "a" * 64, now, now, damage=damage))
    headers = Headers(Records(tmp_path / "j"))
    assert headers.of(str(path), str(path), "other", stamp).fault == damage
    assert headers.of(str(path), str(path), "other", replace(stamp, inode=1)).fault is None
