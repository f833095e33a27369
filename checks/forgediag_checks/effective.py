"""Are the memory settings shown the ones Forge works with?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.model import MB, Flags, Gap, Install, Options, Process, Severity, Tally, Target

KEY = "forge_inference_memory"
START_MB = 1024
"""What a started Forge works with, whatever its saved options say (measured on Forge dfdcbab)."""


@check(
    "inference-memory-effective",
    title="forge_inference_memory is in effect",
    why=(
        "After a start Forge works with 1024 MB, whatever it has saved and shows; and because it ignores a value that"
        " is already shown, setting the same one again changes nothing."
    ),
    severity=Severity.WARNING,
    fix=(
        "Set it to another value and back: `forgediag options set forge_inference_memory=N` with N one off, then N.",
        "Do so after each start of Forge, for example from the script that starts it.",
    ),
)
def inference_memory_effective(target: Target, options: Options, tally: Tally) -> Iterator[Problem]:
    """Known where a restart and every change since were seen, or where nothing was saved since Forge started."""
    shown = options.inference_memory_mb
    if shown is None:
        return
    effective = tally.effective_inference_memory
    worked = None if effective is None else effective / MB
    how = "seen since its start"
    if worked is None and _untouched(target):
        worked, how = float(START_MB), "nothing was saved since its start"
    if worked is None or worked == shown:
        return
    yield Problem(
        KEY,
        f"Forge shows {KEY} {shown:g} MB but works with {worked:g} MB ({how})",
        {"shown_mb": shown, "effective_mb": worked, "how": how},
    )


def _untouched(target: Target) -> bool:
    """Whether no option was set since Forge started: each successful POST writes its settings file.

    Only API-only: opening the web page sets the memory without saving it.
    """
    forge, process, install = target.forge, target.process, target.install
    if isinstance(forge, Gap) or not isinstance(forge.flags, Flags) or not forge.flags.on("nowebui"):
        return False
    if forge.fork != "forge" or not isinstance(process, Process) or not isinstance(install, Install):
        return False
    return install.saved is not None and install.saved < process.started


@check(
    "options-reset-by-page",
    title="The web page did not reset the memory options",
    why=(
        "Each time someone opens Forge's web page it sets GPU Weights, swap method, swap location and 'Diffusion in Low"
        " Bits' to its preset's values: what was set over the API is gone without a word."
    ),
    severity=Severity.WARNING,
    fix=(
        "Set the options again: `forgediag recommend --apply`, or `forgediag options set`.",
        "To keep GPU Weights, save it in xl_GPU_MB or flux_GPU_MB (Settings) and use that preset.",
        "A Forge used over its API alone: start it with --nowebui.",
    ),
)
def options_reset_by_page(tally: Tally) -> Iterator[Problem]:
    """Memory options that changed together, and to the values a page load sets (Forge dfdcbab, main_entry.py)."""
    if tally.page_reset:
        words = ", ".join(f"{key} {before} -> {after}" for key, (before, after) in tally.page_reset.items())
        yield Problem(
            next(iter(tally.page_reset)),
            f"the web page was opened, it seems, and reset {words}",
            {key: {"before": before, "after": after} for key, (before, after) in tally.page_reset.items()},
        )
