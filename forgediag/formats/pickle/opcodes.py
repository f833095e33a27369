"""Every opcode of pickle protocols 0 to 5, by its byte."""

from __future__ import annotations

import codecs
import pickletools
import struct
from collections.abc import Callable

from forgediag.formats.pickle import limits
from forgediag.formats.pickle.machine import Exceeded, Machine, Stops
from forgediag.formats.pickle.values import OPAQUE, Made, Pairs

_U1, _U2, _U4, _I4, _U8, _D8 = (struct.Struct(code) for code in ("<B", "<H", "<I", "<i", "<Q", ">d"))
_STOP = 0x2E

Action = Callable[[Machine], None]


def run(machine: Machine) -> object:
    """Works through one pickle, from where the machine stands to its STOP.

    Raises:
        Stops: Python could not read it on.
        Exceeded: a limit of ours.
    """
    data, actions = machine.data, _ACTIONS
    machine.stack, machine.marks, machine.memo = [], [], {}
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


def _push(value: object) -> Action:
    return lambda machine: machine.stack.append(value)


def _fixed(code: struct.Struct) -> Action:
    return lambda machine: machine.stack.append(machine.number(code))


def _float(machine: Machine) -> None:
    machine.stack.append(_D8.unpack(machine.take(8))[0])


def _length(machine: Machine, code: struct.Struct) -> int:
    size = machine.number(code)
    if size < 0:
        machine.fail("UnpicklingError: BINSTRING pickle has negative byte count")
    return size


def _text(code: struct.Struct) -> Action:
    return lambda machine: machine.stack.append(machine.text(machine.take(_length(machine, code))))


def _raw(code: struct.Struct) -> Action:
    def action(machine: Machine) -> None:
        raw = machine.take(_length(machine, code))
        machine.stack.append(raw if len(raw) <= limits.TEXT else OPAQUE)

    return action


def _long(code: struct.Struct) -> Action:
    def action(machine: Machine) -> None:
        size = machine.number(code)
        if size < 0:
            machine.fail("UnpicklingError: LONG pickle has negative byte count")
        raw = machine.take(size)
        machine.stack.append(int.from_bytes(raw, "little", signed=True) if size <= 1024 else OPAQUE)

    return action


def _decimal(machine: Machine) -> None:
    raw = machine.line()
    machine.stack.append({b"00": False, b"01": True}[raw] if raw in {b"00", b"01"} else _integer(machine, raw))


def _decimal_long(machine: Machine) -> None:
    machine.stack.append(_integer(machine, machine.line().removesuffix(b"L")))


def _integer(machine: Machine, raw: bytes) -> object:
    if len(raw) > limits.DIGITS:
        return OPAQUE
    try:
        return int(raw, 0)
    except ValueError:
        machine.fail("ValueError: could not convert string to int")


def _decimal_float(machine: Machine) -> None:
    raw = machine.line()
    try:
        machine.stack.append(float(raw) if len(raw) <= limits.DIGITS else OPAQUE)
    except ValueError:
        machine.fail("ValueError: could not convert string to float")


def _quoted(machine: Machine) -> None:
    raw = machine.line().rstrip()
    if len(raw) < 2 or raw[0] != raw[-1] or raw[0] not in b"'\"":
        machine.fail("UnpicklingError: the STRING opcode argument must be quoted")
    try:
        value, _ = codecs.escape_decode(raw[1:-1])
    except ValueError as error:
        machine.fail(f"ValueError: {error}")
    machine.stack.append(machine.text(value))


def _escaped(machine: Machine) -> None:
    raw = machine.line()
    try:
        machine.stack.append(raw.decode("raw-unicode-escape") if len(raw) <= limits.TEXT else OPAQUE)
    except UnicodeDecodeError as error:
        machine.fail(f"UnicodeDecodeError: {error}")


def _get(code: struct.Struct | None) -> Action:
    def action(machine: Machine) -> None:
        index = _index(machine, code)
        if index not in machine.memo:
            machine.fail(f"UnpicklingError: Memo value not found at index {index}")
        machine.stack.append(machine.memo[index])

    return action


def _put(code: struct.Struct | None) -> Action:
    def action(machine: Machine) -> None:
        index = _index(machine, code)
        if index < 0:
            machine.fail("ValueError: negative PUT argument")
        machine.memo[index] = machine.top()

    return action


def _index(machine: Machine, code: struct.Struct | None) -> int:
    if code is not None:
        return machine.number(code)
    value = _integer(machine, machine.line())
    return value if isinstance(value, int) else -1


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.top()


def _mark(machine: Machine) -> None:
    machine.marks.append(len(machine.stack))


def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _pop_mark(machine: Machine) -> None:
    machine.since_mark()


def _dup(machine: Machine) -> None:
    machine.stack.append(machine.top())


def _tuple(count: int | None) -> Action:
    def action(machine: Machine) -> None:
        items = machine.since_mark() if count is None else [machine.pop() for _ in range(count)][::-1]
        machine.stack.append(tuple(items))

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
        target.extend(items)
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
    machine.stack.append(machine.persist(machine.line()))


def _binpersid(machine: Machine) -> None:
    machine.stack.append(machine.persist(machine.pop()))


def _proto(machine: Machine) -> None:
    version = machine.take(1)[0]
    if version > 5:
        machine.fail(f"ValueError: unsupported pickle protocol: {version}")


def _frame(machine: Machine) -> None:
    machine.number(_U8)


def _out_of_band(machine: Machine) -> None:
    machine.fail("UnpicklingError: pickle stream refers to out-of-band data but no *buffers* argument was given")


def _readonly(machine: Machine) -> None:
    machine.top()


_BY_NAME: dict[str, Action] = {
    "INT": _decimal, "BININT": _fixed(_I4), "BININT1": _fixed(_U1), "BININT2": _fixed(_U2), "LONG": _decimal_long,
    "LONG1": _long(_U1), "LONG4": _long(_I4), "STRING": _quoted, "BINSTRING": _text(_I4), "SHORT_BINSTRING": _text(_U1),
    "BINBYTES": _raw(_U4), "SHORT_BINBYTES": _raw(_U1), "BINBYTES8": _raw(_U8), "BYTEARRAY8": _raw(_U8),
    "NEXT_BUFFER": _out_of_band, "READONLY_BUFFER": _readonly, "NONE": _push(None), "NEWTRUE": _push(True),  # noqa: FBT003
    "NEWFALSE": _push(False), "UNICODE": _escaped, "SHORT_BINUNICODE": _text(_U1), "BINUNICODE": _text(_U4),  # noqa: FBT003
    "BINUNICODE8": _text(_U8), "FLOAT": _decimal_float, "BINFLOAT": _float,
    "EMPTY_LIST": lambda machine: machine.stack.append([]), "APPEND": _append, "APPENDS": _appends, "LIST": _list,
    "EMPTY_TUPLE": _push(()), "TUPLE": _tuple(None), "TUPLE1": _tuple(1), "TUPLE2": _tuple(2), "TUPLE3": _tuple(3),
    "EMPTY_DICT": lambda machine: machine.stack.append(Pairs()), "DICT": _dict, "SETITEM": _setitem,
    "SETITEMS": _setitems, "EMPTY_SET": lambda machine: machine.stack.append(Made("set")), "ADDITEMS": _additems,
    "FROZENSET": _tuple(None), "POP": _pop, "DUP": _dup, "MARK": _mark, "POP_MARK": _pop_mark, "GET": _get(None),
    "BINGET": _get(_U1), "LONG_BINGET": _get(_U4), "PUT": _put(None), "BINPUT": _put(_U1), "LONG_BINPUT": _put(_U4),
    "MEMOIZE": _memoize, "EXT1": _extension(_U1), "EXT2": _extension(_U2), "EXT4": _extension(_I4), "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global, "REDUCE": _reduce, "BUILD": _build, "INST": _inst, "OBJ": _obj, "NEWOBJ": _new,
    "NEWOBJ_EX": _new_ex, "PROTO": _proto, "FRAME": _frame, "PERSID": _persid, "BINPERSID": _binpersid,
}  # fmt: skip

_ACTIONS: list[Action | None] = [None] * 256
for _opcode in pickletools.opcodes:
    _ACTIONS[ord(_opcode.code)] = _BY_NAME.get(_opcode.name)
