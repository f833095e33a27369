"""Building the parts of a model from their state dicts, in Forge's order, up to the first that fails."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from forgediag.forge.autoencoder import convert
from forgediag.forge.autoencoder.expected import CONFIGS
from forgediag.forge.autoencoder.expected import network as autoencoder
from forgediag.forge.families import Base
from forgediag.forge.loading.networks import CLIPS, clip, t5
from forgediag.forge.loading.split import Parts, group_of
from forgediag.forge.loading.unet import Unet
from forgediag.forge.state_dict import Loaded, StateDict, load
from forgediag.model import LoadError, LoadPhase

ENOUGH = 16
"""A state dict of at most so many tensors counts as none (Forge dfdcbab, backend/loader.py)."""

PROJECTION = "transformer.text_projection.weight"
"""Only CLIP-G's is used, by SDXL, its refiner and SD3 (Forge dfdcbab, backend/text_processing/classic_engine.py)."""

_NOT_PRINTED = frozenset(
    {
        "logit_scale",
        PROJECTION,
        "transformer.text_model.embeddings.position_ids",
        "transformer.encoder.embed_tokens.weight",
    }
)

TEXT_ENCODERS: Mapping[str, Mapping[str, str]] = {
    "sd15": {"text_encoder": "clip_l"},
    "sd2": {"text_encoder": "clip_h"},
    "sdxl": {"text_encoder": "clip_l", "text_encoder_2": "clip_g"},
    "sdxl-refiner": {"text_encoder": "clip_g"},
    "sd3": {"text_encoder": "clip_l", "text_encoder_2": "clip_g", "text_encoder_3": "t5xxl"},
    "flux": {"text_encoder": "clip_l", "text_encoder_2": "t5xxl"},
}
"""The encoder in each component of a family (Forge dfdcbab, backend/huggingface/*/model_index.json)."""

_PROJECTED = {("sdxl", "text_encoder_2"), ("sdxl-refiner", "text_encoder"), ("sd3", "text_encoder")} | {
    ("sd3", "text_encoder_2")
}


@dataclass(frozen=True, slots=True)
class Built:
    """How building one part went: what it printed and raised, and what it lacks without a word."""

    component: str
    encoder: str
    phase: LoadPhase
    printed: tuple[str, ...] = ()
    error: LoadError | None = None
    missing: int = 0
    mute: int = 0
    unfit: int = 0


def build(base: Base, parts: Parts, unet: Unet) -> Iterator[Built]:
    """Each part as Forge builds it; the last one is the one that fails, if any does."""
    dicts = dict(parts.dicts)
    if base == "chroma":
        if "text_encoder_2" not in dicts:
            yield Built("text_encoder", "t5xxl", "text_encoder", error=LoadError("KeyError", "'text_encoder_2'"))
            return
        encoders: Mapping[str, str] = {"text_encoder": "t5xxl"}
        dicts["text_encoder"] = dicts.pop("text_encoder_2")
    else:
        encoders = TEXT_ENCODERS[group_of(base)]
    for component in sorted({*encoders, *dicts.keys() - {"vae"}} | {"vae"}):
        found = dicts.get(component, {})
        built = _part(base, component, encoders.get(component, ""), found, unet)
        yield built
        if built.error is not None:
            return


def given(base: Base, parts: Parts, taken: Collection[str]) -> Iterator[Built]:
    """Only the parts that modules gave ("VAE", "clip_l", ...), in Forge's order, up to the first that fails."""
    names = {"text_encoder_2": "t5xxl"} if base == "chroma" else TEXT_ENCODERS[group_of(base)]
    wanted = {component: encoder for component, encoder in names.items() if encoder in taken}
    vae = ["vae"] if "VAE" in taken else []
    for component in (*sorted(wanted), *vae):
        tensors = parts.dicts.get(component, {})
        encoder = wanted.get(component, "")
        built = _text_encoder(base, component, encoder, tensors) if encoder else _vae(base, tensors)
        yield built
        if built.error is not None:
            return


def _part(base: Base, component: str, encoder: str, tensors: StateDict, unet: Unet) -> Built:
    if component == "vae":
        return _vae(base, tensors)
    if encoder:
        return _text_encoder(base, component, encoder, tensors)
    if len(tensors) <= ENOUGH:
        return Built(component, "", "unet", error=_absent("model"))
    if isinstance(unet.network, LoadError):
        return Built(component, "", "unet", error=unet.network)
    return _built(component, "", "unet", load(unet.network, tensors), (unet.name, unet.name))


def _absent(kind: str) -> LoadError:
    return LoadError("AssertionError", f"You do not have {kind} state dict!")


def _vae(base: Base, tensors: StateDict) -> Built:
    if len(tensors) <= ENOUGH:
        return Built("vae", "", "vae", error=_absent("VAE"))
    if convert.MARK in tensors:
        tensors = convert.to_ldm(tensors)
    loaded = load(autoencoder(CONFIGS[base]), tensors)
    for names in (loaded.missing, loaded.unexpected):
        names[:] = [name for name in names if not name.startswith("loss.")]
    return _built("vae", "", "vae", loaded, ("IntegratedAutoencoderKL", "IntegratedAutoencoderKL"))


def _text_encoder(base: Base, component: str, encoder: str, tensors: StateDict) -> Built:
    if len(tensors) <= ENOUGH:
        absent = _absent("T5" if encoder == "t5xxl" else "CLIP")
        return Built(component, encoder, "text_encoder", error=absent)
    loaded = load(t5() if encoder == "t5xxl" else clip(*CLIPS[encoder]), tensors)
    for names in (loaded.missing, loaded.unexpected):
        names[:] = [name for name in names if name not in _NOT_PRINTED]
    if encoder != "clip_g":
        loaded.mute = [name for name in loaded.mute if name != PROJECTION]
    if encoder == "t5xxl":
        titles = ("T5EncoderModel", "IntegratedT5")
    else:
        projected = (group_of(base), component) in _PROJECTED
        titles = ("CLIPTextModelWithProjection" if projected else "CLIPTextModel", "IntegratedCLIP")
    return _built(component, encoder, "text_encoder", loaded, titles)


def _built(component: str, encoder: str, phase: LoadPhase, loaded: Loaded, titles: tuple[str, str]) -> Built:
    """What comes of a load; `titles` are the name its lines begin with and the name in its error."""
    if (message := loaded.error(titles[1])) is not None:
        return Built(component, encoder, phase, error=LoadError("RuntimeError", message))
    told = (("Missing", loaded.missing), ("Unexpected", loaded.unexpected))
    printed = tuple(f"{titles[0]} {word}: {names}" for word, names in told if names)
    missing, mute, unfit = map(len, (loaded.missing, loaded.mute, loaded.unfit))
    return Built(component, encoder, phase, printed, missing=missing, mute=mute, unfit=unfit)
