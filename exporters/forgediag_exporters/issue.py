"""The report as Markdown for a GitHub issue: no secrets, user names, home folders, host names or prompts in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forgediag.model import Finding, Forge, Gap, GpuMemory, Install, Nvml, Options, Report, Sysinfo, Target
from forgediag_exporters.redact import redacted
from forgediag_exporters.text import size

KEYS = (
    "forge_inference_memory",
    "forge_async_loading",
    "forge_pin_shared_memory",
    "forge_unet_storage_dtype",
    "forge_preset",
    "xl_GPU_MB",
    "flux_GPU_MB",
)
"""Options that matter to a reader. No other option is told: some hold prompts, tokens and folders."""

PACKAGES = ("torch", "torchvision", "xformers", "bitsandbytes", "numpy", "gradio", "transformers", "safetensors")


def issue(report: Report) -> bytes:
    """What a reader of an issue asks for first: what runs where, what is wrong, what was not looked at."""
    lines = ["### Environment", "", *_machine(report)]
    for target in report.snapshot.targets:
        lines += [*_target(target)]
    lines += ["", f"### Findings: {report.verdict.label}", ""]
    for finding in report.findings:
        lines += _finding(finding)
    if not report.findings:
        lines.append("Nothing is wrong.")
    lines += ["", "<details><summary>Checks</summary>", "", "| check | status |", "| --- | --- |"]
    lines += [f"| {result.check} | {result.status.label} |" for result in report.results]
    lines += ["", "</details>"]
    return (redacted("\n".join(lines)) + "\n").encode()


def _machine(report: Report) -> Iterator[str]:
    nvml, host = report.snapshot.nvml, report.snapshot.host
    if isinstance(nvml, Nvml):
        cuda = f", CUDA {nvml.cuda[0]}.{nvml.cuda[1]} at most" if nvml.cuda else ""
        yield f"- driver {nvml.driver}{cuda}"
        for gpu in nvml.gpus:
            capability = gpu.info.compute_capability
            of = f", compute capability {capability[0]}.{capability[1]}" if capability else ""
            used = f", {size(gpu.memory.used)} used" if isinstance(gpu.memory, GpuMemory) else ""
            yield f"- {gpu.info.name}, {size(gpu.info.total)}{of}{used}"
    else:
        yield f"- {nvml.reason}"
    if not isinstance(host, Gap):
        yield f"- RAM {size(host.ram_total)}, page file or swap {size(host.swap_total)}"


def _target(target: Target) -> Iterator[str]:
    forge, install = target.forge, target.install
    if isinstance(install, Install):
        python = ".".join(map(str, install.python)) if install.python else "?"
        yield f"- Forge {install.version or '?'}, commit {(install.commit or '?')[:10]}, Python {python}"
        known = [f"{name} {install.packages[name]}" for name in PACKAGES if name in install.packages]
        yield f"- {', '.join(known) or 'no packages found'}"
    elif isinstance(forge, Forge) and isinstance(forge.sysinfo, Sysinfo):
        told = forge.sysinfo
        yield f"- Forge {told.version or '?'}, commit {(told.commit or '?')[:10]}, Python {told.python or '?'}"
        yield f"- torch {told.torch or '?'}, CUDA {told.torch_cuda or '?'}"
    if isinstance(forge, Gap):
        yield f"- Forge: {forge.reason}"
        return
    yield f"- fork: {'unknown' if isinstance(forge.fork, Gap) else forge.fork}"
    if isinstance(forge.options, Options):
        options = forge.options
        yield f"- selected: {options.checkpoint or 'nothing'}"
        for module in options.modules:
            yield f"  - {module}"
        settings = [f"{key} {options.values[key]}" for key in KEYS if key in options.values]
        yield f"- {', '.join(settings)}"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"**{finding.severity.label}** `{finding.check}` {_line(finding.subject)}: {_line(finding.message)}"
    yield ""
    if finding.evidence:
        yield "```"
        for key, value in finding.evidence.items():
            yield f"{key}: {_line(str(value))[:500]}"
        yield "```"
    for number, step in enumerate(finding.fix, 1):
        yield f"{number}. {_line(step)}"
    yield ""


def _line(text: str) -> str:
    """One line that cannot end a code block or begin a heading."""
    return re.sub(r"\s+", " ", text).replace("```", "'''")
