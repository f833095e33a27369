"""`verify` and `doctor` name damage that no header tells, and models in pieces that are not all there."""

from __future__ import annotations

import json
import os
import random
import struct
from pathlib import Path

import pytest

from forgediag.testing.files import safetensors_header, write_safetensors
from forgediag.testing.gguf import assembled, info, key, text
from forgediag.testing.pickles import Weight, torch_zip
from tests.cli.conftest import Ended, Run

pytestmark = pytest.mark.usefixtures("settled")
MB = 1024 * 1024


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Forge answers, and files count as settled at once."""
    monkeypatch.setattr("forgediag.cli.reading.refuses", lambda url: True)
    monkeypatch.setattr("forgediag.sources.records._settled", lambda *_: True)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_safetensors(folder / "good.safetensors", {"x": ("F16", (64, 64))})
    return folder


def weights(path: Path, size: int = 2 * MB) -> Path:
    head, _ = safetensors_header({"x": ("U8", (size,))})
    path.write_bytes(head + random.Random(3).randbytes(size))
    return path


def first(ended: Ended) -> tuple[str, str, str]:
    """The first finding's check, fault and file."""
    finding = ended.json["findings"][0]
    return finding["check"], finding["evidence"]["fault"], Path(finding["subject"]).name


def zero(path: Path, begin: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(bytes(length))


def test_a_file_that_ends_in_zeros_is_the_first_finding(run: Run, library: Path) -> None:
    path = weights(library / "tail.safetensors")
    assert run("lock", library).status == 0
    zero(path, MB, path.stat().st_size - MB)
    ended = run("verify", "--json")
    assert (ended.status, first(ended)) == (1, ("model-file-damaged", "tail-zeros", "tail.safetensors"))
    assert ended.json["states"] == {"damaged": 1, "changed": 1}


def test_a_stretch_of_zeros_inside_is_the_first_finding(run: Run, library: Path) -> None:
    zero(weights(library / "hole.safetensors"), MB, MB // 2)
    locked = run("lock", library)
    assert (locked.status, "damaged    models/hole.safetensors: from about" in locked.out) == (1, True)
    ended = run("verify", "--json")
    assert (ended.status, first(ended)) == (1, ("model-file-damaged", "zero-stretch", "hole.safetensors"))
    assert (ended.json["read"], ended.json["findings"][0]["fix"][0]) == (0, "Delete the file and download it again.")
    assert "damaged    models/hole.safetensors: from about" in run("verify").out


def test_a_flipped_byte_in_a_record_is_the_first_finding(run: Run, library: Path) -> None:
    path = library / "old.ckpt"
    path.write_bytes(torch_zip({"a": Weight("F32", (40, 40)), "b": Weight("F16", (3,))}))
    assert run("lock", library).status == 0
    found = path.stat()
    place = path.read_bytes().index(b"archive/data/0") + 2000
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes((byte ^ 1,)))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    ended = run("verify", "--json")
    assert (ended.status, first(ended)) == (1, ("model-file-damaged", "record-crc", "old.ckpt"))
    assert "tensor 'a'" in ended.json["findings"][0]["message"]
    assert ended.json["states"] == {"damaged": 1, "corrupted": 1}
    assert first(run("doctor", "--json", path)) == ("model-file-whole", "record-crc", "old.ckpt")


def test_every_bad_record_is_counted(run: Run, library: Path) -> None:
    content = torch_zip({"a": Weight("F32", (40, 40)), "b": Weight("F32", (40, 40))})
    for name in (b"archive/data/0", b"archive/data/1"):
        place = content.index(name) + 2000
        content = content[:place] + b"\xff" + content[place + 1 :]
    (library / "old.ckpt").write_bytes(content)
    assert "and 1 more records are damaged" in run("lock", library).out


def diffusers(folder: Path) -> Path:
    """A model in the layout of diffusers, its UNet in two shards."""
    index = {"_class_name": "X", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"], "scheduler": ["diffusers", "S"]}
    for part in ("unet", "vae", "scheduler"):
        (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({**index, "safety_checker": [None, None]}))
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "unet/model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    for shard in shards.values():
        write_safetensors(folder / "unet" / shard, {"x": ("F16", (8,))})
    for part in ("unet", "vae"):
        (folder / part / "config.json").write_text("{}")
    (folder / "scheduler/scheduler_config.json").write_text("{}")
    write_safetensors(folder / "vae/model.safetensors", {"v": ("F16", (8,))})
    return folder


def test_a_whole_diffusers_folder_is_no_finding(run: Run, library: Path) -> None:
    diffusers(library / "xl")
    assert run("lock", library).status == 0
    assert run("verify").status == 0
    assert run("models", library).status == 0


@pytest.mark.parametrize(
    ("gone", "index", "says"),
    [
        ("unet/model-00002-of-00002.safetensors", "model.safetensors.index.json", "model-00002-of-00002.safetensors"),
        ("vae/model.safetensors", "model_index.json", "vae of 3 that its index names is not there"),
    ],
)
def test_an_incomplete_diffusers_folder_is_the_first_finding(
    run: Run, library: Path, gone: str, index: str, says: str
) -> None:
    (diffusers(library / "xl") / gone).unlink()
    run("lock", library)
    ended = run("verify", "--json")
    assert (ended.status, first(ended)) == (1, ("model-file-damaged", "diffusers-incomplete", index))
    assert says in ended.json["findings"][0]["message"]
    assert says in run("models", library).out
    assert first(run("doctor", "--json", library))[1:] == ("diffusers-incomplete", index)


def test_a_shard_that_is_empty_or_a_link_to_nothing_is_not_there(run: Run, library: Path) -> None:
    folder = diffusers(library / "xl") / "unet"
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"")
    (folder / "model-00002-of-00002.safetensors").unlink()
    (folder / "model-00002-of-00002.safetensors").symlink_to(folder / "nowhere")
    assert "and 1 more of 2 that its index names is not there" in run("models", library).out


def piece(path: Path, number: int, count: int, size: int = 64) -> Path:
    keys = [key("general.architecture", "flux"), text("split.no") + struct.pack("<IH", 2, number - 1)]
    keys.append(text("split.count") + struct.pack("<IH", 2, count))
    path.write_bytes(assembled([info("x", (size,), 1, 0)], keys) + bytes([number + count]) * 2 * size)
    return path


def split(folder: Path, count: int = 3) -> list[Path]:
    return [piece(folder / f"m-{n:05}-of-{count:05}.gguf", n, count) for n in range(1, count + 1)]


def fault_of(run: Run, path: Path) -> tuple[str, str]:
    finding = run("doctor", "--json", path).json["findings"][0]
    return finding["evidence"]["fault"], finding["message"]


def test_all_pieces_of_a_split_file_are_told_to_be_there(run: Run, library: Path) -> None:
    name, message = fault_of(run, split(library)[0])
    assert name == "gguf-split"
    assert "the file is piece 1 of 3; all are here" in message
    run("lock", library)
    assert run("verify").status == 0


def test_a_missing_piece_is_named_and_the_first_finding(run: Run, library: Path) -> None:
    split(library)[1].unlink()
    run("lock", library)
    ended = run("verify", "--json")
    assert (ended.status, first(ended)[:2]) == (1, ("model-file-damaged", "gguf-split-missing"))
    assert "m-00002-of-00003.gguf is not beside it" in ended.json["findings"][0]["message"]
    split(library)
    assert run("verify", "--json").json["states"] == {"new": 1}  # what lies beside a file is never remembered


def test_many_missing_pieces_are_told_in_short(run: Run, library: Path) -> None:
    path = piece(library / "m-00002-of-00009.gguf", 2, 9)
    assert "m-00004-of-00009.gguf and 5 more are not beside it" in fault_of(run, path)[1]


def test_pieces_of_different_files_are_told(run: Run, library: Path) -> None:
    paths = split(library)
    piece(paths[2], 3, 4)
    assert fault_of(run, paths[0])[0] == "gguf-split-mixed"
    assert "m-00003-of-00003.gguf is piece 3 of 4" in fault_of(run, paths[0])[1]
    assert "but its name counts 3" in fault_of(run, paths[2])[1]
    paths[2].write_bytes(assembled([info("x", (64,), 1, 0)], []) + b"\x3c" * 128)
    assert "m-00003-of-00003.gguf is a whole file" in fault_of(run, paths[0])[1]


def test_a_piece_under_another_name_says_what_it_is(run: Run, library: Path) -> None:
    assert "its name does not tell those of the others" in fault_of(run, piece(library / "m.gguf", 1, 3))[1]
