"""The facts of a healthy Forge on a 24 GB card, to break one thing at a time and see what a check says."""

from __future__ import annotations

from dataclasses import replace

from forgediag.check import Check, Problem
from forgediag.model import (
    MB,
    Checkpoint,
    Fault,
    Files,
    Flags,
    Forge,
    Gap,
    Gpu,
    GpuInfo,
    GpuMemory,
    GpuProcess,
    Host,
    Install,
    Listing,
    ModelFile,
    Module,
    Nvml,
    Options,
    Process,
    Progress,
    Snapshot,
    Tally,
    Target,
    TorchMemory,
    Verification,
)

GIB = 1024 * MB
CHECKPOINT = "/forge/models/Stable-diffusion/sd_xl_base_1.0.safetensors"
VAE = "/forge/models/VAE/sdxl_vae.safetensors"
GPU = Gpu(
    info=GpuInfo(0, "GPU-1", "NVIDIA GeForce RTX 4090", 24 * GIB, compute_capability=(8, 9)),
    memory=GpuMemory(24 * GIB, 8 * GIB, 16 * GIB, 0),
    processes=(GpuProcess(100, 7 * GIB), GpuProcess(200, 300 * MB)),
)
NVML = Nvml("550.90", (12, 4), (GPU,))
HOST = Host(32 * GIB, 20 * GIB, 8 * GIB, 8 * GIB)
PROCESS = Process(100, 4 * GIB, 0.0, "/forge")
INSTALL = Install("/forge", "f2.0.1", "dfdcbab", {"torch": "2.3.1+cu121"})
LISTING = Listing(
    (
        Checkpoint("other.safetensors", "other", "/forge/models/Stable-diffusion/other.safetensors"),
        Checkpoint("sd_xl_base_1.0.safetensors [31e35c80fc]", "sd_xl_base_1.0", CHECKPOINT),
    ),
    (Module("sdxl_vae.safetensors", VAE),),
)
OPTIONS = Options(
    {
        "sd_model_checkpoint": "sd_xl_base_1.0.safetensors [31e35c80fc]",
        "forge_additional_modules": [VAE],
        "forge_inference_memory": 1024.0,
    }
)
FLAGS = Flags({"nowebui": True, "server_name": "127.0.0.1", "api_auth": None})
BASE_SHA256 = "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"
VAE_SHA256 = "63aeecb90ff7bc1c115395962d3e803571385b61938377bc7089b36e81e92e2e"


def model_file(
    path: str = CHECKPOINT,
    family: str = "sdxl",
    channels: int | None = 4,
    fault: Fault | None = None,
) -> ModelFile:
    """A whole, selected file: the checkpoint, or with another path a module."""
    checkpoint = path == CHECKPOINT
    return ModelFile(
        path=path,
        local=path,
        role="checkpoint" if checkpoint else "module",
        selected=True,
        size=6_938_078_334 if checkpoint else 334_641_164,
        format="safetensors",
        family=family,
        fault=fault,
        latent_channels=channels,
        component_bytes={"KModel": 5 * GIB} if checkpoint else {"IntegratedAutoencoderKL": 300 * MB},
        sha256=BASE_SHA256 if checkpoint else VAE_SHA256,
    )


def vae_file(channels: int = 4, path: str = VAE) -> ModelFile:
    """A whole, selected VAE file."""
    return model_file(path, "vae", channels)


FILES = Files((model_file(), vae_file()))
FORGE = Forge(
    url="http://127.0.0.1:7861",
    fork="forge",
    options=OPTIONS,
    memory=TorchMemory(4 * GIB, Gap("CPU", expected=True)),
    progress=Progress("", 0, 0, "0", 0, 0, 0.0, interrupted=False),
    listing=LISTING,
    flags=FLAGS,
    samplers=("Euler",),
)
VERIFICATION = Verification("lock", {"ok": 2}, 7_272_719_498, 7_272_719_498, 604_800.0, 0.0)
TARGET = Target("forge", FORGE, PROCESS, INSTALL, GPU, FILES, verification=VERIFICATION)
SNAPSHOT = Snapshot(0.0, (TARGET,), NVML, HOST)


def options(**values: object) -> Options:
    """The healthy options with some values changed or added."""
    return replace(OPTIONS, values={**OPTIONS.values, **values})


def problems(item: Check, *facts: object) -> list[Problem]:
    """What a check finds in these facts, handed over by type; the healthy ones stand in for those not given."""
    of_forge = (OPTIONS, LISTING, FLAGS, FORGE.progress, FORGE.memory)
    healthy = (TARGET, Tally(), *of_forge, PROCESS, INSTALL, FILES, VERIFICATION, GPU, NVML, HOST)
    known: dict[type, object] = {type(fact): fact for fact in (*healthy, *facts)}
    return list(item.judge(*(known[need] for need in item.needs)))
