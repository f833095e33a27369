"""`forgediag probe`: the answer, the document and the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Model, Run


def test_a_checkpoint_that_loads_is_exit_0(run: Run, model: Model) -> None:
    ended = run("probe", model("sd15"))
    assert (ended.status, ended.err) == (0, "")
    assert "Forge will load" in ended.out


def test_a_vae_that_does_not_fit_is_told_with_forges_error(run: Run, model: Model) -> None:
    ended = run("probe", model("sd15"), "--module", model("ae:bf16"))
    assert ended.status == 1
    assert "has 16 latent channels, sd15 needs 4" in ended.out
    assert "size mismatch for decoder.conv_in.weight" in ended.out


def test_the_document_says_the_same(run: Run, model: Model) -> None:
    document = run("probe", model("sd15"), "--module", model("ae:bf16"), "--json").json
    assert (document["schema"], document["verdict"], document["loads_ok"]) == ("forgediag.probe/1", "failure", False)
    assert document["error"]["type"] == "RuntimeError"
    assert document["findings"][0]["check"] == "model-will-load"
    assert document["modules"][0]["fate"] == "used"


def test_a_module_that_changes_nothing_is_a_warning(run: Run, model: Model) -> None:
    ended = run("probe", model("sd15"), "--module", model("t5:fp8"), "--json")
    assert (ended.status, ended.json["verdict"]) == (0, "warning")
    assert "no use for T5" in ended.json["findings"][0]["message"]


def test_a_broken_file_is_told_with_the_file_forge_renames(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.safetensors"
    path.write_bytes(b"<!DOCTYPE html>" * 20)
    ended = run("probe", path)
    assert ended.status == 1
    assert "HeaderTooLarge" in ended.out
    assert f"it renames {path} to {path}.corrupted" in ended.out


def test_a_file_that_is_not_there_is_exit_3_and_a_pickle_that_is_no_model_will_not_load(
    run: Run, tmp_path: Path
) -> None:
    pickle = tmp_path / "x.ckpt"
    pickle.write_bytes(b"\x80\x02}.")
    assert [run("probe", "none.safetensors").status, run("probe", pickle).status] == [3, 1]
