"""`forgediag doctor --cure`: the known cures, each told before it acts, each with what it came to."""

from __future__ import annotations

import asyncio

from forgediag.actions import Address, NotAppliedError, apply
from forgediag.actions.borrow import BORROWED, recover, state
from forgediag.actions.cure import RESTART, cure_options, cure_stuck
from forgediag.actions.defaults import option_defaults
from forgediag.actions.tiny import Outcome, tiny
from forgediag.cli import NotDone
from forgediag.cli.here import running_forge
from forgediag.cli.probe_live import tell
from forgediag.cli.writing import address_of, note
from forgediag.config import Config, state_dir
from forgediag.model import Gap
from forgediag.sources.undo import Journal

INFERENCE = "forge_inference_memory"
AT_START = 1024.0
"""MB every Forge works with after its start, whatever its options show (observed)."""


def cure(config: Config, wait: float = 600.0) -> None:
    """Cure what can be cured in the configured Forge.

    Raises:
        NotDone: Forge cannot be asked, a job runs, or a cure did not work.
    """
    forge = running_forge(config)
    if isinstance(forge, Gap):
        raise NotDone(f"{forge.reason}; nothing was cured")
    journal = Journal(state_dir(config), forge.url)
    note(config, (*BORROWED, INFERENCE))
    try:
        asyncio.run(_cure(address_of(forge.url, config), journal, wait))
    except NotAppliedError as error:
        raise NotDone(f"not cured: {error}") from error


async def _cure(address: Address, journal: Journal, wait: float) -> None:
    if back := await recover(address, journal):
        tell(f"put back what a probe that was killed had left: {', '.join(back)}")
    await _options(address)
    await _memory(address)
    tell("asking for a 64x64 picture with what is selected, to see whether Forge has a model")
    seen = await tiny(address, wait)
    tell(f"the answer: {seen}")
    if seen.stuck:
        await _stuck(address, journal, wait)
    elif not seen.loaded:
        tell(f"nothing here cures that; what to do: {_advice(seen)}")


async def _options(address: Address) -> None:
    now = await state(address)
    if not now.options.broken:
        return
    applied = await cure_options(address, await option_defaults(address), tell)
    for change in applied.changes if applied else ():
        tell(f"read back: {change.key} is {change.new!r}")


async def _memory(address: Address) -> None:
    """Have Forge use the inference memory it shows."""
    shown = (await state(address)).options.inference_memory_mb
    if shown is None or shown == AT_START:
        return
    tell(f"writing {INFERENCE} once more as {shown + 1:g} and {shown:g} MB: after a start Forge uses {AT_START:g}")
    await apply(address, {INFERENCE: shown})
    tell(f"read back: {INFERENCE} is {shown:g}, and is what Forge uses")


async def _stuck(address: Address, journal: Journal, wait: float) -> None:
    tell("a failed load has left Forge without a model")
    cured = await cure_stuck(address, journal, wait, tell)
    tell(f"the answer: {cured.outcome}; put back and read back: {', '.join(cured.back)}")
    if not cured.done:
        raise NotAppliedError(f"Forge is still without a model; {RESTART}")
    proof = await tiny(address, wait)
    tell(f"with the selection put back: {proof}")
    if not proof.loaded:
        raise NotAppliedError(f"Forge still answers {proof}; {RESTART}")


def _advice(seen: Outcome) -> str:
    if seen.end == "error":
        return "forgediag probe with the selected files says why they do not load"
    return "look at Forge's console"
