"""Zip archives as torch.save writes them since 1.6: `NAME/data.pkl`, `NAME/data/0` and so on."""

from __future__ import annotations

from collections import Counter

from forgediag.formats.faults import fault
from forgediag.formats.pickle import archive, limits
from forgediag.formats.pickle.allowed import SIZES
from forgediag.formats.pickle.archive import NotRead, Record
from forgediag.formats.pickle.machine import Findings, Machine
from forgediag.formats.pickle.reading import Reading, State, Worked, broken, state_of, work
from forgediag.formats.pickle.values import Array, Storage
from forgediag.formats.window import Place, Window
from forgediag.model import Fault, Header, Safety

_READER = "RuntimeError: PytorchStreamReader failed"
_SHORT, _NEWEST = 64, 10


def read_zip(window: Window) -> Reading:
    """A file that begins with a zip's local header.

    What torch says was observed with torch 2.13, without what differs between versions: the place in torch's source
    in front, and ". This is an internal miniz error. …" behind.
    """
    try:
        records = archive.directory(window)
    except NotRead as error:
        says = f"{_READER} reading zip archive: {error}"
        return Reading(_unreadable(window, str(error), says), Safety(unread="its zip directory cannot be read"))
    pickles = [record for record in records if record.name.lower().endswith(".pkl")]
    wrong, root = _layout(records)
    wrong = wrong or _versions(window, records, root)
    pickles = [record for record in records if record.name.lower().endswith(".pkl")]
    findings = Findings()
    left = limits.PICKLE
    main: Worked | None = None
    unread: list[str] = []
    for record in pickles:
        worked = _pickle(window, record, findings, left)
        left -= min(left, record.size)
        if (reason := worked.exceeded or (worked.stopped.says if worked.stopped else None)) is not None:
            unread.append(f"{record.name}: {reason}")
        if main is None and record.name.lower() == f"{root}/data.pkl".lower():
            main = worked
    state = state_of(main.value if main else None)
    safety = findings.safety(*_tricks(window, records, pickles), unread="; ".join(unread[:3]) or None)
    if wrong is None and main is not None:
        wrong = _main(window, main, records, root, state)
    uses = [(name, f"{root}/data/{storage.key}", storage.dtype) for name, _, storage in state.storages()]
    names, dtypes = {name: place for name, place, _ in uses}, {place: dtype for _, place, dtype in uses}
    header = Header("pickle", state.tensors(), state.metadata, unread=main.exceeded if main else None)
    return Reading(wrong or header, safety, names, dtypes)


def _main(window: Window, worked: Worked, records: tuple[Record, ...], root: str, state: State) -> Fault | None:
    if worked.exceeded is not None:
        return None
    if worked.stopped is not None:
        return broken(worked.stopped, f"{root}/data.pkl")
    return _data(window, records, root, state)


def _unreadable(window: Window, reason: str, says: str) -> Fault:
    if reason.startswith(("failed finding", "not a")):
        message = f"the file is cut: the directory that every zip archive ends with is missing ({window.size:,} bytes)"
        return fault("pickle-cut", message, says=says, offset=window.size)
    return fault("zip-directory", f"the zip archive is damaged: {reason}", says=says)


def _layout(records: tuple[Record, ...]) -> tuple[Fault | None, str]:
    """What torch misses in an archive, in the order it looks, and the folder all of it is in."""
    first = records[0].name if records else ""
    root = first.partition("/")[0]
    names = {record.name.lower() for record in records}
    if not records:
        return _not_torch("is empty", "UnpicklingError: A load persistent id instruction was encountered,"), root
    if "/" not in first:
        says = f"RuntimeError: file in archive is not in a subdirectory: {first}"
        return _not_torch(f"holds {first}, which torch.save did not write", says), root
    if not names & {f"{root}/version".lower(), f"{root}/.data/version".lower()}:
        return _not_torch("has no version record", 'RuntimeError: Expected hasRecord("version") to be true'), root
    for record in records:
        if not record.name.startswith(f"{root}/"):
            says = f"RuntimeError: file in archive is not in a subdirectory {root}/: {record.name}"
            return _not_torch(f"holds {record.name} outside of {root}/", says), root
    if f"{root}/data.pkl".lower() not in names:
        says = f"{_READER} locating file data.pkl: file not found"
        return _not_torch("has no data.pkl", says), root
    return None, root


def _versions(window: Window, records: tuple[Record, ...], root: str) -> Fault | None:
    """A version or byte order that torch refuses (caffe2/serialize/inline_container.cc, torch/serialization.py)."""
    said = {record.name: _short(window, record) for record in reversed(records) if record.size <= _SHORT}
    if f"{root}/constants.pkl" in {record.name for record in records}:
        return fault("torchscript", "the file is a TorchScript archive: a program, not a model's weights")
    version = said.get(f"{root}/.data/version", said.get(f"{root}/version", ""))
    digits = version.strip()
    if not digits.isdecimal():
        says = f"RuntimeError: Couldn't parse the version {version} as Long Long."
        return fault("zip-version", f"the archive's version {digits!r} is not a number", says=says)
    if int(digits) > _NEWEST:
        says = (
            f"RuntimeError: Attempted to read a PyTorch file with version {int(digits)}, but the maximum supported"
            f" version for reading is {_NEWEST}"
        )
        return fault("zip-version", f"the archive's version {int(digits)} is newer than any torch", says=says)
    if (order := said.get(f"{root}/byteorder", "little")) not in {"little", "big"}:
        message = f"the archive's byte order {order!r} does not exist"
        return fault("zip-version", message, says=f"ValueError: Unknown endianness type: {order}")
    return None


def _short(window: Window, record: Record) -> str:
    if not record.name.endswith(("/version", "/byteorder")):
        return ""
    try:
        return archive.content(window, record).decode("ascii", "replace")
    except NotRead:
        return ""


def _not_torch(what: str, says: str) -> Fault:
    message = f"the file is a zip archive that torch did not write: it {what}"
    return fault("zip-not-torch", message, says=says)


def _pickle(window: Window, record: Record, findings: Findings, left: int) -> Worked:
    if record.size > left:
        return Worked(exceeded=f"it claims {record.size:,} bytes, more than is read here")
    try:
        data = archive.content(window, record)
    except NotRead as error:
        return Worked(exceeded=str(error))
    return work(Machine(data, findings, member=record.name))


def _tricks(window: Window, records: tuple[Record, ...], pickles: list[Record]) -> tuple[str, ...]:
    """What hides a pickle from a scanner but not from torch."""
    found = [
        f"{count} records are named {name}: torch reads one, Python's zipfile another"
        for name, count in Counter(record.name.lower() for record in records).items()
        if count > 1
    ]
    if any(record.name.endswith("/constants.pkl") for record in records):
        found.append("it is a TorchScript archive, whose code runs when it is loaded")
    for record in pickles:
        local = archive.local_name(window, record)
        if local is None:
            continue
        name, flags = local
        if name != record.name:
            found.append(f"{record.name} calls itself {name} in front of its data")
        if (flags | record.flags) & archive.ENCRYPTED:
            found.append(f"{record.name} is marked as encrypted")
    return tuple(found[: limits.CALLS])


def _data(window: Window, records: tuple[Record, ...], root: str, state: State) -> Fault | None:
    """The first tensor whose data is missing or of another size than it needs."""
    held = {record.name.lower(): record for record in reversed(records)}
    for name, array, storage in state.storages():
        record = held.get(f"{root}/data/{storage.key}".lower())
        place = f"data/{storage.key}"
        if record is None:
            message = f"the data of tensor {name!r} ({place}) is not in the archive"
            return fault("record-missing", message, says=f"{_READER} locating file {place}: file not found")
        if not archive.readable(window, record):
            says = f"{_READER} reading file {place}: invalid header or archive is corrupted"
            message = f"the data of tensor {name!r} ({place}) is not where the archive says"
            return fault("record-unreadable", message, says=says, offset=record.start)
        if (wrong := _fits(name, storage, record) or inside(name, array, storage)) is not None:
            return wrong
    return None


def _fits(name: str, storage: Storage, record: Record) -> Fault | None:
    want = storage.numel * SIZES[storage.dtype]
    if record.size == want:
        return None
    message = f"the data of tensor {name!r} has {record.size:,} bytes, {want:,} are needed"
    says = (
        f"RuntimeError: record size ({record.size} bytes) does not match expected size ({want} bytes = {want} elements"
        " * 1 bytes/element) for dtype Byte"
    )
    return fault("record-size", message, says=says, offset=record.start)


def inside(name: str, array: Array, storage: Storage) -> Fault | None:
    """A tensor that reaches beyond the end of its storage."""
    if 0 in array.shape or len(array.shape) != len(array.stride):
        return None
    reach = array.offset + sum((size - 1) * step for size, step in zip(array.shape, array.stride, strict=True)) + 1
    item, have = SIZES[array.dtype], storage.numel * SIZES[storage.dtype]
    if array.offset >= 0 and reach * item <= have:
        return None
    says = (
        f"RuntimeError: setStorage: sizes {list(array.shape)}, strides {list(array.stride)}, storage offset"
        f" {array.offset}, and itemsize {item} requiring a storage size of {reach * item} are out of bounds for storage"
        f" of size {have}"
    )
    return fault("tensor-bounds", f"tensor {name!r} reaches beyond the end of its data", says=says)


def bad_records(window: Window) -> tuple[Fault, ...]:
    """The records of a torch archive whose contents do not match their CRC-32, which torch itself never checks.

    Reads the whole file, `limits.CHUNK` bytes at a time. A file that is no readable zip archive has none; records of
    one that unpacks to more than torch.save ever writes, twice the file's size and a few MB, are left out.

    Raises:
        OSError: the file cannot be read.
    """
    if window.read(0, 4) != b"PK\x03\x04":
        return ()
    try:
        records = archive.directory(window)
    except NotRead:
        return ()
    owners = {place: name for name, place in read_zip(window).records.items()}
    left = 2 * window.size + limits.PICKLE
    found: list[Fault] = []
    for record in records:
        left -= record.size
        if left >= 0 and (bad := _damaged(window, record, owners.get(record.name))) is not None:
            found.append(bad)
    return tuple(found)


def places(window: Window) -> list[Place]:
    """Where the numbers of a torch archive lie: one place for each record that is stored as it is, by its first tensor.

    None for any other file, and for one with numbers of another byte order.

    Raises:
        OSError: the file cannot be read.
    """
    if window.read(0, 4) != b"PK\x03\x04":
        return []
    reading = read_zip(window)
    owners = {place: name for name, place in reversed(list(reading.records.items()))}
    found: list[Place] = []
    for record in () if isinstance(reading.found, Fault) else archive.directory(window):
        if record.name.endswith("/byteorder") and archive.content(window, record) == b"big":
            return []
        if record.name in owners and (begin := archive.stored(window, record)) is not None:
            found.append(Place(owners[record.name], reading.dtypes[record.name], begin, begin + record.size))
    return sorted(found, key=lambda place: place.begin)


def _damaged(window: Window, record: Record, tensor: str | None) -> Fault | None:
    whose = f" (tensor {tensor!r})" if tensor else ""
    try:
        found = archive.checksum(window, record)
    except NotRead as error:
        message = f"record {record.name}{whose} cannot be read: {error}"
        return fault("record-unreadable", message, offset=record.start)
    if found == record.crc:
        return None
    message = (
        f"the contents of record {record.name}{whose} have changed: CRC-32 {found:08x}, {record.crc:08x} was written."
        " torch does not check it and loads the damage"
    )
    return fault("record-crc", message, offset=record.start)
