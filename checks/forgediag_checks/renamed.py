"""Did Forge put a good file aside?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.selection import base_name
from forgediag.model import Files, ModelFile, Severity
from forgediag_checks.sizes import gib

ENDING = ".corrupted"


def put_aside(file: ModelFile) -> bool:
    """Whether Forge renamed this file though nothing is wrong with its header."""
    return file.path.endswith(ENDING) and file.fault is None


@check(
    "model-file-renamed",
    title="No good file was renamed to .corrupted",
    why=(
        "Forge renames a model file to NAME.corrupted whenever reading it fails, for want of memory too: a good file is"
        " then gone from its list, and an older .corrupted of that name is deleted."
    ),
    severity=Severity.WARNING,
    fix=("Compare its SHA-256 with the published one, then take the ending .corrupted off, or delete the file.",),
)
def model_file_renamed(files: Files) -> Iterator[Problem]:
    """Whole by header and length, without another file of that name. That is no proof of good contents, and said so."""
    there = {file.path for file in files.files}
    for file in files.files:
        if put_aside(file) and file.path.removesuffix(ENDING) not in there:
            yield _aside(file)


def _aside(file: ModelFile) -> Problem:
    name = base_name(file.path)
    real = name.removesuffix(ENDING)
    known = file.format != "pickle"
    sure = "its header and length are right, so it is probably whole" if known else "it may be whole"
    return Problem(
        name,
        f"Forge put {real} aside as {name} ({gib(file.size)}): {sure}, and the load failed for want of memory",
        {"header_whole": known or None, "bytes": file.size},
        fix=(
            "First make room: enlarge the page file or swap, or close programs; else it happens again.",
            f"With Forge idle rename {name} to {real}, then POST /sdapi/v1/refresh-checkpoints.",
            "Before that, compare its SHA-256 with the published one (`forgediag hash FILE`).",
        ),
    )
