"""`forgediag probe --live`: Forge itself asked for a tiny picture with these files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from forgediag.cli import NotDone
from forgediag.cli.here import running_forge
from forgediag.cli.probe_part import Part
from forgediag.config import Config, state_dir
from forgediag.forge.loading import File
from forgediag.model import Gap, Prediction

if TYPE_CHECKING:
    from forgediag.actions.live import LiveProbe
    from forgediag.actions.tiny import Outcome

CHECK = "live-picture"


def part(config: Config, files: Sequence[File], made: Prediction | Gap, *, prove: bool, wait: float) -> Part:
    """What came of it.

    Raises:
        NotDone: Forge cannot be asked, would rename a file, or was not put back.
    """
    if isinstance(made, Prediction) and made.renamed:
        raise NotDone(f"Forge would rename {made.renamed[0]} to {made.renamed[0]}.corrupted: it was not asked")
    probe = _asked(config, [file.path for file in files], prove=prove, wait=wait)
    finding = _finding(probe.outcome, files[0].path)
    findings = [] if finding is None else [finding]
    return Part({"live": document(probe), "findings": findings}, text(probe), bool(findings) or not probe.sound)


def tell(line: str) -> None:
    """What is about to be done, on standard error."""
    click.echo(f"forgediag: {line}", err=True)


def _asked(config: Config, paths: Sequence[str], *, prove: bool, wait: float) -> LiveProbe:
    from forgediag.actions import NotAppliedError  # noqa: PLC0415 - imports httpx
    from forgediag.actions.borrow import BORROWED  # noqa: PLC0415
    from forgediag.actions.live import live  # noqa: PLC0415
    from forgediag.cli.writing import address_of, note  # noqa: PLC0415
    from forgediag.sources.undo import Journal  # noqa: PLC0415

    forge = running_forge(config)
    if isinstance(forge, Gap):
        raise NotDone(forge.reason)
    journal = Journal(state_dir(config), forge.url)
    note(config, BORROWED)
    try:
        return asyncio.run(live(address_of(forge.url, config), journal, paths, wait, tell, prove=prove))
    except NotAppliedError as error:
        raise NotDone(f"{error}{_left(journal.path.exists())}") from error
    except KeyboardInterrupt as error:
        back = "the options are back as they were" if not journal.path.exists() else "the options are not back"
        raise NotDone(
            f"interrupted: {back}{_left(journal.path.exists())}; should Forge answer 'NoneType' errors now: "
            "forgediag doctor --cure"
        ) from error


def _left(there: bool) -> str:  # noqa: FBT001 - a fact, not a mode
    return "; what was selected before is put back by the next probe --live or doctor --cure" if there else ""


def document(probe: LiveProbe) -> dict[str, Any]:
    """What the JSON document has under `live`."""
    cured = probe.cured
    return {
        "outcome": _outcome(probe.outcome),
        "put_back": dict(probe.back),
        "cured": None if cured is None else {"by": cured.variant, "done": cured.done, **_outcome(cured.outcome)},
        "proof": None if probe.proof is None else _outcome(probe.proof),
        "recovered": None if probe.recovered is None else dict(probe.recovered),
    }


def text(probe: LiveProbe) -> list[str]:
    """The lines for a person."""
    lines = [f"Forge answered the 64x64 picture with {probe.outcome}."]
    lines += [f"  put back: {key} = {value!r}" for key, value in probe.back.items()]
    if probe.cured is not None:
        worked = "It has a model again" if probe.cured.done else "IT IS STILL WITHOUT A MODEL"
        lines.append(f"  {worked} ({probe.cured.variant}): {probe.cured.outcome}.")
    if probe.proof is not None:
        lines.append(f"  With the selection put back: {probe.proof}.")
    return lines


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {"end": outcome.end, "type": outcome.type, "message": outcome.message, "seconds": outcome.seconds}


def _finding(outcome: Outcome, subject: str) -> dict[str, Any] | None:
    if outcome.end in {"picture", "unseen"}:
        return None
    fix = ["forgediag probe --deep names the layer where the VAE fails."] if outcome.loaded else []
    return {
        "check": CHECK,
        "severity": "failure",
        "subject": subject,
        "message": f"Forge answers {outcome}",
        "evidence": _outcome(outcome),
        "fix": fix,
    }
