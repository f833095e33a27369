"""Model files judged without a Forge: what `doctor PATH` does."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from forgediag.check import run_checks
from forgediag.cli import NothingKnown
from forgediag.cli.shelves import given_folders
from forgediag.config import Config, state_dir
from forgediag.model import (
    Files,
    Forge,
    Gap,
    Listing,
    Module,
    Options,
    Report,
    Snapshot,
    Target,
)
from forgediag.plugins import checks
from forgediag.sources.examined import Shelf, examine_all
from forgediag.sources.host import read_host
from forgediag.sources.records import JOURNAL, Records

ONLY_FILES = Gap("only files were named", "unsupported", expected=True)
_ABOUT_FILES = {Files, Options, Listing}


def judge_files(config: Config, paths: Sequence[str]) -> Report:
    """The checks about files on the model files at these paths: each is judged as if Forge had selected it.

    Raises:
        NothingKnown: there is no model file that can be read.
    """
    shelf = examine_all(given_folders(config, paths), Records(state_dir(config) / JOURNAL))
    unreadable = {path: why for path, why in shelf.skipped.items() if not why.endswith("again")}
    if not shelf.files:
        why = "; ".join(f"{path} {reason}" for path, reason in unreadable.items())
        raise NothingKnown(why or f"no model file lies at {', '.join(paths)}")
    judged = [item for item in checks() if Files in item.needs and _ABOUT_FILES.issuperset(item.needs)]
    snapshot = Snapshot(time.time(), (_target(shelf, unreadable),), ONLY_FILES, read_host())
    findings, results = run_checks(judged, snapshot, time.perf_counter)
    return Report(replace(snapshot, targets=()), findings, results, {})


def _target(shelf: Shelf, unreadable: dict[str, str]) -> Target:
    modules = tuple(Module(os.path.basename(path), path) for path in unreadable)  # noqa: PTH119
    forge = Forge(
        url="",
        fork=ONLY_FILES,
        options=Options({"forge_additional_modules": [module.path for module in modules]}),
        memory=ONLY_FILES,
        progress=ONLY_FILES,
        listing=Listing((), modules),
        flags=ONLY_FILES,
        samplers=ONLY_FILES,
    )
    files = Files(tuple(replace(file, selected=True) for file in shelf.files), unreadable)
    return Target("files", forge, ONLY_FILES, ONLY_FILES, ONLY_FILES, files)
