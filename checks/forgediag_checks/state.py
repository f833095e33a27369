"""States Forge does not tell of: stuck after a failed load, another model than selected, a job that stands still."""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.selection import checkpoint_of
from forgediag.model import Gap, Job, Listing, Options, Progress, Severity, Sysinfo, Tally, Target

STUCK = "object has no attribute 'sd_checkpoint_info'"
"""What every request of a stuck Forge ends in (observed on Forge dfdcbab)."""

_CURE = (
    "Generate once with a different loadable selection (another checkpoint, or other modules), then go back.",
    "Or restart Forge. Repeating, refreshing or reloading does not help.",
)


@check(
    "forge-stuck",
    title="Forge is not stuck after a failed load",
    why=(
        "A failed load takes the model away but keeps the name of the last good selection: going back to exactly that"
        " one makes every later request of any client fail, while the options look right."
    ),
    severity=Severity.FAILURE,
    fix=_CURE,
)
def forge_stuck(target: Target) -> Iterator[Problem]:
    """Certain where the last generation failed with Forge's own words for it; else suspected by its signs, and said so.

    The signs: the last generations failed before their first step, and the process holds less memory than a model.
    """
    jobs = target.jobs
    forge = target.forge
    last = jobs[-1] if jobs else None
    noted = _noted(target)
    if last is not None and last.error is not None and STUCK in last.error:
        message = "Forge is stuck: the last generation failed with \"'NoneType' " + STUCK + '", as every one now will'
        yield Problem("Forge", message, {"error": last.error, "seen": "in Forge's console"})
    elif noted and (last is None or last.outcome in {"failed", "unknown"}):
        when = "since its start" if last is None else "and its last generation failed"
        message = f"Forge noted the error of a stuck server {when}: every request fails until it is cured"
        severity = Severity.WARNING if last is None else None
        yield Problem("Forge", message, {"error": noted, "seen": "in /internal/sysinfo"}, severity)
    elif not isinstance(forge, Gap) and (signs := _signs(jobs)):
        yield Problem(
            "Forge",
            f"Forge may be stuck after a failed load: {signs}. This is suspected, not known: one generation tells",
            {"certain": False, "failed": _failed(jobs)},
            Severity.WARNING,
            ("Generate once: if it ends in \"'NoneType' …\" within a second, it is stuck.", *_CURE),
        )


def _noted(target: Target) -> str | None:
    forge = target.forge
    if isinstance(forge, Gap) or not isinstance(forge.sysinfo, Sysinfo) or not forge.sysinfo.exceptions:
        return None
    newest = forge.sysinfo.exceptions[0]
    return newest if STUCK in newest else None


def _failed(jobs: tuple[Job, ...]) -> int:
    """How many of the last generations in a row failed before their first step."""
    count = 0
    for job in reversed(jobs):
        if job.outcome != "failed" or job.step_seconds:
            break
        count += 1
    return count


FEW = 2
"""Failures in a row, and the share of the memory before them, that together are a sign."""
FALLEN = 0.6


def _signs(jobs: tuple[Job, ...]) -> str | None:
    """What speaks for a stuck server, or None."""
    failed = _failed(jobs)
    if failed == 0:
        return None
    first, last = jobs[-failed], jobs[-1]
    fell = (
        first.resident_start is not None
        and last.resident_end is not None
        and last.resident_end < FALLEN * first.resident_start
    )
    if failed < FEW and not fell:
        return None
    words = f"{failed} generation{'s' * (failed > 1)} ended without a step"
    return f"{words}, and its memory fell" if fell else f"{words}, one after the other"


@check(
    "model-in-effect",
    title="The loaded model is the selected one",
    why="Forge quietly works with another checkpoint when it cannot find the selected one, and shows that one's name.",
    severity=Severity.WARNING,
    fix=(
        "Select the checkpoint again by a title of GET /sdapi/v1/sd-models.",
        "Look into the console for 'not found; loading fallback'.",
    ),
)
def model_in_effect(target: Target, options: Options, listing: Listing, progress: Progress) -> Iterator[Problem]:
    """`sd_checkpoint_hash` is of the file last loaded; after a good generation it must be the selected one's."""
    last = target.jobs[-1] if target.jobs else None
    selected = checkpoint_of(listing, options.checkpoint) if options.checkpoint else None
    loaded = options.loaded_sha256
    if last is None or last.outcome != "done" or progress.running or selected is None:
        return
    if loaded is None or selected.sha256 is None or loaded == selected.sha256 or last.model != options.checkpoint:
        return
    other = next((item.title for item in listing.checkpoints if item.sha256 == loaded), "one that is not listed")
    yield Problem(
        selected.title,
        f"selected is {selected.title}, but the last generation was made with {other}",
        {"selected_sha256": selected.sha256, "loaded_sha256": loaded},
    )


LONGEST = 600.0
"""Seconds without a sign of life that are too long for any step or load, where no job has shown its pace yet."""
PATIENCE, LEAST = 5.0, 60.0
"""How many times the usual wait, and how many seconds at least, make a standstill."""


@check(
    "job-hangs",
    title="The running generation moves",
    why="A generation in a deadlock, in a driver fault or deep in the page file never ends, and every later one waits.",
    severity=Severity.WARNING,
    fix=(
        "Look at the machine: a disk at its limit means that memory is short; wait, or choose a smaller model.",
        "POST /sdapi/v1/interrupt ends it after the current step, if there is one.",
        "If nothing moves, end the process and start Forge again.",
    ),
)
def job_hangs(progress: Progress, tally: Tally) -> Iterator[Problem]:
    """No step and no iteration for much longer than this Forge's own jobs usually take between two."""
    if not progress.running or tally.waited is None:
        return
    limit = LONGEST if tally.usual_wait is None else max(LEAST, PATIENCE * tally.usual_wait)
    if tally.waited <= limit:
        return
    where = "loading" if progress.loading or not progress.steps else f"step {progress.step} of {progress.steps}"
    usual = "" if tally.usual_wait is None else f"; the longest it usually takes is {tally.usual_wait:.0f} s"
    yield Problem(
        where,
        f"the running generation has not moved for {tally.waited:.0f} s ({where}){usual}",
        {"waited_seconds": round(tally.waited, 1), "usual_seconds": tally.usual_wait, "limit_seconds": limit},
    )
