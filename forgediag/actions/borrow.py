"""Selecting something else in Forge for a while: journalled before, put back and read back after, whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forgediag.actions import Address, NotAppliedError, apply
from forgediag.model import Gap, Known, Listing, Options, Progress
from forgediag.sources.forge import ENDPOINTS, ForgeClient
from forgediag.sources.undo import Journal, JournalError

CHECKPOINT = "sd_model_checkpoint"
MODULES = "forge_additional_modules"
DTYPE = "forge_unet_storage_dtype"
BORROWED = (CHECKPOINT, MODULES, DTYPE)
"""Options that a probe or a cure sets for a while."""


@dataclass(frozen=True, slots=True)
class State:
    """What Forge has selected, and what it could."""

    options: Options
    listing: Listing

    def values(self, *keys: str) -> dict[str, Any]:
        """Options as they are now."""
        return {key: self.options.values[key] for key in keys if key in self.options.values}


async def state(address: Address) -> State:
    """What an idle Forge has selected.

    Raises:
        NotAppliedError: it does not answer, a job runs, or its options are broken.
    """
    reader = ForgeClient(address.url, address.auth, timeout=address.timeout, transport=address.transport)
    # the options last: after a 500 a real Forge closes the connection, and whoever asks next on it gets nothing
    order = ("sd-models", "sd-modules", "progress", "options")
    try:
        answers: dict[str, Any] = {name: await reader.read(ENDPOINTS[name]) for name in order}
    finally:
        await reader.close()
    for answer in answers.values():
        if isinstance(answer, Gap):
            raise NotAppliedError(f"{answer.reason}; nothing was written")
    progress: Progress = answers["progress"]
    if progress.running:
        raise NotAppliedError(f"a job is running on {address.url}; nothing was written: try again when it is done")
    return State(answers["options"], Listing(answers["sd-models"], answers["sd-modules"]))


async def idle(address: Address, seconds: float) -> bool:
    """Wait until no job runs; whether it came to that."""
    reader = ForgeClient(address.url, address.auth, timeout=address.timeout, transport=address.transport)
    until = time.monotonic() + seconds
    try:
        while True:
            progress: Known[Progress] = await reader.read(ENDPOINTS["progress"])
            if not isinstance(progress, Gap) and not progress.running:
                return True
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.25)
    finally:
        await reader.close()


async def select(address: Address, wanted: Mapping[str, Any], detour: Mapping[str, Any], *, busy: bool = False) -> None:
    """Set options and read them back, by a detour where Forge would not see the change.

    Raises:
        NotAppliedError: Forge has not taken it.
    """
    if detour:
        await apply(address, {**wanted, **detour}, busy=busy)
    await apply(address, wanted, busy=busy)


async def put_back(address: Address, journal: Journal, *, busy: bool = False) -> Mapping[str, Any]:
    """Put back what the journal says, read it back, and close the entry.

    Args:
        address: where Forge answers.
        journal: of this Forge.
        busy: even while a job runs.

    Returns:
        The options that were put back and read back so; empty where there was nothing to do.

    Raises:
        NotAppliedError: Forge did not take it, or cannot be asked: the journal is kept.
        JournalError: the journal cannot be read.
    """
    entry = journal.read()
    if entry is None:
        return {}
    await select(address, entry.values, entry.detour, busy=busy)
    journal.end()
    return entry.values


async def recover(address: Address, journal: Journal) -> Mapping[str, Any]:
    """Put back what a process left behind that was killed while something else was selected.

    Raises:
        NotAppliedError: as `put_back`; or that process still runs.
    """
    try:
        entry = journal.read()
        if entry is not None and not entry.abandoned:
            raise NotAppliedError(f"another forgediag (pid {entry.pid}) is at work on {address.url}")
        return await put_back(address, journal)
    except JournalError as error:
        raise NotAppliedError(str(error)) from error
