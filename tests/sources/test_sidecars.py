"""What lies beside a file is read in every shape its writers give it, and garbage says nothing."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forgediag.model import Header
from forgediag.model.claim import Claim
from forgediag.sources import sidecars
from forgediag.sources.forge_hashes import LIMIT as CACHE_LIMIT

SHA = "ab" * 32
UPPER = SHA.upper()
BLAKE = "cd" * 32
NAME = "model.safetensors"
SIZE = 2048


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SD_WEBUI_CACHE_DIR", raising=False)
    path = tmp_path / "models" / "Stable-diffusion" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * SIZE)
    return path


def found(path: Path, header: Header | None = None, forge_dir: Path | None = None) -> list[Claim]:
    return list(sidecars.claims(str(path), header, None if forge_dir is None else str(forge_dir)))


def said(path: Path, **more: Any) -> list[tuple[str, str, str]]:
    return [(each.kind, each.value, each.trust) for each in found(path, **more)]


def test_a_file_alone_is_spoken_of_by_nobody(model: Path) -> None:
    assert found(model) == []


def test_a_file_that_is_gone_has_no_claims(model: Path) -> None:
    model.with_suffix(".sha256").write_text(SHA)
    model.unlink()
    assert found(model) == []


@pytest.mark.parametrize("ending", [".safetensors.sha256", ".sha256"])
@pytest.mark.parametrize(
    "text",
    [
        SHA,
        f"{UPPER}\n",
        f"{SHA}  {NAME}\n",
        f"{SHA} *some/{NAME}\r\n",
        f"\\{SHA}  renamed.safetensors\n",
        f"SHA256 ({NAME}) = {SHA}\n",
        f"{'0' * 64}  other.safetensors\n{SHA}  {NAME}\n",
        f"\ufeff{SHA}  {NAME}\n",
    ],
)
def test_checksum_files_of_coreutils_and_bsd(model: Path, ending: str, text: str) -> None:
    model.with_suffix(ending).write_text(text, "utf-8")
    assert said(model) == [("sha256", SHA, "published")]


@pytest.mark.parametrize("text", ["", "not a hash", f"{SHA}  a\n{UPPER}  b\n", "ab" * 16])
def test_a_checksum_file_about_nothing_here(model: Path, text: str) -> None:
    model.with_suffix(".sha256").write_text(text)
    assert found(model) == []


HASHES = {
    "SHA256": UPPER,
    "AutoV1": "AABBCCDD",
    "AutoV2": UPPER[:10],
    "AutoV3": "ABCDEF012345",
    "CRC32": "00FF00FF",
    "BLAKE3": BLAKE.upper(),
    "NEW": "x",
}
EVERY = [
    ("sha256", SHA, "published"),
    ("autov1", "aabbccdd", "published"),
    ("sha256", SHA[:10], "published"),
    ("autov3", "abcdef012345", "published"),
    ("crc32", "00ff00ff", "published"),
    ("blake3", BLAKE, "published"),
]


def test_civitai_info_has_six_hashes_of_the_file_of_this_size(model: Path) -> None:
    other = {"sizeKB": 4.0, "primary": True, "hashes": {"SHA256": "0" * 64}}
    document = {"files": [other, {"name": NAME, "sizeKB": SIZE / 1024, "hashes": HASHES}, "odd"]}
    model.with_suffix(".civitai.info").write_text(json.dumps(document))
    assert said(model) == EVERY
    assert {(each.size, each.about) for each in found(model)} == {(SIZE, NAME)}


def test_civitai_info_without_a_file_of_this_size_speaks_of_its_primary_one(model: Path) -> None:
    rows = [{"sizeKB": 7.5, "primary": True, "hashes": {"SHA256": SHA}}, {"sizeKB": 9, "hashes": {"SHA256": "0" * 64}}]
    model.with_suffix(".civitai.info").write_text(json.dumps({"files": rows}))
    assert [(each.value, each.size) for each in found(model)] == [(SHA, 7680)]


def test_civitai_info_with_two_other_files_says_nothing(model: Path) -> None:
    rows = [{"sizeKB": 7.5, "hashes": {"SHA256": SHA}}, {"sizeKB": None, "hashes": {"SHA256": "0" * 64}}]
    model.with_suffix(".civitai.info").write_text(json.dumps({"files": rows}))
    assert found(model) == []


def test_lora_managers_own_hash_is_believed_and_its_sites_published(model: Path) -> None:
    document = {"sha256": SHA, "size": SIZE, "civitai": {"files": [{"sizeKB": 2, "hashes": {"SHA256": UPPER}}]}}
    model.with_suffix(".metadata.json").write_text(json.dumps(document))
    assert said(model) == [("sha256", SHA, "believed"), ("sha256", SHA, "published")]


def test_lora_managers_note_about_another_size_is_stale(model: Path) -> None:
    model.with_suffix(".metadata.json").write_text(json.dumps({"sha256": SHA, "size": 1, "civitai": None}))
    assert [each.stale for each in found(model)] == ["it was written about a file of another size"]


def test_stability_matrix_and_user_metadata(model: Path) -> None:
    model.with_suffix(".cm-info.json").write_text(
        json.dumps({"Hashes": {"SHA256": UPPER, "CRC32": None, "BLAKE3": BLAKE}})
    )
    model.with_suffix(".json").write_text(json.dumps({"sha256": SHA, "notes": ""}))
    assert said(model) == [
        ("sha256", SHA, "published"),
        ("blake3", BLAKE, "published"),
        ("sha256", SHA, "believed"),
    ]


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"files": {}, "Hashes": [], "civitai": 1, "sha256": 5}', b"null"],
)
def test_garbage_beside_a_file_says_nothing(model: Path, raw: bytes) -> None:
    for ending in (".civitai.info", ".metadata.json", ".cm-info.json", ".json", ".sha256"):
        model.with_suffix(ending).write_bytes(raw)
    assert found(model) == []


def test_a_sidecar_too_long_to_be_one_is_not_read(model: Path) -> None:
    model.with_suffix(".json").write_text(json.dumps({"sha256": SHA, "x": "y" * sidecars.LIMIT}))
    assert found(model) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes in folders are a thing of POSIX")
def test_a_pipe_beside_a_file_is_not_waited_for(model: Path) -> None:
    os.mkfifo(model.with_suffix(".json"))
    assert found(model) == []


def test_the_header_speaks_of_the_tensors(model: Path) -> None:
    said_by = {"sshs_model_hash": SHA, "sshs_legacy_hash": "aabbccdd", "modelspec.hash_sha256": "0x" + BLAKE, "x": "y"}
    assert said(model, header=Header("safetensors", {}, said_by)) == [
        ("autov3", SHA, "recorded"),
        ("autov1", "aabbccdd", "hint"),
        ("autov3", BLAKE, "hint"),
    ]


@pytest.mark.parametrize(("name", "kind"), [(SHA, "sha256"), ("12" * 20, "git-blob")])
def test_a_file_of_hugging_faces_cache_is_named_by_its_hash(tmp_path: Path, name: str, kind: str) -> None:
    blob = tmp_path / "models--ORG--NAME" / "blobs" / name
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x")
    link = tmp_path / "models--ORG--NAME" / "snapshots" / "main" / NAME
    link.parent.mkdir(parents=True)
    try:
        link.symlink_to(blob)
    except OSError:
        link = blob
    (claim,) = found(link)
    assert (claim.kind, claim.value, claim.source) == (kind, name, "Hugging Face's cache (models--ORG--NAME)")


def note(model: Path, *lines: str) -> None:
    path = model.parent.parent / ".cache/huggingface/download/Stable-diffusion" / f"{NAME}.metadata"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(("late", "stale"), [(-100, False), (0.5, False), (2, True)])
def test_a_note_of_a_download_holds_until_the_file_is_changed(model: Path, late: float, stale: bool) -> None:
    note(model, "commit", SHA, "1700000000.0", "")
    os.utime(model, (1700000000 + late, 1700000000 + late))
    (claim,) = found(model)
    assert (claim.kind, claim.value, claim.stale is not None) == ("sha256", SHA, stale)


def test_a_note_without_a_time_is_stale_and_one_without_a_hash_none(model: Path) -> None:
    note(model, "commit", SHA, "yesterday")
    assert [each.stale is not None for each in found(model)] == [True]
    next(model.parent.parent.rglob("*.metadata")).write_text("commit\nW/etag\n1\n")
    assert found(model) == []


def test_a_pointer_says_what_belongs_in_its_place(model: Path) -> None:
    model.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 6938078334\n")
    (claim,) = found(model)
    assert (claim.value, claim.size) == (SHA, 6938078334)


def test_an_object_of_git_lfs_is_named_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / ".git/lfs/objects/ab/ab" / SHA
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 5000)
    assert said(path) == [("sha256", SHA, "published")]


class Cache:
    """Forge's hash cache as diskcache lays it out (diskcache 5.6, table of a real Forge)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=wal")
        self.connection.execute(
            "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL,"
            " access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0,"
            " mode INTEGER DEFAULT 0, filename TEXT, value BLOB)"
        )

    def add(self, key: object, value: object, mode: int = 4) -> None:
        self.connection.execute("INSERT INTO Cache (key, raw, mode, value) VALUES (?, 1, ?, ?)", (key, mode, value))

    def __setitem__(self, key: str, value: object) -> None:
        self.add(key, pickle.dumps(value, 5))


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(tmp_path / "cache" / "hashes")
    yield cache
    cache.connection.close()


@pytest.mark.parametrize("key", [f"checkpoint/{NAME}", "lora/model", f"checkpoint/Stable-diffusion\\{NAME}"])
def test_what_forge_believes_is_read_beside_a_running_forge(model: Path, forge: Cache, key: str) -> None:
    forge[key] = {"mtime": model.stat().st_mtime, "sha256": SHA}
    (claim,) = found(model)
    assert (claim.value, claim.trust, claim.stale) == (SHA, "believed", None)
    assert claim.source == f"Forge believes (hashes, {key})"


def test_an_entry_older_than_the_file_is_stale_for_forge_too(model: Path, forge: Cache) -> None:
    forge[f"checkpoint/{NAME}"] = {"mtime": 1, "sha256": SHA}
    assert "Forge itself would hash it again" in str([each.stale for each in found(model)])


def test_a_replaced_file_of_the_same_age_keeps_forges_old_hash(model: Path, forge: Cache) -> None:
    forge[f"checkpoint/{NAME}"] = {"mtime": model.stat().st_mtime, "sha256": SHA}
    before = model.stat()
    model.write_bytes(b"y" * SIZE)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [(each.trust, each.stale) for each in found(model)] == [("believed", None)]


def test_the_key_that_all_vaes_share_says_nothing(model: Path, forge: Cache) -> None:
    forge["vae"] = {"mtime": 2e9, "sha256": SHA}
    assert found(model) == []


def test_addnet_hashes_are_the_files_in_forge_and_the_tensors_in_a1111(model: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache" / "hashes-addnet")
    cache["lora/model"] = {"mtime": 2e9, "sha256": SHA}
    cache.connection.close()
    assert said(model, forge_dir=tmp_path) == [("sha256", SHA, "believed"), ("autov3", SHA, "believed")]


def test_forges_cache_may_lie_elsewhere(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "elsewhere" / "hashes")
    cache["checkpoint/model.safetensors"] = {"mtime": 2e9, "sha256": SHA}
    cache.connection.close()
    monkeypatch.setenv("SD_WEBUI_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert [each.value for each in found(model)] == [SHA]


class Payload:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("exit 1",)


def test_entries_that_are_not_forges_say_nothing(model: Path, forge: Cache) -> None:
    key = f"checkpoint/{NAME}"
    for value in (
        pickle.dumps(Payload()),
        b"\xff",
        b"",
        pickle.dumps({"mtime": "x", "sha256": SHA}),
        pickle.dumps({"mtime": 2e9, "sha256": "short"}),
        pickle.dumps({"sha256": None}),
        "text",
    ):
        forge.add(key, value)
    forge.add(b"blob", b"")
    forge["checkpoint/"] = {"mtime": 2e9, "sha256": SHA}
    forge["checkpoint/other.safetensors"] = {"mtime": 2e9, "sha256": SHA}
    assert found(model) == []


def test_a_database_that_is_none_or_too_large_says_nothing(model: Path, tmp_path: Path) -> None:
    database = tmp_path / "cache" / "hashes" / "cache.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"not a database, but long enough to be looked at" * 100)
    assert found(model) == []
    os.truncate(database, CACHE_LIMIT + 1)
    assert found(model) == []
