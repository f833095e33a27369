"""The report in words for a terminal: the verdict, findings worst first with their fixes, the advice."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from forgediag.export import Exporter
from forgediag.model import MB, Advice, Finding, Forge, Gap, GpuMemory, Nvml, Options, Report, Setting, Severity, Target

PLAIN = "text/plain; charset=utf-8"
WIDTH = 100
WORDS = {
    Severity.OK: "Nothing is wrong.",
    Severity.UNKNOWN: "Nothing wrong was found, but not everything could be looked at.",
    Severity.WARNING: "It works, but something should be changed.",
    Severity.FAILURE: "Something is wrong.",
}


def verdict(report: Report) -> bytes:
    """What was looked at, what is wrong with it, and what to do."""
    lines = [line for target in report.snapshot.targets for line in _target(target)]
    lines += [*_machine(report), ""]
    for finding in report.findings:
        lines += [*_finding(finding), ""]
    lines.append(f"Verdict: {report.verdict.label}. {WORDS[report.verdict]}")
    first = next(iter(report.findings), None)
    if first is not None and first.fix and first.severity >= Severity.WARNING:
        lines += textwrap.wrap(f"Do this first: {first.fix[0]}", WIDTH, subsequent_indent="  ")
    return ("\n".join(lines) + "\n").encode()


def _target(target: Target) -> Iterator[str]:
    forge = target.forge
    if isinstance(forge, Gap):
        yield f"{target.name}: {forge.reason}"
        return
    yield f"{target.name}: {forge.url} answers ({'unknown fork' if isinstance(forge.fork, Gap) else forge.fork})"
    if isinstance(forge.options, Options):
        yield from _selection(target, forge, forge.options)
    if not isinstance(forge.progress, Gap):
        progress = forge.progress
        step = f"step {progress.step} of {progress.steps}" if progress.steps else "loading"
        yield f"  job       {f'running: {step}, {progress.ratio:.0%}' if progress.running else 'none'}"
    if not isinstance(target.process, Gap):
        yield f"  process   pid {target.process.pid}, {size(target.process.resident)} of system memory"


def _selection(target: Target, forge: Forge, options: Options) -> Iterator[str]:
    yield f"  selected  {options.checkpoint or 'nothing'}"
    for module in options.modules:
        yield f"            + {module}"
    if not isinstance(forge.listing, Gap):
        yield f"  listed    {len(forge.listing.checkpoints)} checkpoints, {len(forge.listing.modules)} modules"
    if (inference := options.inference_memory_mb) is not None:
        weights = ""
        if not isinstance(target.gpu, Gap):
            weights = f" (GPU Weights {target.gpu.info.total // MB - inference:g} MB)"
        yield f"  memory    forge_inference_memory {inference:g} MB{weights}"


def _machine(report: Report) -> Iterator[str]:
    nvml = report.snapshot.nvml
    if isinstance(nvml, Nvml):
        for gpu in nvml.gpus:
            yield f"gpu {gpu.info.index}: {gpu.info.name}, driver {nvml.driver}"
            if isinstance(gpu.memory, GpuMemory):
                used, free, total = map(size, (gpu.memory.used, gpu.memory.free, gpu.memory.total))
                yield f"  memory    {used} used, {free} free of {total}"
            else:
                yield f"  memory    {gpu.memory.reason}"
    else:
        yield f"gpu: {nvml.reason}"
    host = report.snapshot.host
    if isinstance(host, Gap):
        yield f"host: {host.reason}"
    else:
        swap = f"swap {size(host.swap_free)} free of {size(host.swap_total)}" if host.swap_total else "no swap"
        yield f"host: {size(host.ram_available)} of {size(host.ram_total)} memory available, {swap}"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.label.upper()}  {finding.subject}  [{finding.check}]"
    yield from textwrap.wrap(finding.message, WIDTH, initial_indent="  ", subsequent_indent="  ")
    for key, value in finding.evidence.items():
        first, *more = str(value).splitlines() or [""]
        yield from textwrap.wrap(
            f"{key}: {first}{' …' * bool(more)}", WIDTH, initial_indent="    ", subsequent_indent="      "
        )
    for number, step in enumerate(finding.fix, 1):
        yield from textwrap.wrap(step, WIDTH, initial_indent=f"  {number}. ", subsequent_indent="     ")


def advice(report: Report) -> bytes:
    """What to set for each target, and why."""
    lines: list[str] = []
    for name, item in report.advice.items():
        lines += [f"{name}: {item.reason}"] if isinstance(item, Gap) else _advice(name, item)
    return ("\n".join(lines or ["nothing to advise: no Forge is configured"]) + "\n").encode()


def _advice(name: str, item: Advice) -> Iterator[str]:
    yield f"{name}: {item.model}"
    if item.current is not None:
        yield f"  now        {_setting(item.current)}"
    yield f"  better     {_setting(item.recommended)}"
    for option, value in item.also_set.items():
        yield f"  also set   {option} {value}"
    for reason in item.because:
        yield from textwrap.wrap(reason, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    yield f"  confidence {item.confidence}"


def _setting(setting: Setting) -> str:
    return (
        f"forge_inference_memory {setting.forge_inference_memory} MB (GPU Weights {setting.gpu_weights_mb} MB), "
        f"{setting.forge_async_loading} + {setting.forge_pin_shared_memory}"
    )


def size(count: int) -> str:
    """Bytes in GiB, or MiB below one."""
    return f"{count / (1024 * MB):.1f} GiB" if count >= 1024 * MB else f"{count // MB} MiB"


TEXTS = (
    Exporter("text", "/", PLAIN, verdict),
    Exporter("recommendation-text", None, PLAIN, advice),
)
