"""The commands that report and end, run in this process against a simulated Forge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forgediag import __version__, plugins
from forgediag.cli import COMMANDS, here, looking, main
from forgediag.sources.sampler import Sampler
from forgediag.testing.forge import ForgeThread, Setup
from forgediag.testing.gpu import SimulatedGpu
from forgediag.testing.models import write_install, write_models
from forgediag.testing.nvml import SimulatedNvml

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run `forgediag` with these arguments; nothing of the user's own settings gets in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def act(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return act


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeThread]:
    write_models(tmp_path)
    with ForgeThread(Setup(root=str(tmp_path))) as running:
        yield running


def test_help_lists_every_command_and_imports_none(call: Call) -> None:
    result = call("--help")
    assert all(name in result.stdout for name in COMMANDS)
    assert call("--version").stdout == f"forgediag, version {__version__}\n"


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(call: Call, command: str) -> None:
    assert call(command, "--help").exit_code == 0


def test_an_unknown_command_is_a_usage_error(call: Call) -> None:
    result = call("dockter")
    assert result.exit_code == 2
    assert "No such command 'dockter'" in result.stderr


def test_doctor_on_a_healthy_forge_is_content(call: Call, forge: ForgeThread) -> None:
    result = call("--forge", forge.url, "doctor")
    assert result.exit_code == 0
    assert "answers (forge)" in result.stdout
    assert "selected  meadow-sd15.safetensors" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Verdict: ")


def test_doctor_finds_a_vae_that_does_not_fit(call: Call, forge: ForgeThread) -> None:
    forge.call(lambda simulated: simulated.options.post({"forge_additional_modules": ["ae.safetensors"]}))
    result = call("--forge", forge.url, "doctor", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["schema"] == "forgediag.doctor/1"
    assert document["verdict"] == "failure"
    assert document["findings"][0]["check"] == "model-will-load"
    assert document["findings"][0]["fix"]


def test_doctor_on_a_forge_that_is_down_is_a_finding_and_no_traceback(call: Call) -> None:
    result = call("--forge", "http://127.0.0.1:9", "doctor")
    assert result.exit_code == 1
    assert "FAILURE  forge  [forge-reachable]" in result.stdout
    assert "Traceback" not in result.output


def test_doctor_fails_from_the_severity_it_is_told(call: Call, forge: ForgeThread) -> None:
    assert call("--forge", forge.url, "doctor", "--fail-on", "unknown").exit_code == 1
    assert call("--forge", forge.url, "doctor", "--fail-on", "warning").exit_code == 0


def test_doctor_that_can_examine_nothing_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = plugins.checks()
    monkeypatch.setattr(looking, "checks", lambda: [item for item in everything if item.id == "options-readable"])
    assert call("--forge", "http://127.0.0.1:9", "doctor").exit_code == 3


def test_the_install_directory_can_be_named(call: Call, forge: ForgeThread, tmp_path: Path) -> None:
    write_install(tmp_path)
    result = call("--forge", forge.url, "--forge-dir", str(tmp_path), "doctor", "--json")
    assert "is no directory of Forge" not in result.stdout


def test_a_password_on_the_command_line_is_warned_about(call: Call, forge: ForgeThread) -> None:
    result = call("--forge", forge.url, "--auth", "me:hunter2", "doctor")
    assert "--auth can be read by every user of this machine" in result.stderr
    assert "hunter2" not in result.output


def test_options_show_has_those_that_matter(call: Call, forge: ForgeThread) -> None:
    result = call("--forge", forge.url, "options", "show")
    assert result.exit_code == 0
    assert "forge_inference_memory" in result.stdout
    assert "1024.0" in result.stdout
    assert "samples_save" not in result.stdout
    assert len(call("--forge", forge.url, "options", "show", "--all").stdout.splitlines()) > 50


def test_options_show_can_name_some_and_speaks_json(call: Call, forge: ForgeThread) -> None:
    one = call("--forge", forge.url, "options", "show", "forge_preset")
    assert one.stdout == 'forge_preset  "sd"\n'
    document = json.loads(call("--forge", forge.url, "options", "show", "--json").stdout)
    assert document["schema"] == "forgediag.options/1"
    assert document["options"]["forge_inference_memory"] == 1024.0


def test_options_show_marks_one_of_a_wrong_type(call: Call, forge: ForgeThread) -> None:
    forge.call(lambda simulated: simulated.options.post({"CLIP_stop_at_last_layers": "two"}))
    result = call("--forge", forge.url, "options", "show", "CLIP_stop_at_last_layers")
    assert result.stdout == 'CLIP_stop_at_last_layers  "two"  <- wrong type\n'


def test_options_show_refuses_what_is_not_there(call: Call, forge: ForgeThread) -> None:
    missing = call("--forge", forge.url, "options", "show", "sd_checkpoint_model")
    assert missing.exit_code == 1
    assert "no option 'sd_checkpoint_model'" in missing.stderr
    down = call("--forge", "http://127.0.0.1:9", "options", "show")
    assert down.exit_code == 3
    assert "nothing answers at http://127.0.0.1:9" in down.stderr


def test_assets_are_written(call: Call, tmp_path: Path) -> None:
    for kind in ("grafana", "prometheus", "systemd", "windows", "compose", "kubernetes"):
        result = call("assets", kind, str(tmp_path / kind))
        assert result.exit_code == 0
        written = [Path(line) for line in result.stdout.splitlines()]
        assert written
        assert all(path.stat().st_size > 90 for path in written)


def test_runbooks_lead_to_where_the_documentation_is(call: Call, tmp_path: Path) -> None:
    assert call("assets", "prometheus", str(tmp_path), "--docs", "https://wiki.example/forgediag/").exit_code == 0
    assert 'runbook_url: "https://wiki.example/forgediag/alerts.md#forgedown"' in (
        tmp_path / "forgediag.rules.yml"
    ).read_text("utf-8")


def test_assets_that_are_not_there_are_told_with_those_that_are(call: Call, tmp_path: Path) -> None:
    result = call("assets", "nagios", str(tmp_path))
    assert result.exit_code == 2
    assert "no assets 'nagios'; there are: compose, grafana, kubernetes, prometheus, systemd, windows" in result.stderr


def test_assets_that_cannot_be_written_are_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    result = call("assets", "prometheus", str(tmp_path / "file" / "below"))
    assert result.exit_code == 1
    assert "cannot write" in result.stderr


def test_a_bad_setting_is_one_line_and_exit_2(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "forgediag.toml"
    path.write_text("lisen = 1\n", "utf-8")
    for arguments in (("--config", str(path), "doctor"), ("--forge", "localhost", "doctor")):
        result = call(*arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("forgediag: ")
        assert result.stderr.count("\n") == 1


def test_an_exporter_that_is_missing_is_told(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "exporters", lambda: ())
    result = call("--forge", "http://127.0.0.1:9", "doctor")
    assert result.exit_code == 1
    assert "no exporter 'text' is installed" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("options", "show"), 3),
        (("options", "set", "a=1"), 1),
        (("recommend",), 3),
        (("recommend", "--apply"), 1),
        (("doctor",), 0),
    ],
)
def test_a_configuration_without_a_forge_is_no_traceback(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    path = tmp_path / "gpus-only.toml"
    path.write_text("forge = []\n", "utf-8")
    result = call("--config", str(path), *arguments)
    assert result.exit_code == status
    assert status == 0 or "no Forge is configured" in result.stderr


def test_a_file_is_planned_for_the_card_here_without_any_forge_configured(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SimulatedNvml(SimulatedGpu())
    monkeypatch.setattr(here, "Sampler", lambda: Sampler(card.load))
    path = tmp_path / "gpus-only.toml"
    path.write_text("forge = []\n", "utf-8")
    write_models(tmp_path)
    model = tmp_path / "models" / "Stable-diffusion" / "meadow-sd15.safetensors"
    assert call("--config", str(path), "plan", str(model), "--vram", "8GB").exit_code == 0
    planned = call("--config", str(path), "plan", str(model))
    assert planned.exit_code == 0
    assert "RTX 4070 (simulated)" in planned.stdout


@pytest.mark.parametrize("command", ["recommend", "plan", "explain", "doctor", "probe"])
def test_help_is_told_before_anything_heavy_is_imported(command: str) -> None:
    heavy = "{'forgediag.plan', 'forgediag.daemon', 'httpx', 'numpy', 'sqlite3'} & sys.modules.keys()"
    code = (
        "import sys\nfrom forgediag.cli import main\n"
        f"try:\n main(['{command}', '--help'])\nfinally:\n assert not {heavy}, {heavy}"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage uses sqlite3
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60, env=plain)


def test_a_daemon_holds_no_reader_of_model_files_and_no_planner() -> None:
    code = (
        "import sys, forgediag.cli.run, forgediag.watchers, forgediag_checks, forgediag_exporters\n"
        "heavy = {'statistics', 'importlib.metadata', 'zipfile', 'forgediag.formats.gguf',\n"
        " 'forgediag.forge.loading', 'forgediag.forge.components', 'forgediag.forge.memory.manager'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, timeout=60, env=plain, text=True
    )
    assert done.stdout == "[]\n"
