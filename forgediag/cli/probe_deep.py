"""`forgediag probe --deep`: the VAE Forge will use, run on the CPU, and what its ranges mean for each card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forgediag.cli.probe_part import Part
from forgediag.forge.autoencoder import ranges
from forgediag.forge.autoencoder.place import find
from forgediag.forge.loading import File
from forgediag.model import DeepProbe, Finding, Gap, Header, Known, Prediction, Severity

WHERE = {
    "float16": "only with --vae-in-fp16",
    "bfloat16": "Forge's choice on cards of compute capability 8.0 and newer",
    "float32": "Forge's choice on older cards and on a CPU",
}


def vae_file(files: Sequence[File], made: Prediction | Gap) -> Known[File]:
    """The file whose VAE Forge will use: the last module it takes one from, else the checkpoint (the first file)."""
    uses = () if isinstance(made, Gap) else made.modules
    ignored = {use.path for use in uses if use.fate == "ignored"}
    for file in (*reversed(files[1:]), files[0]):
        if file.path not in ignored and isinstance(file.found, Header) and find(file.found) is not None:
            return file
    return Gap("none of these files has a VAE that can be run here", "missing")


def probed(files: Sequence[File], made: Prediction | Gap) -> Known[DeepProbe]:
    """The VAE of these files, run; see `forgediag.sources.probe.deep`."""
    from forgediag.sources.probe import deep  # noqa: PLC0415 - only when it is asked for

    file = vae_file(files, made)
    if isinstance(file, Gap):
        return file
    return deep(file.path, file.found) if isinstance(file.found, Header) else Gap(file.found.message, "invalid")


def part(files: Sequence[File], made: Prediction | Gap) -> Part:
    """The VAE of these files, run, as the command tells it."""
    probe = probed(files, made)
    failed = not isinstance(probe, Gap) and any(one.severity is Severity.FAILURE for one in ranges.judge(probe))
    return Part({"deep": document(probe), "findings": findings(probe)}, text(probe), failed)


def findings(probe: Known[DeepProbe]) -> list[dict[str, Any]]:
    """Findings as the document has them."""
    if isinstance(probe, Gap):
        return [_finding("unknown", "", probe.reason, {}, ())]
    return [_told(finding) for finding in ranges.judge(probe)]


def document(probe: Known[DeepProbe]) -> dict[str, Any]:
    """What the JSON document has under `deep`."""
    if isinstance(probe, Gap):
        return {"ran": False, "reason": probe.reason}
    return {
        "ran": True,
        "file": probe.path,
        "latent_channels": probe.latent_channels,
        "seconds": probe.seconds,
        "peak_bytes": probe.peak_bytes,
        "safe_dtypes": ranges.safe_dtypes(probe),
        "largest": _peak(ranges.largest(probe)),
        "first_above_fp16": _peak(ranges.leaves(probe)),
        "passes": [
            {
                "way": one.way,
                "given": one.given,
                "seconds": one.seconds,
                "spread": _number(one.spread),
                "largest": {layer: _number(value) for layer, value in one.largest.items()},
            }
            for one in probe.passes
        ],
    }


def text(probe: Known[DeepProbe]) -> list[str]:
    """The lines for a person."""
    if isinstance(probe, Gap):
        return [f"The VAE was not run: {probe.reason}."]
    lines = [f"Ran the VAE of {probe.path} in {probe.seconds:.1f} s ({probe.latent_channels} latent channels):"]
    for one in probe.passes:
        layer = max(one.largest, key=lambda name: one.largest[name])
        if one.spread is None:
            lines.append(f"  {one.way} {one.given}: not finite in {list(one.largest)[-1]}")
        else:
            lines.append(f"  {one.way} {one.given}: at most {one.largest[layer]:,.1f}, in {layer}")
    for dtype, safe in ranges.safe_dtypes(probe).items():
        lines.append(f"  {dtype:<8} {'safe' if safe else 'NOT safe'} ({WHERE[dtype]})")
    for finding in ranges.judge(probe):
        lines.append(f"{finding.severity.label}: {finding.message}.")
        lines += [f"  {number}. {step}" for number, step in enumerate(finding.fix, 1)]
    return lines


def _peak(peak: ranges.Peak | None) -> dict[str, Any] | None:
    if peak is None:
        return None
    return {"layer": peak.layer, "largest": _number(peak.largest), "way": peak.way, "given": peak.given}


def _number(value: float | None) -> float | str | None:
    """A number as JSON has it: what is not finite becomes a text."""
    return value if value is None or abs(value) <= 3.5e38 else str(value)


def _told(finding: Finding) -> dict[str, Any]:
    evidence = {key: _number(value) if isinstance(value, float) else value for key, value in finding.evidence.items()}
    return _finding(finding.severity.label, finding.subject, finding.message, evidence, finding.fix)


def _finding(
    severity: str, subject: str, message: str, evidence: dict[str, Any], fix: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "check": ranges.CHECK,
        "severity": severity,
        "subject": subject,
        "message": message,
        "evidence": evidence,
        "fix": list(fix),
    }
