"""Do generations leave memory behind, or get slower?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.model import MB, Gap, Severity, Target
from forgediag.profile.trends import growing, slower

_WHERE = {"gpu": "GPU memory", "ram": "system memory"}


@check(
    "job-memory-growth",
    title="Generations leave no memory behind",
    why=(
        "Forge and extensions can keep what a generation allocated. Each leaves a little more in use, until the card"
        " or the machine is full and everything swaps or fails; a restart hides it for a while."
    ),
    severity=Severity.WARNING,
    fix=(
        "Restart Forge when it suits you: what leaked is given back.",
        "Switch extensions off one after another (Forge flag --disable-extra-extensions) to find the one that leaks.",
        "For system memory on Linux, start Forge with MALLOC_ARENA_MAX=1 or jemalloc: glibc keeps freed memory.",
    ),
)
def job_memory_growth(target: Target) -> Iterator[Problem]:
    """Memory after a job that rises job after job with one model and one setting."""
    for growth in growing(target.jobs):
        yield Problem(
            subject=_WHERE[growth.memory],
            message=(
                f"each of the last {growth.jobs} generations left some {growth.each / MB:.0f} MB of"
                f" {_WHERE[growth.memory]} more in use than the one before"
            ),
            evidence={"bytes_per_job": int(growth.each), "jobs": growth.jobs},
        )


@check(
    "job-steps-slower",
    title="Sampling steps are as fast as they were",
    why=(
        "The same model, size and settings take the same time, unless weights are swapped, the card is throttled,"
        " another program uses it, or the driver has moved GPU memory to system memory."
    ),
    severity=Severity.WARNING,
    fix=(
        "See what else holds or uses the card: nvidia-smi.",
        "Raise forge_inference_memory (lower GPU Weights) if the card was full: forgediag recommend.",
    ),
)
def job_steps_slower(target: Target) -> Iterator[Problem]:
    """The last three generations against earlier ones of the same kind."""
    total = None if isinstance(target.gpu, Gap) else target.gpu.info.total
    found = slower(target.jobs, total)
    if found is None:
        return
    full = "; the card was full meanwhile, and under Windows the driver then uses system memory, which is far slower"
    yield Problem(
        subject="sampling",
        message=(
            f"a step takes {found.now:.2f} s now and took {found.before:.2f} s before, with the same model, size and"
            f" settings{full if found.full else ''}"
        ),
        evidence={"seconds": round(found.now, 3), "before": round(found.before, 3), "card_full": found.full},
    )


@check(
    "memory-manager-as-known",
    title="Forge's memory manager works as the planner takes it to",
    why=(
        "plan and recommend work out what Forge will do from the rules of its memory manager. Forks and later versions"
        " have other rules; then what they advise may not hold."
    ),
    severity=Severity.WARNING,
    fix=(
        "Trust what was measured more than plan and recommend on this Forge: forgediag profile.",
        "Tell the authors of forgediag, with the report of: forgediag doctor --json.",
    ),
)
def memory_manager_as_known(target: Target) -> Iterator[Problem]:
    """The loads of the last generation whose console was followed."""
    if target.jobs and target.jobs[-1].departures:
        told = target.jobs[-1].departures
        yield Problem(
            subject="memory manager",
            message=f"Forge placed models otherwise than expected: {told[0]}",
            evidence={"departures": list(told)},
        )
