"""What model files' headers say: read once for each version of a file, and remembered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from forgediag.forge import families
from forgediag.model import Fault, Header, ModelFile, Role
from forgediag.sources.records import Records
from forgediag.sources.stamp import Stamp
from forgediag.sources.verdicts import NOT_SELECTED, Verdict
from forgediag.sources.window import opened

PLACED = frozenset({"sft-not-listed", "corrupted-but-whole"})
"""Faults of a name, not of contents: `ModelFile.unlisted` tells them."""

AT_ONCE = 500
"""Verdicts that are kept back at most until they are written down together."""


@dataclass(slots=True)
class Headers:
    """Headers through `records`. Call `flush` after the last one."""

    records: Records
    _new: list[tuple[str, Verdict]] = field(default_factory=list[tuple[str, Verdict]])

    def of(self, name: str, local: str, role: Role, stamp: Stamp) -> ModelFile:
        """What the header of this version of a file says, judged by `name`.

        Damage that an earlier read found counts, and of a piece of a split file what lies beside it.

        Raises:
            OSError: the file cannot be read, or is no regular file.
        """
        file = self.records.verdict(local, stamp, name, role)
        if file is None:
            began = time.time()
            file = examine(name, local, role)
            self._new.append((local, Verdict(stamp, began, name, role, file)))
            if len(self._new) >= AT_ONCE:
                self.flush()
        if file.fault is None:
            return self.damaged(file, stamp)
        from forgediag.sources.pieces import split  # noqa: PLC0415 - see `examine`

        return replace(file, fault=split(local, file.fault))

    def damaged(self, file: ModelFile, stamp: Stamp) -> ModelFile:
        """The file with the damage that was found when this version of it was read whole."""
        record = self.records.last(file.local)
        if record is None or record.damage is None or record.stamp != stamp or file.fault is not None:
            return file
        return replace(file, fault=record.damage)

    def flush(self) -> None:
        """Write down what was new."""
        self.records.judged(self._new)
        self._new.clear()


def read_header(local: str) -> Header | Fault:
    """A file's header, or what is wrong with it.

    Raises:
        OSError: the file cannot be read.
    """
    from forgediag.formats import model_file  # noqa: PLC0415 - see `examine`

    with opened(local) as window:
        return model_file.examine(local, window)


def examine(path: str, local: str, role: Role) -> ModelFile:
    """What a file's bytes say of it. `path` is the name it is judged by, `local` where it is read.

    The readers are imported by the first file that is read: a daemon that knows its files from before needs none.

    Raises:
        OSError: the file cannot be read, or is no regular file.
    """
    from forgediag.forge.features import traits_of  # noqa: PLC0415
    from forgediag.forge.judge import judge  # noqa: PLC0415
    from forgediag.formats.model_file import format_of  # noqa: PLC0415

    with opened(local) as window:
        found, size = judge(path, window, role), window.size
    family, channels = "unknown", None
    parts: Mapping[str, int] = {}
    if found.header is not None:
        family, channels, parts = families.describe(found.header)
    return ModelFile(
        path=path,
        local=local,
        role=role,
        selected=False,
        size=size,
        format=format_of(path),
        family=family,
        fault=None if found.fault is None or found.fault.id in PLACED else found.fault,
        latent_channels=channels,
        component_bytes=dict(parts),
        sha256=NOT_SELECTED,
        dtype=None if found.header is None else _main_dtype(found.header),
        traits=frozenset() if found.header is None else traits_of(found.header),
        safety=found.safety,
    )


def _main_dtype(header: Header) -> str | None:
    """The type most of the bytes have."""
    sizes: Counter[str] = Counter()
    alike = {id(tensor): tensor for tensor in header.tensors.values()}  # readers share what is alike
    for key, count in Counter(map(id, header.tensors.values())).items():
        sizes[alike[key].dtype] += count * alike[key].nbytes
    return max(sizes, key=lambda dtype: sizes[dtype], default=None)
