"""The dashboard's panels about the cards, and about forgediag itself."""

from __future__ import annotations

from forgediag_exporters.panel import CARD, ON, OWN, READ, Panel, Query, Row, quantiles

CARDS = Row(
    "Graphics cards",
    (
        Panel(
            "Utilization",
            "Share of time in which a kernel was running, and in which memory was read or written.",
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
            "Temperature, and where the card begins to slow down.",
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
            "Power draw, and the limit in force.",
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
            "Why the card runs slower than it could; gpu_idle and sw_power_cap are usual.",
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
            "Time Forge takes to answer a poll, by endpoint.",
            "s",
            quantiles("forge_api_request_duration_seconds", "target, endpoint", "{{target}} {{endpoint}}"),
        ),
        Panel(
            "Sources",
            "Whether forgediag can read each of its sources.",
            "none",
            (Query(f"forgediag_poll_success{{{OWN}}}", "{{source}}"),),
            "state-timeline",
            mapping=READ,
        ),
        Panel(
            "Age of the facts",
            "Time since each source was last read well.",
            "s",
            (Query(f"time() - forgediag_poll_last_success_timestamp_seconds{{{OWN}}}", "{{source}}"),),
        ),
        Panel(
            "Reads that failed",
            "Failures per second, by source and kind.",
            "cps",
            (
                Query(
                    f"sum by (source, kind) (rate(forgediag_poll_errors_total{{{OWN}}}[$__rate_interval]))",
                    "{{source}} {{kind}}",
                ),
            ),
        ),
        Panel(
            "Time a read takes",
            "Duration of the last read of each source, and how late the last sample of GPU memory came.",
            "s",
            (
                Query(f"forgediag_poll_duration_seconds{{{OWN}}}", "{{source}}"),
                Query(f"forgediag_sampler_lag_seconds{{{OWN}}}", "sampler lag"),
            ),
        ),
        Panel(
            "What forgediag costs",
            "CPU time that forgediag itself takes, in shares of one core.",
            "percentunit",
            (Query(f"rate(process_cpu_seconds_total{{{OWN}}}[$__rate_interval])", "{{instance}}"),),
        ),
    ),
)

MACHINE_ROWS = (CARDS, HEALTH)
