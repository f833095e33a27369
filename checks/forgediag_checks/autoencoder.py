"""Does the selected VAE fit the checkpoint?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.autoencoder import Vae, fate, size_mismatch
from forgediag.forge.selection import base_name
from forgediag.model import Files, ModelFile, Options, Severity


@check(
    "vae-latent-channels",
    title="The VAE fits the checkpoint",
    why=(
        "SD1, SD2 and SDXL work in 4 latent channels, SD3, Flux and Chroma in 16. Forge keeps the selected VAE when the"
        " checkpoint changes, and a VAE of the other kind ends every generation in an error."
    ),
    severity=Severity.FAILURE,
    fix=(
        'Unselect it: POST {"forge_additional_modules": []} to /sdapi/v1/options, or clear it in the web page.',
        "Checkpoints of SD1 to SDXL bring their own VAE and need none selected.",
        "Flux and Chroma need ae.safetensors, SD3 its own 16-channel VAE.",
    ),
)
def vae_latent_channels(options: Options, files: Files) -> Iterator[Problem]:
    """The last VAE selected counts: each one replaces the one before (Forge dfdcbab, backend/loader.py)."""
    checkpoint = next((file for file in files.selected if file.role == "checkpoint"), None)
    vaes = _vaes(options, files)
    if checkpoint is None or checkpoint.latent_channels is None or not checkpoint.component_bytes or not vaes:
        return
    needed = checkpoint.latent_channels
    judged = [(file, vae, fate(vae, checkpoint.family, needed)) for file, vae in vaes]
    for file, vae, becomes in judged:
        if becomes == "ignored":
            yield _ignored(file, vae, checkpoint)
    plain = [(file, vae, becomes) for file, vae, becomes in judged if vae.prefix == ""]
    if plain and plain[-1][2] == "size-mismatch":
        file, vae, _ = plain[-1]
        yield Problem(
            subject=base_name(file.path),
            message=(
                f"the selected VAE {base_name(file.path)} has {vae.latent_channels} latent channels, but"
                f" {base_name(checkpoint.path)} ({checkpoint.family}) needs {needed}: every generation ends in"
                " 'Error(s) in loading state_dict for IntegratedAutoencoderKL: size mismatch …'"
            ),
            evidence={
                "vae_latent_channels": vae.latent_channels,
                "needed": needed,
                "family": checkpoint.family,
                "forge_says": size_mismatch(vae.latent_channels, needed),
            },
        )


def _vaes(options: Options, files: Files) -> list[tuple[ModelFile, Vae]]:
    """The selected VAE files in the order of the option. A whole checkpoint as a module is none."""
    modules = {base_name(file.path): file for file in files.selected if file.role == "module"}
    chosen = (modules.get(base_name(name)) for name in options.modules)
    return [
        (file, Vae(file.vae_prefix, file.latent_channels))
        for file in chosen
        if file is not None and file.vae_prefix is not None and file.latent_channels is not None
    ]


def _ignored(file: ModelFile, vae: Vae, checkpoint: ModelFile) -> Problem:
    return Problem(
        subject=base_name(file.path),
        message=(
            f"Forge ignores the selected VAE {base_name(file.path)} without a word, because its tensors are named"
            f" {vae.prefix}…: {base_name(checkpoint.path)} keeps its own VAE, if it has one"
        ),
        evidence={"prefix": vae.prefix, "latent_channels": vae.latent_channels, "family": checkpoint.family},
        severity=Severity.WARNING,
        fix=("Select a VAE file made for Forge or ComfyUI, whose tensors are named decoder.conv_in.weight and so on.",),
    )
