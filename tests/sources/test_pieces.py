"""What lies beside a file is looked for, and what cannot be looked at says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgediag.formats.diffusers import INDEX_LIMIT
from forgediag.formats.faults import fault
from forgediag.sources.pieces import incomplete_folders, split
from forgediag.testing.gguf import assembled, info

PIECE = fault("gguf-split", "the file is piece 1 of 2")


def test_an_index_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert incomplete_folders([str(tmp_path / "model_index.json")]) == {}


@pytest.mark.parametrize(("size", "faults"), [(INDEX_LIMIT, 1), (INDEX_LIMIT + 1, 0)])
def test_an_index_longer_than_is_read_is_not_judged(tmp_path: Path, size: int, faults: int) -> None:
    (tmp_path / "model_index.json").write_bytes(b"{" * size)
    assert len(incomplete_folders([str(tmp_path / "model_index.json")])) == faults


def test_a_piece_that_became_a_whole_file_a_moment_ago_keeps_its_fault(tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-00002.gguf"
    path.write_bytes(assembled([info("x", (64,), 1, 0)], []) + bytes(128))
    assert split(str(path), PIECE) is PIECE


def test_other_faults_stay_as_they_are() -> None:
    other = fault("data-cut", "it is cut")
    assert split("/nowhere.gguf", other) is other
