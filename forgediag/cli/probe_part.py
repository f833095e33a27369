"""One part of what `forgediag probe` tells: from the headers, from a run on the CPU, from Forge itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forgediag.model import Severity


@dataclass(frozen=True, slots=True)
class Part:
    """Keys of the JSON document, its `findings` among them, and the lines for a person."""

    document: Mapping[str, Any]
    lines: Sequence[str]
    failed: bool = False


def joined(parts: Sequence[Part]) -> dict[str, Any]:
    """The JSON document: the keys of all parts, all findings, and the verdict that follows from them."""
    findings = [finding for part in parts for finding in part.document.get("findings", ())]
    worst = max((Severity[str(finding["severity"]).upper()] for finding in findings), default=Severity.OK)
    merged = {key: value for part in parts for key, value in part.document.items()}
    return {**merged, "schema": "forgediag.probe/1", "verdict": worst.label, "findings": findings}
