"""`forgediag probe` beside a running Forge: names it lists, modules it has set, names it drops; and `--for`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forgediag.testing.forge import ForgeThread, Setup
from forgediag.testing.models import write_models

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, Model, Run

SD15, FLUX = "meadow-sd15.safetensors", "harbour-flux-fp8.safetensors"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeThread]:
    """A Forge whose files are on this disk."""
    write_models(tmp_path)
    with ForgeThread(Setup(root=str(tmp_path))) as running:
        yield running


def post(forge: ForgeThread, **values: Any) -> None:
    forge.call(lambda it: it.options.post(values))


def probed(run: Run, forge: ForgeThread, *arguments: object) -> Ended:
    return run("--forge", forge.url, "probe", *arguments)


def test_without_a_file_it_is_what_forge_has_selected(run: Run, forge: ForgeThread) -> None:
    ended = probed(run, forge)
    assert ended.status == 0
    assert f"({SD15} is what the Forge at {forge.url} has selected)" in ended.out


def test_modules_left_from_an_earlier_job_are_taken_into_account_and_told(run: Run, forge: ForgeThread) -> None:
    post(forge, forge_additional_modules=["ae.safetensors"])
    ended = probed(run, forge, SD15)
    assert ended.status == 1
    assert f"(with ae.safetensors, which the Forge at {forge.url} has set now" in ended.out
    assert "has 16 latent channels, sd15 needs 4" in ended.out
    assert probed(run, forge, SD15, "--no-modules").status == 0
    assert probed(run, forge, SD15, "--module", "vae-4ch.safetensors").status == 0


def test_a_name_that_forge_drops_is_a_warning_and_changes_nothing(run: Run, forge: ForgeThread) -> None:
    document = probed(run, forge, SD15, "--module", "ae", "--json").json
    assert (document["loads_ok"], document["verdict"], document["modules"]) == (True, "warning", [])
    (finding,) = document["findings"]
    assert finding["subject"] == "ae"
    assert "it lists ae.safetensors: write the whole name" in finding["message"]


def test_the_same_modules_in_another_order_stay_as_forge_has_them(run: Run, forge: ForgeThread) -> None:
    post(forge, forge_additional_modules=["ae.safetensors", "vae-4ch.safetensors"])
    ended = probed(run, forge, SD15, "--module", "vae-4ch.safetensors", "--module", "ae.safetensors")
    assert ended.status == 0
    assert "Forge has these set already, and keeps its own order" in ended.out
    assert probed(run, forge, SD15, "--module", "vae-4ch.safetensors").out.count("order") == 0


def test_a_selection_that_is_not_listed_is_the_first_of_the_list(run: Run, forge: ForgeThread, tmp_path: Path) -> None:
    post(forge, sd_model_checkpoint=SD15)
    forge.call(lambda it: it.files.checkpoints.pop(SD15))
    document = probed(run, forge, "--json").json
    assert "it will load the first of its list" in document["assumed"][0]
    assert document["checkpoint"] != str(tmp_path / "models/Stable-diffusion" / SD15)


def test_a_file_that_is_gone_is_what_forge_says_of_it(run: Run, forge: ForgeThread, tmp_path: Path) -> None:
    (tmp_path / "models/Stable-diffusion" / SD15).unlink()
    document = probed(run, forge, "--json").json
    assert document["error"]["message"] == "Failed to recognize model type!"
    assert document["error"]["cause"].startswith("FileNotFoundError: No such file or directory")


def test_modules_that_are_not_on_this_machine_are_left_out_and_told(run: Run, model: Model) -> None:
    config = {"forge_additional_modules": ["/opt/forge/models/VAE/ae.safetensors"]}
    with ForgeThread(Setup(config=config)) as far:
        ended = probed(run, far, model("sd15"))
        assert ended.status == 0
        assert "(without ae.safetensors, which the Forge" in ended.out
        assert "map it with [forge.paths]" in ended.out
        assert probed(run, far).status == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing.safetensors"], "Forge lists no checkpoint of that name"),
        ([SD15, "--module", "no/such.safetensors"], "Forge lists no module of that name"),
        (["--for", "sd15"], "--for wants the FILE"),
        (["ae.safetensors", "--for", "sd15", "--live"], "--live wants a checkpoint"),
        (["vae-4ch.safetensors", "--for", "sd16"], "sd16 cannot be read"),
    ],
)
def test_what_cannot_be_found_is_one_line(run: Run, forge: ForgeThread, arguments: list[str], says: str) -> None:
    ended = probed(run, forge, *arguments)
    assert ended.status in {2, 3}
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_without_a_forge_nothing_is_selected(run: Run) -> None:
    ended = run("--forge", "http://127.0.0.1:9", "probe")
    assert ended.status == 3
    assert "no checkpoint was named, and nothing answers" in ended.err


def test_a_forge_without_checkpoints_has_none_to_probe(run: Run, forge: ForgeThread) -> None:
    forge.call(lambda it: it.files.checkpoints.clear())
    assert "Forge lists none" in probed(run, forge).err


@pytest.mark.parametrize(
    ("file", "family", "status", "says"),
    [
        ("vae", "sd15", 0, "Forge will load"),
        ("ae:bf16", "sdxl", 1, "has 16 latent channels, sdxl needs 4"),
        ("ae:bf16", "flux-dev", 0, "Forge will load"),
        ("t5:fp8", "chroma", 0, "Forge will load"),
        ("t5:fp8", "sd3.5-medium", 0, "Forge will load"),
        ("clip_l", "sd2", 0, "sd2 has no use for CLIP-L"),
        ("clip_g", "sdxl-refiner", 0, "Forge will load"),
    ],
)
def test_a_module_for_a_family(run: Run, model: Model, file: str, family: str, status: int, says: str) -> None:
    ended = run("--forge", "http://127.0.0.1:9", "probe", model(file), "--for", family)
    assert ended.status == status
    assert says in ended.out
    assert f"any checkpoint of {family}" in ended.out


def test_a_module_for_a_checkpoint_is_the_same_as_the_checkpoint_with_it(run: Run, model: Model) -> None:
    vae, checkpoint = model("ae:bf16"), model("sd15")
    turned = run("probe", vae, "--for", checkpoint)
    assert turned.out == run("probe", checkpoint, "--module", vae).out
    assert turned.status == 1
