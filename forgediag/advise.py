"""Advice on one target: the planner asked anew whenever model, options or free memory have changed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from forgediag.forge.selection import base_name
from forgediag.model import (
    MB,
    Advice,
    CudaMemory,
    Fault,
    Files,
    Forge,
    Fork,
    Gap,
    Gpu,
    GpuInfo,
    GpuMemory,
    Header,
    Host,
    Job,
    Known,
    ModelFile,
    Options,
    Process,
    Target,
    TorchMemory,
)
from forgediag.plan.request import Card, Picture, RefusedError, Request, Settings
from forgediag.profile.evidence import evidence
from forgediag.sources.apart import ApartError, apart
from forgediag.sources.headers import read_header

CONTEXT = 818 * MB
"""What a CUDA context and the first kernels take of Forge's own memory (620 + 198 MB measured on an H100)."""

ROUNDED = 128
"""MB to which free memory is rounded, so that a desktop's comings and goings do not start a new search."""

PLANNABLE = frozenset({"safetensors", "gguf"})


@dataclass(frozen=True, slots=True)
class Question:
    """Everything the advice depends on; equal questions have equal answers."""

    name: str
    checkpoint: str
    modules: tuple[str, ...]
    sizes: tuple[int, ...]
    card: Card
    settings: Settings
    picture: Picture
    storage: str | None
    flags: frozenset[str]
    ram_mb: int | None
    fork: Fork


class Adviser:
    """Keeps the advice for one target up to date. `earlier` are jobs of before this start, to learn from."""

    def __init__(self, picture: Picture | None = None) -> None:
        """Advise for a picture: its size, steps and batch; the family's usual ones where not given."""
        self.advice: Known[Advice] = Gap("the advice is not worked out yet", "starting", expected=True)
        self._picture = picture or Picture()
        self._asked: tuple[Known[Question], Hashable] | None = None
        self.earlier: tuple[Job, ...] = ()

    async def refresh(self, target: Target, host: Known[Host]) -> None:
        """Ask the planner if anything has changed: it reads headers and searches up to a second, in another process."""
        question = ask(target, host, self._picture)
        jobs = (*self.earlier, *target.jobs)
        learned = () if isinstance(question, Gap) else evidence(question.name, jobs)
        if (question, learned) == self._asked:
            return
        self._asked = question, learned
        self.advice = question if isinstance(question, Gap) else await _answered(question, jobs)


async def _answered(question: Question, jobs: Sequence[Job]) -> Known[Advice]:
    try:
        return await apart(answer, question, tuple(jobs))
    except ApartError as error:
        return Gap(f"no recommendation: {error}", "failed", expected=True)


def ask(target: Target, host: Known[Host], picture: Picture, card: Card | None = None) -> Known[Question]:
    """The question a target poses now, or why it cannot be posed. A `card` stands for the one Forge works on."""
    facts = _facts(target)
    if isinstance(facts, Gap):
        return facts
    forge, options, files = facts
    found = card or _card_of(target, forge)
    if isinstance(found, Gap):
        return found
    flags = frozenset[str]() if isinstance(forge.flags, Gap) else forge.flags.switched
    storage = options.text("forge_unet_storage_dtype")
    return Question(
        name=base_name(files[0].path),
        checkpoint=files[0].local,
        modules=tuple(file.local for file in files[1:]),
        sizes=tuple(file.size for file in files),
        card=found,
        settings=settings_of(options),
        picture=picture,
        storage=None if storage is None or storage.startswith("Automatic") else storage,
        flags=flags,
        ram_mb=None if isinstance(host, Gap) else host.ram_total // MB,
        fork="other" if isinstance(forge.fork, Gap) else forge.fork,
    )


def _facts(target: Target) -> tuple[Forge, Options, list[ModelFile]] | Gap:
    """Forge, its options, and the selected files with the checkpoint first."""
    forge = target.forge
    if isinstance(forge, Gap):
        return forge
    if isinstance(forge.options, Gap):
        return _without(forge.options)
    if isinstance(target.files, Gap):
        return _without(target.files)
    files = _selected(target.files)
    return files if isinstance(files, Gap) else (forge, forge.options, files)


def _without(gap: Gap) -> Gap:
    return Gap(f"no recommendation: {gap.reason}", gap.kind, expected=True)


def _selected(files: Files) -> list[ModelFile] | Gap:
    selected = sorted(files.selected, key=lambda file: file.role != "checkpoint")
    if [file.role for file in selected].count("checkpoint") != 1:
        return Gap("no recommendation: the selected checkpoint cannot be read here", "missing", expected=True)
    if unplannable := [file for file in selected if file.format not in PLANNABLE or file.fault]:
        name = base_name(unplannable[0].path)
        return Gap(f"no recommendation: {name} is damaged or no safetensors or GGUF file", "invalid", expected=True)
    return selected


def _card_of(target: Target, forge: Forge) -> Known[Card]:
    gpu = target.gpu
    if isinstance(gpu, Gap):
        return _without(gpu)
    free = free_before_loading(forge, target.process, gpu)
    return free if isinstance(free, Gap) else card_of(gpu.info, free // MB // ROUNDED * ROUNDED)


def free_before_loading(forge: Forge, process: Known[Process], gpu: Gpu) -> Known[int]:
    """Bytes Forge will see free before its first load: what is free now and what it would give back itself."""
    memory = forge.memory
    if isinstance(memory, TorchMemory) and isinstance(memory.cuda, CudaMemory):
        return memory.cuda.free + memory.cuda.reserved
    if isinstance(gpu.memory, GpuMemory) and not isinstance(process, Gap) and not isinstance(gpu.processes, Gap):
        held = [item.used for item in gpu.processes if item.pid == process.pid]
        if held and held[0] is not None:
            return gpu.memory.free + max(0, held[0] - CONTEXT)
    return Gap("no recommendation: what Forge itself holds of the GPU's memory is not known", "missing", expected=True)


def settings_of(options: Options) -> Settings:
    """The memory settings as the options have them; ersatzForge has both parts of the swap in one option."""
    swap = options.text("forge_swap") or ""
    method: Literal["Queue", "Async"] = "Queue"
    if "Async" in (options.text("forge_async_loading") or swap):
        method = "Async"
    location: Literal["CPU", "Shared"] = "CPU"
    if "Shared" in (options.text("forge_pin_shared_memory") or swap):
        location = "Shared"
    inference = options.inference_memory_mb
    return Settings(1024 if inference is None else inference, method, location)


def card_of(info: GpuInfo, free_mb: float) -> Card:
    """A GPU as the planner sees it, with this much free before Forge's first load."""
    capability = info.compute_capability or (8, 9)
    return Card(free_mb, info.total // MB, info.name, capability, info.pcie_max_generation, info.pcie_width)


def answer(question: Question, jobs: Sequence[Job] = ()) -> Known[Advice]:
    """The planner's advice, with the speed that finished jobs show; a gap where nothing can be advised."""
    from forgediag.plan.recommend import recommend  # noqa: PLC0415 - planning takes megabytes, and happens elsewhere
    from forgediag.profile.learning import learned_speed  # noqa: PLC0415

    request = pose(question)
    if isinstance(request, Gap):
        return replace(request, reason=f"no recommendation: {request.reason}")
    try:
        speed = learned_speed(request, question.name, jobs)
        return recommend(request, speed=speed, fork=question.fork, current=question.settings)
    except RefusedError as refusal:
        return Gap(f"no recommendation: {refusal}", "failed", expected=True)


def pose(question: Question) -> Known[Request]:
    """The question with its files read: headers only. A gap where one cannot be read ("missing") or used."""
    headers: list[Header] = []
    for path in (question.checkpoint, *question.modules):
        found = plannable(path)
        if isinstance(found, Fault):
            return Gap(f"{base_name(path)}: {found.message}", "invalid", expected=True)
        if isinstance(found, Gap):
            return found
        headers.append(found)
    return request_of(question, headers)


def request_of(question: Question, headers: Sequence[Header]) -> Request:
    """The question with the headers of its files, the checkpoint's first."""
    return Request(
        checkpoint=headers[0],
        modules=tuple(headers[1:]),
        card=question.card,
        settings=question.settings,
        picture=question.picture,
        storage=question.storage,
        flags=question.flags,
        ram_mb=question.ram_mb,
        name=question.name,
    )


def plannable(path: str) -> Header | Fault | Gap:
    """The header of a file; what is wrong with it; or why it cannot be read here though Forge perhaps can."""
    try:
        found = read_header(path)
    except OSError as error:
        return Gap(f"{base_name(path)} cannot be read: {error.strerror or error}", "missing")
    if isinstance(found, Header) and found.unread is not None:
        return Gap(
            f"{base_name(path)}: its tensors are not known ({found.unread}); a safetensors file can be planned",
            "missing",
        )
    return found
