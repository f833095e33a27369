"""What an installed Forge can load, by its commit and its files."""

from __future__ import annotations

import pytest

from forgediag.forge.commits import UPSTREAM
from forgediag.forge.features import FEATURES, LAST, can, dated, needed, traits_of
from forgediag.model import Header
from forgediag.testing.headers import header, tensor

CHROMA = next(item for item in FEATURES if item.name == "Chroma")
BF16 = next(item for item in FEATURES if item.name == "GGUF with BF16 tensors")
BEFORE, AFTER = "17a42e58", "dfdcbab685e57677014f05a3309b48cc87383167"


@pytest.mark.parametrize(
    ("commit", "engines", "expected"),
    [
        (BEFORE, [], False),
        (AFTER, [], True),
        (CHROMA.commit, [], True),
        (BEFORE, ["flux", "chroma"], True),  # a fork at a commit of its own proves it by the file
        (AFTER, ["flux"], False),
        ("0" * 40, [], None),
        (None, [], None),
    ],
)
def test_chroma_came_with_a_commit_and_a_file(commit: str | None, engines: list[str], expected: bool | None) -> None:
    assert can(CHROMA, commit, engines) is expected


def test_a_format_is_told_by_the_commit_alone() -> None:
    assert can(BF16, BEFORE, ["flux"]) is True
    assert can(BF16, "f23bc80d", ["flux"]) is False


def test_a_commit_is_dated_without_git() -> None:
    assert dated(AFTER) == "2025-06"
    assert dated("a6baf4a4") == "2024-08"
    assert dated("0" * 40) is None
    assert dated(None) is None


def test_every_feature_names_a_commit_of_the_table() -> None:
    assert {item.commit for item in FEATURES} | {LAST} <= set(UPSTREAM.split())


@pytest.mark.parametrize(
    ("made", "traits"),
    [
        (header("sd15"), set()),
        (header("flux:gguf-Q8_0"), {"GGUF"}),
        (header("flux:scaled"), {"fp8-scaled"}),
        (header("flux:nf4"), {"bitsandbytes"}),
        (Header("gguf", {"x": tensor("GGUF:F32", (4,)), "y": tensor("GGUF:F16", (4,))}), {"GGUF"}),
    ],
)
def test_what_not_every_forge_reads_is_told_from_the_header(made: Header, traits: set[str]) -> None:
    assert traits_of(made) == traits


def test_bf16_in_a_gguf_is_told() -> None:
    made = header("flux:gguf-Q8_0")
    first = next(iter(made.tensors.values()))
    mixed = Header("gguf", {**made.tensors, "x": type(first)("GGUF:BF16", (4,), 8)})
    assert traits_of(mixed) == {"GGUF", "GGUF:BF16"}


def test_what_a_file_needs() -> None:
    assert [item.name for item in needed("chroma", {"fp8-scaled"})] == ["Chroma", "fp8 with scales"]
    assert needed("sd15", ()) == ()
