"""The folders a command works on: those named, else those of the configured Forge."""

from __future__ import annotations

import os
from collections.abc import Sequence

from forgediag.cli import Failure
from forgediag.cli.here import running_forge
from forgediag.config import DEFAULT_URLS, Config
from forgediag.forge.folders import Folder
from forgediag.model import Forge, Gap, Known, Process
from forgediag.sources.inventory import existing
from forgediag.sources.shelves import forge_folders, places


def given_folders(config: Config, paths: Sequence[str]) -> tuple[Folder, ...]:
    """Where to look for model files.

    Raises:
        Failure: a path does not exist, or none is given and Forge's folders are not known.
    """
    for path in paths:
        if not os.path.lexists(path):
            raise Failure(f"{path} does not exist; name a file or a folder of models")
    if paths:
        return tuple(folder for path in paths for folder in places(path))
    return tuple(existing(_of_forge(config)))


def _of_forge(config: Config) -> tuple[Folder, ...]:
    from forgediag.sources.host import ProcessFinder  # noqa: PLC0415 - psutil, only without a path

    if not config.targets:
        raise Failure("no Forge is configured; name a folder, or Forge's directory with --forge-dir")
    target = config.targets[0]
    forge = running_forge(config)
    finder = ProcessFinder(forge.url if isinstance(forge, Forge) else target.url or DEFAULT_URLS[0])
    process: Known[Process] = Gap("no Forge answers")
    if isinstance(forge, Forge):
        finder.find()
        process = finder.read()
    directory = target.directory or (process.directory if isinstance(process, Process) else "")
    if not directory:
        raise Failure("Forge's folders are not known: name a folder, or Forge's directory with --forge-dir")
    return forge_folders(directory, forge, process, target.paths)
