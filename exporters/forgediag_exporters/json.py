"""The report as JSON: the same documents for the HTTP API and for the commands' --json."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from forgediag.export import Exporter
from forgediag.forge.secret import told
from forgediag.model import Advice, Finding, Forge, Gap, Known, OptionChange, Options, Report, Severity

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

JSON = "application/json"


def plain(value: object) -> Any:
    """Dataclasses as objects, gaps as `{"gap": kind, "reason": …}`, numbers that are none as null, the rest as it is.

    Of an option that may hold a credential only `true` is shown when it is set.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _noun(value)
    if isinstance(value, Severity):
        return value.label
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _noun(value: DataclassInstance) -> dict[str, Any]:
    if isinstance(value, Gap):
        return {"gap": value.kind, "reason": value.reason, "expected": value.expected}
    if isinstance(value, Options):
        return {
            "values": {key: plain(told(key, item)) for key, item in value.values.items()},
            "broken": list(value.broken),
        }
    return {item.name: plain(getattr(value, item.name)) for item in fields(value)}


def document(build: Callable[[Report], Mapping[str, Any]]) -> Callable[[Report], bytes]:
    """An exporter's function from one that builds a document."""

    def render(report: Report) -> bytes:
        return (json.dumps(plain(build(report)), ensure_ascii=False, indent=1, default=str) + "\n").encode()

    return render


def snapshot(report: Report) -> Mapping[str, Any]:
    """Everything known at one moment; generations and changes have documents of their own, curves are for the page."""
    targets = tuple(replace(target, jobs=(), changes=()) for target in report.snapshot.targets)
    known = plain(replace(report.snapshot, targets=targets, recent={}))
    del known["recent"]
    return {"schema": "forgediag.snapshot/1", **known}


def jobs(report: Report) -> Mapping[str, Any]:
    """The last generations of each target, the newest first."""
    return {
        "schema": "forgediag.jobs/1",
        "targets": {target.name: list(reversed(target.jobs)) for target in report.snapshot.targets},
    }


def findings(report: Report) -> Mapping[str, Any]:
    """The verdict and the findings, worst first."""
    return {
        "schema": "forgediag.doctor/1",
        "verdict": report.verdict,
        "findings": [finding(item) for item in report.findings],
    }


def finding(item: Finding) -> Mapping[str, Any]:
    """One finding."""
    return {
        "check": item.check,
        "severity": item.severity,
        "target": item.target,
        "subject": item.subject,
        "message": item.message,
        "evidence": item.evidence,
        "fix": list(item.fix),
    }


def history(report: Report) -> Mapping[str, Any]:
    """The last changed options of each target, the newest first."""
    changes = {target.name: [_change(item) for item in reversed(target.changes)] for target in report.snapshot.targets}
    return {"schema": "forgediag.history/1", "targets": changes}


def _change(change: OptionChange) -> OptionChange:
    return replace(change, old=told(change.key, change.old), new=told(change.key, change.new))


def options(report: Report) -> Mapping[str, Any]:
    """The options of each target."""
    known = ((target.name, target.forge) for target in report.snapshot.targets)
    return {
        "schema": "forgediag.options/1",
        "targets": {name: forge.options if isinstance(forge, Forge) else forge for name, forge in known},
    }


def recommendation(report: Report) -> Mapping[str, Any]:
    """The advice for the first target at the top, that for each under `targets`."""
    first: Known[Advice] | None = next(iter(report.advice.values()), None)
    top: Mapping[str, Any] = {} if first is None else plain(first)
    return {"schema": "forgediag.recommend/1", **top, "targets": dict(report.advice)}


DOCUMENTS = (
    Exporter("snapshot", "/api/v1/snapshot", JSON, document(snapshot)),
    Exporter("findings", "/api/v1/findings", JSON, document(findings)),
    Exporter("history", "/api/v1/history", JSON, document(history)),
    Exporter("options", "/api/v1/options", JSON, document(options)),
    Exporter("jobs", "/api/v1/jobs", JSON, document(jobs)),
    Exporter("recommendation", "/api/v1/recommendation", JSON, document(recommendation)),
)
