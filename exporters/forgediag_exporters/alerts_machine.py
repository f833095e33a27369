"""Alerts about a machine: its cards, their memory, its own memory, and forgediag itself."""

from __future__ import annotations

from forgediag_exporters.alert import HERE, NOT_DOWN, Alert, Recording, checked

RECORDINGS = (
    Recording(
        "target:forge_api_request_duration_seconds:p95_rate5m",
        "histogram_quantile(0.95, sum by (job, instance, target, le)"
        " (rate(forge_api_request_duration_seconds_bucket[5m])))",
        "how slowly each Forge answers",
    ),
    Recording(
        "target:forge_job_duration_seconds:p95_rate1h",
        "histogram_quantile(0.95, sum by (job, instance, target, le) (rate(forge_job_duration_seconds_bucket[1h])))",
        "how long a generation takes",
    ),
    Recording(
        "target:forge_jobs_failed:ratio30m",
        'sum by (job, instance, target) (increase(forge_jobs_total{outcome=~"failed|oom"}[30m]))'
        " / sum by (job, instance, target) (increase(forge_jobs_total[30m]))",
        "the share of generations that fail",
    ),
    Recording(
        "gpu:forge_gpu_memory_used_max:ratio",
        'max without (window) (forge_gpu_memory_used_max_bytes) / ignoring (kind) forge_gpu_memory_bytes{kind="total"}',
        "how full each card was at its fullest",
    ),
    Recording(
        "instance:forge_host_memory_available:ratio",
        'forge_host_memory_bytes{kind="available"} / ignoring (kind) forge_host_memory_bytes{kind="total"}',
        "how much of the system's memory is available",
    ),
    Recording(
        "target:forge_check_status:max",
        "max by (job, instance, target) (forge_check_status)",
        "the worst check of each Forge",
    ),
)

SLOWED = "hw_slowdown|hw_thermal_slowdown|sw_thermal_slowdown|hw_power_brake_slowdown"

MEMORY_ALERTS = (
    Alert(
        "CudaOutOfMemory",
        f"increase(forge_cuda_ooms_total{{{HERE}}}[10m]) > 0",
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
        "CudaAllocationRetries",
        f"increase(forge_cuda_alloc_retries_total{{{HERE}}}[15m]) > 3",
        "0m",
        "warning",
        "torch in Forge {{ $labels.target }} empties its cache to find memory.",
        "Within 15 minutes more than 3 allocations in Forge {{ $labels.target }} succeeded only after torch had emptied"
        " its cache: it is slower for it, and the next step is out of memory.",
        ("Do what CudaOutOfMemory says, before it happens.",),
    ),
    Alert(
        "GpuMemoryAlmostFull",
        f"gpu:forge_gpu_memory_used_max:ratio{{{HERE}}} > 0.95",
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
        "GpuMemoryHeldByOthers",
        f'forge_gpu_process_memory_bytes{{{HERE}, process="other"}}\n'
        f'  / ignoring (process, kind) forge_gpu_memory_bytes{{{HERE}, kind="total"}} > 0.25\n'
        f"and on (job, instance, gpu, uuid) forge_target_gpu_info{{{HERE}}}",
        "15m",
        "info",
        "Other programs hold {{ $value | humanizePercentage }} of GPU {{ $labels.gpu }}.",
        "For 15 minutes programs that are no watched Forge have held {{ $value | humanizePercentage }} of the memory of"
        " GPU {{ $labels.gpu }}. Forge swaps weights that would fit otherwise.",
        ("`forgediag doctor` lists them. Close them, or let them run on another card.",),
    ),
    Alert(
        "MemoryGrowsJobAfterJob",
        checked("job-memory-growth", at_least=2),
        "5m",
        "warning",
        "Memory of Forge {{ $labels.target }} grows with each generation.",
        "Generation after generation leaves memory behind in Forge {{ $labels.target }}. It will run out.",
        (
            "`forgediag doctor` says how much, and on the card or in system memory.",
            "Restart Forge to get it back; look for an extension that keeps what it should let go.",
        ),
    ),
    Alert(
        "HostMemoryAlmostFull",
        f"instance:forge_host_memory_available:ratio{{{HERE}}} < 0.05",
        "2m",
        "critical",
        "Only {{ $value | humanizePercentage }} of system memory is available on {{ $labels.instance }}.",
        "For 2 minutes {{ $labels.instance }} has had {{ $value | humanizePercentage }} of its memory available. Linux"
        " will kill a process, probably Forge; Windows will slow to a crawl.",
        (
            "Close other programs, or select a smaller or more strongly quantised checkpoint.",
            "Fewer checkpoints kept in memory and no cached modules need less.",
        ),
    ),
    Alert(
        "HostMemoryRunsOut",
        f'sum without (kind) (predict_linear(forge_host_memory_bytes{{{HERE}, kind="available"}}[1h], 7200)) < 0\n'
        f"and on (job, instance) instance:forge_host_memory_available:ratio{{{HERE}}} < 0.5",
        "15m",
        "warning",
        "System memory of {{ $labels.instance }} will run out within two hours.",
        "As the available memory of {{ $labels.instance }} went in the last hour, none will be left within two hours.",
        (
            "See in the dashboard whether a Forge's resident memory grows with each generation.",
            "Restart that Forge before it is killed in the middle of a generation.",
        ),
    ),
    Alert(
        "SwapAlmostFull",
        f'forge_host_memory_bytes{{{HERE}, kind="swap_free"}}\n'
        f'  / ignoring (kind) (forge_host_memory_bytes{{{HERE}, kind="swap_total"}} > 0) < 0.1',
        "5m",
        "warning",
        "{{ $labels.instance }} has only {{ $value | humanizePercentage }} of its swap left.",
        "For 5 minutes only {{ $value | humanizePercentage }} of the swap (the page file on Windows) of"
        " {{ $labels.instance }} has been free. A model that loads may be refused memory, or Forge be killed.",
        (
            "On Windows let the system manage the page file, on a disk with room for 40 GB.",
            "Select a smaller checkpoint, or add memory.",
        ),
    ),
)

CARD_ALERTS = (
    Alert(
        "GpuLost",
        f"forge_gpu_up{{{HERE}}} == 0",
        "1m",
        "critical",
        "GPU {{ $labels.gpu }} of {{ $labels.instance }} is lost.",
        "The driver says that GPU {{ $labels.gpu }} ({{ $labels.uuid }}) fell off the bus. Nothing on it works until"
        " the machine is restarted.",
        (
            "Read the kernel's log for `NVRM: Xid`: the number says why (79: fallen off the bus). No metric has it.",
            "Restart the machine. If it comes back often: power supply, cables, riser, temperature.",
        ),
    ),
    Alert(
        "GpuThrottled",
        f'max without (reason) (forge_gpu_throttled{{{HERE}, reason=~"{SLOWED}"}}) == 1',
        "5m",
        "warning",
        "GPU {{ $labels.gpu }} of {{ $labels.instance }} slows down.",
        "For 5 minutes GPU {{ $labels.gpu }} has slowed itself down because of heat or power.",
        (
            "See in the dashboard what holds the clocks down, and the temperature.",
            "Clean its fans, let air in, or lower its power limit.",
        ),
    ),
    Alert(
        "GpuHot",
        f"forge_gpu_temperature_celsius{{{HERE}}}\n"
        f'  > ignoring (kind) forge_gpu_temperature_limit_celsius{{{HERE}, kind="slowdown"}} - 3',
        "5m",
        "warning",
        "GPU {{ $labels.gpu }} of {{ $labels.instance }} is at {{ $value }} °C.",
        "For 5 minutes GPU {{ $labels.gpu }} has been within 3 degrees of where it slows down.",
        ("Clean its fans, let air in, or lower its power limit.",),
    ),
)

OWN_ALERTS = (
    Alert(
        "ForgediagDown",
        f"up{{{HERE}}} == 0",
        "5m",
        "critical",
        "forgediag {{ $labels.instance }} cannot be scraped.",
        "Prometheus has not been able to scrape forgediag {{ $labels.instance }} for 5 minutes: nothing is known of its"
        " Forges.",
        (
            "On the machine: `systemctl status forgediag`, or look at its log.",
            "Check the address in the scrape configuration, and the firewall.",
        ),
    ),
    Alert(
        "ForgediagReportStale",
        f"time() - forgediag_snapshot_timestamp_seconds{{{HERE}}} > 60",
        "2m",
        "warning",
        "forgediag {{ $labels.instance }} shows old facts.",
        "The newest facts of forgediag {{ $labels.instance }} are {{ $value | humanizeDuration }} old: it answers, but"
        " has stopped looking, or the clocks of the two machines differ.",
        (
            "Compare the clocks of both machines.",
            "Restart forgediag and keep the last lines of its log for a bug report.",
        ),
    ),
    Alert(
        "ForgediagSourceStale",
        "(\n"
        f"  label_replace(time() - forgediag_poll_last_success_timestamp_seconds{{{HERE}}} > 300,"
        ' "target", "$1", "source", "forge:(.+)")\n'
        "  or\n"
        f'  label_replace(forgediag_poll_success{{{HERE}}} == 0, "target", "$1", "source", "forge:(.+)")\n'
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
