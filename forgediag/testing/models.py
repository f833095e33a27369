"""What a simulated Forge has on the disk: model files with real headers over sparse data, its install directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forgediag.model import Header
from forgediag.testing.files import write_safetensors
from forgediag.testing.headers import header

PLACES: Mapping[str, str] = {
    "Stable-diffusion/harbour-flux-fp8.safetensors": "flux:fp8",
    "Stable-diffusion/meadow-sd15.safetensors": "sd15",
    "Stable-diffusion/no-vae-sd15.safetensors": "sd15",
    "Stable-diffusion/sunrise-sdxl.safetensors": "sdxl",
    "VAE/ae.safetensors": "ae:bf16",
    "VAE/vae-4ch.safetensors": "vae",
    "text_encoder/clip_l.safetensors": "clip_l",
    "text_encoder/t5xxl_fp8_e4m3fn.safetensors": "t5:fp8",
}
"""Path below `models` and the header each file gets (see `forgediag.testing.headers`)."""


def write_models(root: Path) -> None:
    """Write the files below `root/models`: 28 GB to look at, a few MB on the disk."""
    for place, name in PLACES.items():
        made = header(name)
        if place.startswith("Stable-diffusion/no-vae-"):
            made = _without(made, "first_stage_model.")
        shapes = {key: (tensor.dtype, tensor.shape) for key, tensor in made.tensors.items()}
        write_safetensors(root / "models" / place, shapes)


def write_install(root: Path, torch: str = "2.3.1+cu121") -> None:
    """Make `root` look like Forge's install directory: version, commit, and a virtual environment with torch."""
    for place, text in {
        "modules_forge/forge_version.py": "version = '2.0.1v1.10.1'\n",
        "webui.py": "",
        ".git/HEAD": "dfdcbab685e57677014f05a3309b48cc87383167\n",
        f"venv/lib/python3.10/site-packages/torch-{torch}.dist-info/METADATA": "",
    }.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _without(made: Header, prefix: str) -> Header:
    return Header(made.format, {name: t for name, t in made.tensors.items() if not name.startswith(prefix)})
