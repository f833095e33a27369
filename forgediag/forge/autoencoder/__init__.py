"""Which VAE Forge uses, and whether its latent channels fit the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forgediag.model import Header

PREFIXES = ("", "first_stage_model.", "vae.")
"""Where a VAE's tensors can lie: alone in a file, in a checkpoint of SD1 to SD3, in one of Flux."""

Fate = Literal["used", "size-mismatch", "ignored"]


@dataclass(frozen=True, slots=True)
class Vae:
    """A VAE found in a header: the prefix of its tensors and the latent channels its decoder takes."""

    prefix: str
    latent_channels: int


def find(header: Header) -> Vae | None:
    """The VAE in a header, its own file or a checkpoint's; None where there is none Forge would take for one.

    Forge takes a file for a VAE by `decoder.conv_in.weight` (Forge dfdcbab, backend/loader.py, replace_state_dict).
    A TAESD or a video VAE has no such 2-D convolution.
    """
    for prefix in PREFIXES:
        tensor = header.tensors.get(f"{prefix}decoder.conv_in.weight")
        if tensor is not None and len(tensor.shape) == 4:
            return Vae(prefix, tensor.shape[1])
    return None


def latent_channels(header: Header) -> int | None:
    """The latent channels of the VAE in a header, or None where there is none."""
    vae = find(header)
    return None if vae is None else vae.latent_channels


def fate(vae: Vae, family: str, needed: int) -> Fate:
    """What Forge does with a VAE file selected beside a checkpoint of `family`, whose VAE has `needed` channels.

    Tensors without a prefix replace the checkpoint's VAE whatever their shape. Those under `first_stage_model.`
    are merged where the channels fit, never for Flux and Chroma. All others are ignored without a word
    (285 of 285 cases equal to Forge dfdcbab's own loader).
    """
    if vae.prefix == "":
        return "used" if vae.latent_channels == needed else "size-mismatch"
    fits = vae.latent_channels == needed and not family.startswith(("flux", "chroma"))
    return "used" if vae.prefix == "first_stage_model." and fits else "ignored"


def size_mismatch(channels: int, needed: int) -> str:
    """The error Forge answers when a standard VAE of `channels` is loaded where `needed` are.

    Observed on Forge dfdcbab with an SD1.5 checkpoint and a 16-channel VAE; one line for each tensor that differs.
    """
    lines = (
        ("encoder.conv_out.weight", (2 * channels, 512, 3, 3), (2 * needed, 512, 3, 3)),
        ("encoder.conv_out.bias", (2 * channels,), (2 * needed,)),
        ("decoder.conv_in.weight", (512, channels, 3, 3), (512, needed, 3, 3)),
    )
    said = [
        f"size mismatch for {name}: copying a param with shape {_size(here)} from checkpoint, "
        f"the shape in current model is {_size(there)}."
        for name, here, there in lines
    ]
    return "\n\t".join(("Error(s) in loading state_dict for IntegratedAutoencoderKL:", *said))


def _size(shape: tuple[int, ...]) -> str:
    return f"torch.Size([{', '.join(map(str, shape))}])"
