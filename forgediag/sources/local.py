"""What this machine knows of one target: its process, its install directory, its model files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forgediag.config import TargetConfig
from forgediag.model import NOT_VERIFIED, Files, Flags, Forge, Gap, Install, Known, Process, Unfinished, Verification
from forgediag.sources.files import FileReader, Hashes
from forgediag.sources.host import ProcessFinder, is_local
from forgediag.sources.install import read_install, saved_at
from forgediag.sources.inventory import Inventory, walk
from forgediag.sources.meter import Meter
from forgediag.sources.records import Records
from forgediag.sources.shelves import forge_folders
from forgediag.sources.thread import in_thread
from forgediag.sources.undo import Journal

if TYPE_CHECKING:
    from forgediag.sources.sweep import Sweep

NOT_READ = Gap("Forge's files were not looked at yet", "starting", expected=True)


class LocalFacts:
    """Reads disks and process tables for one target, in threads, for both can be slow."""

    def __init__(
        self,
        target: TargetConfig,
        hashes: Hashes | None,
        sweep: Sweep | None = None,
        records: Records | None = None,
        journals: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is read.

        Args:
            target: which Forge.
            hashes: where SHA-256s come from; None when they are not wanted.
            sweep: verifies its files in the background; None when that is not wanted.
            records: what is remembered of files; None remembers nothing longer than this process lives.
            journals: the folder in which probes keep what they have to put back; None looks for none.
            clock: monotonic seconds.
            wall: Unix seconds.
        """
        self._target = target
        self._clock, self._wall = clock, wall
        self._finder: ProcessFinder | None = None
        self._reader = FileReader(target.paths, hashes, records)
        self._installed_at: tuple[str, float] | None = None
        self._found: Known[Install] = NOT_READ
        self.meter = Meter(f"files:{target.name}")
        self.files: Known[Files] = NOT_READ
        self.install: Known[Install] = NOT_READ
        self.verification: Known[Verification] = NOT_VERIFIED
        self._sweep = sweep
        self._url = ""
        self._journals = journals
        self.unfinished: Unfinished | None = None

    def process(self) -> Known[Process]:
        """Forge's process as it is now: cheap."""
        return NOT_READ if self._finder is None else self._finder.read()

    async def refresh(self, url: str, forge: Known[Forge]) -> None:
        """Look again for the process, the install directory and the files."""
        if self._finder is None or url != self._url:
            self._finder, self._url = ProcessFinder(url), url
        finder = self._finder
        await in_thread(lambda: self._refresh(finder, forge))

    def _refresh(self, finder: ProcessFinder, forge: Known[Forge]) -> None:
        started = self._clock()
        finder.find()
        process = finder.read()
        self.unfinished = None if self._journals is None else Journal(self._journals, self._url).abandoned()
        self.install = self._read_install(process)
        if isinstance(self.install, Install):
            self.install = replace(self.install, saved=saved_at(self.install.directory, _settings_file(forge)))
        if isinstance(forge, Forge):
            elsewhere = not is_local(self._url) or isinstance(process, Gap)
            inventory = self._inventory(forge, process)
            self.files = self._reader.read(forge.listing, forge.options, elsewhere=elsewhere, others=inventory.entries)
            self._verify(inventory)
            self.meter.record(self.files, self._clock() - started, self._wall())

    def _inventory(self, forge: Known[Forge], process: Known[Process]) -> Inventory:
        """Everything in Forge's folders; nothing where its directory is not known."""
        if isinstance(self.install, Gap):
            return Inventory(())
        return walk(forge_folders(self.install.directory, forge, process, self._target.paths))

    def _verify(self, inventory: Inventory) -> None:
        if self._sweep is not None and not isinstance(self.install, Gap):
            self._sweep.see([entry for entry in inventory.entries if entry.whole])
            self.verification = self._sweep.verification()

    def _read_install(self, process: Known[Process]) -> Known[Install]:
        """Once for each start of Forge: an update needs a restart to take effect."""
        directory = self._target.directory or (process.directory if isinstance(process, Process) else "")
        if not directory:
            return Gap(
                f"Forge's directory is not known: {_reason(process)}; name it with --forge-dir",
                "missing",
                expected=True,
            )
        key = (directory, process.started if isinstance(process, Process) else 0.0)
        if key != self._installed_at:
            self._installed_at = key
            executable = process.executable if isinstance(process, Process) else None
            self._found = read_install(directory, executable, elsewhere=not is_local(self._url))
        return self._found


def _settings_file(forge: Known[Forge]) -> str:
    """Where Forge says that it saves its options."""
    flags = forge.flags if isinstance(forge, Forge) else None
    named = flags.values.get("ui_settings_file") if isinstance(flags, Flags) else None
    return named if isinstance(named, str) else "config.json"


def _reason(process: Known[Process]) -> str:
    return process.reason if isinstance(process, Gap) else "its process does not tell its directory"
