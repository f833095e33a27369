"""The model files a simulated Forge has, what it lists of them, and whether it can load them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Family = Literal["sd15", "sdxl", "flux"]
Part = Literal["unet", "vae", "clip", "t5"]
State = Literal["good", "truncated", "html", "nan", "lora"]

VAE_MB = 159.56
UNREADABLE: frozenset[State] = frozenset({"truncated", "html"})
"""States that make Forge's reader fail: it then renames the file to `.corrupted` (observed on a real Forge)."""


class ForgeError(Exception):
    """An exception inside the simulated Forge: answered 500 with its class name and text."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


UNRECOGNIZED = ("ValueError", "Failed to recognize model type!")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file in models/Stable-diffusion. Sizes in MB as Forge counts them; `channels`: of its VAE's latent."""

    name: str
    family: Family = "sd15"
    parts: frozenset[Part] = frozenset({"unet", "vae", "clip"})
    state: State = "good"
    unet_mb: float = 1639.41
    text_mb: float = 307.21

    @property
    def channels(self) -> int:
        """Latent channels its UNet works with."""
        return 16 if self.family == "flux" else 4

    @property
    def stem(self) -> str:
        """The name without its extension: `model_name` in the API."""
        return self.name.rpartition(".")[0]

    @property
    def sha256(self) -> str:
        """An invented but stable identity."""
        return hashlib.sha256(self.name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Module:
    """A file in models/VAE or models/text_encoder. `channels` matters for a VAE only."""

    name: str
    part: Part = "vae"
    channels: int = 4
    state: State = "good"
    size_mb: float = VAE_MB


CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint("harbour-flux-fp8.safetensors", "flux", frozenset({"unet"}), unet_mb=11350.07, text_mb=0.0),
    Checkpoint("meadow-sd15.safetensors"),
    Checkpoint("no-vae-sd15.safetensors", parts=frozenset({"unet", "clip"})),
    Checkpoint("sunrise-sdxl.safetensors", "sdxl", unet_mb=4897.05, text_mb=1752.98),
)
"""What a simulated Forge has unless told otherwise; sizes are those of the published architectures."""

MODULES: tuple[Module, ...] = (
    Module("ae.safetensors", channels=16),
    Module("vae-4ch.safetensors"),
    Module("clip_l.safetensors", "clip", size_mb=307.21),
    Module("t5xxl_fp8_e4m3fn.safetensors", "t5", size_mb=4918.77),
)


class Files:
    """The model folders: what is on the disk, and what Forge has listed of it."""

    def __init__(self, root: str, checkpoints: Iterable[Checkpoint], modules: Iterable[Module]) -> None:
        self.root = root
        self.disk: dict[str, Checkpoint | Module] = {}
        for file in checkpoints:
            self.add(file)
        for module in modules:
            self.add(module)
        self.hashed: set[str] = set()
        self.checkpoints: dict[str, Checkpoint] = {}
        self.modules: dict[str, Module] = {}
        self.refresh()
        self.refresh_modules()

    def add(self, file: Checkpoint | Module) -> None:
        """Put a file on the disk; Forge does not list it yet."""
        self.disk[file.name] = file

    def refresh(self) -> None:
        """List the checkpoints anew: start, and POST refresh-checkpoints."""
        found = sorted(
            (file for file in self.disk.values() if isinstance(file, Checkpoint)), key=lambda file: file.name
        )
        self.checkpoints = {file.name: file for file in found}

    def refresh_modules(self) -> None:
        """List the modules anew: only a start or the UI's own refresh does (observed on a real Forge)."""
        self.modules = {file.name: file for file in self.disk.values() if isinstance(file, Module)}

    def path(self, file: Checkpoint | Module) -> str:
        """Where a file lies."""
        if isinstance(file, Checkpoint):
            return f"{self.root}/models/Stable-diffusion/{file.name}"
        return f"{self.root}/models/{'VAE' if file.part == 'vae' else 'text_encoder'}/{file.name}"

    def title(self, checkpoint: Checkpoint) -> str:
        """The name, with ten digits of the hash once it was loaded."""
        known = checkpoint.name in self.hashed
        return f"{checkpoint.name} [{checkpoint.sha256[:10]}]" if known else checkpoint.name

    def find(self, alias: str) -> Checkpoint | None:
        """The checkpoint that Forge means by a name, a name without extension, a title, or a hash it knows."""
        for checkpoint in self.checkpoints.values():
            aliases = {checkpoint.name, checkpoint.stem, self.title(checkpoint)}
            if checkpoint.name in self.hashed:
                aliases |= {checkpoint.sha256, checkpoint.sha256[:10], f"{checkpoint.stem} [{checkpoint.sha256[:10]}]"}
            if alias in aliases:
                return checkpoint
        return None

    def load_error(self, checkpoint: Checkpoint, modules: Sequence[Module]) -> tuple[ForgeError, str | None] | None:
        """Why these files will not load, and the file Forge renames because of it; None when they load."""
        files: list[Checkpoint | Module] = [checkpoint, *modules]
        for file in files:
            if file.name not in self.disk:
                return ForgeError(*UNRECOGNIZED), None
            if file.state in UNREADABLE:
                return ForgeError(*UNRECOGNIZED), file.name
        error = _composition_error(checkpoint, modules)
        return (error, None) if error else None


def _composition_error(checkpoint: Checkpoint, modules: Sequence[Module]) -> ForgeError | None:
    """Forge asks for CLIP, then T5, then VAE (the order its answers showed)."""
    if checkpoint.state == "lora":
        return ForgeError(*UNRECOGNIZED)
    have = checkpoint.parts | {module.part for module in modules}
    needed: tuple[tuple[Part, str], ...] = (("clip", "CLIP"), ("vae", "VAE"))
    if checkpoint.family == "flux":
        needed = (("clip", "CLIP"), ("t5", "T5"), ("vae", "VAE"))
    for part, text in needed:
        if part not in have:
            return ForgeError("AssertionError", f"You do not have {text} state dict!")
    for module in modules:
        if module.part == "vae" and module.channels != checkpoint.channels:
            return ForgeError("RuntimeError", _size_mismatch(module.channels, checkpoint.channels))
    return None


def _size_mismatch(file: int, model: int) -> str:
    """Torch's text for a VAE of other latent channels, as a real Forge answered it for 16 in place of 4."""
    shapes = (
        ("encoder.conv_out.weight", f"[{2 * file}, 512, 3, 3]", f"[{2 * model}, 512, 3, 3]"),
        ("encoder.conv_out.bias", f"[{2 * file}]", f"[{2 * model}]"),
        ("decoder.conv_in.weight", f"[512, {file}, 3, 3]", f"[512, {model}, 3, 3]"),
    )
    lines = [
        f"\n\tsize mismatch for {name}: copying a param with shape torch.Size({theirs}) from checkpoint, "
        f"the shape in current model is torch.Size({ours})."
        for name, theirs, ours in shapes
    ]
    return "Error(s) in loading state_dict for IntegratedAutoencoderKL:" + "".join(lines)
