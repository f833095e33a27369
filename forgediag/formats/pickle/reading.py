"""A pickle file as a whole: its tensors or what is wrong with it, and what loading it would run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from forgediag.formats.faults import fault
from forgediag.formats.pickle import limits
from forgediag.formats.pickle.build import tensor_of
from forgediag.formats.pickle.machine import Exceeded, Machine, Stops
from forgediag.formats.pickle.opcodes import run
from forgediag.formats.pickle.values import Array, Pairs, Storage
from forgediag.model import Fault, Header, Safety, Tensor


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pass over a file gives.

    `records` has the record of the archive that holds a tensor's data, `dtypes` the type of the numbers in a record.
    """

    found: Header | Fault
    safety: Safety
    records: Mapping[str, str] = field(default_factory=dict[str, str])
    dtypes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class State:
    """The tensors of a state dict by name, with the storages behind them."""

    arrays: dict[str, Array] = field(default_factory=dict[str, Array])
    metadata: dict[str, str] = field(default_factory=dict[str, str])

    def tensors(self) -> dict[str, Tensor]:
        """As a header lists them."""
        return {name: tensor_of(array) for name, array in self.arrays.items()}

    def storages(self) -> list[tuple[str, Array, Storage]]:
        """Each storage use, the parts of sparse tensors one by one."""
        uses: list[tuple[str, Array, Storage]] = []
        for name, array in self.arrays.items():
            for part in array.parts or (array,):
                if part.storage is not None:
                    uses.append((name, part, part.storage))
        return uses


def state_of(value: object) -> State:
    """The tensors in what a pickle holds, where Forge looks for them.

    Forge takes `state_dict` out of a dict that has it (Forge dfdcbab, backend/utils.py, `load_torch_file`); of other
    dicts, lists and tuples within each other the names are joined with dots.
    """
    state = State()
    if isinstance(value, Pairs):
        state.metadata.update(_scalars(value))
        for key, inner in value.pairs:
            if isinstance(key, str) and key == "state_dict":
                value = inner
                state.metadata["nested"] = "state_dict"
                break
    _collect(value, state.arrays)
    return state


def _scalars(top: Pairs) -> dict[str, str]:
    found = [(k, v) for k, v in top.pairs[:64] if isinstance(k, str) and isinstance(v, (str, int, float, bool))]
    return {key[:256]: str(value)[:256] for key, value in found if not (isinstance(value, int) and value >> 256)}


def _collect(value: object, arrays: dict[str, Array]) -> None:
    seen: set[int] = set()
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    while waiting and len(arrays) < limits.TENSORS:
        name, item, depth = waiting.pop()
        if isinstance(item, Array):
            arrays[name] = item
        elif depth < limits.DEPTH and id(item) not in seen:
            inner = _inner(item)
            if inner:
                seen.add(id(item))
            start = f"{name}." if name else ""
            waiting.extend((start + _key(key), held, depth + 1) for key, held in reversed(inner))


def _inner(item: object) -> list[tuple[object, object]]:
    if isinstance(item, Pairs):
        return item.pairs
    if isinstance(item, (list, tuple)):
        return list(enumerate(cast("list[object]", item)))
    return []


def _key(key: object) -> str:
    return key if isinstance(key, str) else str(key) if isinstance(key, int) and not key >> 64 else "?"


@dataclass(frozen=True, slots=True)
class Worked:
    """What one pickle left: its value and where it ends, or what stopped it."""

    value: object = None
    stopped: Stops | None = None
    exceeded: str | None = None


def work(machine: Machine) -> Worked:
    """Runs the machine over its next pickle; whatever stops it, the rest is swept for names it could still ask for."""
    try:
        return Worked(run(machine))
    except Stops as stopped:
        _sweep(machine)
        return Worked(stopped=stopped)
    except Exceeded as exceeded:
        return Worked(exceeded=str(exceeded))


def _sweep(machine: Machine) -> None:
    """Names in the rest of a broken pickle: another Python may read on where this machine stops."""
    at = machine.start
    while (at := machine.data.find(b"c", at, machine.start + limits.TEXT) + 1) > 0:
        module, _, rest = machine.data[at : at + 256].partition(b"\n")
        name, line_feed, _ = rest.partition(b"\n")
        if line_feed and _is_name(module) and _is_name(name):
            machine.start, machine.opcode = at - 1, "GLOBAL"
            machine.look_up(module.decode(), name.decode())
            return


def _is_name(raw: bytes) -> bool:
    return raw.isascii() and all(part.isidentifier() for part in raw.decode("ascii").split("."))


def broken(stopped: Stops, member: str) -> Fault:
    """A pickle that Python cannot read to its end."""
    where = f" in {member}" if member else ""
    cut = stopped.short
    message = (
        f"the file is cut: its pickle{where} ends in the middle"
        if cut
        else f"the pickle{where} is damaged at byte {stopped.at:,}: {stopped.says.partition(': ')[2]}"
    )
    return fault("pickle-cut" if cut else "pickle-broken", message, says=stopped.says, offset=stopped.at)
