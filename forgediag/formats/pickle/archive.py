"""A zip archive as torch's reader (miniz) sees it: the central directory counts, local names and flags do not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from forgediag.formats.pickle import limits
from forgediag.formats.window import Window

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL, _FULL_SHORT = 0xFFFFFFFF, 0xFFFF
_STORED, _DEFLATED = 0, 8
ENCRYPTED = 0x2041
"""Flag bits of encrypted and patched records, which miniz refuses."""


class NotRead(ValueError):  # noqa: N818 - miniz's verdict, on its way to a fault
    """What miniz says when it refuses an archive."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the central directory. `start` is that of its local header."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    start: int


def directory(window: Window) -> tuple[Record, ...]:
    """The records of an archive in the order of its central directory.

    Raises:
        NotRead: miniz would not open it.
    """
    if window.size < _END.size:
        raise NotRead("not a ZIP archive")
    count, size, start = _ending(window)
    if start + size > window.size or count * _ENTRY.size > size or size > limits.DIRECTORY:
        raise NotRead("invalid header or archive is corrupted")
    raw = window.read(start, size)
    records: list[Record] = []
    at = 0
    for _ in range(count):
        record, at = _entry(raw, at)
        records.append(record)
    return tuple(records)


def _ending(window: Window) -> tuple[int, int, int]:
    """Records, bytes and place of the central directory, by the last end record of the file."""
    tail_size = min(window.size, _FULL_SHORT + _END.size)
    tail = window.read(window.size - tail_size, tail_size)
    place = tail.rfind(b"PK\x05\x06", 0, len(tail) - _END.size + 4)
    if place < 0:
        raise NotRead("failed finding central directory")
    _, disk, first, here, count, size, start, _ = _END.unpack_from(tail, place)
    end = window.size - tail_size + place
    if end >= _LOCATOR.size + _END_64.size:
        signature, _, end_64, _ = _LOCATOR.unpack(window.read(end - _LOCATOR.size, _LOCATOR.size))
        found = window.read(end_64, _END_64.size) if signature == b"PK\x06\x07" and end_64 < window.size else b""
        if len(found) == _END_64.size and found.startswith(b"PK\x06\x06"):
            *_, here, count, size, start = _END_64.unpack(found)
    if here != count or disk != first:
        raise NotRead("unsupported multidisk archive")
    return count, size, start


def _entry(raw: bytes, at: int) -> tuple[Record, int]:
    if len(raw) - at < _ENTRY.size or raw[at : at + 4] != b"PK\x01\x02":
        raise NotRead("invalid header or archive is corrupted")
    fields = _ENTRY.unpack_from(raw, at)
    flags, method, crc, packed, size, start = fields[3], fields[4], fields[7], fields[8], fields[9], fields[16]
    name_size, extra_size, comment_size = fields[10:13]
    begin = at + _ENTRY.size
    extra = begin + name_size
    end = extra + extra_size + comment_size
    if end > len(raw):
        raise NotRead("invalid header or archive is corrupted")
    if _FULL in {packed, size, start}:
        size, packed, start = _wide(raw[extra : extra + extra_size], (size, packed, start))
    name = raw[begin : begin + name_size].decode("utf-8", "replace")
    return Record(name, method, flags, crc, packed, size, start), end


def _wide(extra: bytes, narrow: tuple[int, int, int]) -> tuple[int, int, int]:
    """Size, packed size and start, those of them that do not fit in 32 bits from the zip64 field."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1:
            wide = [int.from_bytes(extra[i : i + 8], "little") for i in range(at + 4, at + 4 + length - 7, 8)]
            size, packed, start = (wide.pop(0) if value == _FULL and wide else value for value in narrow)
            return size, packed, start
        at += 4 + length
    return narrow


def local_name(window: Window, record: Record) -> tuple[str, int] | None:
    """Name and flags in front of the record itself; None where no local header is."""
    head = window.read(record.start, _LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        return None
    fields = _LOCAL.unpack(head)
    return window.read(record.start + _LOCAL.size, fields[9]).decode("utf-8", "replace"), fields[2]


def readable(window: Window, record: Record) -> bool:
    """Whether miniz finds the record where the directory says."""
    found = window.read(record.start, 4) == b"PK\x03\x04" and not record.flags & ENCRYPTED
    return found and record.method in {_STORED, _DEFLATED}


def stored(window: Window, record: Record) -> int | None:
    """Where the contents of a record begin that is not packed; None for one that is, or cannot be read."""
    head = window.read(record.start, _LOCAL.size)
    plain = record.method == _STORED and record.packed == record.size and not record.flags & ENCRYPTED
    if not plain or len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        return None
    fields = _LOCAL.unpack(head)
    start: int = record.start + _LOCAL.size + fields[9] + fields[10]
    return start if start + record.size <= window.size else None


def chunks(window: Window, record: Record) -> Iterator[bytes]:
    """A record's contents in pieces, as many bytes as the directory promises at most.

    Raises:
        NotRead: miniz cannot read the record.
    """
    head = window.read(record.start, _LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise NotRead("invalid header or archive is corrupted")
    fields = _LOCAL.unpack(head)
    start = record.start + _LOCAL.size + fields[9] + fields[10]
    if record.flags & ENCRYPTED:
        raise NotRead("unsupported encryption")
    if record.method not in {_STORED, _DEFLATED}:
        raise NotRead("unsupported method")
    if start + record.packed > window.size or (record.method == _STORED and record.packed != record.size):
        raise NotRead("invalid header or archive is corrupted")
    packed = _pieces(window, start, record.packed)
    return packed if record.method == _STORED else _inflated(packed, record.size)


def _pieces(window: Window, start: int, size: int) -> Iterator[bytes]:
    for at in range(start, start + size, limits.CHUNK):
        yield window.read(at, min(limits.CHUNK, start + size - at))


def _inflated(packed: Iterator[bytes], size: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in packed:
        rest = piece
        while rest and size > 0:
            try:
                out = inflater.decompress(rest, min(size, limits.CHUNK))
            except zlib.error as error:
                raise NotRead("decompression failed or archive is corrupted") from error
            size -= len(out)
            rest = inflater.unconsumed_tail
            yield out
    if size > 0:
        raise NotRead("decompression failed or archive is corrupted")


def content(window: Window, record: Record) -> bytes:
    """A whole record.

    Raises:
        NotRead: as `chunks`.
    """
    return b"".join(chunks(window, record))


def checksum(window: Window, record: Record) -> int:
    """CRC-32 of a record's contents.

    Raises:
        NotRead: as `chunks`.
    """
    value = 0
    for piece in chunks(window, record):
        value = zlib.crc32(piece, value)
    return value
