"""Did Forge put a good file aside?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.selection import base_name
from forgediag.model import Files, Renamed, Severity
from forgediag_checks.sizes import gib


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
    """Files beside the listed ones. Whole by header and length is no proof of good contents, and said so."""
    for item in files.renamed:
        if not item.replaced and item.whole is not False:
            yield _aside(item)


def _aside(item: Renamed) -> Problem:
    name = base_name(item.path)
    real = name.removesuffix(".corrupted")
    sure = "its header and length are right, so it is probably whole" if item.whole else "it may be whole"
    return Problem(
        name,
        f"Forge put {real} aside as {name} ({gib(item.size)}): {sure}, and the load failed for want of memory",
        {"whole": item.whole, "bytes": item.size},
        fix=(
            "First make room: enlarge the page file or swap, or close programs; else it happens again.",
            f"With Forge idle rename {name} to {real}, then POST /sdapi/v1/refresh-checkpoints.",
            "Before that, compare its SHA-256 with the published one (`forgediag hash FILE`).",
        ),
    )
