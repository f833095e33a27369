"""Broken files, and what torch 2.13 said of each when Forge's loader read it."""

from __future__ import annotations

import random
import struct
import tarfile
import time
import tracemalloc
from io import BytesIO

import pytest

from forgediag.formats.pickle import bad_records, limits, places, read, scan
from forgediag.formats.window import Held
from forgediag.model import Fault, Header
from forgediag.testing.pickles import (
    MAGIC,
    Weight,
    call,
    packed,
    reach,
    streams,
    torch_legacy,
    torch_zip,
    value,
    zipped,
)

ZIP = torch_zip({"a": Weight("F32", (2, 3)), "b": Weight("F16", (3,))})
OLD = torch_legacy({"a": Weight("F32", (2, 3))})
READER = "RuntimeError: PytorchStreamReader failed"
NO_DIRECTORY = f"{READER} reading zip archive: failed finding central directory"
VERSION = ("archive/version", b"3\n")
END = len(ZIP) - 22


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def pickle(body: bytes) -> bytes:
    return packed(b"\x80\x02" + body)


FAULTS: dict[str, tuple[bytes, str, str | None]] = {
    "cut to five bytes": (ZIP[:5], "pickle-cut", f"{READER} reading zip archive: not a ZIP archive"),
    "cut in half": (ZIP[: len(ZIP) // 2], "pickle-cut", NO_DIRECTORY),
    "cut by a byte": (ZIP[:-1], "pickle-cut", NO_DIRECTORY),
    "bytes in front": (
        b"PK\x03\x04" + ZIP, "zip-directory", f"{READER} reading zip archive: invalid header or archive is corrupted"),
    "directory beyond the end": (patched(ZIP, END + 16, b"\xff\xff\xff\x7f"), "zip-directory",
        f"{READER} reading zip archive: invalid header or archive is corrupted"),
    "directory entry too long": (patched(ZIP, ZIP.rindex(b"PK\x01\x02") + 28, b"\xff\xff"), "zip-directory",
        f"{READER} reading zip archive: invalid header or archive is corrupted"),
    "many disks": (patched(ZIP, END + 4, b"\1\0"), "zip-directory",
        f"{READER} reading zip archive: unsupported multidisk archive"),
    "no records": (b"PK\x03\x04" + zipped([]), "zip-not-torch", "UnpicklingError: "),
    "another zip": (zipped([("readme.txt", b"")]), "zip-not-torch",
        "RuntimeError: file in archive is not in a subdirectory: readme.txt"),
    "a record elsewhere": (zipped([VERSION, ("zzz/data.pkl", b"N.")]), "zip-not-torch",
        "RuntimeError: file in archive is not in a subdirectory archive/: zzz/data.pkl"),
    "no version": (zipped([("a/data.pkl", b"N.")]), "zip-not-torch",
        'RuntimeError: Expected hasRecord("version") to be true'),
    "no data.pkl": (zipped([VERSION]), "zip-not-torch", f"{READER} locating file data.pkl: file not found"),
    "version of the future": (zipped([("a/data.pkl", b"N."), ("a/version", b"99")]), "zip-version",
        "RuntimeError: Attempted to read a PyTorch file with version 99, but the maximum supported version"),
    "no number": (zipped([("a/data.pkl", b"N."), ("a/version", b"x")]), "zip-version",
        "RuntimeError: Couldn't parse the version x as Long Long."),
    "unknown byte order": (
        zipped([("a/data.pkl", b"N."), ("a/version", b"3"), ("a/byteorder", b"middle")]), "zip-version",
        "ValueError: Unknown endianness type: middle"),
    "torchscript": (packed(b"N.", extra=[("constants.pkl", b"N.")]), "torchscript", None),
    "data missing": (ZIP.replace(b"archive/data/0", b"archive/data/9"), "record-missing",
        f"{READER} locating file data/0: file not found"),
    "data too short": (packed(ZIP[ZIP.index(b"\x80\x02") : ZIP.index(b"PK", 50)].partition(b"u.")[0] + b"u.",
        extra=[("data/0", bytes(20)), ("data/1", bytes(6))]), "record-size",
        "RuntimeError: record size (20 bytes) does not match expected size (24 bytes = 24 elements * 1 bytes/element)"),
    "data not at its place": (patched(ZIP, ZIP.index(b"archive/data/0") - 30, b"XX"), "record-unreadable",
        f"{READER} reading file data/0: invalid header or archive is corrupted"),
    "tensor larger than its data": (
        torch_zip({"a": Weight("F32", (2,)), "b": Weight("F32", (4, 2), share="0")}), "tensor-bounds",
        "RuntimeError: setStorage: sizes [4, 2], strides [2, 1], storage offset 0, and itemsize 4 requiring"),
    "empty pickle": (packed(b""), "pickle-cut", "EOFError: Ran out of input"),
    "text for a pickle": (packed(b"hello"), "pickle-broken", "UnpicklingError: Memo value not found at index 101"),
    "protocol 9": (packed(b"\x80\x09."), "pickle-broken", "ValueError: unsupported pickle protocol: 9"),
    "no stack": (pickle(b"."), "pickle-broken", "UnpicklingError: unpickling stack underflow"),
    "a mark in the way": (pickle(b"(."), "pickle-broken", "UnpicklingError: unexpected MARK found"),
    "no mark": (pickle(b"t."), "pickle-broken", "UnpicklingError: could not find MARK"),
    "odd dict": (pickle(b"(Nd."), "pickle-broken", "UnpicklingError: odd number of items for DICT"),
    "nothing to call": (pickle(b"(o."), "pickle-broken", "UnpicklingError: unpickling stack underflow"),
    "no quotes": (pickle(b"Sx\n."), "pickle-broken", "UnpicklingError: the STRING opcode argument must be quoted"),
    "bad escape": (pickle(b"S'\\x'\n."), "pickle-broken", r"ValueError: invalid \x escape at position 0"),
    "bad unicode escape": (pickle(b"V\\u1\n."), "pickle-broken", "UnicodeDecodeError: "),
    "no text": (pickle(b"X\1\0\0\0\xff."), "pickle-broken", "UnicodeDecodeError: "),
    "no digits": (pickle(b"Ix\n."), "pickle-broken", "ValueError: "),
    "no fraction": (pickle(b"Fx\n."), "pickle-broken", "ValueError: "),
    "negative index": (pickle(b"Np-1\n."), "pickle-broken", "ValueError: negative PUT argument"),
    "negative text": (pickle(b"T\xff\xff\xff\xff."), "pickle-broken",
        "UnpicklingError: BINSTRING pickle has negative byte count"),
    "negative number": (pickle(b"\x8b\xff\xff\xff\xff."), "pickle-broken",
        "UnpicklingError: LONG pickle has negative byte count"),
    "buffers": (pickle(b"\x97."), "pickle-broken", "UnpicklingError: pickle stream refers to out-of-band data"),
    "persistent id of text": (pickle(b"Px\n."), "pickle-broken", "AssertionError: "),
    "persistent id of too little": (pickle(value(("storage",)) + b"Q."), "pickle-broken", "AssertionError: "),
    "persistent id of no storage": (pickle(value(("storage", 1, "0", "cpu", 1)) + b"Q."), "pickle-broken",
        "AssertionError: "),
    "line without end": (pickle(b"cos"), "pickle-cut", "UnpicklingError: pickle data was truncated"),
    "frame without end": (pickle(b"\x95\xff\0\0\0\0\0\0\0N."), "pickle-cut",
        "UnpicklingError: pickle data was truncated"),
    "quote as an opcode": (pickle(b"'"), "pickle-broken", r"UnpicklingError: invalid load key, '\x27'."),
    "empty file": (b"", "pickle-cut", "EOFError: Ran out of input"),
    "zeros": (bytes(1000), "zeros", "KeyError: \"filename 'storages' not found\""),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(600), "pickle-unreadable", "UnpicklingError: invalid load key, '7'."),
    "another pickle": (b"\x80\x02}.", "pickle-not-torch", "RuntimeError: Invalid magic number; corrupt file?"),
    "another number": (b"\x80\x02K\x05.", "pickle-not-torch", "RuntimeError: Invalid magic number; corrupt file?"),
    "another old version": (streams(b"N.", protocol=b"K\x05."), "pickle-not-torch",
        "RuntimeError: Invalid protocol version: 5"),
    "no old version": (streams(b"N.", protocol=b"]."), "pickle-not-torch", "RuntimeError: Invalid protocol version: ?"),
    "persistent id too early": (streams(b"N.", system=b"Px\n."), "pickle-broken",
        "UnpicklingError: A load persistent id"),
    "old, cut in a text": (OLD[:60], "pickle-cut", "UnpicklingError: pickle data was truncated"),
    "old, cut between pickles": (OLD[: len(MAGIC) + 3], "pickle-cut", "EOFError: Ran out of input"),
    "old, cut in its data": (OLD[:-5], "pickle-cut",
        "RuntimeError: unexpected EOF, expected 5 more bytes. The file might be corrupted."),
    "old, cut in front of its data": (OLD[:-25], "pickle-cut",
        "RuntimeError: unexpected EOF, expected 1 more bytes. The file might be corrupted."),
    "old, larger than its data": (
        torch_legacy({"a": Weight("F32", (2,)), "b": Weight("F32", (4, 2), share="0")}), "tensor-bounds",
        "RuntimeError: setStorage: sizes [4, 2], "),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_file_has_its_fault_and_what_torch_says(name: str) -> None:
    data, kind, says = FAULTS[name]

    found = read(Held(data)).found

    assert isinstance(found, Fault), found
    assert found.id == kind
    assert found.forge_says is says is None or str(found.forge_says).startswith(str(says))


def test_a_tensor_without_data_of_its_own_reaches_nowhere() -> None:
    assert isinstance(read(Held(torch_zip({"z": Weight("F32", (3, 0))}))).found, Header)


def test_a_version_may_be_followed_by_any_blank() -> None:
    assert isinstance(read(Held(zipped([("a/data.pkl", b"N."), ("a/version", b"3\x1e")]))).found, Header)


def test_records_whose_contents_changed_are_named_with_their_tensor() -> None:
    place = ZIP.index(b"archive/data/0") + len(b"archive/data/0")
    [fault] = bad_records(Held(patched(ZIP, place + 8, b"\x01")))
    assert fault.id == "record-crc"
    assert "record archive/data/0 (tensor 'a')" in fault.message


def test_whole_archives_have_no_bad_records() -> None:
    assert bad_records(Held(ZIP)) == ()
    assert bad_records(Held(torch_zip({"a": Weight("F32", (500, 3000))}, deflated=True))) == ()
    assert bad_records(Held(OLD)) == ()
    assert bad_records(Held(ZIP[:-1])) == ()


def damage(data: bytes) -> list[str]:
    return [fault.id for fault in bad_records(Held(data))]


def test_a_record_that_cannot_be_read_is_bad() -> None:
    deflated = torch_zip({"a": Weight("F32", (2, 300))}, deflated=True)
    place = deflated.index(b"archive/data/0") + len(b"archive/data/0")
    assert damage(patched(deflated, place, b"\xff\xff")) == ["record-unreadable"]
    size = deflated.rindex(b"archive/data/0") - 46 + 24
    assert damage(patched(deflated, size, b"\xff\xff\1\0")) == ["record-unreadable"]
    assert [f.id for f in bad_records(Held(patched(ZIP, ZIP.index(b"archive/data/0") - 30, b"XX")))] == [
        "record-unreadable"
    ]
    packed_size = ZIP.rindex(b"archive/data/0") - 46 + 20
    assert damage(patched(ZIP, packed_size, b"\1\0\0\0")) == ["record-unreadable"]
    method = ZIP.rindex(b"archive/version") - 46 + 10
    assert damage(patched(ZIP, method, b"\x0c\0")) == ["record-unreadable"]
    flags = ZIP.rindex(b"archive/version") - 46 + 8
    assert damage(patched(ZIP, flags, b"\x01\0")) == ["record-unreadable"]


def test_archives_beyond_4_gib_have_their_numbers_in_a_field_of_their_own() -> None:
    end = ZIP[END:]
    count, size, start = struct.unpack_from("<H2L", end, 10)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, END, 1)
    hidden = end[:8] + b"\xff\xff\xff\xff" + b"\xff" * 8 + end[20:]
    assert read(Held(ZIP[:END] + wide + locator + hidden)).found == read(Held(ZIP)).found
    assert read(Held(ZIP[:END] + wide + patched(locator, 8, b"\xff" * 8) + hidden)).found != read(Held(ZIP)).found


@pytest.mark.parametrize("extra", [b"\x07\0\2\0xx\1\0\x08\0" + struct.pack("<Q", 0), b"\x07\0\0\0", b""])
def test_a_record_with_a_wide_start_is_found(extra: bytes) -> None:
    first = ZIP.index(b"PK\x01\x02")
    name = ZIP[first + 46 : first + 46 + 16]
    entry = patched(patched(ZIP[first : first + 46], 42, b"\xff" * 4), 30, struct.pack("<H", len(extra)))
    data = ZIP[:first] + entry + name + extra + ZIP[first + 62 :]
    ending = len(data) - 22
    size = struct.unpack_from("<L", data, ending + 12)[0]
    whole = patched(data, ending + 12, struct.pack("<L", size + len(extra)))
    assert isinstance(read(Held(whole)).found, Header)
    assert scan(Held(whole)).safe is (len(extra) > 8)


def tar(member: str, content: bytes) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, BytesIO(content))
    return buffer.getvalue()


def test_the_tar_archives_of_torch_0_3_are_never_safe_and_their_pickles_are_named() -> None:
    found = scan(Held(tar("storages", b"K\x01." + b"\x80\x02" + call(reach("os", "system"), "true") + b".")))
    assert {call.target for call in found.calls} == {"os.system"}
    assert not scan(Held(tar("pickle", b"K\x01." * 100))).safe


def test_what_only_looks_like_a_tar_is_not_one() -> None:
    assert isinstance(read(Held(b"x" * 600)).found, Fault)
    assert isinstance(read(Held(b"N" * 148 + b"7777\0" + b"N" * 500)).found, Fault)


def test_names_behind_a_break_are_told_too() -> None:
    found = scan(Held(packed(b"\x80\x02\xffc\ncnot a name\nx\ncos\nsystem\n.")))
    assert [call.target for call in found.calls] == ["os.system"]
    assert not scan(Held(packed(b"\x80\x02\xffcccollections\nOrderedDict\n"))).safe


@pytest.mark.parametrize(
    ("body", "target"),
    [
        (reach("collections", "OrderedDict") + b"Nb.", "collections.OrderedDict"),
        (reach("collections", "OrderedDict") + b"Na.", "collections.OrderedDict"),
        (reach("collections", "OrderedDict") + b"(Ne.", "collections.OrderedDict"),
        (reach("collections", "OrderedDict") + b"NNs.", "collections.OrderedDict"),
        (reach("collections", "OrderedDict") + b"(N\x90.", "collections.OrderedDict"),
        (reach("torch", "float16") + b")R.", "torch.float16"),
        (reach("collections", "OrderedDict") + b"NR.", "collections.OrderedDict"),
        (call(reach("_codecs", "encode"), "x", "zlib") + b".", "_codecs.encode"),
        (call(reach("_codecs", "encode"), "x") + b".", "_codecs.encode"),
        (call(reach("_codecs", "encode"), "x", ("latin1",)) + b".", "_codecs.encode"),
        (call(reach("__builtin__", "bytearray"), 10**12) + b".", "__builtin__.bytearray"),
        (reach("collections", "OrderedDict") + b")" + value({"a": 1}) + b"\x92.", "something named while it is loaded"),
        (b"NNR.", "something named while it is loaded"),
        (b"NN\x93.", "something named while it is loaded"),
        (b"\x82\x01.", "copyreg.extension 1"),
        (b"\x83\x01\x01.", "copyreg.extension 257"),
        (b"\x84\x01\x00\x00\x00.", "copyreg.extension 1"),
        (reach("torch", "FloatStorage") + b"(K\x01t" + b"R.", "torch.FloatStorage"),
        (call(reach("copyreg", "_reconstructor"), None)[:-4] + reach("os", "system") + b"\x85R.", "os.system"),
    ],
)
def test_what_no_model_does_is_told(body: bytes, target: str) -> None:
    found = scan(Held(pickle(body)))
    assert target in {call.target for call in found.calls}


def test_a_tensor_written_into_is_told() -> None:
    storages = value(Weight("F32", (1,)))
    assert [call.target for call in scan(Held(pickle(storages + b"Nb."))).calls] == ["torch.Tensor.__setstate__"]


def test_an_old_reconstructor_of_a_plain_class_is_not() -> None:
    kind = reach("argparse", "Namespace") + reach("__builtin__", "object")
    assert scan(Held(pickle(reach("copy_reg", "_reconstructor") + b"(" + kind + b"NtR."))).safe
    assert scan(Held(pickle(reach("collections", "OrderedDict") + b")}\x92."))).safe


def test_a_frame_within_a_frame_changes_nothing() -> None:
    inner = b"\x95\1\0\0\0\0\0\0\0N"
    assert scan(Held(packed(b"\x80\x04\x95\x0a\0\0\0\0\0\0\0" + inner + b"."))).safe
    assert not scan(Held(packed(b"\x80\x04\x95\x0a\0\0\0\0\0\0\0\x95\3\0\0\0\0\0\0\0NNN."))).safe
    assert not scan(Held(packed(b"\x80\x04\x95\x08\0\0\0\0\0\0\0" + inner + b"."))).safe


def test_a_bomb_of_opcodes_is_left_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPCODES", 1000)
    found = read(Held(packed(b"\x80\x02" + b"N0" * 500 + b"N.", deflated=True)))
    assert found.found == Header("pickle", {}, unread="it has more than 1,000 opcodes")
    assert "more than 1,000 opcodes" in str(found.safety.unread)
    assert "more than 1,000 opcodes" in str(scan(Held(streams(b"N0" * 500 + b"N."))).unread)


def test_a_bomb_of_bytes_is_left_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PICKLE", 1000)
    assert "more than is read here" in str(scan(Held(packed(bytes(1001), deflated=True))).unread)
    assert "longer than the 1,000 bytes" in str(scan(Held(streams(b"C\0" * 600))).unread)


@pytest.mark.parametrize("body", [b"}\x94", b"]0", b"N", b"(", b"(l", b"K\1", b"}q\0", b"cos\nsystem\n", b"\x85"])
def test_the_worst_pickles_stay_under_the_cap(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    share = limits.OPCODES // 20_000
    monkeypatch.setattr(limits, "OPCODES", 20_000)
    data = packed(b"\x80\x04N" + body * 20_000, deflated=True)
    tracemalloc.start()
    start = time.process_time()
    try:
        assert not scan(Held(data)).safe
        assert tracemalloc.get_traced_memory()[1] < limits.MEMORY / share
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 20 * limits.SECONDS / share  # tracing makes it some ten times slower


class Shrunk:
    """A file that became shorter after its size was taken."""

    size = 1000

    def read(self, offset: int, length: int) -> bytes:
        return b"\x80\x02"[offset : offset + length]


def test_a_file_that_shrinks_while_it_is_read_is_cut() -> None:
    found = read(Shrunk()).found
    assert isinstance(found, Header | Fault)


def test_a_pickle_over_many_chunks_is_read_to_its_end() -> None:
    main = b"\x80\x02" + value({"a" * 2_000_000: b"b" * 100_000, "x": call(reach("os", "system"), "true") and 1})
    assert scan(Held(streams(main + b"."))).safe


def test_a_pickle_that_cannot_be_unpacked_is_left_unread() -> None:
    whole = packed(b"N.", deflated=True)
    method = whole.index(b"PK\x01\x02") + 10
    found = read(Held(patched(whole, method, b"\x0c\0")))
    assert found.safety.unread == "archive/data.pkl: unsupported method"


def test_long_texts_and_numbers_cost_nothing() -> None:
    digits = b"9" * (limits.DIGITS + 1)
    body = b"(I" + digits + b"\nL" + digits + b"L\nF" + digits + b"\nV" + b"x" * 70000 + b"\n"
    body += b"X" + struct.pack("<I", 70000) + b"x" * 70000
    body += b"\x8b\x00\x08\x00\x00" + b"\1" * 2048 + b"l."
    assert scan(Held(pickle(body))).safe


def test_many_calls_are_named_up_to_a_limit() -> None:
    assert len(scan(Held(pickle(reach("os", "system") * 1000 + b"."))).calls) == limits.CALLS


@pytest.mark.parametrize("seed", range(4))
def test_damage_of_any_kind_ends_in_a_verdict(seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(500):
        data = bytearray(random_.choice((ZIP, OLD)))
        for _ in range(random_.choice((1, 3, 12))):
            place = random_.randrange(len(data))
            data[place : place + random_.choice((0, 1, 4))] = random_.randbytes(random_.choice((0, 1, 4)))
        reading = read(Held(bytes(data)))
        assert isinstance(reading.found, Header | Fault)
        bad_records(Held(bytes(data)))


def test_numbers_of_another_byte_order_have_no_place() -> None:
    assert [place.name for place in places(Held(ZIP))] == ["a", "b"]
    assert places(Held(OLD)) == []
    rows = [("archive/data.pkl", b"\x80\x02}."), ("archive/byteorder", b"big"), VERSION]
    assert places(Held(zipped(rows))) == []


def test_a_zip_bomb_is_not_unpacked_to_its_end() -> None:
    bomb = zipped([("archive/version", b"3\n"), ("archive/a", bytes(64 * 1024 * 1024))], deflated=True)
    started = time.process_time()
    assert bad_records(Held(bomb)) == ()
    assert time.process_time() - started < 0.2
