"""`forgediag doctor` on a healthy set-up, and on each planted fault: the planted one is told first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forgediag.testing.files import write_safetensors, write_sparse
from forgediag.testing.forge import CHECKPOINTS, Checkpoint, ForgeThread, Setup, SimulatedForge
from forgediag.testing.headers import header
from forgediag.testing.models import write_install, write_models

if TYPE_CHECKING:
    from tests.fake_nvml.control import FakeNvml

CARD = "gpus = 1\ngpu.0.name = NVIDIA GeForce RTX 4070\ngpu.0.cc_major = 8\ngpu.0.cc_minor = 9\n"
CLOSED = {"server_name": "127.0.0.1"}
PINS = "setuptools==69.5.1  # old\nnumpy==1.26.2\ntorch\n"
MODEL = "models/Stable-diffusion/meadow-sd15.safetensors"

Doctor = Callable[..., subprocess.CompletedProcess[str]]


def package(root: Path, name: str, metadata: str = "") -> None:
    """Another version of a package in Forge's venv."""
    folder = root / "venv/lib/python3.10/site-packages"
    for old in folder.glob(f"{name.split('-', maxsplit=1)[0]}-*.dist-info"):
        shutil.rmtree(old)
    (folder / f"{name}.dist-info").mkdir()
    (folder / f"{name}.dist-info" / "METADATA").write_text(metadata)


def cut(root: Path) -> None:
    path = root / MODEL
    with path.open("rb") as file:
        head = file.read(1 << 20)
    size = path.stat().st_size
    path.unlink()
    write_sparse(path, head, size // 2)


def overwrite(place: str, content: bytes) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        (root / place).unlink()
        (root / place).write_bytes(content)

    return act


def old_forge(root: Path) -> None:
    """Forge of May 2025, before Chroma, with a Chroma checkpoint."""
    (root / ".git/HEAD").write_text("17a42e58" + "0" * 32 + "\n")
    shapes = {key: (item.dtype, item.shape) for key, item in header("chroma").tensors.items()}
    write_safetensors(root / "models/Stable-diffusion/chroma.safetensors", shapes)


def put_aside(root: Path) -> None:
    os.link(root / "models/VAE/vae-4ch.safetensors", root / "models/VAE/other.safetensors.corrupted")


def post(**values: object) -> Callable[[SimulatedForge], None]:
    return lambda forge: forge.options.post(values) and None


def stuck(forge: SimulatedForge) -> None:
    forge.errors.append("'NoneType' object has no attribute 'sd_checkpoint_info'")


def selected(*names: str) -> Mapping[str, object]:
    return {"forge_additional_modules": list(names)}


@dataclass(frozen=True)
class Planted:
    """One thing wrong with an otherwise healthy set-up, and the check that must tell it first."""

    name: str
    check: str
    setup: Mapping[str, Any] = field(default_factory=dict)
    disk: Callable[[Path], None] | None = None
    forge: Callable[[SimulatedForge], object] | None = None
    card: str = ""
    torch: str = "2.3.1+cu121"
    modules: tuple[str, ...] = ()
    down: bool = False


FLUX, CHROMA = "harbour-flux-fp8.safetensors", Checkpoint("chroma.safetensors", "flux")
PLANTED = (
    Planted("Forge is down", "forge-reachable", down=True),
    Planted("Forge hangs", "forge-reachable", forge=lambda forge: forge.fault("hang")),
    Planted("a web page answers", "forge-reachable", forge=lambda forge: forge.fault("html")),
    Planted("it wants a password", "forge-reachable", {"auth": "me:secret"}),
    Planted("an option of a wrong type", "options-readable", forge=post(CLIP_stop_at_last_layers="two")),
    Planted("the selected checkpoint is gone", "selected-model-missing", {"selected": "gone.safetensors"}),
    Planted("half a checkpoint", "model-file-whole", disk=cut),
    Planted("HTML as checkpoint", "model-file-whole", disk=overwrite(MODEL, b"<!DOCTYPE html><html>" + b" " * 900)),
    Planted(
        "a git-lfs pointer as VAE",
        "model-file-whole",
        disk=overwrite("models/VAE/vae-4ch.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        modules=("VAE/vae-4ch.safetensors",),
    ),
    Planted("Flux's VAE with SD1.5", "model-will-load", modules=("VAE/ae.safetensors",)),
    Planted("no VAE", "model-will-load", {"selected": "no-vae-sd15.safetensors"}),
    Planted("Flux without text encoders", "model-will-load", {"selected": FLUX}, modules=("VAE/ae.safetensors",)),
    Planted("a Chroma file and a Forge before it", "forge-knows-model", {"selected": CHROMA.name}, old_forge),
    Planted("nf4 without bitsandbytes", "bitsandbytes", {"config": {"forge_unet_storage_dtype": "bnb-nf4"}}),
    Planted("a negative reserve", "inference-memory-range", forge=post(forge_inference_memory=-1000)),
    Planted("a reserve above the card", "inference-memory-range", forge=post(forge_inference_memory=99999)),
    Planted("another program on the card", "gpu-other-processes", card="gpu.0.proc.4711 = 6G\n"),
    Planted("RTX 50 on Forge's own torch", "torch-driver-gpu", card="gpu.0.cc_major = 12\ngpu.0.cc_minor = 0\n"),
    Planted("a driver older than torch's CUDA", "torch-driver-gpu", card="driver = 470.82\ncuda = 11040\n"),
    Planted("torch for the CPU", "torch-driver-gpu", torch="2.3.1+cpu"),
    Planted(
        "setuptools without pkg_resources", "python-packages", disk=lambda root: package(root, "setuptools-82.0.0")
    ),
    Planted("numpy 2", "python-packages", disk=lambda root: package(root, "numpy-2.2.6")),
    Planted(
        "xformers for another torch",
        "python-packages",
        disk=lambda root: package(root, "xformers-0.0.30", "Requires-Dist: torch (==2.7.0)\n"),
    ),
    Planted("a good file renamed", "model-file-renamed", disk=put_aside),
    Planted("open to the network", "secrets-exposed", {"flags": {"listen": True}}),
    Planted("stuck after a failed load", "forge-stuck", {"ui": True, "flags": {}}, forge=stuck),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model files, written once; every scene has links to them."""
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder / "models"


def scene(root: Path, models: Path, planted: Planted) -> Setup:
    """The disk, and what kind of Forge."""
    shutil.copytree(models, root / "models", copy_function=os.link)
    write_install(root, planted.torch)
    (root / "requirements_versions.txt").write_text(PINS)
    for name in ("setuptools-69.5.1", "numpy-1.26.2"):
        package(root, name)
    (root / "venv/lib/python3.10/site-packages/pkg_resources").mkdir()
    if planted.disk is not None:
        planted.disk(root)
    if planted.name.startswith("setuptools"):
        (root / "venv/lib/python3.10/site-packages/pkg_resources").rmdir()
    given = dict(planted.setup)
    config = {**given.pop("config", {}), **selected(*(str(root / "models" / name) for name in planted.modules))}
    return Setup(
        **{"root": str(root), "flags": CLOSED, "checkpoints": (*CHECKPOINTS, CHROMA), "config": config, **given}
    )


@pytest.fixture
def doctor(
    forgediag: Doctor, make_fake_nvml: Callable[[str], FakeNvml], models: Path, tmp_path: Path
) -> Callable[[Planted], subprocess.CompletedProcess[str]]:
    """Run doctor on a planted fault."""

    def act(planted: Planted, *options: str) -> subprocess.CompletedProcess[str]:
        fake = make_fake_nvml(CARD + planted.card)
        with ForgeThread(scene(tmp_path / "forge", models, planted)) as forge:
            if planted.forge is not None:
                forge.call(planted.forge)
            url = "http://127.0.0.1:9" if planted.down else forge.url
            where = ("--forge", url, "--forge-dir", str(tmp_path / "forge"))
            return forgediag(*where, "doctor", *options, FORGEDIAG_HASH_MODELS="no", **fake.environment)

    return act


@pytest.mark.parametrize("planted", PLANTED, ids=[item.name for item in PLANTED])
def test_the_planted_fault_is_the_first_finding(planted: Planted, doctor: Doctor) -> None:
    started = time.monotonic()
    ended = doctor(planted, "--json", "--fail-on", "warning")
    findings = json.loads(ended.stdout)["findings"]
    assert findings[0]["check"] == planted.check, [(item["check"], item["message"]) for item in findings]
    assert ended.returncode in {1, 3}
    assert time.monotonic() - started < 8


def test_a_healthy_set_up_says_nothing_alarming(doctor: Doctor) -> None:
    ended = doctor(Planted("healthy", ""), "--fail-on", "unknown")
    assert ended.stdout.rstrip().endswith("Verdict: ok. Nothing is wrong.")
    assert ended.returncode == 0


@pytest.mark.parametrize("path", [None, "/sdapi/v1/options", "/sdapi/v1/memory", "/sdapi/v1/sd-models"])
def test_doctor_ends_within_five_seconds_with_a_forge_that_hangs(path: str | None, doctor: Doctor) -> None:
    started = time.monotonic()
    ended = doctor(Planted("hangs", "", forge=lambda forge: forge.fault("hang", path)), "--json")
    assert time.monotonic() - started < 5.5
    assert json.loads(ended.stdout)["verdict"] in {"failure", "unknown"}


def test_a_report_for_an_issue_tells_no_secret_and_no_user(doctor: Doctor, tmp_path: Path) -> None:
    ended = doctor(Planted("secret", "", {"auth": "me:hunter2"}), "--report", str(tmp_path / "issue.md"))
    assert ended.returncode == 1
    text = (tmp_path / "issue.md").read_text("utf-8")
    assert text.startswith("### Environment")
    assert "forge-reachable" in text
    assert "hunter2" not in text
