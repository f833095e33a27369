"""Where Forge looks for model files: its folders from its directory and flags, and which files it lists in each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from forgediag.model import Role

Arguments = Mapping[str, tuple[str, ...]]
"""Values of start flags by name, without dashes in front and with `_` inside ("ckpt_dir")."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder Forge looks for files of one kind in; "other" is one that Forge does not know.

    `flag` is the start flag that named it, None for Forge's own place.
    """

    role: Role
    path: str
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Which files Forge lists in a kind's folders.

    `endings` are compared as they are where `exact` (a file `a.PT` is not listed then), else in lower case.
    `links` says whether folders that are symbolic links are entered, `hidden` whether those that begin with a dot are.
    """

    endings: tuple[str, ...]
    exact: bool
    links: bool
    hidden: bool


RULES: Mapping[Role, Rule] = {
    "checkpoint": Rule((".ckpt", ".safetensors", ".gguf"), exact=False, links=True, hidden=False),
    "module": Rule(("ckpt", "pt", "bin", "safetensors", "gguf"), exact=True, links=False, hidden=True),
    "lora": Rule((".pt", ".ckpt", ".safetensors"), exact=False, links=True, hidden=False),
    "embedding": Rule((".bin", ".pt", ".safetensors"), exact=False, links=True, hidden=True),
    "controlnet": Rule((".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".patch"), exact=True, links=True, hidden=True),
    "hypernetwork": Rule((".pt",), exact=True, links=True, hidden=True),
    "upscaler": Rule((".pt", ".pth", ".safetensors"), exact=False, links=True, hidden=False),
}
"""Forge dfdcbab: modules/sd_models.py list_models and modules/util.py walk_files, modules_forge/main_entry.py
refresh_models (endings without a dot, no followlinks), extensions-builtin/sd_forge_lora/networks.py,
modules/textual_inversion/textual_inversion.py, extensions-builtin/sd_forge_controlnet/lib_controlnet/global_state.py,
modules/hypernetworks/hypernetwork.py, modules/esrgan_model.py and its likes."""

_VAE_BESIDE = (".vae.ckpt", ".vae.safetensors")
"""Names the checkpoint list leaves out (Forge dfdcbab, modules/sd_models.py)."""

_OWN: tuple[tuple[Role, str], ...] = (
    ("checkpoint", "Stable-diffusion"),
    ("module", "VAE"),
    ("module", "text_encoder"),
    ("upscaler", "ESRGAN"),
    ("upscaler", "RealESRGAN"),
    ("upscaler", "DAT"),
    ("upscaler", "HAT"),
    ("upscaler", "SwinIR"),
    ("upscaler", "ScuNET"),
)
"""Folders below models/ that no flag replaces: a flag only adds another (Forge dfdcbab)."""

_INSTEAD: tuple[tuple[Role, str, str], ...] = (
    ("lora", "Lora", "lora_dir"),
    ("controlnet", "ControlNet", "controlnet_dir"),
    ("hypernetwork", "hypernetworks", "hypernetwork_dir"),
)
"""Folders below models/ that a flag replaces."""

_BESIDES: tuple[tuple[Role, str], ...] = (
    ("checkpoint", "ckpt_dir"),
    ("checkpoint", "ckpt_dirs"),
    ("module", "vae_dir"),
    ("module", "vae_dirs"),
    ("module", "text_encoder_dir"),
    ("module", "text_encoder_dirs"),
    ("lora", "lora_dirs"),
    ("controlnet", "controlnet_dirs"),
    ("upscaler", "esrgan_models_path"),
    ("upscaler", "realesrgan_models_path"),
    ("upscaler", "dat_models_path"),
)
"""Flags that add a folder; the plural ones may be repeated and are Forge Neo's (its modules/cmd_args.py)."""

_A1111: tuple[tuple[Role, str, str], ...] = (
    ("checkpoint", "models/Stable-diffusion", "ckpt_dir"),
    ("module", "models/VAE", "vae_dir"),
    ("hypernetwork", "models/hypernetworks", "hypernetwork_dir"),
    ("embedding", "embeddings", "embeddings_dir"),
    ("lora", "models/lora", "lora_dir"),
    ("controlnet", "models/ControlNet", "controlnet_dir"),
)
"""What --forge-ref-a1111-home stands for where the folder exists (Forge dfdcbab, modules/launch_utils.py).

It writes "models/lora" in lower case, which A1111's "models/Lora" answers to on Windows only."""

_COMFY: tuple[tuple[Role, str], ...] = (
    ("checkpoint", "checkpoints"),
    ("checkpoint", "diffusion_models"),
    ("checkpoint", "unet"),
    ("module", "vae"),
    ("module", "clip"),
    ("module", "text_encoders"),
    ("lora", "loras"),
    ("controlnet", "controlnet"),
)
"""What Forge Neo's --forge-ref-comfy-home adds, as its users describe it; the home may be ComfyUI or its models/."""

_FLAGS = frozenset(
    {"data_dir", "models_dir", "model_ref", "embeddings_dir", "ckpt", "forge_ref_a1111_home", "forge_ref_comfy_home"}
    | {flag for _, flag in _BESIDES}
    | {flag for _, _, flag in _INSTEAD}
)


def arguments(tokens: Iterable[str]) -> Arguments:
    """The flags about folders out of a command line: `--ckpt-dir X` and `--ckpt-dir=X`."""
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for token in tokens:
        if token.startswith("--"):
            flag, equals, value = token[2:].partition("=")
            name = flag.replace("-", "_")
            if not equals:
                continue
        else:
            value = token
        if name in _FLAGS and value:
            found[name] = (*found.get(name, ()), value)
        name = ""
    return found


def from_flags(values: Mapping[str, Any]) -> Arguments:
    """The flags about folders out of GET /sdapi/v1/cmd-flags, which also tells the defaults of some."""
    found: dict[str, tuple[str, ...]] = {}
    for name in _FLAGS & values.keys():
        value: object = values[name]
        rows = tuple(map(str, cast("list[object]", value))) if isinstance(value, list) else (value,)
        if texts := tuple(row for row in rows if isinstance(row, str) and row):
            found[name] = texts
    return found


def folders(directory: str, given: Arguments) -> tuple[Folder, ...]:
    """Every folder a Forge in `directory` looks for model files in, each once; most of them need not exist.

    Paths that are not absolute count from `directory`, as Forge's working directory. With a flag given twice the last
    counts, as argparse has it, except for the plural ones.
    """

    def one(name: str) -> str | None:
        return _joined(directory, given[name][-1]) if name in given else None

    data = one("data_dir") or directory
    models = one("model_ref") or one("models_dir") or f"{data}/models"
    found = [Folder(kind, f"{models}/{name}") for kind, name in _OWN]
    found += [
        Folder(kind, one(flag) or f"{models}/{name}", flag if flag in given else None) for kind, name, flag in _INSTEAD
    ]
    embeddings = one("embeddings_dir")
    found.append(Folder("embedding", embeddings or f"{data}/embeddings", "embeddings_dir" if embeddings else None))
    for kind, flag in _BESIDES:
        found += [Folder(kind, _joined(directory, path), flag) for path in given.get(flag, ())]
    if (home := one("forge_ref_a1111_home")) is not None:
        found += [
            Folder(kind, f"{home}/{name}", "forge_ref_a1111_home") for kind, name, flag in _A1111 if flag not in given
        ]
    if (home := one("forge_ref_comfy_home")) is not None:
        base = home if re.search(r"[\\/]models$", home) else f"{home}/models"
        found += [Folder(kind, f"{base}/{name}", "forge_ref_comfy_home") for kind, name in _COMFY]
    return tuple({(folder.role, folder.path): folder for folder in reversed(found)}.values())[::-1]


def _joined(directory: str, path: str) -> str:
    absolute = path.startswith(("/", "\\")) or path[1:2] == ":"
    return path.rstrip("/\\") or path if absolute else f"{directory}/{path}"


MODEL_ENDINGS = frozenset({"ckpt", "safetensors", "gguf", "pt", "pth", "bin", "patch", "sft"})
LEFTOVERS: Mapping[str, str] = {
    "corrupted": "Forge renamed it after a load that failed; where its header is whole, give it its old name back",
    "part": "it is a download that has not ended",
    "aria2": "it is the note of a download that has not ended",
    "crdownload": "it is a download that has not ended",
    "incomplete": "it is a download that has not ended",
    "tmp": "it is a download that has not ended",
}
"""Endings put behind a model's name, and what they mean."""


def model_name(name: str) -> str | None:
    """The name a file is judged by: without a leftover's ending; None for a file that is no model."""
    stem, _, ending = name.rpartition(".")
    ending = ending.lower()
    if ending in LEFTOVERS:
        return model_name(stem)
    return name if stem and ending in MODEL_ENDINGS else None


def why_unlisted(role: Role, inside: str) -> str | None:
    """Why Forge does not list a file, or None where it does.

    Args:
        role: of the folder it lies in.
        inside: its path inside that folder, with `/`.
    """
    *parents, name = inside.split("/")
    ending = name.rpartition(".")[2].lower()
    rule = RULES.get(role)
    if ending in LEFTOVERS:
        return LEFTOVERS[ending]
    if rule is None:
        return f"Forge never lists .{ending}; rename it to .safetensors" if ending == "sft" else None
    if not rule.hidden and any(parent.startswith(".") for parent in parents):
        return "it lies in a hidden folder"
    if role == "checkpoint" and name.endswith(_VAE_BESIDE):
        return "its name says VAE, which Forge only lists from a folder of VAEs"
    return _unlisted_ending(rule, name, ending)


def _unlisted_ending(rule: Rule, name: str, ending: str) -> str | None:
    if (name if rule.exact else name.lower()).endswith(rule.endings):
        return None
    if name.lower().endswith(rule.endings):
        return f"Forge only lists .{ending} here in lower case"
    better = "; rename it to .safetensors" if ending == "sft" else ""
    return f"Forge never lists .{ending} here{better}"


def start_flags(text: str, *, windows: bool) -> tuple[str, ...]:
    """COMMANDLINE_ARGS as webui-user.bat or webui-user.sh sets it, split into arguments; the last setting counts."""
    return _batch_flags(text) if windows else _shell_flags(text)


def _shell_flags(text: str) -> tuple[str, ...]:
    found: tuple[str, ...] = ()
    for line in text.replace("\\\n", " ").splitlines():
        match = re.match(r"\s*(?:export\s+)?COMMANDLINE_ARGS=(.*)", line)
        if match:
            found = tuple(word for value in _words(match[1])[:1] for word in _words(value))
    return found


def _words(text: str) -> Sequence[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a quote that is never closed
        return ()


def _batch_flags(text: str) -> tuple[str, ...]:
    variables: dict[str, str] = {}
    for line in re.sub(r"\^\r?\n", "", text).splitlines():
        match = re.match(r"\s*@?set\s+\"?(\w+)=(.*)", line, re.IGNORECASE)
        if match:
            value = match[2].strip()
            if value.count('"') % 2:  # set "NAME=VALUE"
                value = value.removesuffix('"')
            name = match[1].upper()
            variables[name] = re.sub(r"%(\w+)%", lambda use: variables.get(use[1].upper(), ""), value)
    return tuple(_batch_words(variables.get("COMMANDLINE_ARGS", "")))


def _batch_words(text: str) -> Iterator[str]:
    for match in re.finditer(r'(?:"[^"]*"|[^\s"])+', text):
        yield match[0].replace('"', "")
