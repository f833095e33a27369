"""Forge's folders, what it lists in them, and the flags that move them."""

from __future__ import annotations

import pytest

from forgediag.forge.folders import Folder, arguments, folders, from_flags, model_name, start_flags, why_unlisted
from forgediag.model import Role


def paths(role: Role, given: dict[str, tuple[str, ...]] | None = None) -> list[str]:
    return [folder.path for folder in folders("/forge", given or {}) if folder.role == role]


def test_without_flags_everything_lies_below_models() -> None:
    assert paths("checkpoint") == ["/forge/models/Stable-diffusion"]
    assert paths("module") == ["/forge/models/VAE", "/forge/models/text_encoder"]
    assert paths("lora") == ["/forge/models/Lora"]
    assert paths("embedding") == ["/forge/embeddings"]


def test_a_checkpoint_folder_is_added_and_a_lora_folder_replaces() -> None:
    given = {"ckpt_dir": ("/big",), "lora_dir": ("/loras",), "embeddings_dir": ("emb",)}
    assert paths("checkpoint", given) == ["/forge/models/Stable-diffusion", "/big"]
    assert paths("lora", given) == ["/loras"]
    assert paths("embedding", given) == ["/forge/emb"]


def test_data_and_models_folders_move_the_rest() -> None:
    assert paths("lora", {"data_dir": ("/data",)}) == ["/data/models/Lora"]
    assert paths("embedding", {"data_dir": ("/data",)}) == ["/data/embeddings"]
    assert paths("lora", {"data_dir": ("/data",), "models_dir": ("D:\\models\\",)}) == ["D:\\models/Lora"]
    assert paths("lora", {"model_ref": ("/central",)}) == ["/central/Lora"]


def test_a_flag_given_twice_counts_by_its_last_and_neos_plurals_by_all() -> None:
    assert paths("lora", {"lora_dir": ("/a", "/b")}) == ["/b"]
    assert paths("lora", {"lora_dirs": ("/a", "/b")}) == ["/forge/models/Lora", "/a", "/b"]


def test_another_webuis_home_adds_its_folders_but_not_where_a_flag_names_one() -> None:
    given = {"forge_ref_a1111_home": ("/a1111",), "ckpt_dir": ("/big",)}
    assert paths("checkpoint", given) == ["/forge/models/Stable-diffusion", "/big"]
    assert "/a1111/models/VAE" in paths("module", given)


@pytest.mark.parametrize("home", ["/comfy", "/comfy/models"])
def test_comfys_home_may_be_named_with_or_without_models(home: str) -> None:
    assert "/comfy/models/loras" in paths("lora", {"forge_ref_comfy_home": (home,)})


def test_a_folder_named_twice_is_one() -> None:
    found = folders("/forge", {"vae_dir": ("/forge/models/VAE",)})
    assert sum(folder.path == "/forge/models/VAE" for folder in found) == 1
    assert Folder("lora", "/x", "lora_dir") in folders("/forge", {"lora_dir": ("/x",)})


def test_flags_are_read_from_a_command_line() -> None:
    tokens = [
        "python",
        "launch.py",
        "--ckpt-dir",
        "/a b",
        "--api",
        "--lora-dir=/l",
        "--port",
        "7860",
        "--vae-dir",
        "--x",
    ]
    assert arguments(tokens) == {"ckpt_dir": ("/a b",), "lora_dir": ("/l",)}


def test_flags_are_read_from_forges_answer() -> None:
    values = {"ckpt_dir": "/a", "vae_dir": None, "lora_dirs": ["/l", "/m"], "api": True, "text_encoder_dirs": []}
    assert from_flags(values) == {"ckpt_dir": ("/a",), "lora_dirs": ("/l", "/m")}


@pytest.mark.parametrize(
    ("role", "inside", "says"),
    [
        ("checkpoint", "x.safetensors", None),
        ("checkpoint", "sub/X.SafeTensors", None),
        ("checkpoint", "x.sft", "never lists .sft here; rename"),
        ("checkpoint", "x.pt", "never lists .pt"),
        ("checkpoint", ".hidden/x.gguf", "hidden"),
        ("checkpoint", "x.vae.safetensors", "VAE"),
        ("checkpoint", "x.safetensors.corrupted", "renamed"),
        ("module", "x.bin", None),
        ("module", ".hidden/x.bin", None),
        ("module", "x.BIN", "lower case"),
        ("lora", "x.gguf", "never"),
        ("controlnet", "x.patch", None),
        ("embedding", "x.pt.part", "download"),
        ("other", "x.sft", "never lists .sft"),
        ("other", "x.anything", None),
    ],
)
def test_what_forge_lists(role: Role, inside: str, says: str | None) -> None:
    reason = why_unlisted(role, inside)
    assert reason is None if says is None else says in (reason or "")


@pytest.mark.parametrize(
    ("name", "judged"),
    [
        ("a.safetensors", "a.safetensors"),
        ("a.safetensors.corrupted", "a.safetensors"),
        ("a.gguf.aria2", "a.gguf"),
        ("a.png", None),
        ("notes.tmp", None),
        ("safetensors", None),
    ],
)
def test_the_name_a_file_is_judged_by(name: str, judged: str | None) -> None:
    assert model_name(name) == judged


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (
            '#export COMMANDLINE_ARGS="--no"\nexport COMMANDLINE_ARGS="--api --ckpt-dir \'/a b\'"',
            ("--api", "--ckpt-dir", "/a b"),
        ),
        ("COMMANDLINE_ARGS='--api' # note\n", ("--api",)),
        ('export COMMANDLINE_ARGS="--api \\\n --port 1"', ("--api", "--port", "1")),
        ('export COMMANDLINE_ARGS="--api', ()),
        ("export COMMANDLINE_ARGS=\n", ()),
        ("", ()),
    ],
)
def test_the_shell_scripts_flags(text: str, flags: tuple[str, ...]) -> None:
    assert start_flags(text, windows=False) == flags


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (
            '@echo off\r\nset COMMANDLINE_ARGS=--api --lora-dir "D:\\my models"\r\n',
            ("--api", "--lora-dir", "D:\\my models"),
        ),
        (
            (
                "set HOME_A=D:\\a\nset COMMANDLINE_ARGS=--api\n"
                "set COMMANDLINE_ARGS=%COMMANDLINE_ARGS% ^\n --ckpt-dir %HOME_A%\\m"
            ),
            ("--api", "--ckpt-dir", "D:\\a\\m"),
        ),
        ('set "COMMANDLINE_ARGS=--api"', ("--api",)),
        ("@REM set COMMANDLINE_ARGS=--no\n", ()),
    ],
)
def test_the_batch_scripts_flags(text: str, flags: tuple[str, ...]) -> None:
    assert start_flags(text, windows=True) == flags
