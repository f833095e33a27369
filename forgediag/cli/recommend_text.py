"""What `recommend` says beside the advice itself: quantisations side by side, and what was written to Forge."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forgediag.actions import Applied
from forgediag.model import Advice
from forgediag.plan.compare import Variant


def comparison(rows: Sequence[Variant]) -> Iterator[str]:
    """The model in every storage type, each with its own best settings. At most 100 columns."""
    yield f"{'stored as':<24}{'MB':>10}{'reserve':>8}{'weights':>8}  {'swap':<15}{'swapped':>9}{'s/image':>9}  fits"
    for row in rows:
        name = f"{row.storage or 'no UNet'}{' (this)' if row.same else ''}"
        advice = row.advice
        if advice is None:
            yield f"{name:<24}{row.require_mb:>10.2f}  {row.reason}"[:100]
            continue
        best, seconds = advice.recommended, advice.expected.per_image_seconds or 0.0
        swapped, fits = _point(advice)
        yield (
            f"{name:<24}{row.require_mb:>10.2f}{best.forge_inference_memory:>8}{best.gpu_weights_mb:>8}  "
            f"{best.forge_async_loading + ' + ' + best.forge_pin_shared_memory:<15}{swapped:>9.0f}{seconds:>9.1f}  "
            f"{'yes' if fits else 'NO'}"
        )


def compared(rows: Sequence[Variant]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [_compared(row) for row in rows]


def _compared(row: Variant) -> dict[str, Any]:
    made: dict[str, Any] = {"storage": row.storage, "require_mb": row.require_mb, "same": row.same}
    if row.advice is None:
        return {**made, "recommended": None, "reason": row.reason}
    best = row.advice.recommended
    swapped, fits = _point(row.advice)
    return {
        **made,
        "recommended": {
            "forge_inference_memory": best.forge_inference_memory,
            "gpu_weights_mb": best.gpu_weights_mb,
            "forge_async_loading": best.forge_async_loading,
            "forge_pin_shared_memory": best.forge_pin_shared_memory,
        },
        "swap_mb": swapped,
        "per_image_seconds": row.advice.expected.per_image_seconds,
        "peak_mb": row.advice.expected.peak_mb,
        "fits": fits,
    }


def _point(advice: Advice) -> tuple[float, bool]:
    """MB swapped with the recommended value, and whether it never runs out of memory."""
    wanted = advice.recommended.forge_inference_memory
    return next((p.swap_mb, p.fits) for p in advice.curve if p.forge_inference_memory == wanted)


def fits(advice: Advice) -> bool:
    """Whether what is recommended never runs out of memory."""
    return _point(advice)[1]


def written(applied: Applied, url: str) -> Iterator[str]:
    """What a write did, and how to undo it."""
    yield f"set in the Forge at {url}, and read back:"
    width = max(len(change.key) for change in applied.changes)
    for change in applied.changes:
        yield f"  {change.key:<{width}}  {shown(change.old)} -> {shown(change.new)}"
    if applied.nudged:
        yield "  All of it was shown already. It was written anew (first 1 MB more), because a Forge that was restarted"
        yield "  works with 1024 MB whatever it shows."
    yield "The next image loads the model to the card again."
    if applied.undo:
        yield f"undo: {undo_command(applied.undo, url)}"
        yield f"  or: POST {url}/sdapi/v1/options {json.dumps(applied.undo)}"


def written_json(applied: Applied, url: str) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "url": url,
        "changes": [{"key": change.key, "old": change.old, "new": change.new} for change in applied.changes],
        "nudged": applied.nudged,
        "undo": dict(applied.undo),
        "undo_command": undo_command(applied.undo, url) if applied.undo else None,
    }


def undo_command(undo: Mapping[str, Any], url: str) -> str:
    """The command that puts everything back."""
    values = (shlex.quote(f"{key}={shown(value)}") for key, value in undo.items())
    return f"forgediag --forge {shlex.quote(url)} options set {' '.join(values)}"


def shown(value: Any) -> str:
    """A value as `options set` takes it: text as it is, whole numbers without a point, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
