"""The tensors of Forge's autoencoder."""

from __future__ import annotations

import math

import pytest

from forgediag.forge.autoencoder.expected import CONFIGS, Config, tensors
from forgediag.testing import architectures


@pytest.mark.parametrize(
    ("config", "count", "parameters"),
    [(CONFIGS["sdxl"], 248, 83_653_863), (CONFIGS["chroma"], 244, 83_819_683)],
)
def test_names_and_sizes_are_those_of_forges_class(config: Config, count: int, parameters: int) -> None:
    found = tensors(config)
    assert (len(found), sum(math.prod(shape) for shape in found.values())) == (count, parameters)
    assert found == architectures.vae(config.latent_channels)


def test_an_upscalers_autoencoder_has_three_levels() -> None:
    assert len(tensors(Config(4, block_out_channels=(128, 256, 512)))) == 204
