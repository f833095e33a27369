"""Metrics of each Forge: is it there, what is set, what does it do, what was judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from forgediag.forge.selection import base_name
from forgediag.model import (
    MB,
    Forge,
    Gap,
    GpuMemory,
    Options,
    Outcome,
    Progress,
    Report,
    Tally,
    Target,
)
from forgediag_exporters.metric import Metric, Sample, Samples

OUTCOMES: tuple[Outcome, ...] = ("done", "interrupted", "oom", "failed", "unknown")


def _forges(report: Report) -> Iterator[tuple[str, Forge]]:
    for target in report.snapshot.targets:
        if isinstance(target.forge, Forge):
            yield target.name, target.forge


def _options(report: Report) -> Iterator[tuple[Target, Options]]:
    for target in report.snapshot.targets:
        if isinstance(target.forge, Forge) and isinstance(target.forge.options, Options):
            yield target, target.forge.options


def _up(report: Report) -> Iterable[Sample]:
    return [((target.name,), float(isinstance(target.forge, Forge))) for target in report.snapshot.targets]


def _info(report: Report) -> Iterator[Sample]:
    for target in report.snapshot.targets:
        install = None if isinstance(target.install, Gap) else target.install
        fork = target.forge.fork if isinstance(target.forge, Forge) else "unknown"
        if install is not None or isinstance(target.forge, Forge):
            version, commit = (install.version, install.commit) if install else (None, None)
            name = "unknown" if isinstance(fork, Gap) else fork
            yield (target.name, version or "unknown", (commit or "unknown")[:12], name), 1.0


def _inference(report: Report) -> Iterator[Sample]:
    for target, options in _options(report):
        if (megabytes := options.inference_memory_mb) is not None:
            yield (target.name,), megabytes * MB


def _gpu_weights(report: Report) -> Iterator[Sample]:
    for target, options in _options(report):
        if (megabytes := options.inference_memory_mb) is not None and not isinstance(target.gpu, Gap):
            yield (target.name,), (target.gpu.info.total // MB - megabytes) * MB


def _recommended(report: Report) -> Iterator[Sample]:
    for name, advice in report.advice.items():
        if not isinstance(advice, Gap):
            yield (name,), advice.recommended.forge_inference_memory * MB


def _effective(report: Report) -> Iterator[Sample]:
    for name, tally in report.snapshot.tallies.items():
        if tally.effective_inference_memory is not None:
            yield (name,), tally.effective_inference_memory


def _model_loaded(report: Report) -> Iterator[Sample]:
    for target, options in _options(report):
        listing = target.forge.listing if isinstance(target.forge, Forge) else None
        if listing is None or isinstance(listing, Gap) or options.loaded_sha256 is None:
            continue
        for checkpoint in listing.checkpoints:
            if checkpoint.sha256 == options.loaded_sha256:
                yield (target.name, base_name(checkpoint.name)), 1.0
                break


def _progress(value: Callable[[Progress], float]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for name, forge in _forges(report):
            if isinstance(forge.progress, Progress):
                yield (name,), value(forge.progress)

    return samples


def _tally(values: Callable[[Tally], Iterable[Sample]]) -> Samples:
    def samples(report: Report) -> Iterator[Sample]:
        for name, tally in report.snapshot.tallies.items():
            for labels, value in values(tally):
                yield (name, *labels), value

    return samples


def _requests(tally: Tally) -> Iterator[Sample]:
    for endpoint, distribution in tally.requests.items():
        if distribution.count:
            yield (endpoint,), distribution


def _gpu_of_target(report: Report) -> Iterator[Sample]:
    for target in report.snapshot.targets:
        if not isinstance(target.gpu, Gap) and isinstance(target.gpu.memory, GpuMemory):
            yield (target.name, str(target.gpu.info.index), target.gpu.info.uuid), 1.0


T = ("target",)
FORGE_METRICS: tuple[Metric, ...] = (
    Metric("forge_up", "gauge", "Whether Forge answers its API.", T, "Is it there?", _up),
    Metric(
        "forge_info",
        "gauge",
        "Version, commit and fork of Forge; always 1.",
        ("target", "version", "commit", "fork"),
        "Which Forge is it?",
        _info,
    ),
    Metric(
        "forge_api_request_duration_seconds",
        "histogram",
        "Time Forge took to answer a poll of an endpoint.",
        ("target", "endpoint"),
        "Does Forge answer slower than it used to?",
        _tally(_requests),
    ),
    Metric(
        "forge_inference_memory_bytes",
        "gauge",
        "The option forge_inference_memory as GET shows it: GPU memory kept free of weights.",
        T,
        "What is set?",
        _inference,
    ),
    Metric(
        "forge_gpu_weights_bytes",
        "gauge",
        "GPU Weights as the web page shows it: the card's total less forge_inference_memory.",
        T,
        "What is set, in the words of the web page?",
        _gpu_weights,
    ),
    Metric(
        "forge_inference_memory_effective_bytes",
        "gauge",
        "The inference memory Forge really works with; absent while it cannot be known.",
        T,
        "Is what is set in effect?",
        _effective,
    ),
    Metric(
        "forge_inference_memory_recommended_bytes",
        "gauge",
        "The inference memory forgediag recommends for the checkpoint selected.",
        T,
        "What should be set instead?",
        _recommended,
    ),
    Metric(
        "forge_option_changes",
        "counter",
        "Options seen to change between two polls.",
        T,
        "Did somebody change the settings?",
        _tally(lambda tally: [((), tally.option_changes)]),
    ),
    Metric(
        "forge_model_loaded",
        "gauge",
        "1 for the checkpoint that Forge loaded last.",
        ("target", "model"),
        "Which model is loaded?",
        _model_loaded,
    ),
    Metric(
        "forge_job_running",
        "gauge",
        "Whether a generation is under way.",
        T,
        "Is it busy?",
        _progress(lambda progress: float(progress.running)),
    ),
    Metric(
        "forge_job_progress_ratio",
        "gauge",
        "Progress of the generation under way, 0 to 1; 0 when idle.",
        T,
        "How far is it?",
        _progress(lambda progress: progress.ratio),
    ),
    Metric(
        "forge_jobs",
        "counter",
        "Generations that ended, by outcome.",
        ("target", "outcome"),
        "How many images, and how many failures?",
        _tally(lambda tally: [((outcome,), tally.jobs.get(outcome, 0)) for outcome in OUTCOMES]),
    ),
    Metric(
        "forge_job_duration_seconds",
        "histogram",
        "Time from the start of a generation to its end, model load included.",
        T,
        "How long does an image take?",
        _tally(lambda tally: [((), tally.job_seconds)] if tally.job_seconds else []),
    ),
    Metric(
        "forge_target_gpu_info",
        "gauge",
        "The GPU a Forge works on; always 1, to join the forge_gpu_ metrics by.",
        ("target", "gpu", "uuid"),
        "Which card is whose?",
        _gpu_of_target,
    ),
)
