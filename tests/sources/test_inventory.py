"""Model files are found without opening any, whatever the folders hold."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from forgediag.forge.folders import Folder
from forgediag.sources import inventory as source
from forgediag.sources.inventory import existing, walk

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def put(path: Path, size: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_files_are_found_below_their_folder_and_nothing_else_is(tmp_path: Path) -> None:
    put(tmp_path / "sub/a.safetensors", 7)
    put(tmp_path / "a.png")
    (entry,) = walk([Folder("checkpoint", str(tmp_path))]).entries
    assert (entry.inside, entry.role, entry.stamp.size, entry.unlisted) == ("sub/a.safetensors", "checkpoint", 7, None)


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    found = walk([Folder("lora", str(tmp_path / "none"))])
    assert (found.entries, found.skipped) == ((), {})
    assert list(existing([Folder("lora", str(tmp_path / "none")), Folder("lora", str(tmp_path))])) == [
        Folder("lora", str(tmp_path))
    ]


def test_a_file_may_be_named_itself(tmp_path: Path) -> None:
    path = put(tmp_path / "a.gguf")
    (entry,) = walk([Folder("other", str(path))]).entries
    assert entry.path == str(path)


@posix
def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.gguf").symlink_to(tmp_path / "self.gguf")
    found = walk([Folder("checkpoint", str(tmp_path))])
    assert [entry.inside for entry in found.entries] == ["a.gguf"]
    assert "again" in found.skipped[str(tmp_path / "loop")]
    assert found.skipped[str(tmp_path / "self.gguf")] in {"is a loop of links", "is a link to nothing"}


@posix
def test_a_link_out_of_all_folders_is_followed_and_named(tmp_path: Path) -> None:
    real = put(tmp_path / "store/blob.gguf")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a.gguf").symlink_to(real)
    (folder / "more").symlink_to(tmp_path / "store", target_is_directory=True)
    found = walk([Folder("checkpoint", str(folder))])
    assert {entry.inside: entry.leads_to for entry in found.entries} == {
        "a.gguf": str(real),
        "more/blob.gguf": str(real),
    }
    inside = walk([Folder("checkpoint", str(folder)), Folder("other", str(tmp_path / "store"))])
    assert all(entry.leads_to is None for entry in inside.entries)


@posix
def test_modules_do_not_follow_linked_folders_as_forge_does_not(tmp_path: Path) -> None:
    put(tmp_path / "store/a.gguf")
    (tmp_path / "VAE").mkdir()
    (tmp_path / "VAE/more").symlink_to(tmp_path / "store", target_is_directory=True)
    found = walk([Folder("module", str(tmp_path / "VAE"))])
    assert found.entries == ()
    assert "does not follow" in found.skipped[str(tmp_path / "VAE/more")]


@posix
def test_pipes_sockets_and_dead_links_are_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.gguf")
    (tmp_path / "dead.gguf").symlink_to(tmp_path / "nothing")
    (tmp_path / "null.gguf").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(tmp_path)
        bound.bind("s.gguf")
        found = walk([Folder("checkpoint", str(tmp_path))])
    assert found.entries == ()
    assert {Path(path).name: why for path, why in found.skipped.items()} == {
        "p.gguf": "is a pipe: it is not opened",
        "s.gguf": "is a socket: it is not opened",
        "null.gguf": "is a device: it is not opened",
        "dead.gguf": "is a link to nothing",
    }


@posix
def test_names_of_one_file_know_each_other(tmp_path: Path) -> None:
    first = put(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").hardlink_to(first)
    (tmp_path / "c.gguf").symlink_to(first)
    put(tmp_path / "d.gguf")
    links = walk([Folder("checkpoint", str(tmp_path))]).hard_links()
    assert links[str(first)] == (str(tmp_path / "b.gguf"), str(tmp_path / "c.gguf"))
    assert str(tmp_path / "d.gguf") not in links


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a/x.gguf")
    put(tmp_path / "b/y.gguf")
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("a"):
            raise OSError(116, "Stale file handle")
        return real(path)

    monkeypatch.setattr(source.os, "scandir", scandir)
    found = walk([Folder("checkpoint", str(tmp_path))])
    assert [entry.inside for entry in found.entries] == ["b/y.gguf"]
    assert "stale" in found.skipped[str(tmp_path / "a")]


def test_a_root_that_cannot_be_looked_at_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(source.os, "stat", refuse)
    found = walk([Folder("checkpoint", str(tmp_path))])
    assert "may not be read" in found.skipped[str(tmp_path)]


def test_a_walk_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST", 2)
    for number in range(4):
        put(tmp_path / f"{number}.gguf")
    found = walk([Folder("checkpoint", str(tmp_path))])
    assert len(found.entries) == 2
    assert "more than 2" in found.skipped[str(tmp_path / "3.gguf")]
