"""Can the installed Forge load what is selected at all?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.features import LAST, Feature, can, dated, needed
from forgediag.forge.selection import base_name
from forgediag.model import Files, Gap, Install, ModelFile, Severity, Target


@check(
    "forge-knows-model",
    title="This Forge can load the selected model",
    why=(
        "Chroma, SD3.5, fp8 with scales and GGUF with BF16 came with certain commits of Forge; an older one ends in"
        " 'Failed to recognize model type!' or a KeyError that names none of this."
    ),
    severity=Severity.FAILURE,
    fix=("Update Forge: `git pull` in its folder (update.bat in the Windows package), then start it again.",),
)
def forge_knows_model(install: Install, files: Files, target: Target) -> Iterator[Problem]:
    """By the engine files of the install, else by its commit's place in Forge's history; silent where neither tells."""
    if not isinstance(target.forge, Gap) and target.forge.fork not in {"forge", "ersatzforge"}:
        return
    for file in files.selected:
        for feature in needed(file.family, file.traits):
            if can(feature, install.commit, install.engines) is False:
                yield _too_old(file, feature, install)


def _too_old(file: ModelFile, feature: Feature, install: Install) -> Problem:
    name = base_name(file.path)
    month = dated(install.commit)
    here = f"this Forge is of {month}" if month else "this Forge has no code for it"
    return Problem(
        subject=name,
        message=f"{name} needs {feature.name}, which came to Forge on {feature.since} ({feature.commit}); {here}",
        evidence={
            "needs": feature.name,
            "since_commit": feature.commit,
            "since": feature.since,
            "commit": install.commit,
            "newest_commit": LAST,
            "engines": sorted(install.engines),
        },
    )
