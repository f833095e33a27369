"""Pickle's stack machine on symbols: it follows every opcode as CPython's `_pickle.c` does and runs none."""

from __future__ import annotations

import struct
from typing import NoReturn

from forgediag.formats.pickle import allowed, limits
from forgediag.formats.pickle.build import construct, sequence, stored
from forgediag.formats.pickle.values import OPAQUE, Array, Global, Made, Pairs, Storage
from forgediag.model import Call, Safety


class Stops(Exception):  # noqa: N818 - not an error of ours: what Python would raise there
    """The pickle cannot be read on: `says` is what Python prints. `short` tells that more bytes could help."""

    def __init__(self, says: str, at: int, *, short: bool = False) -> None:
        super().__init__(says)
        self.says = says
        self.at = at
        self.short = short


class Exceeded(Exception):  # noqa: N818 - a limit of ours, not a fault of the file
    """A limit on the work for one file is reached."""


class Findings:
    """What the pickles of one file ask for, tricks among their opcodes, and how many opcodes may still come."""

    __slots__ = ("calls", "left", "tricks")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.left = limits.OPCODES
        self.tricks: list[str] = []

    def safety(self, *tricks: str, unread: str | None = None) -> Safety:
        """All of it, with the tricks of the file around the pickles."""
        return Safety(tuple(self.calls), (*tricks, *self.tricks[: limits.CALLS]), unread)

    def add(self, call: Call) -> None:
        """Keeps one of them."""
        if len(self.calls) < limits.CALLS:
            self.calls.append(call)


class Machine:
    """One unpickling: `run` it once or, for several pickles behind each other, once for each."""

    __slots__ = (
        "at",
        "data",
        "fence",
        "findings",
        "frame",
        "marks",
        "member",
        "memo",
        "opcode",
        "persistent",
        "stack",
        "start",
    )

    def __init__(self, data: bytes, findings: Findings, *, member: str = "", persistent: bool = True) -> None:
        self.data = data
        self.findings = findings
        self.member = member
        self.persistent = persistent
        self.at = self.start = self.frame = self.fence = 0
        self.opcode = ""
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def take(self, count: int) -> bytes:
        """The next bytes of the pickle.

        Raises:
            Stops: it ends before.
        """
        end = self.at + count
        if end > len(self.data):
            self.fail("UnpicklingError: pickle data was truncated", short=True)
        if self.at < self.frame < end:
            self.cross()
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def number(self, code: struct.Struct) -> int:
        """The next bytes as a number of this format."""
        at, end = self.at, self.at + code.size
        if end > len(self.data) or at < self.frame < end:
            return int(code.unpack(self.take(code.size))[0])
        self.at = end
        value: int = code.unpack_from(self.data, at)[0]
        return value

    def line(self) -> bytes:
        """The bytes up to the next line feed, without it."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            self.fail("UnpicklingError: pickle data was truncated", short=True)
        if self.at < self.frame <= end:
            self.cross()
        piece, self.at = self.data[self.at : end], end + 1
        return piece

    def enter(self, size: int) -> None:
        """A frame of this many bytes begins here; one within another changes nothing."""
        end = self.at + size
        if end > len(self.data):
            self.fail("UnpicklingError: pickle data was truncated", short=True)
        if self.at < self.frame < end:
            self.cross()
        self.frame = max(self.frame, end)

    def cross(self) -> None:
        """Tells an opcode that reaches over the end of its frame.

        Python 3.11 drops the part before the end then, and reads other names and texts than the file shows.
        """
        self.frame = 0
        place = f" of {self.member}" if self.member else ""
        self.findings.tricks.append(
            f"the opcode at byte {self.start:,}{place} reaches over its frame: Python does not read what stands there"
        )

    def text(self, raw: bytes) -> object:
        """UTF-8 text, or a placeholder for a very long one."""
        if len(raw) > limits.TEXT:
            return OPAQUE
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            self.fail(f"UnicodeDecodeError: {error}")

    def fail(self, says: str, *, short: bool = False) -> NoReturn:
        """Stops here, with what Python says."""
        raise Stops(says, self.start, short=short)

    def top(self) -> object:
        """The last value, left where it is."""
        if len(self.stack) <= self.fence:
            self.underflow()
        return self.stack[-1]

    def pop(self) -> object:
        """The last value, taken off."""
        if len(self.stack) <= self.fence:
            self.underflow()
        return self.stack.pop()

    def underflow(self) -> NoReturn:
        """Stops: the stack has too little on it."""
        self.fail(f"UnpicklingError: {'unexpected MARK found' if self.marks else 'unpickling stack underflow'}")

    def mark(self) -> None:
        """Below it the stack is out of reach until the mark is taken off."""
        self.fence = len(self.stack)
        self.marks.append(self.fence)

    def unmark(self) -> int:
        """Takes the last mark off: where it was."""
        mark = self.marks.pop()
        self.fence = self.marks[-1] if self.marks else 0
        return mark

    def since_mark(self) -> list[object]:
        """Everything since the last mark, taken off with the mark."""
        if not self.marks:
            self.fail("UnpicklingError: could not find MARK")
        mark = self.unmark()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def report(self, module: str, name: str) -> None:
        """Names something a pickle imports or calls here."""
        self.findings.add(Call(module, name, self.opcode, self.start, self.member))

    def look_up(self, module: object, name: object) -> Global:
        """A class or function by name; one that is not on the list is told."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.report("", "")
            return Global("", "", "unknown")
        found = Global(module, name, allowed.kind(module, name))
        if found.kind == "unknown":
            self.report(module, name)
        return found

    def call(self, function: object, arguments: object) -> object:
        """What a call would give; one that is more than building a value is told."""
        if not isinstance(function, Global):
            self.report("", "")
            return OPAQUE
        if not allowed.harmless(function, arguments):
            self.report(function.module, function.name)
            return Made(function.full)
        return construct(function, sequence(arguments))

    def change(self, target: object) -> None:
        """A value is written into: told where that is a class, function or tensor and not a value built here."""
        if isinstance(target, Global):
            self.report(target.module, target.name)
        elif isinstance(target, (Array, Storage)):
            self.report("torch.Tensor", "__setstate__")

    def expect_persistent(self) -> None:
        """Stops where nobody said what persistent ids mean: torch does so for one pickle of an old file only."""
        if not self.persistent:
            self.fail("UnpicklingError: A load persistent id instruction was encountered,")

    def persist(self, identity: object) -> object:
        """What torch finds for a persistent id: a storage."""
        self.expect_persistent()
        found = stored(identity)
        if found is None:
            self.fail("AssertionError: ")
        return found

    def settle(self, pairs: list[object]) -> None:
        """Key, value, key, value into the dict that is on top now."""
        target = self.top()
        if isinstance(target, Pairs):
            target.pairs.extend(zip(pairs[::2], pairs[1::2], strict=True))
        else:
            self.change(target)
