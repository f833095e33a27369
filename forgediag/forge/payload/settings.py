"""Options in a payload, sent by themselves or as `override_settings`: what Forge really does with them.

Seen on a Forge dfdcbab over its API, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forgediag.forge.payload.fields import OPTIONS
from forgediag.forge.payload.known import MEMORY, Knowledge
from forgediag.forge.payload.memory import memory_value
from forgediag.forge.payload.words import NAMES, did_you_mean, fits, kind_of, meant, remark, rows_of, short
from forgediag.forge.selection import base_name, checkpoint_of, module_of
from forgediag.model import Finding, Listing, Severity

STORAGE = frozenset(
    f"{dtype}{lora}"
    for dtype in ("Automatic", "bnb-nf4", "float8-e4m3fn", "bnb-fp4", "float8-e5m2")
    for lora in ("", " (fp16 LoRA)")
)
"""Values of forge_unet_storage_dtype (Forge dfdcbab, modules_forge/main_entry.py)."""

CHOICES: Mapping[str, tuple[frozenset[str], str]] = {
    "forge_unet_storage_dtype": (STORAGE, "Automatic"),
    "forge_async_loading": (frozenset({"Queue", "Async"}), "Queue"),
    "forge_pin_shared_memory": (frozenset({"CPU", "Shared"}), "CPU"),
}
"""Options whose other values Forge stores and shows, and what it then really does."""


def settings(values: Mapping[str, object], known: Knowledge, *, override: bool) -> Iterator[Finding]:
    """Findings about options.

    Args:
        values: options by name.
        known: the Forge they are meant for.
        override: whether they are sent in `override_settings`, for one job.
    """
    for name, value in values.items():
        if not known.has_option(name):
            yield _unknown(name, values, known, override=override)
        elif name == "sd_model_checkpoint":
            yield from _checkpoint(value, known, override=override)
        elif name == "forge_additional_modules":
            yield from _modules(value, known, override=override)
        elif name == "forge_inference_memory":
            yield from memory_value(value, known.total_mb)
        elif name in CHOICES:
            yield from _choice(name, value)
        elif not fits(value, OPTIONS.get(name, "any")):
            yield _wrong_type(name, value, override=override)
    if "sd_vae" in values and known.has_option("forge_additional_modules"):
        yield remark(
            "option-without-effect",
            Severity.WARNING,
            "sd_vae",
            "sd_vae has no effect in Forge: it selects VAE and text encoders in forge_additional_modules",
            'Send "forge_additional_modules": ["FILE"] instead.',
        )
    yield from _left_over(values, known)


def _unknown(name: str, values: Mapping[str, object], known: Knowledge, *, override: bool) -> Finding:
    names = known.options if known.options is not None else [key for key in OPTIONS if known.has_option(key)]
    if name in OPTIONS and known.options is None:
        message = f"{known.fork} has no option {name}: the request ends in 500 KeyError"
    else:
        message = f"there is no option {short(name)}: the request ends in 500 KeyError{did_you_mean(name, names)}"
    earlier = list(values)[: list(values).index(name)]
    applied = [key for key in earlier if key not in MEMORY]
    if applied and not override:
        message += (
            f". What stands before it ({', '.join(map(short, applied[:3]))}) is applied all the same, but not saved"
        )
    other = meant(name, names)
    fix = (f"Rename it to {other}.",) if other else ("Leave it out.",)
    if name == "forge_inference_memory" and known.fork == "neo":
        fix = ("Leave it out; Forge Neo keeps memory free by its start flag --reserve-vram GIB.",)
    return remark("option-unknown", Severity.FAILURE, name, message, *fix)


def _wrong_type(name: str, value: object, *, override: bool) -> Finding:
    message = f"{name} is {kind_of(value)}; Forge takes it with 200"
    if override:
        message += ", and while the job runs every GET /sdapi/v1/options of any client is 500"
    else:
        message += " and saves it, and from then on every GET /sdapi/v1/options of any client is 500, restarts included"
    return remark("option-type", Severity.FAILURE, name, message, f"Send {NAMES[OPTIONS[name]]}.")


def _choice(name: str, value: object) -> Iterator[Finding]:
    allowed, instead = CHOICES[name]
    if value is None or (isinstance(value, str) and value in allowed):
        return
    yield remark(
        "option-value",
        Severity.WARNING,
        name,
        f"{name} {short(value)!r} is no value of it: Forge shows it in its options but works as with {instead!r}"
        f"{did_you_mean(short(value), allowed)}",
        f"Use one of: {', '.join(sorted(allowed))}.",
    )


def _checkpoint(value: object, known: Knowledge, *, override: bool) -> Iterator[Finding]:
    name = "sd_model_checkpoint"
    if value is None:
        if not override:
            message = "sd_model_checkpoint null: Forge selects the first checkpoint of its list, whichever that is"
            yield remark("model-unknown", Severity.WARNING, name, message, "Name the checkpoint.")
        return
    if not isinstance(value, str):
        yield remark(
            "option-type", Severity.FAILURE, name, f"sd_model_checkpoint is {kind_of(value)}: 500", "Send text."
        )
        return
    problem = _not_found(value, known.listing)
    if problem is None:
        return
    names = [item.title for item in known.listing.checkpoints] if known.listing else []
    end = "quietly uses the model selected now" if override else "answers 500 \"model '…' not found\""
    yield remark(
        "model-unknown",
        Severity.FAILURE,
        name,
        f"sd_model_checkpoint {short(value)!r} {problem}: Forge {end}{did_you_mean(base_name(value), names)}",
        "Use a title or name of GET /sdapi/v1/sd-models; upper and lower case count.",
        "For a file added just now: POST /sdapi/v1/refresh-checkpoints first.",
    )


def _not_found(value: str, listing: Listing | None) -> str | None:
    """Why Forge will not find a checkpoint, or None."""
    found = None if listing is None else checkpoint_of(listing, value)
    if value.startswith(("/", "\\")) or value[1:2] == ":":
        return "is a path, and Forge knows checkpoints by name"
    if listing is None:
        return None if value else "is empty"
    return None if found is not None else "is not in Forge's list"


def _modules(value: object, known: Knowledge, *, override: bool) -> Iterator[Finding]:
    name, rows = "forge_additional_modules", rows_of(value)
    if not isinstance(value, list):
        end = "500 TypeError" if not isinstance(value, str) else "it is read letter by letter and clears the selection"
        message = f"forge_additional_modules is {kind_of(value)}, not a list: {end}"
        yield remark("option-type", Severity.FAILURE, name, message, 'Send a list: ["ae.safetensors"], or [] for none.')
        return
    for item in rows:
        yield from _module(item, known, override=override)


def _module(item: object, known: Knowledge, *, override: bool) -> Iterator[Finding]:
    if not isinstance(item, str):
        message = f"an entry of forge_additional_modules is {kind_of(item)}: 500 TypeError"
        yield remark("option-type", Severity.FAILURE, "forge_additional_modules", message, "Send names of files.")
    elif known.listing is None:
        if "\\" in item:
            message = f"{short(item)!r} is a Windows path; a Forge on Linux drops it without a word"
            yield remark("module-unknown", Severity.WARNING, base_name(item), message, "Send the file's name alone.")
    elif module_of(known.listing, item) is None:
        names = [base_name(module.path) for module in known.listing.modules]
        whose = "for this job" if override else "and clears what was selected before"
        yield remark(
            "module-unknown",
            Severity.FAILURE,
            base_name(item),
            f"Forge lists no module {short(base_name(item))!r}: it answers 200, drops the name without a word"
            f" {whose}{did_you_mean(base_name(item), names)}",
            "Use a file name of GET /sdapi/v1/sd-modules, with its ending.",
            "A module added while Forge runs is listed only after a restart or Refresh in the web page.",
        )


def _left_over(values: Mapping[str, object], known: Knowledge) -> Iterator[Finding]:
    """A checkpoint alone keeps the modules of whoever set them last."""
    if "sd_model_checkpoint" not in values or "forge_additional_modules" in values:
        return
    kept = None if known.selected is None else known.selected.modules
    if not known.has_option("forge_additional_modules") or kept == ():
        return
    which = f"those selected now stay ({', '.join(map(base_name, kept))})" if kept else "those of an earlier job stay"
    yield remark(
        "modules-left-over",
        Severity.WARNING,
        "forge_additional_modules",
        f"the checkpoint is named but its modules are not: {which}, and a VAE or text encoder of another family ends"
        " the job in 500",
        'Send "forge_additional_modules" too: [] for a checkpoint that brings its own VAE and text encoder.',
    )
