"""Are the model files still what they were, and does Forge list them?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.selection import base_name
from forgediag.model import Files, Severity, Verdict, Verification
from forgediag_checks.renamed import put_aside

_SEVERITY: dict[Verdict, Severity] = {
    "corrupted": Severity.FAILURE,
    "changed": Severity.WARNING,
    "missing": Severity.WARNING,
    "unreadable": Severity.UNKNOWN,
}
_FIX: dict[Verdict, tuple[str, ...]] = {
    "changed": ("If the change was meant, run forgediag lock; else replace the file from its source.",),
    "missing": ("Put the file back, or run forgediag lock when it was removed on purpose.",),
    "unreadable": ("Let the user forgediag runs as read the file.",),
}


@check(
    "model-file-unchanged",
    title="Model files are what they were",
    why=(
        "A flipped bit in a safetensors or GGUF file loads without a word and gives noise or black images. Every file"
        " is read again over days and compared with the lock file, or with what it was at the first read."
    ),
    severity=Severity.FAILURE,
    fix=(
        "Replace the file from its source or a backup before Forge loads it again.",
        "Check the disk (SMART) and the memory: something changed bytes without writing the file.",
    ),
)
def model_file_unchanged(verification: Verification) -> Iterator[Problem]:
    """Silent corruption is a failure; a file that differs from the lock file for a reason that shows only warns."""
    for item in verification.troubled:
        evidence: dict[str, object] = {"state": item.verdict, "compared_with": verification.against}
        evidence |= {key: value for key, value in (("expected", item.expected), ("sha256", item.found)) if value}
        if item.at is not None:
            evidence["read_at"] = item.at
        name = base_name(item.path)
        yield Problem(
            subject=name,
            message=f"{name}: {item.reason}",
            evidence=evidence,
            severity=_SEVERITY[item.verdict],
            fix=_FIX.get(item.verdict),
        )


@check(
    "model-file-listed",
    title="Forge lists every model file",
    why=(
        "Forge lists files by their ending alone, other endings in every folder, and says nothing of those it leaves"
        " out: a .sft file, one that Forge itself renamed to .corrupted, a download that never ended."
    ),
    severity=Severity.WARNING,
    fix=("Rename or move the file as its message says, or delete it; then refresh Forge's lists.",),
)
def model_file_listed(files: Files) -> Iterator[Problem]:
    """Files in Forge's folders that it does not list; whole ones put aside are `model-file-renamed`'s to tell."""
    for file in files.files:
        if file.unlisted is not None and not put_aside(file):
            name = base_name(file.path)
            header = "its header is whole" if file.fault is None else file.fault.message
            yield Problem(
                subject=name,
                message=f"Forge does not list {name}: {file.unlisted}",
                evidence={"path": file.path, "folder_of": file.role, "header": header},
            )
