"""Known cures of a Forge: one left without a model by a failed load, options of a wrong type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forgediag.actions import Address, Applied, NotAppliedError, apply
from forgediag.actions.borrow import CHECKPOINT, DTYPE, MODULES, State, idle, put_back, select, state
from forgediag.actions.tiny import Outcome, tiny
from forgediag.forge.selection import base_name, checkpoint_of
from forgediag.sources.undo import Journal, JournalError

Tell = Callable[[str], None]

FLOATS = ("float8-e4m3fn", "float8-e5m2")
"""Storage dtypes every checkpoint that is no GGUF loads with (Forge dfdcbab, modules_forge/main_entry.py)."""

RESTART = "restart Forge: that always cures it"


@dataclass(frozen=True, slots=True)
class Variant:
    """The same files selected another way, so that Forge loads them anew.

    Forge compares checkpoint, list of modules and storage dtype with those of its last good load, and loads only
    when one differs (Forge dfdcbab, modules/sd_models.py, forge_model_reload). Both ways cured a real one.
    """

    words: str
    wanted: Mapping[str, Any]
    detour: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cured:
    """How a cure ended: what the variant's picture came to, and the options read back as before."""

    variant: str
    outcome: Outcome
    back: Mapping[str, Any]

    @property
    def done(self) -> bool:
        """Whether Forge has a model again."""
        return self.outcome.loaded


def variants(now: State) -> Iterator[Variant]:
    """Ways to select what is selected now so that it is loaded anew, the cheapest first."""
    modules = [base_name(path) for path in now.options.modules]
    if modules:
        yield Variant(f"{modules[0]} named twice", {MODULES: [*modules, modules[0]]}, {})
    dtype = now.options.text(DTYPE)
    if dtype is None:
        return
    other = next(name for name in FLOATS if not dtype.startswith(name))
    if (detour := _detour(now)) is not None:
        wanted = {DTYPE: other, **{key: now.options.values[key] for key in detour}}
        yield Variant(f"the same files stored as {other}", wanted, detour)


def _detour(now: State) -> Mapping[str, Any] | None:
    """Something else to select for a moment: a change of the dtype alone is not looked at (observed)."""
    modules = [base_name(path) for path in now.options.modules]
    if modules:
        return {MODULES: []}
    if now.listing.modules:
        return {MODULES: [base_name(now.listing.modules[0].path)]}
    mine = checkpoint_of(now.listing, now.options.checkpoint or "")
    others = [row for row in now.listing.checkpoints if mine is not None and row.path != mine.path]
    return {CHECKPOINT: others[0].title} if others else None


async def cure_stuck(address: Address, journal: Journal, seconds: float, tell: Tell) -> Cured:
    """Have a Forge that a failed load left without a model load what is selected, and put its options back.

    Args:
        address: where Forge answers.
        journal: of this Forge.
        seconds: how long a load and a tiny picture may take.
        tell: told what is about to be done.

    Raises:
        NotAppliedError: Forge cannot be asked or written to, a job runs, or there is no other way to select the same.
    """
    now = await state(address)
    last: Cured | None = None
    for variant in variants(now):
        tell(f"selecting {variant.words}, then asking for a 64x64 picture, which makes Forge load its model")
        outcome, back = await borrowed(address, journal, variant, now, seconds)
        last = Cured(variant.words, outcome, back)
        if last.done:
            return last
    if last is None:
        raise NotAppliedError(f"there is no second way to select what is selected; {RESTART}")
    return last


async def borrowed(
    address: Address, journal: Journal, variant: Variant, now: State, seconds: float
) -> tuple[Outcome, Mapping[str, Any]]:
    """A tiny picture with something else selected; the options are put back and read back whatever happens.

    Raises:
        NotAppliedError: Forge has not taken the selection, or could not be put back (the journal says what).
    """
    try:
        journal.begin(now.values(*variant.wanted, *variant.detour), variant.detour)
    except JournalError as error:
        raise NotAppliedError(str(error)) from error
    finished = False
    try:
        await select(address, variant.wanted, variant.detour)
        outcome = await tiny(address, seconds)
        finished = await idle(address, seconds)
    finally:
        back = await put_back(address, journal, busy=not finished)
    return outcome, back


async def cure_options(address: Address, defaults: Mapping[str, Any], tell: Tell) -> Applied | None:
    """Set options whose stored value has a wrong type, which makes every GET of the options a 500, to their defaults.

    Returns:
        What was changed, as read back; None where nothing was wrong.

    Raises:
        NotAppliedError: a default is not known, or as `apply`.
    """
    now = await state(address)
    if not now.options.broken:
        return None
    wanted: dict[str, Any] = {}
    for key in now.options.broken:
        if key not in defaults:
            raise NotAppliedError(f"what {key} should be is not known; set it with: forgediag options set {key}=VALUE")
        wanted[key] = defaults[key]
        tell(f"setting {key} from {now.options.values.get(key)!r} back to its default {defaults[key]!r}")
    return await apply(address, wanted)
