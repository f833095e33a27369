"""A real Prometheus for tests: started on a free port, asked through its HTTP API, gone afterwards."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 30.0


class QueryError(Exception):
    """Prometheus refused a query; its message says why."""


class Prometheus:
    """A running Prometheus. Times are in seconds."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=10.0, trust_env=False)

    def query(self, expr: str) -> list[Any]:
        """The vector that an instant query gives: `{"metric": {label: value}, "value": [time, "text"]}` each.

        Raises:
            QueryError: the expression cannot be parsed or evaluated.
        """
        found: list[Any] = self._get("/api/v1/query", {"query": expr})["result"]
        return found

    def query_range(self, expr: str, seconds: float, step: float = 1.0) -> list[Any]:
        """The matrix that a range query over the last `seconds` gives.

        Raises:
            QueryError: as `query`.
        """
        end = time.time()
        found: list[Any] = self._get(
            "/api/v1/query_range", {"query": expr, "start": end - seconds, "end": end, "step": step}
        )["result"]
        return found

    def label_values(self, label: str, selector: str) -> list[str]:
        """The values of a label among the series that a selector matches, sorted.

        Raises:
            QueryError: as `query`.
        """
        found: list[str] = self._get(f"/api/v1/label/{label}/values", {"match[]": selector})
        return found

    def targets(self) -> list[Any]:
        """What is scraped: `scrapeUrl`, `health` ("up"), `lastError` and more of each."""
        found: list[Any] = self._get("/api/v1/targets", {"state": "active"})["activeTargets"]
        return found

    def rules(self) -> list[Any]:
        """Every rule that is loaded: `name`, `health` ("ok" once evaluated), `lastError`, `alerts` and more of each."""
        groups: list[Any] = self._get("/api/v1/rules", {})["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait(self, condition: Callable[[Prometheus], object], seconds: float = 30.0) -> None:
        """Return once `condition` is true.

        Raises:
            TimeoutError: it was not within `seconds`.
        """
        until = time.monotonic() + seconds
        while not condition(self):
            if time.monotonic() > until:
                raise TimeoutError(f"not true after {seconds:g} s; targets: {self.targets()}")
            time.sleep(0.2)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _get(self, path: str, params: Mapping[str, str | float]) -> Any:
        answer = self._client.get(path, params=dict(params)).json()
        if answer["status"] != "success":
            raise QueryError(f"{answer['error']}: {params}")
        return answer["data"]


@contextmanager
def running(
    directory: Path,
    targets: Sequence[str],
    *,
    rules: Sequence[Path] = (),
    discovery: Sequence[str] = (),
    interval: str = "1s",
    binary: str = "prometheus",
) -> Generator[Prometheus, None, None]:
    """A Prometheus that scrapes `targets` ("host:port") as the job `forgediag`; it has ended when the block ends.

    Args:
        directory: where its configuration, log and data go.
        targets: what to scrape, at /metrics.
        rules: rule files to load.
        discovery: URLs of HTTP service discovery, for more targets.
        interval: between two scrapes and two evaluations of the rules.
        binary: Prometheus' own name or path.

    Raises:
        RuntimeError: it did not start; the end of its log is in the message.
    """
    job = {
        "job_name": "forgediag",
        "static_configs": [{"targets": list(targets)}],
        "http_sd_configs": [{"url": url} for url in discovery],
    }
    config: Mapping[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [job],
    }
    settings, log = directory / "prometheus.yml", directory / "prometheus.log"
    settings.write_text(json.dumps(config), "utf-8")  # every JSON document is YAML
    address = f"127.0.0.1:{_free_port()}"
    command = [
        binary,
        f"--config.file={settings}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:  # noqa: S603 - ours
        prometheus = Prometheus(f"http://{address}")
        try:
            _wait_until_ready(prometheus.url, process, log)
            yield prometheus
        finally:
            prometheus.close()
            process.terminate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"Prometheus did not start: {log.read_text('utf-8', 'replace')[-500:]}")
