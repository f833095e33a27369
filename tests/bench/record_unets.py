"""Record what Forge's own classes say of harmed UNets: tests/recorded/unets.json, which tests hold the predictions to.

    PYTHONPATH=. VENV/bin/python tests/bench/record_unets.py FORGE tests/recorded/unets.json

VENV is the virtual environment of the Forge in the folder FORGE (recorded with commit dfdcbab). Nothing is loaded:
tensors are without memory ("meta"), so a whole run takes half a minute.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from forgediag.testing.unets import HARMS, WHOLE, unet

PREFIX = "model.diffusion_model."
KINDS = {"stable-diffusion-3": "SD3Transformer2DModel", "FLUX": "FluxTransformer2DModel"}


def told(text: str) -> list[str]:
    """A text as it is kept: its beginning, and a digest of the whole."""
    return [text[:120], hashlib.sha256(text.encode()).hexdigest()[:16]]


def played(loader: ModuleType, tensors: dict[str, Any]) -> tuple[str, str]:
    """What is raised ("Type: message", "" for nothing) and printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        try:
            load(loader, tensors)
        except Exception as error:
            return f"{type(error).__name__}: {error}", ""
    lines = [line for line in said.getvalue().splitlines() if line.startswith(("Integrated", "MMDiTX"))]
    return "", "\n".join(lines)


def load(loader: ModuleType, tensors: dict[str, Any]) -> None:
    """Forge's own way from the tensors to the network."""
    guess = loader.huggingface_guess.guess(tensors)
    repo = guess.huggingface_repo
    kind = next((kind for mark, kind in KINDS.items() if mark in repo), "UNet2DConditionModel")
    state = {name[len(PREFIX) :]: tensor for name, tensor in tensors.items()}
    if "schnell" in repo and "distilled_guidance_layer.layers.0.in_layer.bias" in state:
        kind, repo = "ChromaTransformer2DModel", "Chroma"
        guess.unet_config.update(loader.GuessChroma.unet_extra_config)
        for key in loader.GuessChroma.unet_remove_config:
            del guess.unet_config[key]
    folder = Path(loader.dir_path) / "huggingface" / repo
    loader.load_huggingface_component(guess, "unet", "diffusers", kind, str(folder), state)


def main() -> None:
    forge, out = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
    sys.argv = ["record", "--always-cpu"]
    sys.path[:0] = [str(forge), str(forge / "packages_3rdparty"), str(forge / "repositories/huggingface_guess")]
    os.chdir(forge)
    import torch  # noqa: PLC0415 - Forge's own
    from backend import loader, memory_management  # noqa: PLC0415

    memory_management.unet_inital_load_device = lambda **_: torch.device("meta")
    rows: list[Any] = []
    for family in WHOLE:
        for harm in HARMS:
            shapes = sorted(unet(family, harm).items())
            tensors = {PREFIX + k: torch.empty(s, dtype=torch.float16, device="meta") for k, s in shapes}
            rows.append([family, harm, *map(told, played(loader, tensors))])
    out.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
