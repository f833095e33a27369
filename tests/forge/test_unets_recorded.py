"""What Forge raises and prints when it builds and fills a UNet, against what its own classes did (tests/recorded)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from forgediag.forge.families import UNET_PREFIX
from forgediag.forge.loading import UNRECOGNISED, File, predict
from forgediag.model import Header, Prediction
from forgediag.testing import loads
from forgediag.testing.headers import plain
from forgediag.testing.unets import unet

ROWS = json.loads((Path(__file__).parent.parent / "recorded" / "unets.json").read_text("utf-8"))
TEXT = {
    "sd15": "sd15",
    "sd15-inpaint": "sd15",
    "sd2": "sd2",
    "sdxl": "sdxl",
    "refiner": "refiner",
    **dict.fromkeys(("sd3", "sd35m", "sd35l"), "sd3"),
    **dict.fromkeys(("flux", "schnell", "chroma"), "flux"),
}


def told(text: str) -> list[str]:
    """A text as the recording keeps it: its beginning, and a digest of the whole."""
    return [text[:120], hashlib.sha256(text.encode()).hexdigest()[:16]]


def played(family: str, harm: str) -> Prediction:
    """A checkpoint with this UNet, and with text encoders and a VAE that fit."""
    whole = loads.checkpoint(f"{TEXT[family]}+vae")
    rest = {name: shape for name, shape in whole.items() if not name.startswith(UNET_PREFIX)}
    made = loads.under(UNET_PREFIX, unet(family, harm)) | rest
    found = predict(File("x.safetensors", Header("safetensors", plain(made, "F16"))))
    assert isinstance(found, Prediction)
    return found


@pytest.mark.parametrize(("family", "harm", "raised", "printed"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_a_unet_is_refused_or_complained_of_in_forges_own_words(
    family: str, harm: str, raised: list[str], printed: list[str]
) -> None:
    found = played(family, harm)
    if found.error is None:
        lines = [line for line in found.printed if line.startswith(("IntegratedUNet", "IntegratedF", "IntegratedC"))]
        lines += [line for line in found.printed if line.startswith("MMDiTX")]
        assert (told(""), told("\n".join(lines))) == (raised, printed)
        assert found.loads
    elif found.error.message == UNRECOGNISED:
        assert told(found.error.cause or "") == raised
    else:
        assert told(f"{found.error.type}: {found.error.message}") == raised
        assert found.phase == "unet"
        assert found.subject == "x.safetensors"
        assert found.cause
        assert found.fix


def test_what_a_unet_lacks_is_counted() -> None:
    gaps = " ".join(played("sd15", "no-biases").gaps + played("sd15", "no-middle").gaps)
    assert "tensors of the UNet are missing" in gaps
    assert "weights of the UNet are missing: Forge loads it, and fails when it is used" in gaps
    assert not played("sd15", "whole").gaps


@pytest.mark.parametrize("family", ["sd15", "sd15-inpaint", "sd2", "sdxl", "refiner"])
def test_matrices_of_other_sizes_are_counted(family: str) -> None:
    (gap,) = played(family, "half-matrices").gaps
    assert "weights of the UNet have other sizes: Forge loads it, and fails when it is used" in gap
    assert not played(family, "whole").gaps
