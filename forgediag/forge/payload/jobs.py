"""The fields of a txt2img or img2img payload: what Forge refuses, and what it changes without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forgediag.forge.payload.fields import OPTIONS
from forgediag.forge.payload.known import FIELDS, MEMORY, Kind, Knowledge
from forgediag.forge.payload.settings import settings
from forgediag.forge.payload.sizes import sizes
from forgediag.forge.payload.words import NAMES, did_you_mean, fits, kind_of, meant, remark, rows_of, short, table_of
from forgediag.forge.selection import base_name, checkpoint_of
from forgediag.model import Finding, Severity

NOT_NULL = frozenset({"sampler_index", "script_args", "send_images", "save_images", "alwayson_scripts"})
"""Fields that may be left out but not be null (Forge dfdcbab, openapi.json)."""

SAME = "Use same choices"
"""In hr_additional_modules: those of the first pass (Forge dfdcbab, modules/processing.py)."""


def job(values: Mapping[str, object], kind: Kind, known: Knowledge) -> Iterator[Finding]:
    """Findings about a txt2img or img2img payload."""
    fields = FIELDS[kind]
    for name, value in values.items():
        if name not in fields:
            yield _unknown(name, kind)
        elif not fits(value, fields[name]) or (value is None and name in _not_null(kind)):
            yield remark(
                "field-type",
                Severity.FAILURE,
                name,
                f"{name} is {kind_of(value)}, not {NAMES[fields[name]]}: Forge refuses the request with 422",
                f"Send {NAMES[fields[name]]}.",
            )
    yield from _names(values, known)
    yield from _scripts(values, known)
    yield from sizes(values)
    yield from _hires(values, known)
    yield from _override(values, known)
    if kind == "img2img" and not values.get("init_images"):
        message = "img2img without init_images: Forge answers 404 'Init image not found'"
        fix = "Put the picture into init_images, a list of base64 texts."
        yield remark("init-image-missing", Severity.FAILURE, "init_images", message, fix)


def _not_null(kind: Kind) -> frozenset[str]:
    return NOT_NULL | {"denoising_strength", "include_init_images"} if kind == "img2img" else NOT_NULL


def _unknown(name: str, kind: Kind) -> Finding:
    fields = FIELDS[kind]
    known = {*fields, *OPTIONS}
    other = meant(name, known)
    if other in OPTIONS and other not in fields:
        return remark(
            "field-unknown",
            Severity.FAILURE,
            name,
            f"{short(name)} is no field of {kind}: Forge ignores it without a word; {other} is an option",
            f'Move it: "override_settings": {{"{other}": …}}.',
        )
    return remark(
        "field-unknown",
        Severity.WARNING,
        name,
        f"{kind} has no field {short(name)}: Forge ignores it without a word{did_you_mean(name, known)}",
        f"Rename it to {other}." if other else "Leave it out.",
    )


def _names(values: Mapping[str, object], known: Knowledge) -> Iterator[Finding]:
    for name in ("sampler_name", "sampler_index", "hr_sampler_name"):
        value = values.get(name)
        if isinstance(value, str) and value not in {"", "Use same sampler"} and not _is_sampler(value, known):
            maybe = "" if known.live else " (unless an extension brings it)"
            yield remark(
                "sampler-unknown",
                Severity.WARNING,
                name,
                f"{name} {short(value)!r} is no sampler{maybe}: Forge answers 200 and takes its first one, DPM++ 2M"
                f"{did_you_mean(value, known.samplers)}",
                "Use a name of GET /sdapi/v1/samplers; upper and lower case count, aliases do not.",
            )
    for name in ("scheduler", "hr_scheduler"):
        value = values.get(name)
        if isinstance(value, str) and value not in {"", "Use same scheduler"} and value not in known.schedulers:
            yield remark(
                "scheduler-unknown",
                Severity.WARNING,
                name,
                f"{name} {short(value)!r} is no scheduler: Forge takes Automatic without a word"
                f"{did_you_mean(value, known.schedulers)}",
                "Use a name or label of GET /sdapi/v1/schedulers.",
            )
    for name in ("refiner_checkpoint", "hr_checkpoint_name"):
        value = values.get(name)
        if not isinstance(value, str) or value in {"", "None", "Use same checkpoint"} or known.listing is None:
            continue
        if checkpoint_of(known.listing, value) is None:
            message = f"{name} {short(value)!r} is not in Forge's list: the job ends in 500"
            fix = "Use a title of GET /sdapi/v1/sd-models."
            yield remark("model-unknown", Severity.FAILURE, name, message, fix)


def _is_sampler(value: str, known: Knowledge) -> bool:
    """A sampler's name, alone or with a scheduler's behind it, as A1111 spelt them (`DPM++ 2M Karras`)."""
    if value in known.samplers:
        return True
    ends = [item for item in known.schedulers if value.endswith(" " + item)]
    return any(value[: -len(item) - 1] in known.samplers for item in ends)


def _scripts(values: Mapping[str, object], known: Knowledge) -> Iterator[Finding]:
    named = values.get("script_name")
    if isinstance(named, str) and named and named.lower() not in known.scripts:
        yield _no_script("script_name", named, known)
    for name, value in table_of(values.get("alwayson_scripts")).items():
        arguments = table_of(value).get("args", [])
        if name.lower() not in known.scripts:
            yield _no_script("alwayson_scripts", name, known)
        elif not isinstance(value, dict) or not isinstance(arguments, list):
            message = f'alwayson_scripts {short(name)!r} is not {{"args": [...]}}: its arguments are not taken'
            fix = 'Write it as {"args": [...]}, in the order of GET /sdapi/v1/script-info.'
            yield remark("script-arguments", Severity.FAILURE, name, message, fix)


def _no_script(field: str, name: str, known: Knowledge) -> Finding:
    maybe = "" if known.live else ", unless an extension brings it"
    return remark(
        "script-unknown",
        Severity.FAILURE if known.live else Severity.WARNING,
        name,
        f"{field} names {short(name)!r}, which Forge does not have{maybe}: it refuses the request with 422"
        f"{did_you_mean(name, known.scripts)}",
        "Use a name of GET /sdapi/v1/scripts, or install the extension.",
    )


def _hires(values: Mapping[str, object], known: Knowledge) -> Iterator[Finding]:
    """The second pass asks whether a text is in `hr_additional_modules`, also when that is null."""
    modules = values.get("hr_additional_modules")
    if not values.get("enable_hr") or isinstance(modules, list) or not known.has_option("forge_additional_modules"):
        return
    yield remark(
        "hires-modules-missing",
        Severity.FAILURE,
        "hr_additional_modules",
        "enable_hr without hr_additional_modules: after the whole first pass the job ends in 500"
        " \"argument of type 'NoneType' is not iterable\"",
        f'Add "hr_additional_modules": ["{SAME}"].',
    )


def _override(values: Mapping[str, object], known: Knowledge) -> Iterator[Finding]:
    override = table_of(values.get("override_settings"))
    yield from settings(override, known, override=True)
    if values.get("override_settings_restore_afterwards") is False and override:
        yield remark(
            "override-stays",
            Severity.WARNING,
            "override_settings_restore_afterwards",
            "the overridden options stay after the job, for every other client and the web page too, until Forge"
            " restarts (they are not saved)",
            "Leave it true, or set the options on purpose by POST /sdapi/v1/options.",
        )
    costly = [name for name in MEMORY if name in override and known.has_option(name)]
    if costly:
        yield remark(
            "override-unloads",
            Severity.WARNING,
            costly[0],
            f"{', '.join(costly)} in override_settings is set before the job and back after it, and each time Forge"
            " unloads every model: each such job pays two loads, and jobs of other clients too",
            "Set it once: `forgediag options set`, or POST /sdapi/v1/options.",
        )
    if moved := _moved(override, known):
        yield remark(
            "override-reloads",
            Severity.WARNING,
            moved[0],
            f"{' and '.join(moved)} differ from what is selected: Forge loads other files for this job, the old ones"
            " again at the next job without the override; if they do not load, later jobs of any client fail too",
            "Select them once by POST /sdapi/v1/options when most jobs use them.",
        )


def _moved(override: Mapping[str, object], known: Knowledge) -> list[str]:
    """Which of checkpoint and modules are other files than those selected; none where that is not known."""
    if known.selected is None or known.listing is None:
        return []
    moved: list[str] = []
    wanted = override.get("sd_model_checkpoint")
    found = checkpoint_of(known.listing, wanted) if isinstance(wanted, str) else None
    if found is not None and found != checkpoint_of(known.listing, known.selected.checkpoint or ""):
        moved.append("sd_model_checkpoint")
    modules = override.get("forge_additional_modules")
    names = {base_name(str(item)) for item in rows_of(modules)}
    if isinstance(modules, list) and names != {base_name(item) for item in known.selected.modules}:
        moved.append("forge_additional_modules")
    return moved
