"""Folders in the layout of diffusers: an index that names the files of a model in pieces."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import cast

from forgediag.formats.faults import fault
from forgediag.model import Fault

INDEX_LIMIT = 4 * 1024 * 1024
"""The longest index that is read, in bytes; published ones are under 200 KB."""


def incomplete(index: bytes, present: Collection[str]) -> Fault | None:
    """Whether files that an index (`*.safetensors.index.json`, or `model_index.json`) names are missing.

    Args:
        index: the file's contents.
        present: names in the index's folder: of weights, or for `model_index.json` of the component folders.
    """
    try:
        value: object = json.loads(index[:INDEX_LIMIT])
    except (ValueError, RecursionError):
        return fault("diffusers-incomplete", "its index is not JSON")
    if not isinstance(value, dict):
        return fault("diffusers-incomplete", "its index is not a JSON object")
    named = _named(cast("dict[str, object]", value))
    missing = sorted(name for name in named if name not in present)
    if not missing:
        return None
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return fault("diffusers-incomplete", f"{missing[0]}{more} of {len(named)} that its index names is not there")


def _named(index: dict[str, object]) -> set[str]:
    weights = index.get("weight_map")
    if isinstance(weights, dict):
        return {str(name) for name in cast("dict[str, object]", weights).values()}
    parts: set[str] = set()
    for name, value in index.items():
        kind = cast("list[object]", value) if isinstance(value, list) else []
        if len(kind) == 2 and isinstance(kind[0], str) and not name.startswith("_"):
            parts.add(name)
    return parts
