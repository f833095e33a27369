"""Checks that come with forgediag."""

from forgediag.check import Check
from forgediag_checks.bus import pcie_link
from forgediag_checks.files import model_file_whole
from forgediag_checks.host import host_ram
from forgediag_checks.integrity import model_file_genuine
from forgediag_checks.jobs import job_memory_growth, job_steps_slower
from forgediag_checks.loading import model_will_load
from forgediag_checks.memory import gpu_other_processes, inference_memory_range
from forgediag_checks.options import options_readable, selected_model_missing
from forgediag_checks.service import forge_reachable, secrets_exposed
from forgediag_checks.unchanged import model_file_listed, model_file_unchanged
from forgediag_checks.versions import torch_driver_gpu

CHECKS: tuple[Check, ...] = (
    forge_reachable,
    options_readable,
    selected_model_missing,
    model_file_whole,
    model_file_genuine,
    model_file_unchanged,
    model_file_listed,
    model_will_load,
    inference_memory_range,
    gpu_other_processes,
    job_memory_growth,
    job_steps_slower,
    host_ram,
    pcie_link,
    torch_driver_gpu,
    secrets_exposed,
)
