"""What Forge will make of the files it has selected: predicted once for each selection and version of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forgediag.forge.loading import File, predict
from forgediag.model import Fault, Gap, Header, Known, ModelFile, Prediction

Read = Callable[[str], Header | Fault]


@dataclass(slots=True)
class Forecast:
    """Keeps the last prediction, for the headers themselves would cost megabytes."""

    _key: tuple[object, ...] = ()
    _made: Known[Prediction] | None = field(default=None)

    def of(self, files: Sequence[ModelFile], versions: Sequence[object], read: Read) -> Known[Prediction] | None:
        """The prediction for a checkpoint and its modules, in that order; None where one of them became unreadable."""
        key = (*(file.path for file in files), *versions)
        if key != self._key:
            try:
                self._made = _predicted(files, read)
            except OSError:
                return None
            self._key = key
        return self._made


def _predicted(files: Sequence[ModelFile], read: Read) -> Prediction | Gap:
    checkpoint, *modules = (File(file.path, file.fault or read(file.local)) for file in files)
    return predict(checkpoint, modules)
