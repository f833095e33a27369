"""`forgediag plan`: the document, the page for a person, exit statuses, and what it says of bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forgediag.model import MB, CudaMemory, Gap, TorchMemory
from forgediag.testing.facts import FORGE, GPU, OPTIONS
from forgediag.testing.files import write_safetensors
from forgediag.testing.headers import header

if TYPE_CHECKING:
    from tests.cli.conftest import Model, Run

pytestmark = pytest.mark.usefixtures("no_forge", "no_card")
KEYS = {
    "schema", "family", "loads_ok", "error", "components", "steps", "peak_mb", "device_peak_mb", "fits", "oom_phase",
    "per_image_seconds",
}  # fmt: skip


def test_the_document_has_every_key_of_the_schema(run: Run, model: Model) -> None:
    ended = run("plan", model("sdxl"), "--vram", "8GiB", "--json")
    assert (ended.status, ended.err) == (0, "")
    document = ended.json
    assert document["schema"] == "forgediag.plan/1"
    assert document.keys() >= KEYS
    assert [step["phase"] for step in document["steps"]] == ["text_encode", "sample", "vae_decode"]
    assert document["components"][1]["require_mb"] == 4897.05
    assert document["components"][1]["file"].endswith("sdxl.safetensors")
    assert document["settings"] == {
        "forge_inference_memory": 1024,
        "gpu_weights_mb": 7168,
        "forge_async_loading": "Queue",
        "forge_pin_shared_memory": "CPU",
    }


def test_what_was_assumed_is_told(run: Run, model: Model) -> None:
    assumed = " ".join(run("plan", model("sd15"), "--vram", "7173.54MB", "--json").json["assumed"])
    assert "a card of 8192 MB, the next usual size above 7173.54 MB" in assumed
    assert "compute capability 8.9" in assumed
    assert "no Forge answers" in assumed


def test_parts_are_told_with_the_module_they_come_from(run: Run, model: Model) -> None:
    modules = [f"--module={model(name)}" for name in ("ae:bf16", "clip_l", "t5:fp8")]
    parts = run("plan", model("flux:fp8"), *modules, "--vram", "12GB", "--json").json["components"]
    files = {part["target"]: part["file"] for part in parts}
    assert Path(files["IntegratedAutoencoderKL"]).name == "ae-bf16.safetensors"
    assert "clip_l" in files["JointTextEncoder"]
    assert "t5-fp8" in files["JointTextEncoder"]
    assert Path(files["KModel"]).name == "flux-fp8.safetensors"


def test_every_option_reaches_the_planner(run: Run, model: Model) -> None:
    options = (
        "--vram 6GiB --total-vram 8GiB --size 1024x768 --batch 2 --steps 9 --inference-memory 2048 --swap async "
        "--location shared --storage fp8_e4m3fn --cfg 5 --images 2 --new-prompt --ram 16GB --compute-capability 8.6 "
        "--forge-flags=--vae-in-fp32 --img2img --hires 1.5 --cloned-unet --reserve-mb 100"
    )
    document = run("plan", model("sdxl"), *options.split(), "--json").json
    assert document["settings"]["forge_inference_memory"] == 2048
    assert document["settings"]["forge_pin_shared_memory"] == "Shared"
    assert document["total_vram_mb"] == 8192
    assert document["assumed"] == []
    storages = {part["target"]: part["storage"] for part in document["components"]}
    assert storages["KModel"] == "float8_e4m3fn"
    assert storages["IntegratedAutoencoderKL"] == "float32"
    phases = [(step["phase"], step["image"]) for step in document["steps"]]
    assert phases[:5] == [("vae_encode", 1), ("text_encode", 1), ("sample", 1), ("sample", 1), ("vae_decode", 1)]
    assert ("text_encode", 2) in phases


def test_a_cached_prompt_begins_at_the_unet(run: Run, model: Model) -> None:
    steps = run("plan", model("sdxl"), "--vram", "8GiB", "--cached-prompt", "--json").json["steps"]
    assert steps[0]["phase"] == "sample"


def test_a_second_image_with_everything_in_place_loads_nothing(run: Run, model: Model) -> None:
    ended = run("plan", model("sd15"), "--vram", "24GiB", "--images", "2", "--hires", "1.5", "--img2img")
    assert "sample 2              nothing to load" in ended.out
    assert "img2img, hires 1.5" in ended.out


def test_an_automatic_storage_type_is_the_files_own(run: Run, model: Model) -> None:
    parts = run("plan", model("sdxl"), "--vram", "8GiB", "--storage", "Automatic", "--json").json["components"]
    assert parts[1]["storage"] == "float16"


@pytest.mark.parametrize("spelling", ["float8_e4m3fn", "float8-e4m3fn", "F8_E4M3", "fp8"])
def test_a_storage_type_has_many_spellings(run: Run, model: Model, spelling: str) -> None:
    parts = run("plan", model("sdxl"), "--vram", "8GiB", "--storage", spelling, "--json").json["components"]
    assert parts[1]["storage"] == "float8_e4m3fn"


def test_a_gguf_type_stands_for_the_file_of_that_type(run: Run, model: Model) -> None:
    modules = [f"--module={model(name)}" for name in ("ae:bf16", "clip_l", "t5:fp8")]
    asked = ["plan", model("flux:fp8"), *modules, "--vram", "12GB", "--storage", "gguf:q8_0", "--json"]
    parts = run(*asked).json["components"]
    assert parts[1]["storage"] == "gguf:Q8_0"


def test_the_page_fits_a_terminal(run: Run, model: Model) -> None:
    ended = run("plan", model("sdxl"), "--vram", "6GiB", "--gpu", "RTX 2060", "--inference-memory", "4000")
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "[Memory Management] Target: KModel, Free GPU:" in ended.out
    assert "forge_inference_memory 4000 MB (GPU Weights 2144 MB)" in ended.out
    assert "█" in ended.out
    assert "estimated from the card's name" in ended.out
    assert ended.out.rstrip().endswith("It loads and fits.")


def test_the_page_is_ascii_where_the_terminal_is(run: Run, model: Model) -> None:
    ended = run("plan", model("sdxl"), "--vram", "8GiB", charset="ascii")
    assert ended.out.isascii()
    assert "[####" in ended.out


def test_a_plan_without_a_vae_says_so_and_plans_the_rest(run: Run, tmp_path: Path) -> None:
    tensors = {key: t for key, t in header("sd15").tensors.items() if not key.startswith("first_stage_model.")}
    path = write_safetensors(tmp_path / "bare.safetensors", {key: (t.dtype, t.shape) for key, t in tensors.items()})
    ended = run("plan", path, "--vram", "8GiB")
    assert ended.status == 1
    assert "AssertionError: You do not have VAE state dict!; bare.safetensors (sd15)" in ended.out
    assert "IntegratedAutoencoderKL          missing" in ended.out
    assert "Target: KModel" in ended.out


def test_running_out_of_memory_is_exit_1(run: Run, model: Model) -> None:
    asked = ["plan", model("sdxl"), "--vram", "2GiB", "--batch", "8", "--inference-memory", "-2000"]
    ended, document = run(*asked), run(*asked, "--json")
    assert (ended.status, document.status) == (1, 1)
    assert "Forge will run out of memory" in ended.out
    assert "leaves no memory for computing" in ended.out
    assert document.json["fits"] is False
    assert document.json["oom_phase"] is not None


def test_too_little_host_memory_to_pin_is_exit_1(run: Run, model: Model) -> None:
    asked = ["plan", model("sdxl"), "--vram", "4GiB", "--location", "shared", "--ram", "1GiB"]
    asked += ["--inference-memory", "3000"]
    ended = run(*asked)
    assert ended.status == 1
    assert "cannot be pinned" in ended.out


def test_more_inference_memory_than_the_card_has_is_remarked(run: Run, model: Model) -> None:
    ended = run("plan", model("sdxl"), "--vram", "8GiB", "--inference-memory", "99999")
    assert "more than the card has" in ended.out


def test_a_tiled_decode_is_told(run: Run, model: Model) -> None:
    ended = run("plan", model("sdxl"), "--vram", "5GiB", "--size", "2048x2048")
    assert "The VAE decodes in tiles" in ended.out


def test_a_gguf_type_forge_cannot_read_is_exit_1(run: Run, model: Model) -> None:
    modules = [f"--module={model(name)}" for name in ("ae:bf16", "clip_l", "t5:fp8")]
    ended = run("plan", model("flux:gguf-IQ2_XXS"), *modules, "--vram", "12GB")
    assert ended.status == 1
    assert ended.out.rstrip().endswith("Forge will fail: Forge cannot compute with GGUF type IQ2_XXS")


def test_steps_that_hang_on_the_allocator_are_noted(run: Run, model: Model) -> None:
    found = [run("plan", model("sdxl"), "--vram", f"{mb}MB") for mb in range(9000, 9700, 100)]
    assert any("note: " in ended.out for ended in found)


@pytest.mark.parametrize(
    ("name", "data", "status", "words"),
    [
        ("page.safetensors", b"<!DOCTYPE html><html>404</html>" * 9, 1, "web page"),
        ("empty.safetensors", b"", 1, "empty"),
        ("cut.safetensors", (90_000).to_bytes(8, "little") + b'{"a":' + b" " * 100, 1, "cut inside its header"),
        ("model.ckpt", b"PK\x03\x04" + bytes(100), 1, "failed finding central directory"),
    ],
)
def test_a_file_that_is_no_model_is_one_line(
    run: Run, tmp_path: Path, name: str, data: bytes, status: int, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    ended = run("plan", path, "--vram", "8GiB")
    assert (ended.status, ended.out) == (status, "")
    assert words in ended.err
    assert ended.err.startswith(f"forgediag: {name}")
    assert ended.err.count("\n") == 1


def test_a_broken_file_is_a_document_too(run: Run, tmp_path: Path, model: Model) -> None:
    path = tmp_path / "page.safetensors"
    path.write_bytes(b"<!DOCTYPE html><html>404</html>" * 9)
    ended = run("plan", path, "--module", model("vae"), "--vram", "8GiB", "--json")
    assert ended.status == 1
    assert ended.json["loads_ok"] is False
    assert ended.json["error"]["message"] == "Failed to recognize model type!"
    assert "HeaderTooLarge" in ended.json["error"]["cause"]


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"lora_unet_1.lora_up.weight": ("F16", (320, 4))}, "a file of the kind lora"),
        ({"a": ("F16", (4,))}, "holds no UNet"),
    ],
)
def test_a_model_forge_does_not_know_is_one_line(
    run: Run, tmp_path: Path, tensors: dict[str, tuple[str, tuple[int, ...]]], words: str
) -> None:
    ended = run("plan", write_safetensors(tmp_path / "x.safetensors", tensors), "--vram", "8GiB")
    assert (ended.status, ended.out) == (1, "")
    assert "ValueError: Failed to recognize model type!" in ended.err
    assert words in ended.err


def test_a_file_that_cannot_be_read_is_exit_3(run: Run, tmp_path: Path) -> None:
    missing, folder = run("plan", "none.safetensors", "--vram", "8GiB"), run("plan", tmp_path, "--vram", "8GiB")
    assert (missing.status, folder.status) == (3, 3)
    assert "No such file" in missing.err
    assert "directory" in folder.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--vram 8", "did you mean 8GiB?"),
        ("--vram -8GiB", "too small"),
        ("--vram lots", "is no amount of memory"),
        ("--vram 8GiB --ram 32", "did you mean 32GiB?"),
        ("--vram 8GiB --size 63x64", "width 63"),
        ("--vram 8GiB --size big", "is no size"),
        ("--vram 8GiB --batch 0", "batch 0"),
        ("--vram 8GiB --steps 0", "steps 0"),
        ("--vram 8GiB --images 100000", "at most 1000"),
        ("--vram 8GiB --hires 0.5", "1 to 8 times"),
        ("--vram 8GiB --reserve-mb -1", "not negative"),
        ("--vram 8GiB --storage int3", "no storage type"),
        ("--vram 8GiB --compute-capability ten", "no compute capability"),
        ("--vram 12GiB --total-vram 8GiB", "cannot have it"),
        ("--gpu Voodoo2", "give --vram"),
        ("--gpu Voodoo2 --vram 8GiB --console nothing.log", None),
        ("", "give --vram SIZE"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(run: Run, model: Model, options: str, words: str | None) -> None:
    ended = run("plan", model("sd15"), *options.split())
    assert ended.status == (3 if words is None else 2)
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert (words or "nothing.log cannot be read") in ended.err


def test_a_4_bit_file_cannot_stand_for_a_gguf_one(run: Run, model: Model) -> None:
    ended = run("plan", model("flux:nf4"), "--vram", "12GiB", "--storage", "gguf:Q8_0")
    assert ended.status == 2
    assert "4-bit" in ended.err


def test_a_card_by_name_has_its_memory_and_capability(run: Run, model: Model) -> None:
    ended = run("plan", model("sd15"), "--gpu", "NVIDIA GeForce GTX 1660")
    assert "5120 MB free of 6144 MB, compute capability 7.5" in ended.out
    assert "float32" in ended.out


def test_an_unknown_card_is_taken_for_a_usual_one(run: Run, model: Model) -> None:
    assumed = run("plan", model("sd15"), "--gpu", "Voodoo2", "--vram", "8GiB", "--json").json["assumed"]
    assert any("is not a card known here" in note for note in assumed)


def test_the_card_here_is_planned_for(run: Run, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.cli.asking.card_here", lambda _: GPU)
    ended = run("plan", model("sd15"))
    assert "NVIDIA GeForce RTX 4090, 15764 MB free of 24576 MB" in ended.out
    assert "16384 MB are free now" in ended.out
    described = run("plan", model("sd15"), "--vram", "6GiB")
    assert "NVIDIA GeForce RTX 4090, 6144 MB free of 6144 MB" in described.out


def test_what_the_running_forge_holds_counts_as_free(run: Run, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = CudaMemory(24 << 30, 2000 * MB, 0, 0, 9000 * MB, 0, 0, 0, 0, 0, 0, 0)
    forge = replace(FORGE, memory=TorchMemory(0, cuda))
    monkeypatch.setattr("forgediag.cli.asking.card_here", lambda _: GPU)
    monkeypatch.setattr("forgediag.cli.asking.running_forge", lambda _: forge)
    ended = run("plan", model("sd15"))
    assert "NVIDIA GeForce RTX 4090, 11000 MB free of 24576 MB" in ended.out
    assert "when it has unloaded its models" in ended.out


def test_a_card_that_does_not_tell_its_memory_is_asked_for(
    run: Run, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = replace(GPU, memory=Gap("GPU 0 is lost", "lost"))
    monkeypatch.setattr("forgediag.cli.asking.card_here", lambda _: lost)
    ended = run("plan", model("sd15"))
    assert ended.status == 2
    assert "GPU 0 is lost; give --vram SIZE" in ended.err


def test_settings_not_given_are_those_of_the_running_forge(
    run: Run, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(
        OPTIONS, values={**OPTIONS.values, "forge_inference_memory": 3000.0, "forge_async_loading": "Async"}
    )
    forge = replace(FORGE, options=options)
    monkeypatch.setattr("forgediag.cli.asking.running_forge", lambda _: forge)
    document = run("plan", model("sd15"), "--vram", "8GiB", "--location", "shared", "--json").json
    assert document["settings"]["forge_inference_memory"] == 3000
    assert document["settings"]["forge_async_loading"] == "Async"
    assert document["settings"]["forge_pin_shared_memory"] == "Shared"
    assert any("the Forge at" in note for note in document["assumed"])


LOG = "[Memory Management] Target: KModel, Free GPU: 7000 MB, All loaded to GPU.\r"
LOG += " 50%|# | 10/20 [00:05<00:05,  2.0it/s]\r"
LOG += "100%|##########| 20/20 [00:05<00:00,  4.00it/s]\n"


def test_a_console_log_gives_the_speed(run: Run, model: Model, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text(LOG, "utf-8")
    document = run("plan", model("sdxl"), "--vram", "8GiB", "--console", log, "--json").json
    assert document["confidence"] == "calibrated"
    assert 5 < document["per_image_seconds"]["next"] < 9


def test_a_console_log_without_a_progress_bar_is_refused(run: Run, model: Model, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("Startup time: 5 s\n", "utf-8")
    ended = run("plan", model("sdxl"), "--vram", "8GiB", "--console", log)
    assert ended.status == 2
    assert "no finished progress bar" in ended.err


def test_a_header_too_long_is_not_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    with path.open("wb") as file:
        file.write((8 * MB).to_bytes(8, "little") + b'{"a":1}')
        file.truncate(9 * MB)
    ended = run("plan", path, "--vram", "8GiB")
    assert ended.status == 3
    assert "header of 8,388,616 bytes" in ended.err
