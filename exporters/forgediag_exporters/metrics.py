"""The table: every metric forgediag exports."""

from __future__ import annotations

from forgediag_exporters.metrics_forge import FORGE_METRICS
from forgediag_exporters.metrics_gpu import GPU_METRICS
from forgediag_exporters.metrics_own import OWN_METRICS

METRICS = (*FORGE_METRICS, *GPU_METRICS, *OWN_METRICS)
