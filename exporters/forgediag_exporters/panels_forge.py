"""The dashboard's panels about each Forge: is it well, what holds its memory."""

from __future__ import annotations

from forgediag_exporters.panel import CARD, OWN, STATUS, TARGET, UP, Panel, Query, Row

NOW = Row(
    "Now",
    (
        Panel(
            "Forge",
            "Does each Forge answer its API?",
            "none",
            (Query(f"forge_up{{{TARGET}}}", "{{target}}"),),
            "stat",
            3,
            4,
            UP,
        ),
        Panel(
            "Verdict",
            "Is anything wrong? The worst result among the checks; `forgediag doctor` says why and what to do.",
            "none",
            (Query(f"max by (target) (forge_check_status{{{TARGET}}})", "{{target}}"),),
            "stat",
            3,
            4,
            STATUS,
        ),
        Panel(
            "Progress",
            "How far is the generation under way? 0 when none is.",
            "percentunit",
            (Query(f"forge_job_progress_ratio{{{TARGET}}}", "{{target}}"),),
            "stat",
            3,
            4,
            maximum=1,
        ),
        Panel(
            "Checkpoint loaded",
            "Which checkpoint did Forge load last?",
            "none",
            (Query(f"forge_model_loaded{{{TARGET}}}", "{{model}}"),),
            "stat",
            6,
            4,
            ((1, "loaded", "text"),),
        ),
        Panel(
            "Card",
            "Which graphics card does each Forge work on?",
            "none",
            (
                Query(
                    f"forge_target_gpu_info{{{TARGET}}} * on (job, instance, gpu, uuid) group_left (name)"
                    f" forge_gpu_info{{{OWN}}}",
                    "{{target}}: {{name}}",
                ),
            ),
            "stat",
            6,
            4,
            ((1, "there", "text"),),
        ),
        Panel(
            "Option changes",
            "Did somebody change the settings? Options that changed within the time shown, by whomever.",
            "none",
            (Query(f"sum by (target) (increase(forge_option_changes_total{{{TARGET}}}[$__range]))", "{{target}}"),),
            "stat",
            3,
            4,
        ),
    ),
)

MEMORY = Row(
    "Memory",
    (
        Panel(
            "What holds the card of $target",
            "What fills the card? Weights by component, activations, cache, the driver's reserve and other "
            "processes, up to its total. Weights are told by Forge's console; without it they count as cache.",
            "bytes",
            (
                Query(
                    f'sum by (part, component) (forge_memory_ledger_bytes{{{TARGET}, part!="free"}})',
                    "{{part}} {{component}}",
                ),
                Query(f'sum(forge_memory_ledger_bytes{{{TARGET}, part="free"}})', "free"),
                Query(f"sum(forge_memory_ledger_bytes{{{TARGET}}})", "total"),
            ),
            width=24,
            height=10,
            stacked=True,
            lines="^total$",
            repeat="target",
        ),
        Panel(
            "Memory of GPU $gpu",
            "Who holds the card's memory: a Forge or another program? The lines are the highest use within sliding "
            "windows, sampled at up to 100 Hz: peaks that fall between two scrapes are in them.",
            "bytes",
            (
                Query(
                    f"sum by (process) (forge_gpu_process_memory_bytes{{{CARD}}} or on (job, instance, gpu, uuid)"
                    f' label_replace(forge_gpu_memory_bytes{{{CARD}, kind="used"}}, "process", "used", "", ""))',
                    "{{process}}",
                ),
                Query(f'sum by (kind) (forge_gpu_memory_bytes{{{CARD}, kind=~"reserved|free"}})', "{{kind}}"),
                Query(f"max by (window) (forge_gpu_memory_used_max_bytes{{{CARD}}})", "peak {{window}}"),
                Query(f'sum(forge_gpu_memory_bytes{{{CARD}, kind="total"}})', "total"),
            ),
            width=24,
            height=10,
            stacked=True,
            lines="^(peak .*|total)$",
            repeat="gpu",
        ),
        Panel(
            "Inference memory and GPU weights",
            "Is what is set in effect, and what should be set? GPU Weights, as the web page calls it, is the card's"
            " total less the inference memory.",
            "bytes",
            (
                Query(f"forge_inference_memory_bytes{{{TARGET}}}", "{{target}} set"),
                Query(f"forge_inference_memory_effective_bytes{{{TARGET}}}", "{{target}} in effect"),
                Query(f"forge_inference_memory_recommended_bytes{{{TARGET}}}", "{{target}} recommended"),
                Query(f"forge_gpu_weights_bytes{{{TARGET}}}", "{{target}} GPU weights"),
            ),
        ),
        Panel(
            "Held by torch",
            "Is it tensors or torch's cache that fills the card? Allocated by tensors, reserved from the driver, "
            "with their peaks.",
            "bytes",
            (
                Query(
                    f'forge_cuda_memory_bytes{{{TARGET}, kind=~"allocated|reserved"}}',
                    "{{target}} {{kind}}",
                ),
                Query(
                    f'forge_cuda_memory_peak_bytes{{{TARGET}, kind=~"allocated|reserved"}}',
                    "{{target}} {{kind}} peak",
                ),
            ),
            lines="^.* peak$",
        ),
        Panel(
            "System memory",
            "Is system memory or swap about to run out, and does Forge hold it? Weights that do not fit the card "
            "lie there.",
            "bytes",
            (
                Query(f'forge_host_memory_bytes{{{OWN}, kind=~"total|available|swap_free"}}', "{{kind}}"),
                Query(f"forge_process_resident_memory_bytes{{{TARGET}}}", "{{target}} resident"),
            ),
            lines="^total$",
        ),
    ),
)

FORGE_ROWS = (NOW, MEMORY)
