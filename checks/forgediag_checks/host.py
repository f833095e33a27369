"""Is there enough system memory for what is selected?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.model import MB, Files, Host, Process, Severity
from forgediag_checks.sizes import gib

OWN = 2 * 1024 * MB
"""What the system and Forge take without any weights, in bytes: a Forge without a model was seen at 0.9 to 1.0 GB."""


@check(
    "host-ram",
    title="System memory holds the selected model",
    why=(
        "Forge reads every weight into system memory before the card sees it, and keeps there what does not fit the"
        " card. When RAM and page file run out the process dies without a message: the most reported problem of all."
    ),
    severity=Severity.FAILURE,
    fix=(
        "Enlarge the page file (Windows: 'System managed', or 40 GB and more on an SSD) or the swap space, and reboot.",
        "Select smaller files: fp8 or GGUF instead of fp16, t5xxl_fp8_e4m3fn instead of t5xxl_fp16.",
        "Close other programs that hold much memory.",
    ),
)
def host_ram(host: Host, process: Process, files: Files) -> Iterator[Problem]:
    """The bytes of the selected files against RAM and page file, all of it and what is free now."""
    need = sum(file.size for file in files.selected if file.fault is None)
    everything = host.ram_total + host.swap_total
    reachable = host.ram_available + host.swap_free + max(0, process.resident - OWN // 2)
    evidence = {
        "selected_bytes": need,
        "ram_total": host.ram_total,
        "ram_available": host.ram_available,
        "swap_total": host.swap_total,
        "swap_free": host.swap_free,
        "forge_resident": process.resident,
    }
    if need == 0:
        return
    if need + OWN > everything:
        message = (
            f"the selected files have {gib(need)} of weights, but RAM and page file together only {gib(everything)}:"
            " Forge will die while it loads them"
        )
        yield Problem("RAM", message, evidence)
    elif need > reachable:
        message = (
            f"the selected files have {gib(need)} of weights, but only {gib(reachable)} of RAM and page file are free"
            " or Forge's already: the next load can kill it"
        )
        yield Problem("RAM", message, evidence, Severity.WARNING)
    elif need + OWN > host.ram_total:
        message = (
            f"the selected files have {gib(need)} of weights and RAM is {gib(host.ram_total)}:"
            " loading them goes through the page file, which is slow"
        )
        yield Problem("RAM", message, evidence, Severity.WARNING)
