"""Every opcode of pickle protocols 0 to 5, by its byte."""

from __future__ import annotations

import pickletools
import struct
from typing import cast

from forgediag.formats.pickle import limits
from forgediag.formats.pickle.constants import (
    I4,
    U1,
    U2,
    U4,
    U8,
    Action,
    binary_float,
    binary_long,
    decimal,
    decimal_float,
    decimal_long,
    escaped,
    fixed,
    get,
    push,
    put,
    quoted,
    raw,
    text,
)
from forgediag.formats.pickle.machine import Exceeded, Machine, Stops
from forgediag.formats.pickle.values import OPAQUE, Made, Pairs

_STOP = 0x2E


def run(machine: Machine) -> object:
    """Works through one pickle, from where the machine stands to its STOP.

    Raises:
        Stops: Python could not read it on.
        Exceeded: a limit of ours.
    """
    data, actions = machine.data, _ACTIONS
    machine.stack, machine.marks, machine.memo = [], [], {}
    machine.frame = machine.fence = 0
    end, left = len(data), machine.findings.left
    try:
        while machine.at < end:
            machine.start = machine.at
            code = data[machine.at]
            machine.at += 1
            left -= 1
            if left < 0:
                raise Exceeded(f"it has more than {limits.OPCODES:,} opcodes")
            if code == _STOP:
                return machine.pop()
            action = actions[code]
            if action is None:
                machine.fail(f"UnpicklingError: invalid load key, '{_shown(code)}'.")
            action(machine)
    finally:
        machine.findings.left = left
    raise Stops("EOFError: Ran out of input", machine.at, short=True)


def _shown(code: int) -> str:
    return chr(code) if 0x20 <= code <= 0x7E and code not in b"'\\" else f"\\x{code:02x}"


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.top()


def _mark(machine: Machine) -> None:
    machine.mark()


def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.unmark()
    else:
        machine.pop()


def _pop_mark(machine: Machine) -> None:
    machine.since_mark()


def _dup(machine: Machine) -> None:
    machine.stack.append(machine.top())


def _marked_tuple(machine: Machine) -> None:
    machine.stack.append(tuple(machine.since_mark()))


def _tuple(count: int) -> Action:
    def action(machine: Machine) -> None:
        stack = machine.stack
        if len(stack) - machine.fence < count:
            machine.underflow()
        stack[-count:] = [tuple(stack[-count:])]

    return action


def _list(machine: Machine) -> None:
    machine.stack.append(machine.since_mark())


def _dict(machine: Machine) -> None:
    items = _even(machine, "DICT")
    machine.stack.append(Pairs())
    machine.settle(items)


def _even(machine: Machine, what: str) -> list[object]:
    items = machine.since_mark()
    if len(items) % 2:
        machine.fail(f"UnpicklingError: odd number of items for {what}")
    return items


def _appends(machine: Machine) -> None:
    _extend(machine, machine.since_mark())


def _append(machine: Machine) -> None:
    _extend(machine, [machine.pop()])


def _extend(machine: Machine, items: list[object]) -> None:
    target = machine.top()
    if isinstance(target, list):
        cast("list[object]", target).extend(items)
    else:
        machine.change(target)


def _additems(machine: Machine) -> None:
    machine.since_mark()
    machine.change(machine.top())


def _setitems(machine: Machine) -> None:
    machine.settle(_even(machine, "SETITEMS"))


def _setitem(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.settle([key, value])


def _global(machine: Machine) -> None:
    module, name = machine.text(machine.line()), machine.text(machine.line())
    machine.opcode = "GLOBAL"
    machine.stack.append(machine.look_up(module, name))


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.opcode = "STACK_GLOBAL"
    machine.stack.append(machine.look_up(module, name))


def _reduce(machine: Machine) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.opcode = "REDUCE"
    machine.stack.append(machine.call(function, arguments))


def _new(machine: Machine) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.opcode = "NEWOBJ"
    machine.stack.append(machine.call(function, arguments))


def _new_ex(machine: Machine) -> None:
    keywords, arguments, function = machine.pop(), machine.pop(), machine.pop()
    machine.opcode = "NEWOBJ_EX"
    value = machine.call(function, arguments)
    if isinstance(keywords, Pairs) and not keywords.pairs:
        machine.stack.append(value)
    else:
        machine.report("", "")
        machine.stack.append(OPAQUE)


def _inst(machine: Machine) -> None:
    module, name = machine.text(machine.line()), machine.text(machine.line())
    arguments = tuple(machine.since_mark())
    machine.opcode = "INST"
    machine.stack.append(machine.call(machine.look_up(module, name), arguments))


def _obj(machine: Machine) -> None:
    items = machine.since_mark()
    if not items:
        machine.underflow()
    machine.opcode = "OBJ"
    machine.stack.append(machine.call(items[0], tuple(items[1:])))


def _build(machine: Machine) -> None:
    machine.pop()
    machine.opcode = "BUILD"
    machine.change(machine.top())


def _extension(code: struct.Struct) -> Action:
    def action(machine: Machine) -> None:
        machine.opcode = f"EXT{code.size}"
        number = machine.number(code)
        machine.report("copyreg", f"extension {number}")
        machine.stack.append(Made("copyreg"))

    return action


def _persid(machine: Machine) -> None:
    machine.expect_persistent()
    machine.stack.append(machine.persist(machine.line()))


def _binpersid(machine: Machine) -> None:
    machine.stack.append(machine.persist(machine.pop()))


def _proto(machine: Machine) -> None:
    version = machine.take(1)[0]
    if version > 5:
        machine.fail(f"ValueError: unsupported pickle protocol: {version}")


def _frame(machine: Machine) -> None:
    machine.enter(machine.number(U8))


def _out_of_band(machine: Machine) -> None:
    machine.fail("UnpicklingError: pickle stream refers to out-of-band data but no *buffers* argument was given")


def _readonly(machine: Machine) -> None:
    machine.top()


_BY_NAME: dict[str, Action] = {
    "INT": decimal, "BININT": fixed(I4), "BININT1": fixed(U1), "BININT2": fixed(U2), "LONG": decimal_long,
    "LONG1": binary_long(U1), "LONG4": binary_long(I4), "STRING": quoted, "BINSTRING": text(I4),
    "SHORT_BINSTRING": text(U1), "BINBYTES": raw(U4), "SHORT_BINBYTES": raw(U1), "BINBYTES8": raw(U8),
    "BYTEARRAY8": raw(U8),
    "NEXT_BUFFER": _out_of_band, "READONLY_BUFFER": _readonly, "NONE": push(None), "NEWTRUE": push(True),  # noqa: FBT003
    "NEWFALSE": push(False), "UNICODE": escaped, "SHORT_BINUNICODE": text(U1), "BINUNICODE": text(U4),  # noqa: FBT003
    "BINUNICODE8": text(U8), "FLOAT": decimal_float, "BINFLOAT": binary_float,
    "EMPTY_LIST": lambda machine: machine.stack.append([]), "APPEND": _append, "APPENDS": _appends, "LIST": _list,
    "EMPTY_TUPLE": push(()), "TUPLE": _marked_tuple, "TUPLE1": _tuple(1), "TUPLE2": _tuple(2), "TUPLE3": _tuple(3),
    "EMPTY_DICT": lambda machine: machine.stack.append(Pairs()), "DICT": _dict, "SETITEM": _setitem,
    "SETITEMS": _setitems, "EMPTY_SET": lambda machine: machine.stack.append(Made("set")), "ADDITEMS": _additems,
    "FROZENSET": _marked_tuple, "POP": _pop, "DUP": _dup, "MARK": _mark, "POP_MARK": _pop_mark, "GET": get(None),
    "BINGET": get(U1), "LONG_BINGET": get(U4), "PUT": put(None), "BINPUT": put(U1), "LONG_BINPUT": put(U4),
    "MEMOIZE": _memoize, "EXT1": _extension(U1), "EXT2": _extension(U2), "EXT4": _extension(I4), "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global, "REDUCE": _reduce, "BUILD": _build, "INST": _inst, "OBJ": _obj, "NEWOBJ": _new,
    "NEWOBJ_EX": _new_ex, "PROTO": _proto, "FRAME": _frame, "PERSID": _persid, "BINPERSID": _binpersid,
}  # fmt: skip

_ACTIONS: list[Action | None] = [None] * 256
for _opcode in pickletools.opcodes:
    _ACTIONS[ord(_opcode.code)] = _BY_NAME.get(_opcode.name)
