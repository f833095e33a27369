"""The fleet's dashboard: which Forge needs somebody, and how busy are they."""

from __future__ import annotations

from forgediag_exporters.panel import OWN, READ, STATUS, TARGET, UP, Panel, Query, Row

ONE = "job, instance, target"
FULL = (
    f"max by ({ONE}) (forge_target_gpu_info{{{TARGET}}} * on (job, instance, gpu, uuid) group_left ()"
    f" max by (job, instance, gpu, uuid) (forge_gpu_memory_used_max_bytes{{{OWN}}}"
    f' / on (job, instance, gpu, uuid) group_left () forge_gpu_memory_bytes{{{OWN}, kind="total"}}))'
)
"""The highest use of each Forge's card in the longest peak window, as a share of its memory."""

FAILED = f'increase(forge_jobs_total{{{TARGET}, outcome=~"failed|oom"}}[$__range])'
ENDED = f"increase(forge_jobs_total{{{TARGET}}}[$__range])"


def p95(window: str) -> str:
    """The 95th percentile of the time a generation takes, for each Forge."""
    counts = f"sum by (le, {ONE}) (rate(forge_job_duration_seconds_bucket{{{TARGET}}}[{window}]))"
    return f"histogram_quantile(0.95, {counts})"


NOW = Row(
    "Now",
    (
        Panel(
            "Forges that answer",
            "How many of the Forges answer, of how many?",
            "none",
            (Query(f"sum(forge_up{{{TARGET}}})", "answer"), Query(f"count(forge_up{{{TARGET}}})", "of")),
            "stat",
            6,
            4,
        ),
        Panel(
            "Forges in trouble",
            "How many Forges have a check that fails? How many only a warning?",
            "none",
            (
                Query(f"sum(max by ({ONE}) (forge_check_status{{{TARGET}}}) == bool 3)", "failure"),
                Query(f"sum(max by ({ONE}) (forge_check_status{{{TARGET}}}) == bool 2)", "warning"),
            ),
            "stat",
            6,
            4,
        ),
        Panel(
            "Generations",
            "How many generations ended within the time shown, and how many of them badly?",
            "short",
            (Query(f"sum({ENDED})", "ended"), Query(f"sum({FAILED})", "failed or out of memory")),
            "stat",
            6,
            4,
        ),
        Panel(
            "Working",
            "How many Forges generate at this moment?",
            "none",
            (Query(f"sum(forge_job_running{{{TARGET}}})", "Forges"),),
            "stat",
            6,
            4,
        ),
    ),
)

EACH = Row(
    "Each Forge",
    (
        Panel(
            "Forges",
            "Which Forge needs somebody? A click on a row leads to its details.",
            "none",
            (
                Query(f"max by ({ONE}) (forge_up{{{TARGET}}})", "Forge", mapping=UP),
                Query(f"max by ({ONE}) (forge_check_status{{{TARGET}}})", "Worst check", mapping=STATUS),
                Query(FULL, "Card at its fullest", "percentunit"),
                Query(f"sum by ({ONE}) ({ENDED})", "Generations", "short"),
                Query(f"sum by ({ONE}) ({FAILED}) / sum by ({ONE}) ({ENDED})", "Failed", "percentunit"),
                Query(p95("$__range"), "Duration p95", "s"),
                Query(f"max by ({ONE}) (forge_inference_memory_bytes{{{TARGET}}})", "Inference memory", "bytes"),
                Query(f"max by ({ONE}) (forge_inference_memory_recommended_bytes{{{TARGET}}})", "Recommended", "bytes"),
            ),
            "table",
            24,
            10,
            drill=True,
        ),
        Panel(
            "Worst check over time",
            "Since when has each Forge had its trouble?",
            "none",
            (Query(f"max by ({ONE}) (forge_check_status{{{TARGET}}})", "{{instance}} {{target}}"),),
            "state-timeline",
            12,
            8,
            STATUS,
            drill=True,
        ),
        Panel(
            "Answers over time",
            "When was each Forge down?",
            "none",
            (Query(f"max by ({ONE}) (forge_up{{{TARGET}}})", "{{instance}} {{target}}"),),
            "state-timeline",
            12,
            8,
            UP,
            drill=True,
        ),
    ),
)

LOAD = Row(
    "Load and room",
    (
        Panel(
            "Cards at their fullest",
            "Whose card is about to run out of memory? The highest use within the longest peak window.",
            "percentunit",
            (Query(FULL, "{{instance}} {{target}}"),),
            maximum=1,
            drill=True,
        ),
        Panel(
            "System memory available",
            "Which machine is about to run out of memory?",
            "percentunit",
            (
                Query(
                    f'forge_host_memory_bytes{{{OWN}, kind="available"}} / ignoring (kind)'
                    f' forge_host_memory_bytes{{{OWN}, kind="total"}}',
                    "{{instance}}",
                ),
            ),
            maximum=1,
        ),
        Panel(
            "Duration of a generation",
            "Which Forge has become slow? The 95th percentile.",
            "s",
            (Query(p95("$__rate_interval"), "{{instance}} {{target}}"),),
            drill=True,
        ),
        Panel(
            "Generations per second",
            "Is the work shared out evenly?",
            "ops",
            (
                Query(
                    f"sum by ({ONE}) (rate(forge_jobs_total{{{TARGET}}}[$__rate_interval]))", "{{instance}} {{target}}"
                ),
            ),
            stacked=True,
            drill=True,
        ),
        Panel(
            "Cards that answer",
            "Did a card fall off the bus?",
            "none",
            (Query(f"min by (job, instance, gpu) (forge_gpu_up{{{OWN}}})", "{{instance}} GPU {{gpu}}"),),
            "state-timeline",
            mapping=UP,
        ),
        Panel(
            "Exporters",
            "Does every forgediag read all its sources? What it cannot read is missing above.",
            "none",
            (Query(f"min by (job, instance) (forgediag_poll_success{{{OWN}}})", "{{instance}}"),),
            "state-timeline",
            mapping=READ,
        ),
    ),
)

FLEET_ROWS = (NOW, EACH, LOAD)
