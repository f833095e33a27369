"""`forgediag assets prometheus`: alerting rules, and how to scrape."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

RULES = "forgediag.rules.yml"
SCRAPE = "forgediag.scrape.yml"

NOT_DOWN = 'unless on (job, instance, target) (forge_up{job="forgediag"} == 0)'
"""What a Forge that is down brings with it is told by ForgeDown alone."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule. `wait` is how long `expr` must hold; `steps` are what its reader does, in order."""

    name: str
    expr: str
    wait: str
    severity: Literal["warning", "critical"]
    summary: str
    description: str
    steps: tuple[str, ...]


ALERTS = (
    Alert(
        "ForgeDown",
        'forge_up{job="forgediag"} == 0',
        "2m",
        "critical",
        "Forge {{ $labels.target }} does not answer.",
        "forgediag {{ $labels.instance }} has had no answer from Forge {{ $labels.target }} for 2 minutes."
        " `forgediag doctor` says whether it is down, hangs, or wants a password.",
        (
            "Run `forgediag doctor` on the machine: the finding `forge-reachable` says what happens.",
            "Look at the last lines of Forge's console. A Forge that hangs in a driver call needs to be killed.",
            "Start Forge with `--api`, and check the address that forgediag asks.",
        ),
    ),
    Alert(
        "ForgeCheckFailed",
        f'(forge_check_status{{job="forgediag"}} == 3)\n{NOT_DOWN}',
        "2m",
        "warning",
        "Check {{ $labels.check }} fails for Forge {{ $labels.target }}.",
        "The check {{ $labels.check }} has found a failure for 2 minutes. `forgediag doctor` shows the evidence"
        " and what to do.",
        (
            "Run `forgediag doctor`: it shows the evidence and the steps to take.",
            "[checks.md](checks.md) says what each check judges and why it matters.",
        ),
    ),
    Alert(
        "GpuMemoryAlmostFull",
        'max without (window) (forge_gpu_memory_used_max_bytes{job="forgediag"})\n'
        '  / ignoring (kind) forge_gpu_memory_bytes{job="forgediag", kind="total"}\n'
        "> 0.95",
        "1m",
        "warning",
        "GPU {{ $labels.gpu }} was {{ $value | humanizePercentage }} full.",
        "The highest use of GPU {{ $labels.gpu }} ({{ $labels.uuid }}) in the longest peak window was"
        " {{ $value | humanizePercentage }} of its memory. The next larger image may run out of memory, or on Windows"
        " spill into system memory and take many times as long.",
        (
            "See in the dashboard's card memory who holds it: Forge or another program.",
            "Run `forgediag recommend`: a larger forge_inference_memory (smaller GPU Weights) leaves more room.",
            "Close other programs that use the card, or generate smaller images or batches.",
        ),
    ),
    Alert(
        "CudaOutOfMemory",
        'increase(forge_cuda_ooms_total{job="forgediag"}[10m]) > 0',
        "0m",
        "warning",
        "Forge {{ $labels.target }} ran out of GPU memory.",
        "torch in Forge {{ $labels.target }} raised CUDA out of memory within the last 10 minutes. The job ended in an"
        " error, or Forge decoded it again in tiles, which takes longer.",
        (
            "Run `forgediag recommend`: forge_inference_memory is probably too small for this size and batch.",
            "Generate smaller images or batches, or select a smaller or more strongly quantised checkpoint.",
        ),
    ),
    Alert(
        "ForgediagSourceStale",
        "(\n"
        '  label_replace(time() - forgediag_poll_last_success_timestamp_seconds{job="forgediag"} > 300,'
        ' "target", "$1", "source", "forge:(.+)")\n'
        "  or\n"
        '  label_replace(forgediag_poll_success{job="forgediag"} == 0, "target", "$1", "source", "forge:(.+)")\n'
        ")\n" + NOT_DOWN,
        "5m",
        "warning",
        "forgediag cannot read {{ $labels.source }}.",
        "forgediag {{ $labels.instance }} has not read its source {{ $labels.source }} well for 5 minutes: its series"
        " are gone, and what depends on them is unknown.",
        (
            "Run `forgediag doctor`: each source that cannot be read is a finding with its reason.",
            "forgediag_poll_errors_total counts the failures by kind.",
            "`hung` is a driver call that does not come back: reload the driver, or restart the machine.",
        ),
    ),
)


def files() -> dict[str, str]:
    """The rules, and the scrape configuration they expect (`job` is `forgediag`)."""
    return {RULES: rules(), SCRAPE: SCRAPE_CONFIG}


SCRAPE_CONFIG = f"""\
# Add this to prometheus.yml, or name the file in its scrape_config_files (Prometheus 2.43 and later).
# The rules beside it want the job to be called forgediag:
#   rule_files: [{RULES}]
scrape_configs:
  - job_name: forgediag
    # Not longer than the shortest peak window (15 s): then no peak of GPU memory falls between two scrapes.
    scrape_interval: 15s
    static_configs:
      - targets: ["127.0.0.1:9836"]
"""


def rules() -> str:
    """The rule file, YAML."""
    lines = [line for alert in ALERTS for line in _rule(alert)]
    return "\n".join(["groups:", "  - name: forgediag", "    rules:", *lines, ""])


def _rule(alert: Alert) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield "        expr: |-"
    yield textwrap.indent(alert.expr, " " * 10)
    yield f"        for: {alert.wait}"
    yield "        labels:"
    yield f"          severity: {alert.severity}"
    yield "        annotations:"
    yield f"          summary: {json.dumps(alert.summary)}"
    yield f"          description: {json.dumps(alert.description)}"
    yield f"          runbook_url: docs/alerts.md#{alert.name.lower()}"
