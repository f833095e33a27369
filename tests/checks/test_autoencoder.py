"""A VAE that does not fit, and one that Forge ignores."""

from __future__ import annotations

import pytest

from forgediag.model import Files, ModelFile, Severity
from forgediag.testing.facts import model_file, options, problems, vae_file
from forgediag_checks.autoencoder import vae_latent_channels

FLUX = model_file(family="flux-dev", channels=16, vae_prefix=None)
OTHER = "/forge/models/VAE/other.safetensors"


@pytest.mark.parametrize(("checkpoint", "channels"), [(model_file(), 16), (FLUX, 4)])
def test_a_vae_of_the_other_kind_is_a_failure_with_forges_error(checkpoint: ModelFile, channels: int) -> None:
    (problem,) = problems(vae_latent_channels, Files((checkpoint, vae_file(channels))))
    assert problem.severity is None
    assert problem.evidence["vae_latent_channels"] == channels
    assert "size mismatch for decoder.conv_in.weight" in problem.evidence["forge_says"]


def test_a_vae_that_fits_is_fine() -> None:
    assert problems(vae_latent_channels, Files((FLUX, vae_file(16)))) == []


def test_a_vae_with_prefixed_tensors_is_ignored_by_flux() -> None:
    (problem,) = problems(vae_latent_channels, Files((FLUX, vae_file(16, "first_stage_model."))))
    assert problem.severity is Severity.WARNING
    assert "ignores" in problem.message


def test_the_last_vae_selected_counts() -> None:
    both = options(forge_additional_modules=[OTHER, "/elsewhere/sdxl_vae.safetensors"])
    files = Files((model_file(), vae_file(4), vae_file(16, path=OTHER)))
    assert problems(vae_latent_channels, both, files) == []


def test_without_a_checkpoint_that_is_known_nothing_is_said() -> None:
    unknown = model_file(family="unknown", channels=None)
    assert problems(vae_latent_channels, Files((unknown, vae_file(16)))) == []


def test_a_vae_selected_as_the_checkpoint_is_not_judged_here() -> None:
    assert problems(vae_latent_channels, Files((vae_file(16),))) == []
