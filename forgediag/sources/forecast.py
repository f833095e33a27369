"""What Forge will make of the files it has selected: predicted once for each selection and version of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from forgediag.model import Gap, Known, ModelFile, Prediction
from forgediag.sources.apart import ApartError, answer


@dataclass(slots=True)
class Forecast:
    """Keeps the last prediction; it is made in another process, for headers and rules would cost megabytes."""

    _key: tuple[object, ...] = ()
    _made: Known[Prediction] | None = field(default=None)

    def of(self, files: Sequence[ModelFile], versions: Sequence[object]) -> Known[Prediction] | None:
        """The prediction for a checkpoint and its modules, in that order; None where one of them became unreadable."""
        key = (*(file.path for file in files), *versions)
        if key != self._key:
            try:
                self._made = answer(predicted, tuple(files))
            except ApartError as error:
                return Gap(f"not predicted: {error}", "failed", expected=True)
            self._key = key if self._made is not None else ()
        return self._made


def predicted(files: Sequence[ModelFile]) -> Known[Prediction] | None:
    """The prediction, from the files' headers read anew."""
    from forgediag.forge.loading import File, predict  # noqa: PLC0415 - only in the other process
    from forgediag.sources.headers import read_header  # noqa: PLC0415

    try:
        checkpoint, *modules = (File(file.path, file.fault or read_header(file.local)) for file in files)
    except OSError:
        return None
    return predict(checkpoint, modules)
