"""Which VAE is in a file, and what Forge does with it."""

from __future__ import annotations

import pytest

from forgediag.forge.autoencoder import Fate, Vae, fate, find, latent_channels, size_mismatch
from forgediag.formats.safetensors import read
from forgediag.model import Header, Tensor
from forgediag.testing.files import Sparse, safetensors_header, vae_shapes


def header(channels: int, prefix: str = "") -> Header:
    found = read(Sparse(*safetensors_header(vae_shapes(channels, prefix))))
    assert isinstance(found, Header)
    return found


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
def test_a_vae_is_found_under_every_prefix(prefix: str) -> None:
    assert find(header(16, prefix)) == Vae(prefix, 16)


def test_a_file_without_a_vae_has_no_latent_channels() -> None:
    assert latent_channels(Header("safetensors", {"decoder.layers.0.weight": Tensor("F16", (4,), 8)})) is None


def test_a_video_vae_is_no_vae_forge_knows() -> None:
    five = Header("safetensors", {"decoder.conv_in.weight": Tensor("F16", (512, 16, 3, 3, 3), 1)})
    assert latent_channels(five) is None


def test_latent_channels_are_those_the_decoder_takes() -> None:
    assert latent_channels(header(4)) == 4


@pytest.mark.parametrize(
    ("vae", "family", "needed", "expected"),
    [
        (Vae("", 4), "sdxl", 4, "used"),
        (Vae("", 16), "sdxl", 4, "size-mismatch"),
        (Vae("", 4), "flux-dev", 16, "size-mismatch"),
        (Vae("first_stage_model.", 4), "sd15", 4, "used"),
        (Vae("first_stage_model.", 16), "sd3", 16, "used"),
        (Vae("first_stage_model.", 16), "sd15", 4, "ignored"),
        (Vae("first_stage_model.", 16), "flux-dev", 16, "ignored"),
        (Vae("vae.", 16), "flux-schnell", 16, "ignored"),
    ],
)
def test_what_becomes_of_a_selected_vae(vae: Vae, family: str, needed: int, expected: Fate) -> None:
    assert fate(vae, family, needed) == expected


def test_the_error_is_the_one_a_real_forge_answered() -> None:
    assert size_mismatch(16, 4) == (
        "Error(s) in loading state_dict for IntegratedAutoencoderKL:\n"
        "\tsize mismatch for encoder.conv_out.weight: copying a param with shape torch.Size([32, 512, 3, 3]) from"
        " checkpoint, the shape in current model is torch.Size([8, 512, 3, 3]).\n"
        "\tsize mismatch for encoder.conv_out.bias: copying a param with shape torch.Size([32]) from checkpoint,"
        " the shape in current model is torch.Size([8]).\n"
        "\tsize mismatch for decoder.conv_in.weight: copying a param with shape torch.Size([512, 16, 3, 3]) from"
        " checkpoint, the shape in current model is torch.Size([512, 4, 3, 3])."
    )
