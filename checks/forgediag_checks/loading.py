"""Will Forge load what is selected?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.selection import base_name
from forgediag.model import Files, Gap, Prediction, Severity


@check(
    "model-will-load",
    title="The selected checkpoint loads with its modules",
    why=(
        "Forge takes any selection with 200 and keeps the modules when the checkpoint changes; whether they fit shows"
        " at the next generation, whose error names neither the file nor the way out, and may leave the server stuck."
    ),
    severity=Severity.FAILURE,
    fix=("Select other files: what fits is in the message.",),
)
def model_will_load(files: Files) -> Iterator[Problem]:
    """The load played through by names and shapes. A file that cannot be read is `model-file-whole`'s to tell."""
    made = files.prediction
    if isinstance(made, Gap):
        yield Problem(
            "selection", f"whether the selection loads is not known: {made.reason}", severity=Severity.UNKNOWN
        )
    elif made is not None and made.error is not None and made.phase != "read":
        yield _failure(made)
    elif made is not None and made.error is None:
        for gap in made.gaps:
            yield _gap(made, gap)


def _failure(made: Prediction) -> Problem:
    assert made.error is not None  # noqa: S101 - asked before
    first = made.error.message.partition("\n")[0]
    return Problem(
        subject=base_name(made.subject),
        message=f"{made.cause}: the next load ends in {made.error.type} '{first}'",
        evidence={
            "family": made.family,
            "phase": made.phase,
            "error": {"type": made.error.type, "message": made.error.message, "cause": made.error.cause},
            "printed": list(made.printed),
            "modules": {base_name(use.path): use.fate for use in made.modules},
        },
        fix=made.fix,
    )


def _gap(made: Prediction, gap: str) -> Problem:
    return Problem(
        subject=gap.partition(":")[0],
        message=gap,
        evidence={"family": made.family, "printed": list(made.printed)},
        severity=Severity.WARNING,
        fix=("Unselect it, or select a file that is made for this checkpoint.",),
    )
