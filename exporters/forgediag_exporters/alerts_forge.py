"""Alerts about a Forge: is it there, does it work, is it set as it should be, are its files well."""

from __future__ import annotations

from forgediag_exporters.alert import HERE, NOT_DOWN, Alert, checked

OWN_ALERT = (
    "forge-stuck",
    "job-memory-growth",
    "job-steps-slower",
    "selected-model-missing",
    "model-will-load",
    "model-file-whole",
    "model-file-genuine",
    "model-file-unchanged",
    "forge-knows-model",
    "torch-driver-gpu",
    "python-packages",
    "bitsandbytes",
)
"""Checks that an alert of their own tells about; ForgeCheckFailed tells about all others."""

FORGE_ALERTS = (
    Alert(
        "ForgeDown",
        f"forge_up{{{HERE}}} == 0",
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
        "ForgeJobHangs",
        f"min_over_time(forge_job_running{{{HERE}}}[15m]) == 1\n"
        f"and changes(forge_job_progress_ratio{{{HERE}}}[15m]) == 0",
        "5m",
        "critical",
        "The generation on Forge {{ $labels.target }} does not move.",
        "Forge {{ $labels.target }} has been at one generation for 15 minutes and its progress stood still. Every later"
        " one waits behind it.",
        (
            "Look at Forge's console: a model that loads from a slow disk is no hang, a driver fault is.",
            "POST `/sdapi/v1/interrupt` ends a generation after the step it is in.",
            "If nothing moves, end Forge's process and start it again.",
        ),
    ),
    Alert(
        "ForgeAnswersSlowly",
        f"target:forge_api_request_duration_seconds:p95_rate5m{{{HERE}}} > 2",
        "10m",
        "warning",
        "Forge {{ $labels.target }} takes {{ $value | humanizeDuration }} to answer.",
        "For 10 minutes, 1 in 20 polls of Forge {{ $labels.target }} took {{ $value | humanizeDuration }} or longer.",
        (
            "Look in the dashboard which endpoint is slow.",
            "A machine that swaps answers slowly: look at its system memory and its disk.",
        ),
    ),
    Alert(
        "ForgeStuckAfterFailedLoad",
        checked("forge-stuck"),
        "1m",
        "critical",
        "Forge {{ $labels.target }} is stuck after a model failed to load.",
        "Every generation on Forge {{ $labels.target }} fails, though its options look right: a failed load left it"
        " without a model, and it does not try again.",
        (
            "Generate once with another checkpoint or other modules, then go back.",
            "Or restart Forge. Repeating, refreshing or reloading does not help.",
        ),
    ),
    Alert(
        "ForgeJobsFail",
        f'sum by (job, instance, target) (increase(forge_jobs_total{{{HERE}, outcome=~"failed|oom"}}[30m])) >= 3\n'
        f"and target:forge_jobs_failed:ratio30m{{{HERE}}} > 0.2",
        "0m",
        "warning",
        "More than a fifth of the generations on Forge {{ $labels.target }} fail.",
        "In the last 30 minutes 3 or more generations on Forge {{ $labels.target }} failed or ran out of memory, and"
        " those were more than a fifth of all.",
        (
            "Run `forgediag doctor`; `forgediag explain` reads the error in Forge's console.",
            "When all fail since a model was changed, see ForgeStuckAfterFailedLoad.",
        ),
    ),
    Alert(
        "ForgeJobsSlower",
        checked("job-steps-slower", at_least=2),
        "15m",
        "warning",
        "Steps on Forge {{ $labels.target }} take longer than they did.",
        "Sampling steps of like generations on Forge {{ $labels.target }} have become slower. `forgediag doctor` shows"
        " by how much.",
        (
            "Look at the card's clocks, temperature and limits: is it throttled?",
            "Look whether weights are swapped now that were not before, and who else uses the card.",
        ),
    ),
    Alert(
        "ForgeCheckFailed",
        f'(forge_check_status{{{HERE}, check!~"{"|".join(OWN_ALERT)}"}} == 3)\n{NOT_DOWN}',
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
        "ForgeOptionsChanged",
        f"increase(forge_option_changes_total{{{HERE}}}[5m]) > 0",
        "0m",
        "info",
        "Options of Forge {{ $labels.target }} changed.",
        "Somebody or something changed options of Forge {{ $labels.target }} within the last 5 minutes: a person, a"
        " client that does not restore what it overrides, or the web page when it was opened.",
        (
            "`forgediag options history` says which option, when and how.",
            "`forgediag options undo` takes back what forgediag itself set.",
        ),
    ),
    Alert(
        "InferenceMemoryNotInEffect",
        f"forge_inference_memory_effective_bytes{{{HERE}}}\n"
        f"  != on (job, instance, target) forge_inference_memory_bytes{{{HERE}}}",
        "5m",
        "warning",
        "Forge {{ $labels.target }} does not work with the inference memory that is set.",
        "Forge {{ $labels.target }} works with {{ $value | humanize1024 }}B of inference memory, and shows another"
        " value. After a start it works with 1024 MB whatever it has saved.",
        (
            "Set it to another value and back: a value that is already shown is ignored.",
            "Do so after each start of Forge, for example from the script that starts it.",
        ),
    ),
    Alert(
        "InferenceMemoryTooSmall",
        f"forge_inference_memory_recommended_bytes{{{HERE}}}\n"
        f"  - on (job, instance, target) forge_inference_memory_bytes{{{HERE}}} > 512 * 1024 * 1024",
        "30m",
        "warning",
        "Forge {{ $labels.target }} needs {{ $value | humanize1024 }}B more inference memory.",
        "For 30 minutes forgediag has recommended {{ $value | humanize1024 }}B more forge_inference_memory than is set"
        " on Forge {{ $labels.target }}.",
        ("Run `forgediag recommend`: it says why, and what it costs.", "`forgediag recommend --apply` sets it."),
    ),
    Alert(
        "WeightsSwappedNeedlessly",
        f"(forge_job_swapped_bytes{{{HERE}}} > 0)\n"
        "and on (job, instance, target) (\n"
        f"  forge_inference_memory_bytes{{{HERE}}}\n"
        f"  - on (job, instance, target) forge_inference_memory_recommended_bytes{{{HERE}}} > 512 * 1024 * 1024\n"
        ")",
        "10m",
        "warning",
        "Forge {{ $labels.target }} swaps {{ $value | humanize1024 }}B at every step and need not.",
        "The last generation on Forge {{ $labels.target }} copied {{ $value | humanize1024 }}B of weights to the card"
        " at every step, while more memory is kept free for inference than forgediag recommends.",
        (
            "Run `forgediag recommend`: a smaller forge_inference_memory (larger GPU Weights) leaves room for weights.",
            "If it is larger on purpose, for larger images, this is the price.",
        ),
    ),
    Alert(
        "ModelFileFaulty",
        f'sum by (job, instance, target, state) (forge_model_files{{{HERE}, state=~"faulty|unreadable"}}) > 0',
        "5m",
        "warning",
        "Forge {{ $labels.target }} has {{ $value }} {{ $labels.state }} model file(s).",
        "Among the model files of Forge {{ $labels.target }} {{ $value }} are {{ $labels.state }}: a cut download, a"
        " page saved as a model, or a file that may not be read.",
        ("Run `forgediag models`: it names the files.", "Delete each and download it again."),
    ),
    Alert(
        "ModelFileChanged",
        f'forgediag_model_verify_files{{{HERE}, state=~"changed|corrupted|missing"}} > 0',
        "0m",
        "critical",
        "{{ $value }} model file(s) of Forge {{ $labels.target }} are {{ $labels.state }}.",
        "The background verification found {{ $value }} model file(s) of Forge {{ $labels.target }}"
        " {{ $labels.state }}: their bytes are no longer what they were. Such a model loads without a word"
        " and gives noise or black images.",
        (
            "Run `forgediag doctor`: the finding `model-file-unchanged` names the files.",
            "Replace each from its source or a backup before Forge loads it again.",
            "Bytes that changed without a write mean a failing disk or memory: check both.",
        ),
    ),
    Alert(
        "ModelVerificationBehind",
        f"time() - forgediag_model_verify_oldest_timestamp_seconds{{{HERE}}}\n"
        f"  > on (job, instance, target) 2 * forgediag_model_verify_round_seconds{{{HERE}}}",
        "1h",
        "info",
        "The verification of Forge {{ $labels.target }}'s model files is behind.",
        "A model file of Forge {{ $labels.target }} was last read {{ $value | humanizeDuration }} ago, which is more"
        " than two rounds.",
        ("Raise `rate` in the section `verification` of the configuration, or `days`.",),
    ),
    Alert(
        "WrongModel",
        checked("selected-model-missing", "model-will-load", "model-file-whole", "model-file-genuine"),
        "5m",
        "warning",
        "The model selected on Forge {{ $labels.target }} is missing, damaged, or does not load as selected.",
        "The check {{ $labels.check }} has failed for 5 minutes: the next generation on Forge {{ $labels.target }} will"
        " fail, or use another model than the one shown.",
        (
            "Run `forgediag doctor`: it names the file and what is wrong.",
            "Select files that fit together, or put the right ones in their place.",
        ),
    ),
    Alert(
        "IncompatibleVersions",
        checked("torch-driver-gpu", "python-packages", "bitsandbytes", "forge-knows-model"),
        "5m",
        "warning",
        "Versions on Forge {{ $labels.target }}'s machine do not fit together.",
        "The check {{ $labels.check }} has failed for 5 minutes: torch, the driver, the card, a Python package or Forge"
        " itself is of a version that does not fit.",
        ("Run `forgediag doctor`: it names both versions and the one to install.",),
    ),
)
