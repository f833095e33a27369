"""What a file's header says, as a line that is remembered: by the file's stamp and by the rules it was judged by."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any

from forgediag import __version__, forge, formats
from forgediag.model import Fault, Gap, ModelFile, Safety
from forgediag.model.safety import Call
from forgediag.sources.stamp import Stamp

SCHEMA = "forgediag.verdicts/1"

NOT_SELECTED = Gap("only the selected model files are hashed", "unsupported", expected=True)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A header's verdict: of the version with this stamp, read since `began`, judged by this name and in this role."""

    stamp: Stamp
    began: float
    name: str
    role: str
    file: ModelFile


@lru_cache(maxsize=1)
def rules() -> str:
    """What the verdicts of this forgediag depend on: another version, or a changed rule, judges every file anew."""
    digest = hashlib.sha256(__version__.encode())
    for row in sorted(_modules((*forge.__path__, *formats.__path__))):
        digest.update(repr(row).encode())
    return digest.hexdigest()[:16]


def _modules(folders: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    for folder in folders:
        for where, _, names in os.walk(folder):
            for name in names:
                if not name.endswith(".pyc"):
                    found = os.stat(os.path.join(where, name))  # noqa: PTH116, PTH118 - a hundred, at each start
                    yield name, found.st_size, found.st_mtime_ns


def line(path: str, verdict: Verdict) -> bytes:
    """One line of the journal."""
    file = verdict.file
    row = {
        "schema": SCHEMA,
        "path": path,
        "rules": rules(),
        "stamp": verdict.stamp.row(),
        "began": verdict.began,
        "name": verdict.name,
        "role": verdict.role,
        "format": file.format,
        "family": file.family,
        "dtype": file.dtype,
        "latent_channels": file.latent_channels,
        "component_bytes": file.component_bytes,
        "traits": sorted(file.traits),
        "fault": None if file.fault is None else fault_row(file.fault),
        "safety": None if file.safety is None else astuple(file.safety),
    }
    return json.dumps({name: value for name, value in row.items() if value not in (None, [], {})}).encode() + b"\n"


def read(row: bytes) -> Verdict | None:
    """A verdict out of its line; None for one by other rules, or that is none."""
    try:
        values: dict[str, Any] = json.loads(row)
        if values["rules"] != rules():
            return None
        stamp = Stamp.from_row(values["stamp"])
        return Verdict(stamp, float(values["began"]), values["name"], values["role"], _file(values, stamp.size))
    except (ValueError, TypeError, KeyError):
        return None


def _file(values: dict[str, Any], size: int) -> ModelFile:
    safety = values.get("safety")
    return ModelFile(
        path=values["name"],
        local=values["path"],
        role=values["role"],
        selected=False,
        size=size,
        format=values["format"],
        family=values["family"],
        fault=fault_of(values.get("fault")),
        latent_channels=values.get("latent_channels"),
        component_bytes=values.get("component_bytes", {}),
        sha256=NOT_SELECTED,
        traits=frozenset(values.get("traits", ())),
        dtype=values.get("dtype"),
        safety=None
        if safety is None
        else Safety(tuple(Call(*each) for each in safety[0]), tuple(safety[1]), safety[2]),
    )


def fault_row(fault: Fault) -> list[Any]:
    """A fault as JSON can hold it."""
    return [fault.id, fault.message, list(fault.fix), fault.forge_says, fault.offset]


def fault_of(row: Any) -> Fault | None:
    """A fault out of what `fault_row` made of it. Raises ValueError or TypeError for anything else."""
    if row is None:
        return None
    name, message, fix, says, offset = row
    return Fault(name, message, tuple(fix), says, offset)
