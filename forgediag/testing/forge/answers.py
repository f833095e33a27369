"""Bodies that a simulated Forge answers: shapes of a real one's, made of its state."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from forgediag.testing.forge.files import Files
from forgediag.testing.forge.job import JobDone
from forgediag.testing.forge.options import validation_error, wrong_flag_type

VERSION = "f2.0.1v1.10.1-1.10.1"
PAGE_BYTES = 6_300_000
"""Size of the web UI's page."""

SAMPLERS: tuple[tuple[str, str, str | None], ...] = (
    ("DPM++ 2M", "k_dpmpp_2m", "karras"),
    ("DPM++ SDE", "k_dpmpp_sde", "karras"),
    ("DPM++ 2M SDE", "k_dpmpp_2m_sde", "exponential"),
    ("DPM++ 3M SDE", "k_dpmpp_3m_sde", "exponential"),
    ("Euler a", "k_euler_ancestral", None),
    ("Euler", "k_euler", None),
    ("Heun", "k_heun", None),
    ("DDIM", "ddim", None),
    ("UniPC", "unipc", None),
    ("LCM", "k_lcm", None),
)
SCHEDULERS: tuple[tuple[str, str, float, bool], ...] = (
    ("automatic", "Automatic", -1.0, False),
    ("uniform", "Uniform", -1.0, True),
    ("karras", "Karras", 7.0, False),
    ("exponential", "Exponential", -1.0, False),
    ("sgm_uniform", "SGM Uniform", -1.0, True),
    ("simple", "Simple", -1.0, True),
    ("beta", "Beta", -1.0, True),
)
FLAGS: Mapping[str, object] = {
    **dict.fromkeys(("gpu_device_id", "models_dir", "ckpt_dir", "vae_dir", "text_encoder_dir", "device_id", "ngrok")),
    **dict.fromkeys(("all_in_fp32", "vae_in_fp32", "vae_in_cpu", "attention_split", "attention_pytorch"), False),
    **dict.fromkeys(("always_gpu", "always_high_vram", "always_low_vram", "always_no_vram", "always_cpu"), False),
    **dict.fromkeys(("always_offload_from_vram", "cuda_malloc", "cuda_stream", "pin_shared_memory"), False),
    **dict.fromkeys(("disable_gpu_warning", "disable_xformers", "xformers", "listen", "api_log", "no_hashing"), False),
    "api_server_stop": False,
    "max_batch_count": 16,
    "precision": "autocast",
    "gradio_auth": None,
    "api": True,
    "server_name": "127.0.0.1",
    "disable_extension_access": True,
}
"""Those that do not depend on where and how it was started, with their defaults."""


def samplers() -> list[dict[str, object]]:
    """GET samplers."""
    return [
        {"name": name, "aliases": [alias], "options": {"scheduler": scheduler} if scheduler else {}}
        for name, alias, scheduler in SAMPLERS
    ]


def schedulers() -> list[dict[str, object]]:
    """GET schedulers."""
    return [
        {"name": name, "label": label, "aliases": None, "default_rho": rho, "need_inner_model": inner}
        for name, label, rho, inner in SCHEDULERS
    ]


def checkpoints(files: Files) -> list[dict[str, object]]:
    """GET sd-models. Hash and sha256 are null until the file was loaded once."""
    rows: list[dict[str, object]] = []
    for checkpoint in files.checkpoints.values():
        sha256 = checkpoint.sha256 if checkpoint.name in files.hashed else None
        rows.append(
            {
                "title": files.title(checkpoint),
                "model_name": checkpoint.stem,
                "hash": sha256[:10] if sha256 else None,
                "sha256": sha256,
                "filename": files.path(checkpoint),
                "config": None,
            }
        )
    return rows


def modules(files: Files) -> list[dict[str, object]]:
    """GET sd-modules."""
    return [{"model_name": module.name, "filename": files.path(module)} for module in files.modules.values()]


def flags(root: str, port: int | None, auth: str | None, extra: Mapping[str, object], *, ui: bool) -> dict[str, object]:
    """Forge's start flags: a third of a real one's, the password in clear as there."""
    paths = {
        "data_dir": root,
        "lora_dir": f"{root}/models/Lora",
        "ui_settings_file": f"{root}/config.json",
        "gradio_allowed_path": [root],
    }
    return {**FLAGS, **paths, "port": port, "api_auth": auth, "nowebui": not ui, **extra}


def cmd_flags(values: Mapping[str, object]) -> tuple[int, dict[str, object]]:
    """GET cmd-flags: 500 with everything inside as soon as a whole-number flag without default is given."""
    typed = ("gpu_device_id", "port")
    errors = [wrong_flag_type(name, values[name]) for name in typed if isinstance(values.get(name), int)]
    return (500, validation_error(errors, values)) if errors else (200, dict(values))


def ram(total: int, resident: int) -> dict[str, object]:
    """The `ram` of GET memory: `used` is Forge's RSS, `free` merely what is left of the total."""
    return {"free": float(total - resident), "used": resident, "total": float(total)}


def images(done: JobDone, payload: Mapping[str, Any]) -> dict[str, object]:
    """The body of a good txt2img; `info` is a JSON text."""
    request, name = done.request, done.checkpoint.stem
    text = f"{request.prompt}\nSteps: {request.steps}, Size: {request.width}x{request.height}, Model: {name}"
    info = {
        "prompt": request.prompt,
        "all_prompts": [request.prompt] * done.images,
        "seed": 1,
        "width": request.width,
        "height": request.height,
        "steps": request.steps,
        "batch_size": request.batch_size,
        "sd_model_name": name,
        "sd_model_hash": done.checkpoint.sha256[:10],
        "infotexts": [text] * done.images,
        "version": VERSION,
    }
    picture = base64.b64encode(png(request.width, request.height, black=done.black)).decode()
    return {"images": [picture] * done.images, "parameters": dict(payload), "info": json.dumps(info)}


def png(width: int, height: int, *, black: bool) -> bytes:
    """An RGB picture: a gradient, or all zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes(3 * [0 if black else 1 + y * 200 // height]) * width for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    compressed = zlib.compress(rows, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def sysinfo(root: str, auth: str | None, config: Mapping[str, object], torch: str, errors: list[str]) -> dict[str, Any]:
    """GET /internal/sysinfo: the password hidden in the command line, the whole config and the last five errors."""
    line = ["launch.py", "--api"] + (["--api-auth", "<hidden>"] if auth else [])
    return {
        "Platform": "Linux-x86_64-with-glibc2.36",
        "Python": "3.10.14",
        "Version": VERSION,
        "Commit": "dfdcbab685e57677014f05a3309b48cc87383167",
        "Git status": None,
        "Script path": root,
        "Data path": root,
        "Extensions dir": f"{root}/extensions",
        "Commandline": line,
        "Torch env info": {"torch_version": torch, "nvidia_gpu_models": "GPU 0: Simulated", "cudnn_version": None},
        "Exceptions": [{"exception": text, "traceback": []} for text in errors[-5:]],
        "CPU": {"model": "", "count logical": 8, "count physical": 4},
        "RAM": {"total": "32GB", "used": "6GB", "free": "26GB"},
        "Extensions": [],
        "Inactive extensions": [],
        "Environment": {"GRADIO_ANALYTICS_ENABLED": "False"},
        "Config": dict(config),
        "Startup": {"total": 37.9, "records": {"import torch": 15.8}},
        "Packages": [f"torch=={torch}", "safetensors==0.4.2", "transformers==4.46.1"],
    }
