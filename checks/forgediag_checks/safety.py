"""Would a model file run code when Forge loads it?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.selection import base_name
from forgediag.model import Files, ModelFile, Safety, Severity

_SHOWN = 3


@check(
    "model-file-safe",
    title="Model files run no code",
    why=(
        "A .ckpt, .pt or .bin file is a pickle: a program that builds the weights and can do anything else with your"
        " rights. Forge runs it without looking: its own protection is switched off, and torch's does not apply to"
        " how it loads."
    ),
    severity=Severity.FAILURE,
    fix=(
        "Do not load it in Forge; delete it, or keep it apart until you know what it is.",
        "Download the model as .safetensors: that format cannot run code.",
        "If it was loaded already, treat this machine as entered: what is named in the evidence has run.",
    ),
)
def model_file_safe(files: Files) -> Iterator[Problem]:
    """Files that name anything no model needs: failures when selected, else warnings. Broken ones are not judged."""
    for file in files.files:
        if file.safety is not None and not file.safety.safe:
            if file.safety.calls or file.safety.tricks:
                yield _runs(file, file.safety)
            elif file.fault is None:
                yield _unread(file, file.safety)


def _runs(file: ModelFile, safety: Safety) -> Problem:
    name = base_name(file.path)
    targets = list(dict.fromkeys(call.target for call in safety.calls))
    more = f" and {len(targets) - _SHOWN} more" if len(targets) > _SHOWN else ""
    told = [f"it calls or imports {', '.join(targets[:_SHOWN])}{more}"] if targets else []
    return Problem(
        subject=name,
        message=f"{name} is not only a model: {'; '.join([*told, *safety.tricks[:_SHOWN]])}",
        evidence={
            "calls": [
                {"target": call.target, "opcode": call.opcode, "position": call.position, "member": call.member}
                for call in safety.calls
            ],
            "tricks": list(safety.tricks),
        },
        severity=Severity.FAILURE if file.selected else Severity.WARNING,
    )


def _unread(file: ModelFile, safety: Safety) -> Problem:
    name = base_name(file.path)
    return Problem(
        subject=name,
        message=f"whether {name} runs code when it is loaded is not known: {safety.unread}",
        evidence={"unread": safety.unread},
        severity=Severity.UNKNOWN,
        fix=("Download the model as .safetensors: that format cannot run code.",),
    )
