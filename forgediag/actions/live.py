"""The live probe: a tiny picture made with given files, everything put back, and the damage of a failed load undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forgediag.actions import Address, NotAppliedError
from forgediag.actions.borrow import CHECKPOINT, MODULES, State, recover, state
from forgediag.actions.cure import Cured, Tell, Variant, borrowed, cure_stuck
from forgediag.actions.tiny import Outcome, tiny
from forgediag.forge.selection import base_name, checkpoint_of
from forgediag.model import Listing
from forgediag.sources.undo import Journal

SAMPLES = "samples_format"


@dataclass(frozen=True, slots=True)
class LiveProbe:
    """What came of it.

    Attributes:
        outcome: how the picture with the probed files ended.
        back: the options put back, as read back.
        cured: how the stuck state was cured that a failed load leaves; None where there was none to cure.
        proof: a picture with the selection put back, when one was asked for.
        recovered: options put back before, left by a probe that was killed.
    """

    outcome: Outcome
    back: Mapping[str, Any]
    cured: Cured | None = None
    proof: Outcome | None = None
    recovered: Mapping[str, Any] | None = None

    @property
    def sound(self) -> bool:
        """Whether Forge is as it was: nothing to cure, or cured, and what was asked for as proof a picture."""
        return (self.cured is None or self.cured.done) and (self.proof is None or self.proof.loaded)


async def live(
    address: Address,
    journal: Journal,
    files: Sequence[str],
    seconds: float,
    tell: Tell,
    *,
    prove: bool = False,
) -> LiveProbe:
    """Ask Forge for a tiny picture with these files.

    A failed load leaves Forge without a model for the selection it had (observed): it is made to load that another
    way, and the options are put back once more.

    Args:
        address: where Forge answers.
        journal: of this Forge.
        files: paths of the checkpoint and of its modules, as here or as Forge has them; only the names count where
            the paths differ.
        seconds: how long one picture may take, its load included.
        tell: told what is about to be done.
        prove: end with a picture with the selection that was put back.

    Raises:
        NotAppliedError: Forge cannot be asked or written to, a job runs, or it does not list a file.
    """
    recovered = await recover(address, journal)
    if recovered:
        tell(f"put back what a probe that was killed had left: {', '.join(recovered)}")
    now = await state(address)
    variant = _variant(now, files)
    tell(f"selecting {variant.words}, then asking for a 64x64 picture in one step")
    outcome, back = await borrowed(address, journal, variant, now, seconds)
    tell(f"the answer: {outcome}")
    tell(f"put back and read back: {', '.join(back)}")
    cured = None
    if not outcome.loaded and outcome.end == "error":
        tell("a failed load leaves Forge without a model for what it had selected")
        cured = await cure_stuck(address, journal, seconds, tell)
    proof = None
    if prove:
        tell("asking for a 64x64 picture with the selection that was put back")
        proof = await tiny(address, seconds)
    return LiveProbe(outcome, back, cured, proof, recovered or None)


def _variant(now: State, files: Sequence[str]) -> Variant:
    """How the files are selected.

    Raises:
        NotAppliedError: Forge does not list one, or its present selection could not be put back.
    """
    if now.options.broken:
        told = ", ".join(now.options.broken)
        raise NotAppliedError(f"Forge's options are broken ({told}): cure them first with forgediag doctor --cure")
    if now.options.checkpoint is None or checkpoint_of(now.listing, now.options.checkpoint) is None:
        raise NotAppliedError(
            f"Forge has {now.options.checkpoint!r} selected, which it does not list and so could not be put back; "
            "nothing was written: select another checkpoint first"
        )
    if unlisted := [path for path in now.options.modules if base_name(path) not in _names(now.listing)]:
        raise NotAppliedError(f"Forge has {unlisted[0]} selected, which it does not list: it could not be put back")
    checkpoint, *modules = files
    wanted: dict[str, Any] = {CHECKPOINT: _title(now.listing, checkpoint)}
    names = [base_name(module) for module in modules]
    if unknown := [name for name in names if name not in _names(now.listing)]:
        raise NotAppliedError(
            f"Forge does not list the module {unknown[0]}: it would drop it without a word; put it into "
            "models/VAE or models/text_encoder and restart Forge"
        )
    had = [base_name(path) for path in now.options.modules]
    wanted[MODULES] = names
    detour = {MODULES: list[str]()} if sorted(had) == sorted(names) and had != names else {}
    if now.options.text(SAMPLES) not in {None, "png"}:
        wanted[SAMPLES] = "png"  # the only format that is looked at here
    return Variant(" + ".join((base_name(checkpoint), *names)), wanted, detour)


def _names(listing: Listing) -> set[str]:
    return {base_name(module.path) for module in listing.modules}


def _title(listing: Listing, checkpoint: str) -> str:
    rows = [row for row in listing.checkpoints if row.path == checkpoint] or [
        row for row in listing.checkpoints if base_name(row.path) == base_name(checkpoint)
    ]
    if not rows:
        raise NotAppliedError(
            f"Forge does not list {base_name(checkpoint)}: put it into models/Stable-diffusion and refresh the list "
            "of checkpoints; nothing was written"
        )
    if len(rows) > 1:
        raise NotAppliedError(f"Forge lists {base_name(checkpoint)} {len(rows)} times: give the path it has there")
    return rows[0].title
