"""The files that keep the daemon running, by the tool that checks each where there is one, else by their structure.

Not validated here: the PowerShell script has no PowerShell to parse it, the manifests no cluster's schema, the
Dockerfile no build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from forgediag import toml
from forgediag_exporters.rules import SCRAPE_CONFIG
from forgediag_exporters.services import SERVICES

COMPOSE: dict[str, Any] = yaml.safe_load(SERVICES["compose"]["compose.yaml"])
MANIFESTS: dict[str, dict[str, Any]] = {
    each["kind"]: each
    for name in ("forgediag.yaml", "servicemonitor.yaml")
    for each in yaml.safe_load_all(SERVICES["kubernetes"][name])
}
UNIT = SERVICES["systemd"]["forgediag.service"]
TASK = SERVICES["windows"]["forgediag-task.ps1"]


def analyze(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze on the unit, with a program that is there."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed: the unit is not verified")
    unit = folder / "forgediag.service"
    unit.write_text(UNIT.replace("/opt/forgediag/bin/forgediag", sys.executable), "utf-8")
    return subprocess.run([tool, *command, str(unit)], capture_output=True, text=True, check=False)


def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    done = analyze(tmp_path, "verify", "--man=no")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_the_unit_little_exposed(tmp_path: Path) -> None:
    done = analyze(tmp_path, "security", "--offline=true", "--no-pager")
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze is too old to look at a unit that is not installed")
    found = re.search(r"exposure level for forgediag.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) < 3


def test_the_unit_wants_to_hear_that_it_is_ready_and_lives() -> None:
    assert "Type=notify\n" in UNIT
    assert re.search(r"^WatchdogSec=\d+$", UNIT, re.MULTILINE)


@pytest.mark.parametrize("kind", ["compose", "kubernetes"])
def test_a_container_runs_as_nobody_with_a_file_system_it_cannot_write(kind: str) -> None:
    dockerfile = SERVICES[kind]["Dockerfile"]
    assert "\nUSER 65534:65534\n" in dockerfile
    if kind == "compose":
        service = COMPOSE["services"]["forgediag"]
        assert (service["user"], service["read_only"], service["cap_drop"]) == ("65534:65534", True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        return
    pod = MANIFESTS["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_every_manifest_has_what_the_api_wants_of_it() -> None:
    kinds = {"ConfigMap": "v1", "DaemonSet": "apps/v1", "Service": "v1"}
    kinds["ServiceMonitor"] = "monitoring.coreos.com/v1"
    assert {kind: each["apiVersion"] for kind, each in MANIFESTS.items()} == kinds
    for each in MANIFESTS.values():
        assert each["metadata"]["name"] == "forgediag"


def test_selectors_ports_and_volumes_of_the_manifests_fit_together() -> None:
    template = MANIFESTS["DaemonSet"]["spec"]["template"]
    labels, pod = template["metadata"]["labels"], template["spec"]
    (container,) = pod["containers"]
    assert MANIFESTS["DaemonSet"]["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == MANIFESTS["Service"]["metadata"]["labels"]
    (port,) = container["ports"]
    (served,) = MANIFESTS["Service"]["spec"]["ports"]
    (scraped,) = MANIFESTS["ServiceMonitor"]["spec"]["endpoints"]
    assert port["name"] == served["targetPort"] == served["name"] == scraped["port"]
    assert port["containerPort"] == served["port"] == 9836
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_job_is_called_as_the_rules_want_it() -> None:
    label = MANIFESTS["ServiceMonitor"]["spec"]["jobLabel"]
    assert MANIFESTS["Service"]["metadata"]["labels"][label] == "forgediag"
    assert yaml.safe_load(SCRAPE_CONFIG)["scrape_configs"][0]["job_name"] == "forgediag"


def test_the_configurations_are_toml_that_names_one_forge() -> None:
    for text in (SERVICES["compose"]["forgediag.toml"], MANIFESTS["ConfigMap"]["data"]["forgediag.toml"]):
        (forge,) = toml.loads(text)["forge"]
        assert set(forge) == {"name", "url"}


def test_the_windows_script_undoes_what_it_does() -> None:
    assert TASK.count("{") == TASK.count("}")
    assert TASK.count("(") == TASK.count(")")
    assert "Register-ScheduledTask" in TASK
    assert "Unregister-ScheduledTask" in TASK
