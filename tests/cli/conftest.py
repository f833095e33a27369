"""Commands in this process, model files on the disk, and no Forge or card unless a test brings one."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forgediag.cli import main
from forgediag.model import Forge, Gap, Gpu, Header, Known
from forgediag.testing.files import write_safetensors, write_sparse
from forgediag.testing.headers import header


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as one JSON document."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `forgediag` with these arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def act(*arguments: object, charset: str = "utf-8") -> Ended:
        result = CliRunner(charset=charset).invoke(main, list(map(str, arguments)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return act


@pytest.fixture
def no_forge(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Forge answers."""
    gap = Gap("nothing answers at http://127.0.0.1:7861", "refused")
    here(monkeypatch, forge=gap)


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """No card is in this machine."""
    here(monkeypatch, card=Gap("no NVIDIA GPU here", "missing", expected=True))


def here(monkeypatch: pytest.MonkeyPatch, card: Known[Gpu] | None = None, forge: Known[Forge] | None = None) -> None:
    """Let this card, and this Forge, be what is here."""
    if card is not None:
        monkeypatch.setattr("forgediag.cli.asking.card_here", lambda _: card)
    if forge is not None:
        monkeypatch.setattr("forgediag.cli.asking.running_forge", lambda _: forge)


Model = Callable[[str], Path]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A model file with a header of `forgediag.testing.headers`, by that header's name."""

    def write(name: str) -> Path:
        made = header(name)
        path = tmp_path / f"{name.replace(':', '-')}.{made.format}"
        return write_gguf(path, made) if made.format == "gguf" else write_header(path, made)

    return write


def write_header(path: Path, made: Header) -> Path:
    """A safetensors file with these tensors over sparse data."""
    return write_safetensors(path, {key: (tensor.dtype, tensor.shape) for key, tensor in made.tensors.items()})


def write_gguf(path: Path, made: Header) -> Path:
    """A GGUF file (version 3) with these tensors over sparse data."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(made.tensors), 0)
    for name, tensor in made.tensors.items():
        sizes = b"".join(struct.pack("<Q", length) for length in reversed(tensor.shape))
        head += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(tensor.shape)) + sizes
        head += struct.pack("<IQ", GGUF_TYPES[tensor.dtype], 0)
    return write_sparse(path, head, len(head) + sum(tensor.nbytes for tensor in made.tensors.values()))


GGUF_TYPES = {"GGUF:F32": 0, "GGUF:F16": 1, "GGUF:Q4_0": 2, "GGUF:Q8_0": 8, "GGUF:IQ2_XXS": 16}
"""Numbers of the types tests write, from ggml.h."""
