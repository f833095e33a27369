"""Are Forge's options readable, and do they name models that exist?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from forgediag.check import Problem, check
from forgediag.forge.selection import base_name, checkpoint_of, module_of
from forgediag.model import Listing, Options, Severity, Target


@check(
    "options-readable",
    title="GET /sdapi/v1/options works",
    why=(
        "Forge stores an ordinary option of a wrong type without a word; from then on every GET of the options answers"
        " 500, also after a restart, and every client that reads them fails."
    ),
    severity=Severity.FAILURE,
    fix=('POST a right value to /sdapi/v1/options, for example {"CLIP_stop_at_last_layers": 1}.',),
)
def options_readable(options: Options) -> Iterator[Problem]:
    """Forge puts the values and the names of the wrong ones into the 500 (observed on Forge dfdcbab)."""
    for name in options.broken:
        kind = type(options.values.get(name)).__name__
        yield Problem(
            subject=name,
            message=f"option {name} holds a value of a wrong type ({kind}), so Forge answers GET options with 500",
            evidence={"option": name, "type": kind},
            fix=(
                f'POST {{"{name}": VALUE}} with a VALUE of the right type to /sdapi/v1/options (this works).',
                "Find the client that set it: Forge does not check ordinary options.",
            ),
        )


@check(
    "selected-model-missing",
    title="The selected models exist",
    why=(
        "Forge falls back to the first checkpoint in its list when the selected one is gone and keeps showing the name"
        " that was selected; with a module that is gone it fails to load any model."
    ),
    severity=Severity.FAILURE,
    fix=(
        "Put the file back, or select one that is listed.",
        "A new checkpoint is listed after POST /sdapi/v1/refresh-checkpoints.",
    ),
)
def selected_model_missing(options: Options, listing: Listing) -> Iterator[Problem]:
    """The selection against what Forge lists (observed on Forge dfdcbab)."""
    if not listing.checkpoints:
        yield Problem(
            "checkpoints",
            "Forge lists no checkpoint at all: every generation ends in 'You do not have any model!'",
            fix=("Put a checkpoint into models/Stable-diffusion.", "POST /sdapi/v1/refresh-checkpoints."),
        )
        return
    wanted = options.checkpoint
    if wanted and checkpoint_of(listing, wanted) is None:
        first = listing.checkpoints[0].title
        yield Problem(
            subject=wanted,
            message=f"the selected checkpoint {wanted!r} is not listed; Forge quietly uses the first one, {first!r}",
            evidence={"selected": wanted, "used": first, "listed": len(listing.checkpoints)},
        )
    for path in options.modules:
        if module_of(listing, path) is None:
            yield Problem(
                subject=base_name(path),
                message=f"the selected module {base_name(path)!r} is not listed; loading ends in"
                " 'Failed to recognize model type!' when the file is gone",
                evidence={"selected": base_name(path), "listed": len(listing.modules)},
                fix=(
                    "Put the file back into models/VAE or models/text_encoder, or select one that is listed.",
                    "A module added while Forge runs is listed after a restart, or Refresh in the web page.",
                ),
            )


@check(
    "probe-unfinished",
    title="No probe has left its own selection in Forge",
    why=(
        "A live probe or a cure selects other files for a while. When it is killed in the middle they stay selected,"
        " and the next generation of every client uses them."
    ),
    severity=Severity.WARNING,
    fix=("forgediag doctor --cure puts back what was selected before, and reads it back.",),
)
def probe_unfinished(target: Target) -> Iterator[Problem]:
    """The journal that a probe writes before it selects anything, where its process is gone."""
    left = target.unfinished
    if left is None:
        return
    if left.unreadable is not None:
        yield Problem(
            left.path,
            left.unreadable,
            fix=("Look into the file, set these options in Forge yourself, and delete it.",),
        )
        return
    before = ", ".join(f"{key} {_short(value)}" for key, value in left.values.items())
    yield Problem(
        ", ".join(left.values),
        f"a probe that was killed has left its own selection in Forge; before, it had {before}",
        evidence={"before": dict(left.values), "journal": left.path},
        fix=(
            "forgediag doctor --cure puts it back, and reads it back.",
            "Or set these options yourself (forgediag options set), and delete the journal.",
        ),
    )


def _short(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(base_name(str(item)) for item in cast("list[object]", value)) + "]"
    return repr(value)
