"""`models`, `lock`, `verify` and `doctor PATH` on real files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from forgediag.lockfile import parse
from forgediag.testing.files import vae_shapes, write_safetensors
from tests.cli.conftest import Ended, Run

pytestmark = pytest.mark.usefixtures("no_forge_at_all")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture
def no_forge_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Forge answers, and files count as settled at once."""
    monkeypatch.setattr("forgediag.cli.reading.refuses", lambda url: True)
    monkeypatch.setattr("forgediag.sources.records.Record.settled", lambda self, seconds: True)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_safetensors(folder / "Stable-diffusion/a.safetensors", {"x": ("F16", (4, 4))})
    write_safetensors(folder / "VAE/vae.safetensors", vae_shapes())
    write_safetensors(folder / "Lora/l.safetensors", {"y": ("F32", (3,))})
    return folder


def overwrite(path: Path, position: int = -1) -> None:
    """Flip a byte and set the time back, as nobody should."""
    found = path.stat()
    with path.open("r+b") as file:
        file.seek(position, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(position, os.SEEK_END)
        file.write(bytes((byte ^ 1,)))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def states(ended: Ended) -> dict[str, str]:
    return {item["subject"]: item["evidence"]["state"] for item in ended.json["findings"]}


def test_a_locked_library_verifies(run: Run, library: Path) -> None:
    locked = run("lock", library)
    assert (locked.status, locked.out.splitlines()[-1]) == (
        0,
        "forgediag.lock: 3 files; 3 read, 0 known by size and times",
    )
    verified = run("verify", "--json")
    assert verified.status == 0
    assert {key: verified.json[key] for key in ("verdict", "files", "locked", "read", "trusted")} == {
        "verdict": "ok",
        "files": 3,
        "locked": 3,
        "read": 0,
        "trusted": 3,
    }
    assert "Decay of the disk" in run("verify").out
    assert run("verify", "--full", "--json").json["read"] == 3


def test_a_lock_names_what_each_file_is(run: Run, library: Path, tmp_path: Path) -> None:
    run("lock", library)
    lock = parse((tmp_path / "forgediag.lock").read_text())
    vae = lock.files["models/VAE/vae.safetensors"]
    assert (vae.format, vae.family, len(vae.autov3 or "")) == ("safetensors", "vae", 64)


def test_locking_again_changes_nothing(run: Run, library: Path, tmp_path: Path) -> None:
    run("lock", library)
    before = (tmp_path / "forgediag.lock").read_bytes()
    again = run("lock", library, "--json")
    assert (tmp_path / "forgediag.lock").read_bytes() == before
    assert (again.json["read"], again.json["trusted"], again.json["differences"]) == (0, 3, [])


def test_verify_says_every_state(run: Run, library: Path) -> None:
    for name in ("changed", "corrupted", "gone", "resized"):
        write_safetensors(library / f"Lora/{name}.safetensors", {name: ("F16", (4, 4))})
    run("lock", library)
    write_safetensors(library / "Lora/changed.safetensors", {"changes": ("F16", (4, 4))})
    write_safetensors(library / "Lora/resized.safetensors", {"resized": ("F16", (4, 9))})
    overwrite(library / "Lora/corrupted.safetensors")
    (library / "Lora/gone.safetensors").unlink()
    (library / "Lora/l.safetensors").rename(library / "Lora/moved.safetensors")
    write_safetensors(library / "Lora/new.safetensors", {"n": ("F16", (99,))})
    (library / "VAE/link.safetensors").hardlink_to(library / "VAE/vae.safetensors")
    (library / "Lora/copy.safetensors").write_bytes((library / "Stable-diffusion/a.safetensors").read_bytes())
    ended = run("verify", "--json")
    assert ended.status == 1
    found = {Path(subject).name: state for subject, state in states(ended).items()}
    assert found == {
        "changed.safetensors": "changed",
        "resized.safetensors": "changed",
        "corrupted.safetensors": "corrupted",
        "gone.safetensors": "missing",
        "moved.safetensors": "moved",
        "new.safetensors": "new",
        "copy.safetensors": found["copy.safetensors"],
        "link.safetensors": found["link.safetensors"],
    }
    assert {found["copy.safetensors"], found["link.safetensors"]} <= {"new", "duplicate"}
    assert run("verify").status == 1


def test_corruption_stays_corruption_however_often_one_looks(run: Run, library: Path, tmp_path: Path) -> None:
    run("lock", library)
    overwrite(library / "Lora/l.safetensors")
    for _ in range(2):
        assert states(run("verify", "--json")) == {"models/Lora/l.safetensors": "corrupted"}
    before = (tmp_path / "forgediag.lock").read_bytes()
    relocked = run("lock", library)
    assert relocked.status == 1
    assert "its block stays" in relocked.out
    assert (tmp_path / "forgediag.lock").read_bytes() == before


def test_new_and_moved_files_fail_only_where_that_is_asked(run: Run, library: Path) -> None:
    run("lock", library)
    (library / "Lora/l.safetensors").rename(library / "Lora/m.safetensors")
    assert run("verify").status == 0
    assert run("verify", "--strict").status == 1


def test_a_change_that_was_meant_is_locked_and_told(run: Run, library: Path) -> None:
    run("lock", library)
    write_safetensors(library / "Lora/l.safetensors", {"z": ("F32", (5,))})
    (library / "VAE/vae.safetensors").unlink()
    relocked = run("lock", library)
    assert relocked.status == 0
    assert "changed    models/Lora/l.safetensors: its new contents are locked now" in relocked.out
    assert "its block is removed" in relocked.out
    assert run("verify").status == 0


def test_only_what_lies_below_the_named_folders_is_verified(run: Run, library: Path) -> None:
    run("lock", library)
    (library / "Lora/l.safetensors").unlink()
    assert run("verify", library / "VAE").status == 0


def test_a_folder_whose_disk_is_gone_is_no_missing_file(run: Run, library: Path, tmp_path: Path) -> None:
    run("lock", library)
    library.rename(tmp_path / "unmounted")
    ended = run("verify", "--json")
    assert ended.status == 3
    assert set(states(ended).values()) == {"unreadable"}
    assert "is its disk mounted?" in ended.json["findings"][0]["message"]
    (tmp_path / "other").mkdir()
    before = (tmp_path / "forgediag.lock").read_text()
    run("lock", tmp_path / "other")
    assert parse((tmp_path / "forgediag.lock").read_text()).files == parse(before).files


@posix
@root
def test_a_file_that_may_not_be_read_keeps_its_block(run: Run, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("lock", library)
    secret = library / "Lora/l.safetensors"
    overwrite(secret)
    secret.chmod(0)
    for folder in (library, *library.parents):
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    library.parent.chmod(0o777)
    for path in library.parent.rglob("*"):
        if path != secret:
            path.chmod(0o777 if path.is_dir() else 0o666)
    os.seteuid(65534)
    try:
        verified, locked = run("verify", "--json"), run("lock", library)
    finally:
        os.seteuid(0)
    assert (verified.status, locked.status) == (3, 3)
    assert states(verified) == {"models/Lora/l.safetensors": "unreadable"}
    assert "its block stays as it was" in locked.out


def test_a_full_disk_leaves_the_old_lock(
    run: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("lock", library)
    before = (tmp_path / "forgediag.lock").read_bytes()
    write_safetensors(library / "Lora/n.safetensors", {"n": ("F16", (9,))})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("forgediag.sources.journal.os.fsync", full)
        ended = run("lock", library)
    assert ended.status == 1
    assert "No space left on device; it is as it was" in ended.err
    assert (tmp_path / "forgediag.lock").read_bytes() == before
    assert run("lock", library, "--json").json["read"] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("verify",), 3, "run forgediag lock"),
        (("verify", "--lock", "."), 3, "cannot be read"),
        (("verify", "--lock", "broken"), 2, "not TOML"),
        (("lock", "nowhere"), 2, "does not exist"),
        (("lock", "models", "--rate", "0"), 2, "no speed"),
        (("lock", "models", "--rate", "fast"), 2, "amount"),
        (("lock", "models", "-o", "models/VAE/vae.safetensors/x"), 3, "cannot be read"),
        (("doctor", "nowhere"), 2, "does not exist"),
        (("models", "nowhere"), 2, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Run, library: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    (tmp_path / "broken").write_text("<<<<<<< HEAD")
    ended = run(*arguments)
    assert ended.status == status
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


def test_models_lists_what_is_there(run: Run, library: Path) -> None:
    write_safetensors(library / "Stable-diffusion/b.sft", {"x": ("F16", (4, 4))})
    (library / "Stable-diffusion/c.safetensors.corrupted").write_bytes(
        (library / "Stable-diffusion/a.safetensors").read_bytes()
    )
    run("lock", library)
    ended = run("models", library, "--json")
    assert ended.status == 0
    rows = {Path(row["path"]).name: row for row in ended.json["files"]}
    assert (rows["vae.safetensors"]["role"], rows["vae.safetensors"]["family"]) == ("module", "vae")
    assert rows["a.safetensors"]["dtype"] == "F16"
    assert "rename it to .safetensors" in rows["b.sft"]["unlisted"]
    assert "renamed" in rows["c.safetensors.corrupted"]["unlisted"]
    assert rows["c.safetensors.corrupted"]["fault"] is None
    assert len(rows["a.safetensors"]["sha256"]) == 64
    assert Path(rows["a.safetensors"]["same_contents"][0]).name == "b.sft"


def test_the_table_names_faults_links_and_what_was_left_out(run: Run, library: Path) -> None:
    (library / "Lora/cut.safetensors").write_bytes(b"<html>")
    (library / "Lora/two.safetensors").hardlink_to(library / "Lora/l.safetensors")
    ended = run("models", library)
    assert ended.status == 1
    assert "damaged: " in ended.out
    assert "the same file as" in ended.out
    assert ended.out.splitlines()[-1].endswith("1 damaged")


def test_an_empty_folder_has_no_models(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("models", "empty").status == 3
    assert run("doctor", "empty").status == 3


def test_forges_folders_are_found_from_its_start_script(run: Run, library: Path, tmp_path: Path) -> None:
    (tmp_path / "modules_forge").mkdir()
    name = "webui-user.bat" if os.name == "nt" else "webui-user.sh"
    (tmp_path / name).write_text(f'export COMMANDLINE_ARGS="--lora-dir {tmp_path}/else"\n')
    write_safetensors(tmp_path / "else/far.safetensors", {"y": ("F32", (3,))})
    rows = {Path(row["path"]).name: row["role"] for row in run("models", tmp_path, "--json").json["files"]}
    assert rows == {"a.safetensors": "checkpoint", "vae.safetensors": "module", "far.safetensors": "lora"}


def test_without_a_path_or_a_forge_the_way_out_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.cli.here.refuses", lambda url: True)
    ended = run("models")
    assert ended.status == 2
    assert "--forge-dir" in ended.err


def test_doctor_judges_files_without_a_forge(run: Run, library: Path) -> None:
    assert run("doctor", library).status == 0
    (library / "Lora/cut.safetensors").write_bytes(b"<html>")
    ended = run("doctor", library, "--json")
    assert ended.status == 1
    (finding,) = ended.json["findings"]
    assert (finding["check"], finding["subject"]) == ("model-file-whole", "cut.safetensors")


@posix
def test_doctor_never_opens_a_pipe(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.safetensors")
    ended = run("doctor", "p.safetensors")
    assert ended.status == 3
    assert "is a pipe" in ended.err
