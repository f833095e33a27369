"""Checks that come with forgediag."""

from forgediag.check import Check
from forgediag_checks.bus import pcie_link
from forgediag_checks.effective import inference_memory_effective, options_reset_by_page
from forgediag_checks.features import forge_knows_model
from forgediag_checks.files import model_file_whole
from forgediag_checks.host import host_ram
from forgediag_checks.integrity import model_file_genuine
from forgediag_checks.jobs import job_memory_growth, job_steps_slower, memory_manager_as_known
from forgediag_checks.loading import model_will_load
from forgediag_checks.memory import gpu_other_processes, inference_memory_range, torch_fragmentation
from forgediag_checks.options import options_readable, probe_unfinished, selected_model_missing
from forgediag_checks.packages import bitsandbytes, python_packages, python_version
from forgediag_checks.renamed import model_file_renamed
from forgediag_checks.safety import model_file_safe
from forgediag_checks.service import forge_reachable, secrets_exposed
from forgediag_checks.state import forge_stuck, job_hangs, model_in_effect
from forgediag_checks.unchanged import model_file_listed, model_file_unchanged
from forgediag_checks.versions import torch_driver_gpu

CHECKS: tuple[Check, ...] = (
    # What keeps Forge from working at all; with torch broken the rest cannot be right.
    torch_driver_gpu,
    python_packages,
    forge_reachable,
    # What breaks every client, then what breaks the selected model: causes before their effects.
    options_readable,
    probe_unfinished,
    selected_model_missing,
    model_file_whole,
    model_file_genuine,
    model_file_safe,
    model_file_unchanged,
    forge_knows_model,
    bitsandbytes,
    model_will_load,
    host_ram,
    forge_stuck,
    job_hangs,
    # What makes it slow, or other than it looks.
    inference_memory_range,
    inference_memory_effective,
    options_reset_by_page,
    model_in_effect,
    model_file_renamed,
    model_file_listed,
    gpu_other_processes,
    job_memory_growth,
    job_steps_slower,
    memory_manager_as_known,
    torch_fragmentation,
    pcie_link,
    python_version,
    secrets_exposed,
)
"""In the order of their rank: findings of one severity are told in this order."""
