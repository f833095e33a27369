"""Where a file has a VAE, and of how many latent channels."""

from __future__ import annotations

from dataclasses import dataclass

from forgediag.model import Header

PREFIXES = ("", "first_stage_model.", "vae.")
"""Where a VAE's tensors can lie: alone in a file, in a checkpoint of SD1 to SD3, in one of Flux."""


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
