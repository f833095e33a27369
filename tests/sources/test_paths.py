"""Forge's paths translated to this machine's."""

from __future__ import annotations

import os

import pytest

from forgediag.sources.paths import local_path

PREFIXES = {"/app/models": "/data/models", "/app/models/VAE": "/vae", r"C:\Forge\models": "/mnt/forge"}


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/app/models/Stable-diffusion/a.safetensors", "/data/models|Stable-diffusion|a.safetensors"),
        ("/app/models/VAE/ae.safetensors", "/vae|ae.safetensors"),
        ("/app/models2/a.safetensors", None),
        ("/app", None),
        (r"c:\forge\MODELS\VAE\ae.safetensors", "/mnt/forge|VAE|ae.safetensors"),
        ("C:/Forge/models/x.ckpt", "/mnt/forge|x.ckpt"),
        (r"D:\Forge\models\x.ckpt", None),
    ],
)
def test_the_longest_prefix_that_fits_is_replaced(path: str, ours: str | None) -> None:
    expected = path if ours is None else ours.replace("|", os.sep)
    assert local_path(path, PREFIXES) == expected


def test_without_prefixes_a_path_stays() -> None:
    assert local_path("/a/b", {}) == "/a/b"


def test_a_trailing_separator_of_a_prefix_changes_nothing() -> None:
    assert local_path("/app/x", {"/app/": "/data"}) == f"/data{os.sep}x"
