"""The dashboard's panels about what each Forge did: its generations, its checks, its model files."""

from __future__ import annotations

from forgediag_exporters.panel import STATUS, TARGET, Panel, Query, Row, quantiles

JOBS = Row(
    "Jobs",
    (
        Panel(
            "Duration",
            "How long does a generation take, model load included?",
            "s",
            quantiles("forge_job_duration_seconds", "target", "{{target}}"),
        ),
        Panel(
            "Outcomes",
            "How many generations ended in each interval, and how?",
            "short",
            (
                Query(
                    f"sum by (target, outcome) (increase(forge_jobs_total{{{TARGET}}}[$__rate_interval]))",
                    "{{target}} {{outcome}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Out of memory",
            "Is the card too small for what is asked? CUDA out-of-memory errors, and allocations that succeeded "
            "only after torch emptied its cache.",
            "short",
            (
                Query(
                    f"sum by (target) (increase(forge_cuda_ooms_total{{{TARGET}}}[$__rate_interval]))",
                    "{{target}} out of memory",
                ),
                Query(
                    f"sum by (target) (increase(forge_cuda_alloc_retries_total{{{TARGET}}}[$__rate_interval]))",
                    "{{target}} retries",
                ),
            ),
        ),
        Panel(
            "Where the time goes",
            "Which phase does a generation spend its time in? Seconds of each phase, per generation that had it.",
            "s",
            (
                Query(
                    f"sum by (target, phase) (rate(forge_phase_duration_seconds_sum{{{TARGET}}}[$__rate_interval]))"
                    f" / sum by (target, phase)"
                    f" (rate(forge_phase_duration_seconds_count{{{TARGET}}}[$__rate_interval]))",
                    "{{target}} {{phase}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Where the memory peaks",
            "Which phase needs the card's memory? The 95th percentile of each phase's peak, all on the card included.",
            "bytes",
            quantiles("forge_phase_memory_peak_bytes", "target, phase", "{{target}} {{phase}}", 0.95),
        ),
        Panel(
            "Time of a step",
            "Are steps slower than they were? The median step of the last generation.",
            "s",
            (Query(f"forge_job_step_seconds{{{TARGET}}}", "{{target}}"),),
        ),
        Panel(
            "Weights swapped at every step",
            "Does the model not fit the card? Weights of the last generation that stayed in system memory.",
            "bytes",
            (Query(f"forge_job_swapped_bytes{{{TARGET}}}", "{{target}}"),),
        ),
        Panel(
            "Memory left behind by a generation",
            "Does memory grow job after job? After the last generation, less after the one before.",
            "bytes",
            (Query(f"forge_job_memory_growth_bytes{{{TARGET}}}", "{{target}} {{memory}}"),),
            below_zero=True,
        ),
    ),
)

CHECKS = Row(
    "Checks",
    (
        Panel(
            "Checks",
            "What is wrong, and since when? docs/checks.md says what each check judges.",
            "none",
            (Query(f"max by (target, check) (forge_check_status{{{TARGET}}})", "{{target}} {{check}}"),),
            "state-timeline",
            24,
            12,
            STATUS,
        ),
    ),
)

MODELS = Row(
    "Model files",
    (
        Panel(
            "Files by what their headers say",
            "Are the files whole? Faulty ones fail when they are loaded, with a message that leads astray.",
            "short",
            (Query(f"sum by (target, state) (forge_model_files{{{TARGET}}})", "{{target}} {{state}}"),),
        ),
        Panel(
            "Files by the background verification",
            "Did a file change silently? Every file is read again over days and compared.",
            "short",
            (
                Query(
                    f"sum by (target, state) (forgediag_model_verify_files{{{TARGET}}})",
                    "{{target}} {{state}}",
                ),
            ),
        ),
        Panel(
            "Verified within the last round",
            "How far is the verification? The share of all bytes read within the last round.",
            "percentunit",
            (
                Query(
                    f'sum by (target) (forgediag_model_verify_bytes{{{TARGET}, kind="verified"}})'
                    f' / sum by (target) (forgediag_model_verify_bytes{{{TARGET}, kind="total"}})',
                    "{{target}}",
                ),
            ),
            maximum=1,
        ),
    ),
)

JOB_ROWS = (JOBS, CHECKS, MODELS)
