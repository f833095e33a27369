"""`forgediag lint` from the outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forgediag.cli import main
from forgediag.testing.forge import ForgeThread, Setup


def lint(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["lint", *arguments] if "lint" not in arguments else [*arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


GOOD = json.dumps({"prompt": "a SECRET cat", "steps": 20}).encode()
BAD = json.dumps({"prompt": "a SECRET cat", "sd_checkpoint_model": "x", "steps": "many"}).encode()


def test_a_good_payload_ends_with_0() -> None:
    assert lint("--offline", stdin=GOOD) == (
        0,
        "txt2img payload, judged by the built-in knowledge\nNothing to say: Forge will take it as it is.\n",
        "",
    )


def test_findings_end_with_1_and_never_show_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "payload.json").write_bytes(BAD)
    status, out, _ = lint("--offline", str(tmp_path / "payload.json"))
    assert status == 1
    assert "FAILURE  sd_checkpoint_model  [field-unknown]" in out
    assert "SECRET" not in out


def test_json_is_one_document() -> None:
    status, out, _ = lint("--offline", "--json", "--txt2img", stdin=BAD)
    document: dict[str, Any] = json.loads(out)
    assert status == 1
    assert document["schema"] == "forgediag.lint/1"
    assert document["verdict"] == "failure"
    assert {item["check"] for item in document["findings"]} == {"field-unknown", "field-type"}
    assert json.loads(lint("--offline", "--json", stdin=GOOD)[1])["verdict"] == "ok"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello", "is not JSON: Expecting value (line 1, column 1)"),
        (b"\x7fELF\x02\xff\xfe", "binary (byte 5)"),
        (b"[1, 2]", "no object"),
        (b"[" * 10_000_000, "nested too deeply"),
        (b'{"a":' * 2_000_000, "nested too deeply"),
    ],
)
def test_what_is_no_payload_is_one_line(content: bytes, words: str) -> None:
    status, out, err = lint("--offline", stdin=content)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_payload_beyond_all_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.cli.lint.LARGEST", 10)
    assert lint("--offline", stdin=GOOD)[0] == 2


def test_a_file_that_is_not_there_ends_with_3(tmp_path: Path) -> None:
    status, _, err = lint("--offline", str(tmp_path / "gone.json"))
    assert status == 3
    assert "gone.json cannot be read: No such file" in err


def test_without_a_forge_the_built_in_knowledge_judges() -> None:
    status, out, _ = lint("--forge", "http://127.0.0.1:9", "lint", stdin=GOOD)
    assert status == 0
    assert "judged by the built-in knowledge of Forge (nothing answers at" in out


def test_no_forge_configured_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text("forge = []\n")
    assert lint("--config", str(tmp_path / "none.toml"), "lint", stdin=GOOD)[0] == 0


def test_names_are_looked_up_in_the_forge_at_hand() -> None:
    payload = json.dumps({"sd_model_checkpoint": "Meadow-sd15.safetensors", "forge_additional_modules": []}).encode()
    with ForgeThread(Setup()) as forge:
        status, out, _ = lint("--forge", forge.url, "lint", stdin=payload)
        cpu = lint("--forge", forge.url, "lint", stdin=GOOD)
    assert status == 1
    assert f"judged by the Forge at {forge_url(out)}" in out
    assert "did you mean meadow-sd15.safetensors?" in out
    assert cpu[0] == 0


def forge_url(out: str) -> str:
    return out.splitlines()[0].rpartition(" ")[2]


@pytest.mark.parametrize("fork", ["neo", "ersatzforge"])
def test_a_fork_is_named_and_its_options_count(fork: Any) -> None:
    with ForgeThread(Setup(fork=fork)) as forge:
        status, out, _ = lint("--forge", forge.url, "lint", stdin=b'{"forge_async_loading": "Queue"}')
    assert status == 1
    assert f"judged by the {fork} at" in out


def test_a_forge_whose_options_are_broken_is_not_asked() -> None:
    with ForgeThread(Setup(cuda=False)) as forge:
        assert lint("--forge", forge.url, "lint", stdin=GOOD)[0] == 0
        forge.call(lambda running: running.options.post({"CLIP_stop_at_last_layers": "two"}))
        _, out, _ = lint("--forge", forge.url, "lint", stdin=GOOD)
    assert "its GET options is broken" in out


def test_a_forge_that_refuses_its_options_is_not_asked() -> None:
    with ForgeThread() as forge:
        forge.call(lambda running: running.fault("error", "/sdapi/v1/options"))
        _, out, _ = lint("--forge", forge.url, "lint", stdin=GOOD)
    assert "judged by the built-in knowledge of Forge (" in out


def test_a_forge_that_cannot_list_is_judged_by_what_is_known() -> None:
    with ForgeThread() as forge:
        for path in ("samplers", "schedulers", "scripts", "sd-models", "memory"):
            forge.call(lambda running, path=path: running.fault("error", f"/sdapi/v1/{path}"))  # type: ignore[misc] - bound now
        assert lint("--forge", forge.url, "lint", stdin=GOOD)[0] == 0
