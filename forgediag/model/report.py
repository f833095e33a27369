"""A moment and what is concluded from it: snapshot, findings, advice, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from forgediag.model.change import OptionChange, Unfinished
from forgediag.model.files import Files
from forgediag.model.forge import Forge
from forgediag.model.job import Job, Ledger, Outcome, PhaseName
from forgediag.model.known import Gap, Known, Severity
from forgediag.model.machine import Gpu, Host, Install, Nvml, Own, Process, Recent
from forgediag.model.verification import Verification

NOT_VERIFIED = Gap("model files are not verified in the background", "unsupported", expected=True)


@dataclass(frozen=True, slots=True)
class Target:
    """One configured Forge at one moment, joined with what this machine knows of it.

    `ledger` shares out its card's memory; `jobs` are the last generations and `changes` the last changed options, the
    newest last. `verification` says whether its files are still what they were; `unfinished` is what a killed probe
    has left selected.
    """

    name: str
    forge: Known[Forge]
    process: Known[Process]
    install: Known[Install]
    gpu: Known[Gpu]
    files: Known[Files]
    ledger: Ledger | None = None
    jobs: tuple[Job, ...] = ()
    verification: Known[Verification] = NOT_VERIFIED
    changes: tuple[OptionChange, ...] = ()
    unfinished: Unfinished | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """A cumulative histogram: `counts[i]` observations were at most `bounds[i]`; `count` is all of them."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    count: int
    sum: float


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How reading one source goes. Times are Unix seconds; `errors` counts failures by gap kind."""

    source: str
    success: bool
    last_success: float | None
    duration: float
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PhaseTally:
    """One phase over all jobs: its seconds, and the card's memory at its peak in bytes."""

    seconds: Distribution
    peak: Distribution


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted for one target since the daemon started.

    `effective_inference_memory` is what Forge really works with, in bytes, None while that cannot be known. `swapped`
    are the weights the last job left in system memory; `growth` is what it left more in use on the card and in system
    memory than the job before it, in bytes. `waited` are the seconds since the running job last moved, and `usual_wait`
    the longest it usually takes, None while no job has shown it. `page_reset` are the memory options that changed
    together as opening the web page changes them: name to value before and after.
    """

    option_changes: int = 0
    jobs: Mapping[Outcome, int] = field(default_factory=dict[Outcome, int])
    job_seconds: Distribution | None = None
    requests: Mapping[str, Distribution] = field(default_factory=dict[str, Distribution])
    effective_inference_memory: int | None = None
    phases: Mapping[PhaseName, PhaseTally] = field(default_factory=dict[PhaseName, PhaseTally])
    swapped: int | None = None
    growth: tuple[int | None, int | None] = (None, None)
    waited: float | None = None
    usual_wait: float | None = None
    page_reset: Mapping[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known at one moment (`at`, Unix seconds). `recent` is the memory used on each card, by its UUID."""

    at: float
    targets: tuple[Target, ...]
    nvml: Known[Nvml]
    host: Known[Host]
    sources: tuple[SourceHealth, ...] = ()
    tallies: Mapping[str, Tally] = field(default_factory=dict[str, Tally])
    sampler_lag: float | None = None
    own: Own | None = None
    recent: Mapping[str, Recent] = field(default_factory=dict[str, Recent])


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth telling: which check, how bad, about what, why one can tell, and what to do in order."""

    check: str
    severity: Severity
    target: str
    subject: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check ended for one target. `seconds` is what running it took."""

    check: str
    target: str
    status: Severity
    seconds: float


@dataclass(frozen=True, slots=True)
class Setting:
    """A memory setting of Forge with its complement, the UI's GPU Weights. MB, as Forge counts them."""

    forge_inference_memory: int
    gpu_weights_mb: int
    forge_async_loading: str
    forge_pin_shared_memory: str


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One value of the trade-off curve. `per_image_seconds` is None where no speed is known."""

    forge_inference_memory: int
    gpu_weights_mb: int
    swap_mb: float
    per_image_seconds: float | None
    fits: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What the recommended setting should bring, beside the current one."""

    per_image_seconds: float | None = None
    current_per_image_seconds: float | None = None
    speedup: float | None = None
    peak_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation with its reasons. `confidence` says where its numbers come from.

    `flags` are start flags to set instead, for forks without the option.
    """

    model: str
    current: Setting | None
    recommended: Setting
    also_set: Mapping[str, int]
    expected: Expected
    curve: tuple[CurvePoint, ...]
    because: tuple[str, ...]
    confidence: Literal["measured", "calibrated", "estimated"]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """One target asked on behalf of one scrape: whether its Forge answered in time, and after how many seconds."""

    target: str
    success: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """A snapshot with everything concluded from it: what exporters render. `probe`: it is of one target only."""

    snapshot: Snapshot
    findings: tuple[Finding, ...]
    results: tuple[CheckResult, ...]
    advice: Mapping[str, Known[Advice]]
    probe: Probe | None = None

    @property
    def verdict(self) -> Severity:
        """The worst severity among the findings."""
        return max((finding.severity for finding in self.findings), default=Severity.OK)
