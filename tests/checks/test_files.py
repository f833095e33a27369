"""Broken, missing and changed model files."""

from __future__ import annotations

from dataclasses import replace

from forgediag.model import Fault, Files, Gap, Severity
from forgediag.testing.facts import CHECKPOINT, VAE, model_file, problems, vae_file
from forgediag_checks.files import model_file_whole
from forgediag_checks.integrity import model_file_genuine

CUT = Fault("data-cut", "the file is cut", ("Again.",), "Error …: MetadataIncompleteBuffer", offset=7)


def test_a_selected_file_that_is_broken_is_a_failure_with_forges_words() -> None:
    (problem,) = problems(model_file_whole, Files((model_file(fault=CUT),)))
    assert problem.severity is Severity.FAILURE
    assert problem.evidence["forge_says"] == "Error …: MetadataIncompleteBuffer"
    assert problem.evidence["offset"] == 7
    assert problem.fix is not None
    assert "corrupted" in problem.fix[-1]


def test_a_broken_file_that_nobody_selected_is_a_warning() -> None:
    fault = replace(CUT, offset=None, forge_says=None)
    (problem,) = problems(model_file_whole, Files((replace(model_file(fault=fault), selected=False),)))
    assert problem.severity is Severity.WARNING
    assert "Forge will say" not in problem.message


def test_a_selected_file_that_is_gone_is_a_failure() -> None:
    (problem,) = problems(model_file_whole, Files((vae_file(),), {CHECKPOINT: "does not exist"}))
    assert problem.severity is Severity.FAILURE
    assert problem.subject == "sd_xl_base_1.0.safetensors"


def test_a_selected_file_that_forge_renamed_is_named_with_the_way_back() -> None:
    twin = replace(model_file(), path=f"{CHECKPOINT}.corrupted", selected=False)
    (problem,) = problems(model_file_whole, Files((twin,), {CHECKPOINT: "does not exist"}))
    assert problem.fix is not None
    assert "rename sd_xl_base_1.0.safetensors.corrupted to sd_xl_base_1.0.safetensors" in problem.fix[1]


def test_a_selected_file_that_may_not_be_read_is_unknown() -> None:
    (problem,) = problems(model_file_whole, Files((vae_file(),), {CHECKPOINT: "may not be read"}))
    assert problem.severity is Severity.UNKNOWN


def test_a_file_that_is_gone_and_not_selected_is_nobodys_concern() -> None:
    assert problems(model_file_whole, Files((model_file(), vae_file()), {"/forge/x.ckpt": "does not exist"})) == []


def test_a_published_file_with_other_contents_is_a_failure_with_both_hashes() -> None:
    (problem,) = problems(model_file_genuine, Files((replace(model_file(), sha256="0" * 64),)))
    assert problem.severity is Severity.FAILURE
    assert problem.evidence["sha256"] == "0" * 64
    assert problem.evidence["published"] == ["31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"]


def test_a_hash_that_few_have_published_only_warns() -> None:
    pony = replace(model_file(), path="/m/ponyDiffusionV6XL.safetensors", size=6_938_041_050, sha256="0" * 64)
    (problem,) = problems(model_file_genuine, Files((pony,)))
    assert problem.severity is Severity.WARNING


def test_files_still_being_hashed_are_told_once() -> None:
    gap = Gap("hashing the selected model files", "starting")
    (problem,) = problems(
        model_file_genuine, Files((replace(model_file(), sha256=gap), replace(vae_file(), sha256=gap)))
    )
    assert problem.severity is Severity.UNKNOWN
    assert problem.evidence["files"] == ["sd_xl_base_1.0.safetensors", "sdxl_vae.safetensors"]


def test_hashing_that_is_switched_off_is_no_finding() -> None:
    off = Gap("hashing is off", "unsupported", expected=True)
    assert problems(model_file_genuine, Files((replace(vae_file(), sha256=off, path=VAE),))) == []
