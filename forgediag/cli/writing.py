"""Commands that write to Forge: where it is, how to be let in, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from forgediag.actions import MEMORY_KEYS, Address, Applied, NotAppliedError, apply, apply_advice
from forgediag.cli.here import running_forge
from forgediag.config import Config, state_dir
from forgediag.history import History, HistoryError
from forgediag.model import Advice, Forge, Gap, Known


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a write: it was applied, or `error` says why not."""

    url: str
    applied: Applied | None
    error: str = ""


def write_advice(forge: Known[Forge], config: Config, advice: Advice) -> Written:
    """Set what is advised in a Forge; where none was looked for yet, in the configured one."""
    if isinstance(forge, Gap):
        forge = running_forge(config)
    if isinstance(forge, Gap):
        return Written("", None, f"{forge.reason}; nothing was written")
    note(config, {*MEMORY_KEYS, *advice.also_set})
    return _written(forge.url, apply_advice(address_of(forge.url, config), advice))


def write_options(config: Config, wanted: Mapping[str, Any]) -> Written:
    """Set options in the configured Forge."""
    forge = running_forge(config)
    if isinstance(forge, Gap):
        return Written("", None, f"{forge.reason}; nothing was written")
    note(config, wanted)
    return _written(forge.url, apply(address_of(forge.url, config), wanted))


def note(config: Config, keys: Iterable[str]) -> None:
    """Let a running daemon's history know whose change it is going to see. Without a history nobody asks."""
    with contextlib.suppress(HistoryError), contextlib.closing(History(state_dir(config))) as history:
        history.note_write(time.time(), config.targets[0].name, dict.fromkeys(keys))


def address_of(url: str, config: Config) -> Address:
    """Where a Forge answers, with the first target's password and patience."""
    target = config.targets[0]
    return Address(url, target.credentials(), target.timeout)


def _written(url: str, action: Coroutine[Any, Any, Applied]) -> Written:
    try:
        return Written(url, asyncio.run(action))
    except NotAppliedError as error:
        return Written(url, None, str(error))
