"""Why Forge answers what it answers, in a sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forgediag.forge.families import Base, Detection
from forgediag.forge.loading.build import ENOUGH, TEXT_ENCODERS, Built
from forgediag.forge.loading.fates import SPOKEN, fates
from forgediag.forge.loading.file import File
from forgediag.forge.loading.split import Parts, group_of
from forgediag.forge.selection import base_name
from forgediag.model import Fault, LoadError, LoadPhase, Prediction


@dataclass(frozen=True, slots=True)
class Case:
    """A load as it was played through."""

    checkpoint: str
    modules: tuple[File, ...]
    found: Detection = field(default=Detection("unknown", None, bare=False, latent_channels=None))
    phase: LoadPhase = "read"
    error: LoadError | None = None
    printed: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    subject: str = ""
    fault: Fault | None = None
    built: tuple[Built, ...] = ()
    parts: Parts | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Which file, why, and the way out."""

    subject: str
    cause: str
    fix: tuple[str, ...]


def explained(case: Case) -> Prediction:
    """The prediction with its reason, the fate of every module, and what loads though it should not."""
    uses = fates(case.modules, case.found.base, case.parts, case.subject if case.parts is None else "")
    gaps = tuple(_gap(case, built) for built in case.built if built.missing or built.mute or built.unfit)
    reason = _reason(case) if case.error else Reason("", "", ())
    return Prediction(
        checkpoint=case.checkpoint,
        family=case.found.family,
        phase=case.phase,
        error=case.error,
        printed=case.printed,
        subject=reason.subject,
        cause=reason.cause,
        fix=reason.fix,
        renamed=case.renamed,
        modules=uses,
        gaps=(*gaps, *(f"{base_name(use.path)}: {use.why}" for use in uses if use.fate != "used" and use.why)),
    )


def _reason(case: Case) -> Reason:
    name = base_name(case.subject or case.checkpoint)
    if case.fault is not None:
        return Reason(case.subject, f"{name}: {case.fault.message}", case.fault.fix)
    if case.phase == "recognise":
        return _unrecognised(case, name)
    last = case.built[-1]
    if case.error is not None and case.error.type != "AssertionError" and last.phase == "unet":
        return _unfit(case)
    if case.error is not None and case.error.type == "RuntimeError":
        return _mismatch(case, last)
    return _absent(case, last)


def _unfit(case: Case) -> Reason:
    """A UNet that Forge takes for one of its family and cannot build or fill."""
    name, family = base_name(case.checkpoint), case.found.family
    fix = ("Download the file again, or use another release of the model.",)
    if case.error is not None and case.error.type == "RuntimeError":
        return Reason(case.checkpoint, f"the UNet in {name} has layers of other sizes than one of {family}", fix)
    return Reason(case.checkpoint, f"the UNet in {name} is not whole: {family} has more layers than it holds", fix)


def _unrecognised(case: Case, name: str) -> Reason:
    if case.found.base is not None and case.subject == case.checkpoint:
        cause = f"{name} lacks a tensor that Forge looks up to tell what kind of {case.found.base} it is"
        return Reason(case.subject, cause, ("Download the file again, or use another release of the model.",))
    if case.subject != case.checkpoint:
        cause = f"{name} lacks a tensor that Forge renames for a {case.found.family} checkpoint"
        return Reason(case.subject, cause, ("Use another release of this text encoder, or unselect it.",))
    family = case.found.family
    if family == "unknown":
        way = "Select a checkpoint of a family Forge knows: SD1, SD2, SDXL, SD3, Flux or Chroma."
        return Reason(case.subject, f"{name} holds no UNet of a family Forge knows", (way,))
    place = _PLACES.get(family)
    if place is None:
        fix = ("Use a fork that can load this family.", "Or select another checkpoint.")
        return Reason(case.subject, f"{name} is a model of the kind {family}, for which this Forge has no engine", fix)
    return Reason(case.subject, f"{name} is no checkpoint but a file of the kind {family}", (place,))


_PLACES: Mapping[str, str] = {
    "lora": "Move it to models/Lora and use it in the prompt: <lora:NAME:1>.",
    "vae": "Move it to models/VAE and select it as VAE beside a checkpoint.",
    "t5": "Move it to models/text_encoder and select it beside a Flux, SD3 or Chroma checkpoint.",
    "clip_l": "Move it to models/text_encoder and select it beside a checkpoint that has none.",
    "clip_g": "Move it to models/text_encoder and select it beside a checkpoint that has none.",
    "clip_h": "Move it to models/text_encoder and select it beside a checkpoint that has none.",
    "controlnet": "Move it to models/ControlNet.",
    "embedding": "Move it to embeddings.",
    "upscaler": "Move it to models/ESRGAN (or the folder of its kind).",
    "taesd": "Move it to models/VAE-approx.",
    "ip-adapter": "Move it to models/ControlNet.",
    "motion-module": "Move it to the folder of the extension it is for.",
    "clip-vision": "Move it to models/ControlNetPreprocessor.",
    "diffusers-unet": "Get the single-file release: Forge cannot load a UNet in diffusers' layout.",
    "diffusers-transformer": "Get the single-file release: Forge cannot load a transformer in diffusers' layout.",
}
"""Where a file belongs that is no checkpoint, by what it looks like."""


def _mismatch(case: Case, built: Built) -> Reason:
    source = giver(case, "VAE" if built.phase == "vae" else built.encoder)
    name, family = base_name(source), case.found.family
    if built.phase == "vae":
        needed = case.found.latent_channels
        if "conv_in.weight: copying a param with shape torch.Size([512, " in _text(case):
            had = _text(case).split("decoder.conv_in.weight: copying a param with shape torch.Size([512, ", 1)[1]
            cause = f"the VAE in {name} has {had.split(',')[0]} latent channels, {family} needs {needed}"
        else:
            cause = f"the VAE in {name} is built differently from the one {family} needs"
        return Reason(source, cause, _vae_fix(case, source))
    cause = f"the text encoder {name} has other sizes than the {_NAMES[built.encoder]} that {family} needs"
    return Reason(source, cause, (f"Select a {_NAMES[built.encoder]} made for {family}.",))


def _text(case: Case) -> str:
    return case.error.message if case.error else ""


def _vae_fix(case: Case, source: str) -> tuple[str, ...]:
    if source == case.checkpoint:
        return ("Select a VAE made for this family.",)
    right = "ae.safetensors" if case.found.base in {"flux-dev", "flux-schnell", "chroma"} else "a VAE of this family"
    return (
        'Unselect it: POST {"forge_additional_modules": []} to /sdapi/v1/options, or clear it in the web page.',
        f"Or select {right} instead.",
    )


def giver(case: Case, part: str) -> str:
    """The file a part comes from: the last module that gave it, else the checkpoint."""
    taken = case.parts.taken if case.parts else ()
    for file, parts in zip(reversed(case.modules[: len(taken)]), reversed(taken), strict=True):
        if part in parts:
            return file.path
    return case.checkpoint


_NAMES = {
    "clip_l": "CLIP-L (clip_l.safetensors)",
    "clip_g": "CLIP-G (clip_g.safetensors)",
    "clip_h": "OpenCLIP-H",
    "t5xxl": "T5-XXL (t5xxl_fp16.safetensors or t5xxl_fp8_e4m3fn.safetensors)",
}


def _absent(case: Case, built: Built) -> Reason:
    name, family = base_name(case.checkpoint), case.found.family
    if built.phase == "unet":
        return Reason(case.checkpoint, f"{name} holds only a fragment of a UNet", ("Download the file again.",))
    lacking = absent_parts(case)
    needed = [_vae_name(case.found.base) if part == "VAE" else _NAMES[part] for part in lacking]
    cause = f"{name} ({family}) brings no {_spoken(built)}, and no module selected gives one"
    fix = (*(f"Select {part} beside it." for part in needed), "Or use a checkpoint file that holds all its parts.")
    return Reason(case.checkpoint, cause, fix)


def _spoken(built: Built) -> str:
    return SPOKEN["VAE" if built.phase == "vae" else built.encoder]


def _vae_name(base: Base | None) -> str:
    return "the VAE ae.safetensors" if base in {"flux-dev", "flux-schnell", "chroma"} else "a VAE of this family"


def absent_parts(case: Case) -> list[str]:
    """Every part the files lack, not only the one Forge stops at."""
    base, parts = case.found.base, case.parts
    assert base is not None  # noqa: S101 - a part is built of a known family only
    assert parts is not None  # noqa: S101 - and of files that were split
    names = {"text_encoder_2": "t5xxl"} if base == "chroma" else TEXT_ENCODERS[group_of(base)]
    absent = [encoder for component, encoder in names.items() if len(parts.dicts.get(component, {})) <= ENOUGH]
    return absent + ["VAE"] * (len(parts.dicts["vae"]) <= ENOUGH)


def _gap(case: Case, built: Built) -> str:
    source = base_name(giver(case, "VAE" if built.phase == "vae" else built.encoder))
    what = "UNet" if built.phase == "unet" else _spoken(built)
    if built.mute:
        return f"{source}: {built.mute} weights of the {what} are missing: Forge loads it, and fails when it is used"
    if built.unfit:
        return (
            f"{source}: {built.unfit} weights of the {what} have other sizes: Forge loads it, and fails when it is used"
        )
    return f"{source}: {built.missing} tensors of the {what} are missing: Forge fills them with leftover memory"
