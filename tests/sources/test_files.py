"""Model files are read once for each version, cheaply, and never make the daemon wait."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from forgediag.model import Checkpoint, Fault, Files, Gap, Known, Listing, Module, Options
from forgediag.sources import headers as source
from forgediag.sources.files import NOT_HASHED, NOT_SELECTED, FileReader
from forgediag.sources.stamp import Stamp
from forgediag.sources.window import FileWindow
from forgediag.testing.files import vae_shapes, write_safetensors, write_sparse

NO_OPTIONS = Gap("no options")


class Hashes:
    """Says a hash for every file, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def sha256(self, path: str, version: Stamp) -> Known[str]:
        self.asked.append(path)
        return f"{version.size:064x}"

    def damage(self, path: str, version: Stamp) -> Fault | None:
        return None


def listing(*checkpoints: Path, modules: tuple[Path, ...] = ()) -> Listing:
    return Listing(
        tuple(Checkpoint(path.name, path.stem, str(path)) for path in checkpoints),
        tuple(Module(path.name, str(path)) for path in modules),
    )


def read(reader: FileReader, rows: Listing, options: Known[Options] = NO_OPTIONS, *, elsewhere: bool = False) -> Files:
    files = reader.read(rows, options, elsewhere=elsewhere)
    assert isinstance(files, Files)
    return files


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files whose headers are read from now on."""
    names: list[str] = []
    real = source.opened

    def opened(local: str) -> AbstractContextManager[FileWindow]:
        names.append(Path(local).name)
        return real(local)

    monkeypatch.setattr(source, "opened", opened)
    return names


def test_a_vae_is_described_by_its_header(tmp_path: Path) -> None:
    vae = write_safetensors(tmp_path / "ae.safetensors", vae_shapes(16))
    (file,) = read(FileReader({}, None), listing(modules=(vae,))).files
    assert (file.family, file.latent_channels, file.fault) == ("vae", 16, None)
    assert (file.role, file.selected, file.sha256) == ("module", False, NOT_SELECTED)


def test_the_selected_files_are_flagged_hashed_and_first(tmp_path: Path) -> None:
    first = write_safetensors(tmp_path / "a.safetensors", vae_shapes())
    second = write_safetensors(tmp_path / "b.safetensors", vae_shapes(16))
    hashes = Hashes()
    files = read(FileReader({}, hashes), listing(first, second), Options({"sd_model_checkpoint": "b"}))
    assert [(file.path, file.selected) for file in files.files] == [(str(second), True), (str(first), False)]
    assert hashes.asked == [str(second)]
    assert files.selected[0].sha256 == f"{second.stat().st_size:064x}"


def test_without_hashing_a_selected_file_says_so(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", vae_shapes())
    files = read(FileReader({}, None), listing(path), Options({"sd_model_checkpoint": "a"}))
    assert files.selected[0].sha256 == NOT_HASHED


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", vae_shapes())
    reader = FileReader({}, None)
    before = read(reader, listing(path))
    names = counted(monkeypatch)
    assert read(reader, listing(path)).files[0] is before.files[0]
    assert names == []


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", vae_shapes())
    reader = FileReader({}, None)
    read(reader, listing(path))
    os.utime(path, ns=(1, 1))
    names = counted(monkeypatch)
    read(reader, listing(path))
    assert names == ["a.safetensors"]


def test_a_broken_file_carries_its_fault(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a.safetensors", b"<!doctype html>", 400)
    (file,) = read(FileReader({}, None), listing(path)).files
    assert file.fault is not None
    assert (file.fault.id, file.family, file.component_bytes) == ("html-page", "unknown", {})


def test_files_over_the_budget_wait_for_the_next_read(tmp_path: Path) -> None:
    paths = [write_safetensors(tmp_path / f"{name}.safetensors", vae_shapes()) for name in "abc"]
    ticks = iter([0.0, 0.1, 2.0, 2.0, 10.0, 10.1, 10.2])
    reader = FileReader({}, None, budget=1.0, clock=lambda: next(ticks))
    first = read(reader, listing(*paths))
    second = read(reader, listing(*paths))
    assert [(len(files.files), files.pending) for files in (first, second)] == [(1, 2), (3, 0)]


def test_paths_are_mapped(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "VAE" / "ae.safetensors", vae_shapes(16))
    rows = Listing((), (Module("ae.safetensors", "/app/models/VAE/ae.safetensors"),))
    (file,) = read(FileReader({"/app/models": str(tmp_path)}, None), rows).files
    assert (file.path, file.local) == ("/app/models/VAE/ae.safetensors", str(tmp_path / "VAE" / "ae.safetensors"))


@pytest.mark.parametrize("elsewhere", [True, False])
def test_paths_of_another_machine_are_a_gap(*, elsewhere: bool) -> None:
    rows = Listing((Checkpoint("a", "a", "/nowhere/models/a.safetensors"),), ())
    gap = FileReader({}, None).read(rows, NO_OPTIONS, elsewhere=elsewhere)
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.expected) == ("missing", elsewhere)
    assert "map them with [forge.paths]" in gap.reason


def test_a_listing_that_is_a_gap_stays_one() -> None:
    gap = Gap("down", "refused")
    assert FileReader({}, None).read(gap, NO_OPTIONS, elsewhere=False) is gap


def test_an_empty_listing_has_no_files() -> None:
    assert read(FileReader({}, None), Listing((), ())) == Files(())


def test_a_file_that_is_gone_is_told_when_its_folder_is_here(tmp_path: Path) -> None:
    files = read(FileReader({}, None), listing(tmp_path / "gone.safetensors"))
    assert files.unreadable == {str(tmp_path / "gone.safetensors"): "does not exist"}


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    files = read(FileReader({}, None), listing(tmp_path / "a.safetensors"))
    assert list(files.unreadable.values()) == ["is not a regular file"]


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs on Windows")
def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    files = read(FileReader({}, None), listing(tmp_path / "a.safetensors"))
    assert list(files.unreadable.values()) == ["is not a regular file"]


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs on Windows")
def test_a_file_that_becomes_a_pipe_before_it_is_opened_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", vae_shapes())
    real = source.opened

    def swap(local: str) -> AbstractContextManager[FileWindow]:
        path.unlink()
        os.mkfifo(path)
        return real(local)

    monkeypatch.setattr(source, "opened", swap)
    assert list(read(FileReader({}, None), listing(path)).unreadable.values()) == ["is not a regular file"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "real.safetensors", vae_shapes())
    (tmp_path / "a.safetensors").symlink_to(tmp_path / "real.safetensors")
    assert len(read(FileReader({}, None), listing(tmp_path / "a.safetensors")).files) == 1


def test_a_file_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", vae_shapes())

    def refuse(local: str) -> AbstractContextManager[FileWindow]:
        raise PermissionError(13, "Permission denied", local)

    monkeypatch.setattr(source, "opened", refuse)
    assert list(read(FileReader({}, None), listing(path)).unreadable.values()) == [
        "may not be read by the user forgediag runs as"
    ]


def test_a_header_too_long_for_a_daemon_is_not_read(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "a.safetensors", (90_000_000).to_bytes(8, "little"), 95_000_000)
    files = read(FileReader({}, None), listing(path))
    assert list(files.unreadable.values()) == ["has a header of 90,000,008 bytes, more than is read here"]
