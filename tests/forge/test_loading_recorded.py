"""The load played through against what Forge's own loader raised, printed and renamed for the same files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from forgediag.forge.loading import File, predict
from forgediag.formats import safetensors
from forgediag.formats.window import Held
from forgediag.model import Prediction
from forgediag.testing import loads
from forgediag.testing.files import Sparse, safetensors_header

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent.parent / "recorded" / "loads.json").read_text("utf-8"))
BROKEN: Mapping[str, bytes] = {
    "html": b"<!DOCTYPE html><html><body>Not found</body></html>" * 20,
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123\n",
    "zero": b"",
    "zeros": bytes(4096),
}
PRINTED = ("StateDict Keys", "IntegratedAutoencoderKL", "CLIPTextModel", "T5EncoderModel")


@cache
def file(name: str, role: str) -> File:
    base, _, harm = name.partition("!")
    path = f"DIR/{role}-{name.replace('!', '_').replace('+', '_')}.safetensors"
    if base in BROKEN:
        return File(path, safetensors.read(Held(BROKEN[base])))
    shapes = loads.checkpoint(base) if role == "checkpoint" else loads.module(base)
    head, size = safetensors_header({key: ("F16", shape) for key, shape in shapes.items()})
    if harm == "cut":
        size = size * 6 // 10
    if harm == "short":
        head, size = head[:200], 200
    return File(path, safetensors.read(Sparse(head, size)))


def texts(numbers: list[int]) -> list[str]:
    return [RECORDED["texts"][number] for number in numbers]


def case_name(case: list[Any]) -> str:
    return " ".join((case[0], *case[1]))


@pytest.mark.parametrize("case", RECORDED["cases"], ids=case_name)
def test_the_answer_and_every_line_are_forges_own(case: list[Any]) -> None:
    checkpoint, modules, error, causes, printed, renamed = case
    made = predict(file(checkpoint, "checkpoint"), [file(module, "module") for module in modules])
    assert isinstance(made, Prediction)
    raised = None if made.error is None else [made.error.type, made.error.message]
    assert raised == (None if error is None else [error[0], RECORDED["texts"][error[1]]])
    assert [line for line in made.printed if line.startswith(PRINTED)] == texts(printed)
    assert list(made.renamed) == renamed
    if causes:
        first, outer = texts(causes)
        assert made.error is not None
        assert made.error.cause == first
        if renamed:
            assert "\n".join(made.printed) + "\n" == outer
    assert made.loads == (not made.cause)
    assert bool(made.fix) == bool(made.error)
