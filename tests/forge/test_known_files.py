"""Published files are told by their hash; a mismatch is claimed only where it is sure."""

from __future__ import annotations

import re

from forgediag.forge.known_files import identify, known_files

BASE = "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"
BASE_09 = "e6bb9ea85bbf7bf6478a7c6d18b71246f22e95d41bcdd80ed40aa212c33cfeff"
BASE_SIZE = 6_938_078_334
OTHER = "0" * 64


def test_the_table_is_well_formed() -> None:
    known = known_files()
    assert len(known) == 56
    assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in known)
    assert all(item.sources and item.repository and item.names for item in known.values())
    assert {item.confidence for item in known.values()} == {"high", "medium", "low"}


def test_an_official_file_is_known_under_any_name_and_case() -> None:
    identity = identify("my model.safetensors", BASE_SIZE, BASE.upper())
    assert identity.verdict == "official"
    assert identity.known[0].repository == "stabilityai/stable-diffusion-xl-base-1.0"


def test_a_changed_official_file_is_a_mismatch() -> None:
    identity = identify(r"C:\models\sd_xl_base_1.0.safetensors", BASE_SIZE, OTHER)
    assert identity.verdict == "mismatch"
    assert [known.sha256 for known in identity.known] == [BASE]


def test_the_other_official_file_of_the_same_size_is_no_mismatch() -> None:
    assert identify("sd_xl_base_1.0.safetensors", BASE_SIZE, BASE_09).verdict == "official"


def test_the_same_name_with_another_size_says_nothing() -> None:
    assert identify("sd_xl_base_1.0.safetensors", BASE_SIZE - 1, OTHER).verdict == "unlisted"


def test_two_files_of_one_name_and_different_sizes_are_told_apart() -> None:
    identity = identify("sdxl_vae.safetensors", 334_641_162, OTHER)
    assert [known.repository for known in identity.known] == ["madebyollin/sdxl-vae-fp16-fix"]


def test_a_name_that_every_vae_has_says_nothing() -> None:
    assert identify("diffusion_pytorch_model.safetensors", 334_643_276, OTHER).verdict == "unlisted"


def test_a_hash_that_only_one_table_states_accuses_nobody() -> None:
    assert identify("flux1-dev-Q6_K.gguf", 9_857_000_736, OTHER).verdict == "unlisted"


def test_a_file_without_a_published_size_accuses_nobody() -> None:
    assert identify("sd3.5_medium.safetensors", 5_107_104_702, OTHER).verdict == "unlisted"
