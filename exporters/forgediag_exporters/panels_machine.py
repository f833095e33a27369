"""The dashboard's panels about the cards, and about forgediag itself."""

from __future__ import annotations

from forgediag_exporters.panel import CARD, ON, OWN, READ, Panel, Query, Row, quantiles

CARDS = Row(
    "Graphics cards",
    (
        Panel(
            "Utilization",
            "Is the card working, or waiting for something? Share of time in which a kernel ran, and in which "
            "memory was read or written.",
            "percentunit",
            (
                Query(f"forge_gpu_utilization_ratio{{{CARD}}}", "GPU {{gpu}} kernels"),
                Query(f"forge_gpu_memory_utilization_ratio{{{CARD}}}", "GPU {{gpu}} memory"),
            ),
            width=6,
            maximum=1,
        ),
        Panel(
            "Temperature",
            "How far is the card from where it slows down?",
            "celsius",
            (
                Query(f"forge_gpu_temperature_celsius{{{CARD}}}", "GPU {{gpu}}"),
                Query(f'forge_gpu_temperature_limit_celsius{{{CARD}, kind="slowdown"}}', "GPU {{gpu}} slowdown"),
            ),
            width=6,
            lines="^.* slowdown$",
        ),
        Panel(
            "Power",
            "Does the limit hold the card down?",
            "watt",
            (
                Query(f"forge_gpu_power_watts{{{CARD}}}", "GPU {{gpu}}"),
                Query(f'forge_gpu_power_limit_watts{{{CARD}, kind="enforced"}}', "GPU {{gpu}} limit"),
            ),
            width=6,
            lines="^.* limit$",
        ),
        Panel(
            "Clocks held down by",
            "Why does the card run slower than it could? gpu_idle and sw_power_cap are usual.",
            "none",
            (Query(f"max by (gpu, reason) (forge_gpu_throttled{{{CARD}}})", "GPU {{gpu}} {{reason}}"),),
            "state-timeline",
            6,
            8,
            ON,
        ),
    ),
)

HEALTH = Row(
    "Forge's API and forgediag",
    (
        Panel(
            "API latency",
            "Does Forge answer slower than it used to? By endpoint.",
            "s",
            quantiles("forge_api_request_duration_seconds", "target, endpoint", "{{target}} {{endpoint}}"),
        ),
        Panel(
            "Sources",
            "Can forgediag read each of its sources?",
            "none",
            (Query(f"forgediag_poll_success{{{OWN}}}", "{{source}}"),),
            "state-timeline",
            mapping=READ,
        ),
        Panel(
            "Age of the facts",
            "How old is what is shown? Time since each source was last read well.",
            "s",
            (Query(f"time() - forgediag_poll_last_success_timestamp_seconds{{{OWN}}}", "{{source}}"),),
        ),
        Panel(
            "Reads that failed",
            "What fails when a source cannot be read? Failures per second, by source and kind.",
            "cps",
            (
                Query(
                    f"sum by (source, kind) (rate(forgediag_poll_errors_total{{{OWN}}}[$__rate_interval]))",
                    "{{source}} {{kind}}",
                ),
            ),
        ),
        Panel(
            "What forgediag costs",
            "What does watching cost? CPU time in shares of one core.",
            "percentunit",
            (Query(f"rate(process_cpu_seconds_total{{{OWN}}}[$__rate_interval])", "{{instance}}"),),
        ),
    ),
)

MACHINE_ROWS = (CARDS, HEALTH)
