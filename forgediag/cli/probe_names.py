"""Which files `forgediag probe` is about: paths here, names Forge lists, and what Forge has set without being asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forgediag.cli import NothingKnown
from forgediag.cli.here import running_forge
from forgediag.config import Config
from forgediag.forge.loading import File
from forgediag.forge.loading.reading import missing
from forgediag.forge.selection import base_name, checkpoint_of, module_of
from forgediag.model import Forge, Gap, Known, Listing, Options
from forgediag.sources.headers import read_header
from forgediag.sources.paths import local_path


@dataclass(frozen=True, slots=True)
class Files:
    """The checkpoint, where there is one, and its modules in Forge's order.

    `assumed` are sentences; `dropped` are the module names that Forge will not take, each with a sentence.
    """

    checkpoint: File | None
    modules: tuple[File, ...] = ()
    assumed: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()

    @property
    def all(self) -> list[File]:
        """All of them, the checkpoint first."""
        return [*([self.checkpoint] if self.checkpoint else []), *self.modules]


class Names:
    """Names turned into files, with the help of the running Forge where it takes that. It is asked once at most."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._forge: Known[Forge] | None = None
        self._assumed: list[str] = []
        self._dropped: list[tuple[str, str]] = []

    def resolve(
        self, checkpoint: str | None, modules: Sequence[str], *, kept: bool = False, lone: bool = False
    ) -> Files:
        """The files asked for.

        Args:
            checkpoint: a path or a name Forge knows; None for what it has selected.
            modules: paths or names, in order.
            kept: whether Forge's own modules stay where none are named, as they do in Forge.
            lone: whether the modules are looked at without any checkpoint.

        Raises:
            NothingKnown: a file is neither here nor known to a Forge that answers.
        """
        chosen = None
        if not lone:
            chosen = self.selected() if checkpoint is None else self.checkpoint(checkpoint)
        found = [file for name in modules if (file := self.module(name)) is not None]
        if modules:
            found = self._in_its_order(found)
        elif kept:
            found = self._left()
        return Files(chosen, tuple(found), tuple(self._assumed), tuple(self._dropped))

    def checkpoint(self, name: str) -> File:
        """A checkpoint by a path here or a name Forge knows."""
        if Path(name).is_file():
            return opened(name)
        listing = self._listing()
        row = None if isinstance(listing, Gap) else checkpoint_of(listing, name)
        if row is None:
            raise NothingKnown(f"{name} cannot be read: it is no file here{_why(listing, 'checkpoint')}")
        return self._theirs(row.path)

    def module(self, name: str) -> File | None:
        """A module by a path here or its file's name in Forge's list; None for a name that Forge drops."""
        if Path(name).is_file():
            return opened(name)
        listing = self._listing()
        row = None if isinstance(listing, Gap) else module_of(listing, name)
        if isinstance(listing, Gap) or (row is None and base_name(name) != name):
            raise NothingKnown(f"{name} cannot be read: it is no file here{_why(listing, 'module')}")
        if row is not None:
            return self._theirs(row.path)
        near = [base_name(one.path) for one in listing.modules if base_name(one.path).rpartition(".")[0] == name]
        hint = f"; it lists {near[0]}: write the whole name" if near else ""
        self._dropped.append((name, f"Forge lists no module {name} and drops the name without a word{hint}"))
        return None

    def selected(self) -> File:
        """The checkpoint that the running Forge would load now: the first of its list, where it lists not the selected.

        Raises:
            NothingKnown: no Forge answers, or it has none.
        """
        forge, listing = self._asked(), self._listing()
        if isinstance(forge, Gap) or isinstance(listing, Gap) or not listing.checkpoints:
            reason = listing.reason if isinstance(listing, Gap) else "Forge lists none"
            raise NothingKnown(f"no checkpoint was named, and {reason}")
        wanted = forge.options.checkpoint if isinstance(forge.options, Options) else None
        row = checkpoint_of(listing, wanted) if wanted else None
        if row is None:
            row = listing.checkpoints[0]
            self._assumed.append(
                f"Forge lists no checkpoint {wanted!r}: it will load the first of its list, {base_name(row.path)}, "
                "and go on showing the other name"
            )
        else:
            self._assumed.append(f"{base_name(row.path)} is what the Forge at {forge.url} has selected")
        return self._theirs(row.path)

    def _left(self) -> list[File]:
        """The modules that Forge has set now: they stay when the checkpoint changes, whoever set them."""
        forge = self._asked()
        if isinstance(forge, Gap) or not isinstance(forge.options, Options) or not forge.options.modules:
            return []
        names = ", ".join(map(base_name, forge.options.modules))
        try:
            found = [self._theirs(path) for path in forge.options.modules]
        except NothingKnown as unread:
            self._assumed.append(f"without {names}, which the Forge at {forge.url} has set now: {unread.message}")
            return []
        self._assumed.append(
            f"with {names}, which the Forge at {forge.url} has set now: forge_additional_modules stays when the "
            "checkpoint changes (--no-modules leaves them out)"
        )
        return found

    def _in_its_order(self, found: list[File]) -> list[File]:
        """Forge takes the same modules in another order for no change, and keeps the order it has."""
        forge = self._forge
        if not isinstance(forge, Forge) or not isinstance(forge.options, Options):
            return found
        by_name = {base_name(file.path): file for file in found}
        now = [base_name(path) for path in forge.options.modules]
        if sorted(now) != sorted(by_name) or now == list(by_name):
            return found
        self._assumed.append(f"in the order {', '.join(now)}: Forge has these set already, and keeps its own order")
        return [by_name[name] for name in now]

    def _theirs(self, path: str) -> File:
        """A file Forge names, looked at where it lies here; its path stays Forge's."""
        local = local_path(path, self._prefixes())
        if not Path(local).parent.is_dir():
            raise NothingKnown(
                f"{path} is Forge's path and not on this machine: map it with [forge.paths] in the config file"
            )
        try:
            return File(path, read_header(local))
        except FileNotFoundError:
            return File(path, missing(path))
        except OSError as error:
            raise NothingKnown(f"{local} cannot be read: {error.strerror or error}") from error

    def _prefixes(self) -> Mapping[str, str]:
        return self._config.targets[0].paths if self._config.targets else {}

    def _asked(self) -> Known[Forge]:
        if self._forge is None:
            self._forge = running_forge(self._config)
        return self._forge

    def _listing(self) -> Known[Listing]:
        forge = self._asked()
        return forge if isinstance(forge, Gap) else forge.listing


def _why(listing: Known[Listing], kind: str) -> str:
    if isinstance(listing, Gap):
        return f", and {listing.reason}"
    return f", and Forge lists no {kind} of that name"


def opened(path: str) -> File:
    """A file here with its header, or what is wrong with it.

    Raises:
        NothingKnown: it cannot be read.
    """
    try:
        return File(str(Path(path).absolute()), read_header(path))
    except OSError as error:
        raise NothingKnown(f"{path} cannot be read: {error.strerror or error}") from error
