"""What the options mean in Forge's listing."""

from __future__ import annotations

import pytest

from forgediag.forge.selection import checkpoint_of, module_of, selected_paths
from forgediag.model import Checkpoint, Listing, Module, Options

SHA256 = "16dc60b3aa" + "0" * 54
LISTING = Listing(
    (
        Checkpoint("sub/good.safetensors [16dc60b3aa]", "sub_good", "/m/sub/good.safetensors", SHA256),
        Checkpoint("plain.ckpt", "plain", r"C:\m\plain.ckpt"),
    ),
    (Module("ae.safetensors", "/m/VAE/ae.safetensors"),),
)


@pytest.mark.parametrize(
    "wanted",
    [
        "sub/good.safetensors [16dc60b3aa]",
        "sub/good.safetensors",
        "sub/good",
        "good",
        "sub_good",
        "16dc60b3aa",
        SHA256,
        "good.safetensors [0123456789]",
    ],
)
def test_a_checkpoint_is_known_by_every_name_forge_knows_it_by(wanted: str) -> None:
    assert checkpoint_of(LISTING, wanted) == LISTING.checkpoints[0]


@pytest.mark.parametrize("wanted", ["plain.ckpt", "plain", "plain.ckpt [0123456789]"])
def test_a_title_without_a_hash_is_meant_by_one_with(wanted: str) -> None:
    assert checkpoint_of(LISTING, wanted) == LISTING.checkpoints[1]


@pytest.mark.parametrize("wanted", ["gone", "GOOD", "0123456789", ""])
def test_other_names_mean_nothing(wanted: str) -> None:
    assert checkpoint_of(LISTING, wanted) is None


@pytest.mark.parametrize("wanted", ["ae.safetensors", "/any/dir/ae.safetensors", r"D:\x\ae.safetensors"])
def test_only_the_name_of_a_module_counts(wanted: str) -> None:
    assert module_of(LISTING, wanted) == LISTING.modules[0]


def test_a_module_that_is_not_listed_is_none() -> None:
    assert module_of(LISTING, "ae") is None


def test_selected_paths_are_those_listed() -> None:
    chosen = Options({"sd_model_checkpoint": "plain", "forge_additional_modules": ["/x/ae.safetensors", "/x/gone.pt"]})
    assert selected_paths(LISTING, chosen) == (r"C:\m\plain.ckpt", "/m/VAE/ae.safetensors")


def test_nothing_selected_is_no_path() -> None:
    assert selected_paths(LISTING, Options({})) == ()
