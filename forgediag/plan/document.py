"""A plan as the JSON document of `forgediag plan --json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forgediag.forge.families import TEXT_ENCODER, UNET, VAE
from forgediag.forge.memory.manager import Load
from forgediag.forge.memory.run import Step
from forgediag.model import MB
from forgediag.plan.peaks import device_peaks, phase_peaks
from forgediag.plan.predict import Plan

SCHEMA = "forgediag.plan/1"


def document(plan: Plan, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The document. `files` names the file each part comes from, by the class name Forge prints."""
    names = files or {}
    error = plan.error
    tight = plan.tight
    components = [
        {
            "target": target,
            "file": names.get(target),
            "parameters": part.parameters,
            "storage": part.storage,
            "computation": part.computation,
            "require_mb": _mb(part.require),
        }
        for target in (TEXT_ENCODER, UNET, VAE)
        if (part := plan.components.parts.get(target)) is not None
    ]
    return {
        "schema": SCHEMA,
        "family": plan.components.detection.family,
        "loads_ok": error is None,
        "error": error and {"type": error.type, "message": error.message, "cause": error.cause},
        "warnings": [*plan.components.warnings, *plan.doubts],
        "components": components,
        "steps": [_step(step) for step in plan.steps],
        "peak_mb": _rounded(phase_peaks(plan.peaks)),
        "device_peak_mb": _rounded(device_peaks(plan.request, plan.peaks)),
        "estimate_mb": _rounded({peak.phase: peak.estimate for peak in plan.peaks}),
        "ram_peak_mb": _mb(plan.ram_peak),
        "pinned_mb": _mb(plan.pinned),
        "total_vram_mb": plan.request.card.total,
        "fits": error is None and plan.fits,
        "oom_phase": tight.phase if tight else None,
        "tiled_decode": any(peak.tiled for peak in plan.peaks),
        "per_image_seconds": {"first": _seconds(plan.first_seconds), "next": _seconds(plan.next_seconds)},
        "confidence": plan.speed.confidence if plan.speed else None,
    }


def _step(step: Step) -> dict[str, Any]:
    load = step.loads[-1] if step.loads else None
    return {
        "phase": step.phase,
        "image": step.image,
        "log": list(step.log),
        **_load(load),
        "unloads": list(step.unloads),
    }


def _load(load: Load | None) -> dict[str, Any]:
    if load is None:
        keys = ("target", "free_mb", "require_mb", "inference_mb", "remaining_mb", "gpu_mb", "swap_mb")
        return dict.fromkeys(keys)
    return {
        "target": load.target,
        "free_mb": _mb(load.free),
        "require_mb": _mb(load.require),
        "inference_mb": _mb(load.inference),
        "remaining_mb": _mb(load.remaining),
        "gpu_mb": _mb(load.gpu),
        "swap_mb": _mb(load.swap),
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {key: _mb(value) for key, value in values.items()}


def _mb(count: float) -> float:
    return round(count / MB, 2)


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
