"""Files as torch.save wrote them before 1.6: five pickles behind each other, then the data of the storages."""

from __future__ import annotations

from typing import cast

from forgediag.formats.faults import fault
from forgediag.formats.pickle import limits
from forgediag.formats.pickle.allowed import SIZES
from forgediag.formats.pickle.machine import Findings, Machine
from forgediag.formats.pickle.reading import Reading, State, Worked, broken, state_of, work
from forgediag.formats.pickle.zipped import inside
from forgediag.formats.window import Window
from forgediag.model import Fault, Header, Safety

MAGIC = 0x1950A86A20F9469CFC6C
"""What the first pickle of such a file holds (torch/serialization.py)."""
PROTOCOL = 1001

_FIRST = 1024 * 1024
_TAR = 512


def read_legacy(window: Window) -> Reading:
    """A file that does not begin as a zip does: torch takes it for a tar of before 0.4, then for pickles."""
    head = window.read(0, _TAR)
    if len(head) == _TAR and not any(head):
        says = "KeyError: \"filename 'storages' not found\""
        return Reading(
            fault("zeros", "the file begins with zeros", says=says, offset=0), Safety(unread="it is no pickle")
        )
    if _is_tar(head):
        return _tar(window)
    data, size = b"", _FIRST
    while True:
        size = min(size, window.size, limits.PICKLE)
        while len(data) < size:
            piece = window.read(len(data), min(limits.CHUNK, size - len(data)))
            if not piece:
                break
            data += piece
        reading, short = _streams(window, data)
        if not short or size in {window.size, limits.PICKLE}:
            return reading
        size *= 8


def _is_tar(head: bytes) -> bool:
    try:
        said = int(head[148:156].strip(b" \0") or b"-1", 8)
    except ValueError:
        return False
    return len(head) == _TAR and said == sum(head[:148]) + sum(head[156:]) + 8 * 0x20


def _tar(window: Window) -> Reading:
    """Torch's oldest format: every member is unpickled. No model file of Forge's time is one."""
    findings = Findings()
    data = window.read(0, min(window.size, limits.DIRECTORY))
    at = 0
    while at + _TAR < len(data) and _is_tar(data[at : at + _TAR]):
        name = data[at : at + 100].rstrip(b"\0").decode("utf-8", "replace")
        length = int(data[at + 124 : at + 136].strip(b" \0") or b"0", 8)
        machine = Machine(data[at + _TAR : at + _TAR + length], findings, member=name)
        for _ in range(limits.DIMENSIONS):
            if work(machine).value is None:
                break
        at += _TAR + -(-length // _TAR) * _TAR
    trick = "it is a tar archive as torch 0.3 wrote them: torch unpickles every member"
    unread = "its tensors are not read here"
    return Reading(Header("pickle", {}, unread=unread), findings.safety(trick, unread=unread))


def _streams(window: Window, data: bytes) -> tuple[Reading, bool]:
    """The five pickles in the first bytes of the file, and whether more bytes could tell more."""
    size = len(data)
    findings = Findings()
    machine = Machine(data, findings, persistent=False)
    values: list[object] = []
    for index in range(5):
        machine.persistent = index == 3
        worked = work(machine)
        if worked.stopped is not None or worked.exceeded is not None:
            short = worked.stopped is not None and worked.stopped.short and size < window.size
            return _stopped(worked, findings, more=size < window.size, first=index == 0), short
        values.append(worked.value)
        if (wrong := _wrong(index, worked.value)) is not None:
            return Reading(wrong, findings.safety()), False
    state = state_of(values[3])
    wrong = _data(window, state, values[4], machine.at)
    return Reading(
        wrong or Header("pickle", state.tensors(), state.metadata),
        findings.safety(),
    ), False


def _stopped(worked: Worked, findings: Findings, *, more: bool, first: bool) -> Reading:
    stopped = worked.stopped
    if stopped is None or (stopped.short and more):
        reason = worked.exceeded or f"its pickles are longer than the {limits.PICKLE:,} bytes that are read here"
        return Reading(Header("pickle", {}, unread=reason), findings.safety(unread=reason))
    wrong = broken(stopped, "")
    if first and not stopped.short:
        message = "the file is no zip archive and no pickle, so torch.load cannot read it"
        wrong = fault("pickle-unreadable", message, says=stopped.says, offset=stopped.at)
    return Reading(wrong, findings.safety(unread=stopped.says))


def _wrong(index: int, value: object) -> Fault | None:
    message, says = "", ""
    if index == 0 and (not isinstance(value, int) or value != MAGIC):
        message, says = "a Python pickle that torch.save did not write", "Invalid magic number; corrupt file?"
    elif index == 1 and (not isinstance(value, int) or value != PROTOCOL):
        shown = value if isinstance(value, (int, str)) else "?"
        message, says = "torch.save's in a version that does not exist", f"Invalid protocol version: {shown}"
    if not message:
        return None
    return fault("pickle-not-torch", f"the file is {message}", says=f"RuntimeError: {says}", offset=0)


def _data(window: Window, state: State, keys: object, at: int) -> Fault | None:
    """The first storage whose data is cut or of another size."""
    uses = {storage.key: (name, storage) for name, _, storage in state.storages()}
    for name, array, storage in state.storages():
        if (wrong := inside(name, array, storage)) is not None:
            return wrong
    for key in cast("list[object]", keys) if isinstance(keys, list) else ():
        use = uses.get(key) if isinstance(key, str) else None
        if use is None:
            return None
        name, storage = use
        head = window.read(at, 8)
        size = storage.numel * SIZES[storage.dtype]
        missing = 8 - len(head) or at + 8 + size - window.size
        if missing > 0:
            message = f"the file is cut: the data of tensor {name!r} lacks {missing:,} of {size:,} bytes"
            says = f"RuntimeError: unexpected EOF, expected {missing} more bytes. The file might be corrupted."
            return fault("pickle-cut", message, says=says, offset=window.size)
        at += 8 + size
    return None
