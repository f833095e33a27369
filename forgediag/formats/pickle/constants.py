"""Opcodes that leave a constant or a value from the memo."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable

from forgediag.formats.pickle import limits
from forgediag.formats.pickle.machine import Machine
from forgediag.formats.pickle.values import OPAQUE

U1, U2, U4, I4, U8, _D8 = (struct.Struct(code) for code in ("<B", "<H", "<I", "<i", "<Q", ">d"))

Action = Callable[[Machine], None]
"""What one opcode does to the machine, which stands behind the opcode's byte."""


def push(value: object) -> Action:
    """Always this one."""
    return lambda machine: machine.stack.append(value)


def fixed(code: struct.Struct) -> Action:
    """A number of fixed size."""
    return lambda machine: machine.stack.append(machine.number(code))


def binary_float(machine: Machine) -> None:
    """Eight bytes, the highest first."""
    machine.stack.append(_D8.unpack(machine.take(8))[0])


def _length(machine: Machine, code: struct.Struct) -> int:
    size = machine.number(code)
    if size < 0:
        machine.fail("UnpicklingError: BINSTRING pickle has negative byte count")
    return size


def text(code: struct.Struct) -> Action:
    """UTF-8 with its length in front."""
    return lambda machine: machine.stack.append(machine.text(machine.take(_length(machine, code))))


def raw(code: struct.Struct) -> Action:
    """Bytes with their length in front."""

    def action(machine: Machine) -> None:
        raw = machine.take(_length(machine, code))
        machine.stack.append(raw if len(raw) <= limits.TEXT else OPAQUE)

    return action


def binary_long(code: struct.Struct) -> Action:
    """A whole number with its length in front."""

    def action(machine: Machine) -> None:
        size = machine.number(code)
        if size < 0:
            machine.fail("UnpicklingError: LONG pickle has negative byte count")
        raw = machine.take(size)
        machine.stack.append(int.from_bytes(raw, "little", signed=True) if size <= 1024 else OPAQUE)

    return action


def decimal(machine: Machine) -> None:
    """A number in digits; 00 and 01 are the truth values of protocol 0."""
    raw = machine.line()
    machine.stack.append({b"00": False, b"01": True}[raw] if raw in {b"00", b"01"} else _integer(machine, raw))


def decimal_long(machine: Machine) -> None:
    """A number in digits with an L behind."""
    machine.stack.append(_integer(machine, machine.line().removesuffix(b"L")))


def _integer(machine: Machine, raw: bytes) -> object:
    if len(raw) > limits.DIGITS:
        return OPAQUE
    try:
        return int(raw, 0)
    except ValueError:
        machine.fail("ValueError: could not convert string to int")


def decimal_float(machine: Machine) -> None:
    """A fraction in digits."""
    raw = machine.line()
    try:
        machine.stack.append(float(raw) if len(raw) <= limits.DIGITS else OPAQUE)
    except ValueError:
        machine.fail("ValueError: could not convert string to float")


def quoted(machine: Machine) -> None:
    """A text in quotes with escapes."""
    raw = machine.line().rstrip()
    if len(raw) < 2 or raw[0] != raw[-1] or raw[0] not in b"'\"":
        machine.fail("UnpicklingError: the STRING opcode argument must be quoted")
    try:
        value, _ = codecs.escape_decode(raw[1:-1])
    except ValueError as error:
        machine.fail(f"ValueError: {error}")
    machine.stack.append(machine.text(value))


def escaped(machine: Machine) -> None:
    """A text with Unicode escapes."""
    raw = machine.line()
    try:
        machine.stack.append(raw.decode("raw-unicode-escape") if len(raw) <= limits.TEXT else OPAQUE)
    except UnicodeDecodeError as error:
        machine.fail(f"UnicodeDecodeError: {error}")


def get(code: struct.Struct | None) -> Action:
    """A value from the memo; the index in digits without a format."""

    def action(machine: Machine) -> None:
        index = _digits(machine) if code is None else machine.number(code)
        if index not in machine.memo:
            machine.fail(f"UnpicklingError: Memo value not found at index {index}")
        machine.stack.append(machine.memo[index])

    return action


def put(code: struct.Struct | None) -> Action:
    """The top into the memo; the index in digits without a format."""

    def action(machine: Machine) -> None:
        index = _digits(machine) if code is None else machine.number(code)
        if index < 0:
            machine.fail("ValueError: negative PUT argument")
        machine.memo[index] = machine.top()

    return action


def _digits(machine: Machine) -> int:
    value = _integer(machine, machine.line())
    return value if isinstance(value, int) else -1
