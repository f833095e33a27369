"""The table: every metric forgediag exports."""

from __future__ import annotations

from forgediag_exporters.metrics_forge import FORGE_METRICS
from forgediag_exporters.metrics_gpu import GPU_METRICS
from forgediag_exporters.metrics_jobs import JOB_METRICS
from forgediag_exporters.metrics_judged import JUDGED_METRICS
from forgediag_exporters.metrics_machine import MACHINE_METRICS
from forgediag_exporters.metrics_own import OWN_METRICS
from forgediag_exporters.metrics_torch import TORCH_METRICS
from forgediag_exporters.metrics_verify import VERIFY_METRICS

METRICS = (
    *FORGE_METRICS,
    *JOB_METRICS,
    *TORCH_METRICS,
    *JUDGED_METRICS,
    *VERIFY_METRICS,
    *GPU_METRICS,
    *MACHINE_METRICS,
    *OWN_METRICS,
)
