"""Are files that carry the name of a published model really that model?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.known_files import Identity, identify
from forgediag.forge.selection import base_name
from forgediag.model import Files, Gap, ModelFile, Severity


@check(
    "model-file-genuine",
    title="Published model files are unchanged",
    why=(
        "safetensors and GGUF have no checksum: a flipped bit loads without a word and gives noise or black images."
        " For published files the right SHA-256 is known."
    ),
    severity=Severity.FAILURE,
    fix=(
        "Download the file again from its repository and compare the SHA-256.",
        "If it is a model of your own, give it a name of its own: then nobody expects the published one.",
    ),
)
def model_file_genuine(files: Files) -> Iterator[Problem]:
    """Selected files by SHA-256; a mismatch only where name and size are those of a published file."""
    waiting: dict[str, list[str]] = {}
    for file in files.selected:
        if isinstance(file.sha256, Gap):
            if not file.sha256.expected and file.fault is None:
                waiting.setdefault(file.sha256.reason, []).append(base_name(file.path))
            continue
        identity = identify(file.path, file.size, file.sha256)
        if identity.verdict == "mismatch":
            yield _changed(file, file.sha256, identity)
    for reason, names in waiting.items():
        yield Problem(
            subject=", ".join(names),
            message=f"{reason}; not compared with the published files yet: {', '.join(names)}",
            evidence={"files": names},
            severity=Severity.UNKNOWN,
            fix=(),
        )


def _changed(file: ModelFile, sha256: str, identity: Identity) -> Problem:
    name = base_name(file.path)
    sure = any(known.confidence == "high" for known in identity.known)
    repositories = " or ".join(known.repository for known in identity.known)
    return Problem(
        subject=name,
        message=(
            f"{name} has the name and the exact size of the file in {repositories}, but other contents:"
            " it is damaged, or another model under that name"
        ),
        evidence={
            "sha256": sha256,
            "published": [known.sha256 for known in identity.known],
            "bytes": file.size,
            "sources": sorted({source for known in identity.known for source in known.sources}),
        },
        severity=Severity.FAILURE if sure else Severity.WARNING,
    )
