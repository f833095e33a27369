"""Are the model files whole?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.selection import base_name, selected_paths
from forgediag.model import Fault, Files, Listing, ModelFile, Options, Severity

_RENAMES = "When its load fails Forge renames the file to NAME.corrupted; select another one until it is replaced."


@check(
    "model-file-whole",
    title="Model files are whole",
    why=(
        "A cut download, a log-in page saved as a model or a git-lfs pointer is accepted when it is selected and fails"
        " at the next generation with 'Failed to recognize model type!', whatever the reason; and Forge renames it."
    ),
    severity=Severity.FAILURE,
    fix=("Delete the file and download it again.",),
)
def model_file_whole(files: Files, options: Options, listing: Listing) -> Iterator[Problem]:
    """Faults of the selected files are failures, those of other listed files warnings."""
    for file in files.files:
        if file.fault is not None:
            yield _faulty(file, file.fault)
    for path in selected_paths(listing, options):
        if (reason := files.unreadable.get(path)) is not None:
            gone = reason == "does not exist"
            yield Problem(
                subject=base_name(path),
                message=f"{base_name(path)} {reason}"
                + ("; the next load of it fails" if gone else ": whether it is whole is not known"),
                evidence={"reason": reason},
                severity=Severity.FAILURE if gone else Severity.UNKNOWN,
                fix=_back(path, files) if gone else (),
            )


def _back(path: str, files: Files) -> tuple[str, ...]:
    """How a selected file that is gone comes back."""
    twin = next((file for file in files.files if file.path == f"{path}.corrupted"), None)
    if twin is None or twin.fault is not None:
        return ("Put the file back, or select another one.",)
    name = base_name(path)
    return (
        "Make room in system memory first: Forge renamed the file after a load that failed, and it looks whole.",
        f"With Forge idle rename {name}.corrupted to {name}, then POST /sdapi/v1/refresh-checkpoints.",
    )


def _faulty(file: ModelFile, fault: Fault) -> Problem:
    name = base_name(file.path)
    says = f" Forge will say: {fault.forge_says}" if fault.forge_says else ""
    evidence: dict[str, object] = {"fault": fault.id, "bytes": file.size, "forge_says": fault.forge_says}
    if fault.offset is not None:
        evidence["offset"] = fault.offset
    return Problem(
        subject=name,
        message=f"{name}: {fault.message}.{says}",
        evidence=evidence,
        severity=Severity.FAILURE if file.selected else Severity.WARNING,
        fix=(*fault.fix, _RENAMES) if file.selected else fault.fix,
    )
