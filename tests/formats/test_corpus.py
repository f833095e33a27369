"""Every file of the corpus gets its one right finding, and Forge's words are those of the real readers."""

from __future__ import annotations

import importlib
import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from forgediag.forge.judge import judge
from forgediag.formats import model_file
from forgediag.formats.faults import FAULTS
from forgediag.formats.gguf.reference import HANGS, says
from forgediag.formats.tail import sampled
from forgediag.model import Fault
from forgediag.sources.window import opened
from forgediag.testing.corpus import Case, corpus

CASES = corpus()
RECORDED: dict[str, str | None] = json.loads((Path(__file__).parent / "safetensors_042.json").read_text("utf-8"))


def reference(module: str) -> Any:  # the reference packages have no types here
    try:
        return importlib.import_module(module)
    except ImportError as error:
        pytest.skip(f"{module} is not installed (group `reference`): agreement with it is NOT tested: {error}")


def test_the_corpus_is_large_and_its_labels_are_unique() -> None:
    sizes = [len(case.head) if case.size is None else case.size for case in CASES]
    assert len(CASES) >= 150
    assert [label for label, count in Counter(case.label for case in CASES).items() if count > 1] == []
    assert min(sizes) < 1024 < 1024**2 < max(sizes)
    assert sum(size > 2**30 for size in sizes) > 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_a_file_gets_its_one_right_finding(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    with opened(str(path)) as window:
        found = judge(str(path), window, case.role).fault
    path.unlink()
    assert (found and found.id) == case.finding
    if found is not None:
        assert found.message
        assert found.fix
        assert FAULTS[found.id].why


def test_the_corpus_shows_every_fault_of_a_file() -> None:
    shown = {case.finding for case in CASES} - {None}
    elsewhere = {
        "diffusers-incomplete",
        "zero-stretch",
        "header-missing",
        "record-crc",
        "gguf-split-missing",
        "gguf-split-mixed",
    }
    assert FAULTS.keys() - shown - elsewhere == set()


SAFETENSORS = [case for case in CASES if case.name.endswith(".safetensors")]


@pytest.mark.parametrize("case", SAFETENSORS, ids=lambda case: case.label)
def test_what_forge_says_is_what_safetensors_042_printed(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    with opened(str(path)) as window:
        found = model_file.examine(str(path), window)
    path.unlink()
    said = found.forge_says if isinstance(found, Fault) else None
    if case.label == "bad-shared":  # the order of a hash map decides which of the two tensors 0.4.2 names
        said = said and said.replace('"a"', '"b"')
        assert RECORDED[case.label] in {said, (said or "").replace('"b"', '"a"')}
    else:
        assert said == RECORDED[case.label]


@pytest.mark.parametrize("case", SAFETENSORS, ids=lambda case: case.label)
def test_the_newest_safetensors_refuses_the_same_files(case: Case, tmp_path: Path) -> None:
    package = reference("safetensors")
    path = case.write(tmp_path)
    with opened(str(path)) as window:
        found = model_file.examine(str(path), window)
    try:
        with package.safe_open(str(path), "np") as file:
            file.keys()
        refused = None
    except package.SafetensorError as error:
        refused = str(error)
    path.unlink()
    assert (isinstance(found, Fault) and found.id != "dtype-newer-than-forge") == (refused is not None)


GGUF = [case for case in CASES if case.name.endswith(".gguf")]


@pytest.mark.parametrize("case", GGUF, ids=lambda case: case.label)
def test_the_gguf_package_ends_as_predicted(case: Case, tmp_path: Path) -> None:
    package = reference("gguf")
    path = case.write(tmp_path)
    with opened(str(path)) as window:
        predicted = says(window, "newest")
    raised: str | None = HANGS
    if predicted != HANGS:
        raised = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                package.GGUFReader(path)
        except (ValueError, IndexError, KeyError) as error:
            raised = f"{type(error).__name__}: {error}"
    path.unlink()
    assert predicted == raised


@pytest.mark.parametrize("case", [case for case in CASES if case.finding is None], ids=lambda case: case.label)
def test_a_file_full_of_numbers_has_no_stretch_of_zeros(case: Case) -> None:
    class Full:
        size = max(len(case.head), case.size or 0)

        def read(self, offset: int, length: int) -> bytes:
            return b"\1" * length

    assert sampled(Full(), len(case.head)) is None
