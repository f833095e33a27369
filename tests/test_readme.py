"""The README in both languages: the same sections, the same commands, and files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))


def headings(text: str) -> list[int]:
    return [
        len(marks) for marks in re.findall(r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    ]


def blocks(text: str) -> list[str]:
    return re.findall(r"```.*?```", text, re.DOTALL)


def commands(text: str) -> set[str]:
    return set(re.findall(r"`((?:forgediag|doctor|options|--)[^`]*)`", " ".join(text.split())))


def links(text: str) -> set[str]:
    return {target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("http")}


def test_both_have_the_same_sections() -> None:
    assert headings(CHINESE) == headings(ENGLISH)


def test_both_have_the_same_examples() -> None:
    assert blocks(CHINESE) == blocks(ENGLISH)


def test_both_name_the_same_commands() -> None:
    assert commands(CHINESE) == commands(ENGLISH)


def test_both_have_the_same_tables() -> None:
    assert len(re.findall(r"^\|", CHINESE, re.MULTILINE)) == len(re.findall(r"^\|", ENGLISH, re.MULTILINE))


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_every_file_it_leads_to_is_there(text: str) -> None:
    assert [target for target in links(text) if not (ROOT / target).exists()] == []


def test_both_lead_to_the_same_files() -> None:
    assert links(CHINESE) - {"README.md"} == links(ENGLISH) - {"README.zh-CN.md"}
