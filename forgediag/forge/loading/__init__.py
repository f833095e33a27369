"""Forge's load of a checkpoint with its additional modules, played through by names and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from forgediag.forge.families import Base, detect
from forgediag.forge.loading.build import Built, build
from forgediag.forge.loading.file import File
from forgediag.forge.loading.overlay import MaskedError, Overlay
from forgediag.forge.loading.play import UNRECOGNISED, masked, ordered, refused
from forgediag.forge.loading.reasons import Case, explained
from forgediag.forge.loading.split import Parts, parted, prefixed, start
from forgediag.forge.loading.unet import Unet, expected, lookup_failed
from forgediag.model import Fault, Gap, Header, LoadError, Prediction

__all__ = ["UNRECOGNISED", "File", "predict"]

NO_ENGINE = "join() argument must be str, bytes, or os.PathLike object, not 'NoneType'"
"""The message of the TypeError for a family huggingface_guess knows and Forge has no folder for."""

NO_UNET = "AttributeError: 'NoneType' object has no attribute 'unet_key_prefix'"
"""The first exception for a file in which no UNet is found."""

KNOWN_WITHOUT_ENGINE = frozenset(
    {"stable-cascade", "auraflow", "hunyuan-dit", "stable-video-diffusion", "stable-zero123"}
)


def predict(checkpoint: File, modules: Sequence[File] = (), *, by_name: bool = True) -> Prediction | Gap:
    """What Forge will do with these files, in this order.

    Args:
        checkpoint: the checkpoint.
        modules: the additional modules, as Forge's option lists them.
        by_name: safetensors hands tensors out sorted by name (0.4.2, which Forge pins) or as they lie in the
            file (0.8.0); the order shows in the console only.

    Returns:
        The prediction, or a gap where a header holds no names: a pickle that was not opened.
    """
    for file in (checkpoint, *modules):
        if isinstance(file.found, Header) and file.found.unread is not None:
            return Gap(f"the tensors in {file.path} are not known here: {file.found.unread}", "unsupported")
    case = Case(checkpoint.path, tuple(modules))
    if isinstance(checkpoint.found, Fault):
        return refused(case, checkpoint.path, checkpoint.found)
    found = detect(checkpoint.found)
    case = replace(case, found=found)
    if found.base is None:
        return explained(_no_engine(case, checkpoint.found))
    overlay = start(ordered(checkpoint.found, by_name=by_name), found.base)
    try:
        unet = expected(found.base, overlay.tensors)
    except MaskedError as error:
        return masked(case, error, case.checkpoint)
    return _laid(case, overlay, unet, by_name=by_name)


def _laid(case: Case, overlay: Overlay, unet: Unet, *, by_name: bool) -> Prediction | Gap:
    for file in case.modules:
        if isinstance(file.found, Fault):
            return refused(case, file.path, file.found)
        try:
            overlay.lay(ordered(file.found, by_name=by_name))
        except MaskedError as error:
            return masked(case, error, file.path)
        if overlay.mixed:
            return Gap(f"{file.path} is a checkpoint of another kind: its UNet overwrites the other's", "unsupported")
    return explained(assembled(case, overlay.base, parted(overlay), unet))


def assembled(case: Case, base: Base, parts: Parts, unet: Unet) -> Case:
    """The case after every part was built, or the first failed."""
    built: list[Built] = list(build(base, parts, unet))
    last = built[-1]
    printed = (parts.line, *(line for part in built for line in part.printed))
    phase = last.phase if last.error else "loaded"
    return replace(case, phase=phase, error=last.error, printed=printed, built=tuple(built), parts=parts)


def _no_engine(case: Case, header: Header) -> Case:
    cause = lookup_failed(prefixed(header.tensors)) or NO_UNET
    error = LoadError("ValueError", UNRECOGNISED, cause)
    if case.found.family in KNOWN_WITHOUT_ENGINE:
        broken = any(isinstance(file.found, Fault) for file in case.modules)
        error = LoadError("ValueError", UNRECOGNISED) if broken else LoadError("TypeError", NO_ENGINE)
    return replace(case, phase="recognise", error=error, subject=case.checkpoint)
