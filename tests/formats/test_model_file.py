"""A file is judged as the loader its ending chooses would."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgediag.formats.model_file import examine, format_of, inspect
from forgediag.formats.window import Held
from forgediag.model import Fault, FileFormat, Header, Tensor
from forgediag.testing.files import Sparse, safetensors_header, vae_shapes
from forgediag.testing.pickles import Code, Weight, reach, torch_zip

HEAD, SIZE = safetensors_header(vae_shapes())


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.safetensors", "safetensors"),
        ("a.SFT", "safetensors"),
        ("a.gguf", "gguf"),
        ("a.ckpt", "pickle"),
        ("a.pt", "pickle"),
        ("a", "pickle"),
    ],
)
def test_the_ending_chooses_the_format(name: str, format: FileFormat) -> None:  # noqa: A002
    assert format_of(name) == format


def test_a_safetensors_file_is_read_in_full() -> None:
    header = examine("vae.safetensors", Sparse(HEAD, SIZE))
    assert isinstance(header, Header)
    assert header.tensors["decoder.conv_in.weight"].shape == (512, 4, 3, 3)


GGUF = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1) + b"w" + struct.pack("<IQQIQ", 2, 4, 2, 1, 0)


def test_a_gguf_file_is_read_in_full() -> None:
    assert examine("a.gguf", Sparse(GGUF, 96 + 32)) == Header("gguf", {"w": Tensor("GGUF:F16", (2, 4), 16)})


def test_a_checkpoint_that_is_nothing_known_cannot_be_read() -> None:
    fault = examine("a.ckpt", Held(b"\x01\x02\x03"))
    assert isinstance(fault, Fault)
    assert (fault.id, fault.forge_says) == ("pickle-unreadable", r"UnpicklingError: invalid load key, '\x01'.")


def test_the_weights_of_a_pickle_are_listed_and_what_it_would_run_is_named() -> None:
    file = torch_zip({"state_dict": {"w": Weight("F16", (2, 3))}, "x": Code(reach("os", "getcwd") + b")R")})
    header, safety = inspect("a.ckpt", Held(file))
    assert isinstance(header, Header)
    assert header.tensors == {"w": Tensor("F16", (2, 3), 12)}
    assert safety is not None
    assert [call.target for call in safety.calls] == ["os.getcwd", "os.getcwd"]


def test_nothing_can_run_in_other_formats() -> None:
    assert inspect("vae.safetensors", Sparse(HEAD, SIZE))[1] is None
    assert inspect("a.gguf", Sparse(GGUF, 1000))[1] is None


@pytest.mark.parametrize(
    ("name", "head", "kind", "says"),
    [
        ("a.gguf", b"xxxx\x00\x01", "gguf-magic", "ValueError: GGUF magic invalid"),
        ("a.gguf", b"", "empty", "ValueError: cannot mmap an empty file"),
        ("a.gguf", b"PK\x03\x04", "named-wrong-zip", "ValueError: GGUF magic invalid"),
        ("a.ckpt", b"", "empty", "EOFError: Ran out of input"),
        ("a.ckpt", b"<html>", "html-page", "UnpicklingError: invalid load key, '<'."),
        ("a.ckpt", HEAD[:512], "named-wrong-safetensors", rf"UnpicklingError: invalid load key, '\x{HEAD[0]:02x}'."),
    ],
)
def test_a_file_of_another_kind_gets_what_forge_says(name: str, head: bytes, kind: str, says: str) -> None:
    fault = examine(name, Sparse(head, SIZE if head else 0))
    assert isinstance(fault, Fault)
    assert (fault.id, fault.forge_says) == (kind, says)


@given(st.sampled_from(["a.safetensors", "a.gguf", "a.ckpt"]), st.binary(max_size=512))
def test_any_file_of_any_name_ends_in_a_verdict(name: str, head: bytes) -> None:
    assert isinstance(examine(name, Held(head)), Header | Fault)
