"""`forgediag run` as a process: a simulated Forge over a socket, the real pynvml on a fake driver."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.models import write_models

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Start
    from tests.fake_nvml.control import FakeNvml

QUICK = Pace(load_per_gb=0.2, text_encode=0.05, unet_load=0.1, step=0.05, swap_per_gb=0.01, vae_decode=0.1)
CARD = "gpus = 1\ngpu.0.name = NVIDIA GeForce RTX 4070\n"


@pytest.fixture
def fast(tmp_path: Path) -> list[str]:
    """Global options with a configuration that polls fast."""
    path = tmp_path / "fast.toml"
    paces = "progress = 0.1\nprogress_busy = 0.05\nmemory = 0.2\noptions = 0.2\nmodels = 0.5\nfiles = 0.5\ntick = 0.2\n"
    path.write_text(f"[pace]\n{paces}", "utf-8")
    return ["--config", str(path)]


def test_what_the_sources_know_is_exported(
    start: Start, fast: list[str], make_fake_nvml: Callable[[str], FakeNvml], tmp_path: Path
) -> None:
    write_models(tmp_path)
    fake = make_fake_nvml(CARD)
    with ForgeThread(Setup(root=str(tmp_path), pace=QUICK)) as forge:
        running = start("--forge", forge.url, *fast, FORGEDIAG_HASH_MODELS="no", **fake.environment)
        running.wait(lambda: running.value("forge_gpu_memory_bytes", 'kind="used"') is not None)
        running.wait(lambda: running.value("forge_model_files") is not None)
        running.wait(lambda: running.value("forge_inference_memory_recommended_bytes") is not None)
        names = set(running.metrics())
    wanted = {
        "forge_up",
        "forge_info",
        "forge_api_request_duration_seconds_bucket",
        "forge_inference_memory_bytes",
        "forge_gpu_weights_bytes",
        "forge_inference_memory_recommended_bytes",
        "forge_option_changes_total",
        "forge_job_running",
        "forge_job_progress_ratio",
        "forge_jobs_total",
        "forge_job_duration_seconds_bucket",
        "forge_cuda_memory_bytes",
        "forge_cuda_memory_peak_bytes",
        "forge_cuda_alloc_retries_total",
        "forge_cuda_ooms_total",
        "forge_process_resident_memory_bytes",
        "forge_gpu_info",
        "forge_gpu_memory_bytes",
        "forge_gpu_memory_used_max_bytes",
        "forge_gpu_process_memory_bytes",
        "forge_gpu_utilization_ratio",
        "forge_gpu_temperature_celsius",
        "forge_gpu_power_watts",
        "forge_check_status",
        "forge_check_duration_seconds",
        "forge_model_files",
        "forgediag_build_info",
        "forgediag_poll_success",
        "forgediag_poll_duration_seconds",
        "forgediag_sampler_lag_seconds",
    }
    assert wanted - names == set()


def test_a_job_is_seen_from_its_start_to_its_end(start: Start, fast: list[str]) -> None:
    with ForgeThread(Setup(pace=QUICK)) as forge:
        running = start("--forge", forge.url, *fast)
        forge.call(lambda simulated: simulated.start_job(steps=20))
        running.wait(lambda: running.value("forge_job_running") == 1)
        running.wait(lambda: (running.value("forge_job_progress_ratio") or 0) > 0.1)
        running.wait(lambda: running.value("forge_jobs_total", 'outcome="done"') == 1)
        running.wait(lambda: running.value("forge_model_loaded", 'model="meadow-sd15"') == 1)
        assert running.value("forge_job_duration_seconds_count") == 1


def test_a_forge_that_dies_takes_its_series_with_it_and_comes_back(start: Start, fast: list[str]) -> None:
    with ForgeThread(Setup(pace=QUICK)) as forge:
        running = start("--forge", forge.url, *fast)
        running.wait(lambda: running.value("forge_inference_memory_bytes") is not None)
        forge.wait(lambda simulated: simulated.go_down())
        running.wait(lambda: running.value("forge_up") == 0)
        assert running.value("forge_inference_memory_bytes") is None
        assert running.value("forge_job_running") is None
        running.wait(lambda: running.findings()[0]["check"] == "forge-reachable")
        assert running.value("forgediag_poll_success", 'source="forge:forge"') == 0
        forge.wait(lambda simulated: simulated.restart())
        running.wait(lambda: running.value("forge_up") == 1)
        running.wait(lambda: running.value("forge_inference_memory_bytes") is not None)


def test_a_changed_option_is_counted(start: Start, fast: list[str]) -> None:
    with ForgeThread(Setup(pace=QUICK)) as forge:
        running = start("--forge", forge.url, *fast)
        running.wait(lambda: running.value("forge_inference_memory_bytes") is not None)
        forge.call(lambda simulated: simulated.options.post({"forge_inference_memory": 2048}))
        running.wait(lambda: running.value("forge_option_changes_total") == 1)
        running.wait(lambda: running.value("forge_inference_memory_effective_bytes") == 2048 * 1024**2)


def test_a_driver_that_hangs_is_told_within_two_seconds_and_nothing_else_stops(
    start: Start, fast: list[str], make_fake_nvml: Callable[[str], FakeNvml]
) -> None:
    fake = make_fake_nvml(CARD)
    with ForgeThread(Setup(pace=QUICK)) as forge:
        running = start("--forge", forge.url, *fast, **fake.environment)
        running.wait(lambda: running.value("forge_gpu_temperature_celsius") is not None)
        fake.hang("nvmlDeviceGetMemoryInfo_v2")
        seconds = running.wait(lambda: running.value("forge_gpu_memory_bytes") is None)
        assert seconds < 2.0
        assert running.value("forge_gpu_temperature_celsius") is None
        assert running.value("forge_up") == 1
        assert any("the NVIDIA driver hangs: nvmlDeviceGetMemoryInfo" in item["message"] for item in running.findings())
        fake.release()
        running.wait(lambda: running.value("forge_gpu_memory_bytes", 'kind="used"') is not None)


def test_a_driver_that_hangs_does_not_keep_the_daemon_from_ending(
    start: Start, make_fake_nvml: Callable[[str], FakeNvml]
) -> None:
    fake = make_fake_nvml(CARD)
    running = start(FORGEDIAG_FORGE="http://127.0.0.1:9", **fake.environment)
    running.wait(lambda: running.value("forge_gpu_temperature_celsius") is not None)
    fake.hang("nvmlDeviceGetMemoryInfo_v2")
    running.wait(lambda: running.value("forge_gpu_memory_bytes") is None)
    status, seconds = running.stop()
    assert status == 0
    assert seconds < 2.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_a_disk_that_hangs_does_not_keep_the_daemon_from_ending(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from forgediag.cli import main\n"
        "from forgediag.sources.local import LocalFacts\n"
        "LocalFacts._refresh = lambda *_: time.sleep(60)\n"
        "main(['--forge', 'http://127.0.0.1:9', 'run', '--listen', '127.0.0.1:0'])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        assert "metrics at" in process.stderr.readline()
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - started < 2.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_two_seconds(start: Start, signum: int) -> None:
    with ForgeThread() as forge:
        running = start("--forge", forge.url)
        status, seconds = running.stop(signum)
    assert status == 0
    assert seconds < 2.0
    assert "Traceback" not in running.log.read_text("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_sighup_rereads_the_configuration_and_a_bad_one_changes_nothing(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "forgediag.toml"
    with ForgeThread() as forge:
        path.write_text(f'[[forge]]\nname = "one"\nurl = "{forge.url}"\n', "utf-8")
        running = start("--config", str(path))
        assert running.value("forge_up", 'target="one"') == 1
        path.write_text(f'[[forge]]\nname = "two"\nurl = "{forge.url}"\n', "utf-8")
        running.process.send_signal(signal.SIGHUP)
        running.wait(lambda: running.value("forge_up", 'target="two"') == 1)
        path.write_text("nonsense = 1\n", "utf-8")
        running.process.send_signal(signal.SIGHUP)
        running.wait(lambda: "unknown key 'nonsense'" in running.log.read_text("utf-8"))
        assert running.value("forge_up", 'target="two"') == 1


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("html", {}, "web page, not JSON"),
    ("half_json", {}, "not whole JSON"),
    ("huge", {}, "more than 16 MB"),
    ("drip", {}, "no whole answer to progress within 1 s"),
    ("hang", {}, "no whole answer to progress within 1 s"),
    ("redirect", {"to": "http://127.0.0.1:9/"}, "redirects to http://127.0.0.1:9/"),
    ("unauthorized", {}, "wants a user and password"),
    ("reset", {}, "broke off its answer"),
    ("error", {}, "answers progress with 500"),
]


@pytest.mark.parametrize(("kind", "how", "told"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_forge_that_answers_wrongly_is_a_finding(
    start: Start, fast: list[str], kind: str, how: dict[str, Any], told: str
) -> None:
    with ForgeThread() as forge:
        running = start("--forge", forge.url, *fast, FORGEDIAG_TIMEOUT="1")
        forge.call(lambda simulated: simulated.fault(kind, **how))  # type: ignore[arg-type] # a FaultKind
        running.wait(lambda: running.value("forge_up") == 0)
        running.wait(lambda: any(told in str(item) for item in running.findings()))
        first = running.findings()[0]
        assert first["check"] == "forge-reachable"
        assert first["fix"]
        forge.call(lambda simulated: simulated.heal())
        running.wait(lambda: running.value("forge_up") == 1)
        assert "Traceback" not in running.log.read_text("utf-8")


def test_a_password_never_shows(start: Start, fast: list[str], tmp_path: Path) -> None:
    with ForgeThread(Setup(auth="me:hunter2", port=7861)) as forge:
        secret = tmp_path / "auth"
        secret.write_text("me:hunter2\n", "utf-8")
        running = start("--forge", forge.url, "--auth-file", str(secret), *fast, FORGEDIAG_LOG_LEVEL="debug")
        running.wait(lambda: running.value("forge_inference_memory_bytes") is not None)
        pages = [running.get(path).text for path in ("/", "/metrics", "/api/v1/snapshot", "/api/v1/findings")]
        told = running.log.read_text("utf-8")
    kept = [path.read_text("utf-8") for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert "hunter2" not in "".join([*pages, told, *kept])


def test_a_taken_port_is_told_with_the_way_out(
    start: Start, forgediag: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    running = start("--forge", "http://127.0.0.1:9")
    second = forgediag("run", "--listen", f"127.0.0.1:{running.port}")
    assert second.returncode == 1
    assert second.stderr.strip().splitlines()[-1].startswith(f"forgediag: cannot listen on 127.0.0.1:{running.port}")
    assert "--listen HOST:PORT" in second.stderr
    assert "Traceback" not in second.stderr


def test_without_nvidia_everything_else_works(start: Start, fast: list[str], tmp_path: Path) -> None:
    with ForgeThread() as forge:
        running = start("--forge", forge.url, *fast, LD_LIBRARY_PATH=str(tmp_path))
        running.wait(lambda: running.value("forge_inference_memory_bytes") is not None)
        assert running.value("forge_gpu_memory_bytes") is None
        assert running.value("forge_host_memory_bytes", 'kind="total"') is not None
        assert running.value("forge_up") == 1


def test_the_pages_are_there(start: Start) -> None:
    running = start("--forge", "http://127.0.0.1:9")
    assert running.get("/healthz").text == "ok\n"
    assert running.get("/").headers["content-type"].startswith("text/plain")
    assert running.get("/api/v1/snapshot").json()["schema"] == "forgediag.snapshot/1"
    assert running.get("/api/v1/recommendation").json()["schema"] == "forgediag.recommend/1"
    assert running.get("/metrics", accept="application/openmetrics-text").text.endswith("# EOF\n")
    assert running.get("/nowhere").status_code == 404


@pytest.mark.skipif(sys.platform == "win32", reason="systemd is not on Windows: nothing to tell")
def test_systemd_hears_that_it_is_ready_lives_and_stops(start: Start, fast: list[str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        running = start(*fast, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="1000000")
        heard = [systemd.recv(100) for _ in range(3)]
        running.stop()
        while heard[-1] != b"STOPPING=1":
            heard.append(systemd.recv(100))
    assert sorted(set(heard)) == [b"READY=1", b"STOPPING=1", b"WATCHDOG=1"]
    assert heard.count(b"WATCHDOG=1") >= 2
