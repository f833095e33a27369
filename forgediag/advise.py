"""Advice on one target: the planner asked anew whenever model, options or free memory have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

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
    GpuMemory,
    Header,
    Host,
    Known,
    ModelFile,
    Options,
    Process,
    Target,
    TorchMemory,
)
from forgediag.plan import Card, Picture, RefusedError, Request, Settings, recommend
from forgediag.sources.files import read_header

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
    """Keeps the advice for one target up to date."""

    def __init__(self, picture: Picture | None = None) -> None:
        """Advise for a picture: its size, steps and batch; the family's usual ones where not given."""
        self.advice: Known[Advice] = Gap("the advice is not worked out yet", "starting", expected=True)
        self._picture = picture or Picture()
        self._asked: Known[Question] | None = None

    async def refresh(self, target: Target, host: Known[Host]) -> None:
        """Ask the planner if anything has changed. Reads headers and searches in a thread: up to a second."""
        question = ask(target, host, self._picture)
        if question == self._asked:
            return
        self._asked = question
        self.advice = question if isinstance(question, Gap) else await asyncio.to_thread(answer, question)


def ask(target: Target, host: Known[Host], picture: Picture) -> Known[Question]:
    """The question a target poses now, or why it cannot be posed."""
    facts = _facts(target)
    if isinstance(facts, Gap):
        return facts
    forge, options, gpu, files = facts
    free = free_before_loading(forge, target.process, gpu)
    if isinstance(free, Gap):
        return free
    flags = frozenset[str]() if isinstance(forge.flags, Gap) else frozenset(_set_flags(forge.flags.values))
    storage = options.text("forge_unet_storage_dtype")
    return Question(
        name=_base(files[0].path),
        checkpoint=files[0].local,
        modules=tuple(file.local for file in files[1:]),
        sizes=tuple(file.size for file in files),
        card=_card(gpu, free),
        settings=settings_of(options),
        picture=picture,
        storage=None if storage is None or storage.startswith("Automatic") else storage,
        flags=flags,
        ram_mb=None if isinstance(host, Gap) else host.ram_total // MB,
        fork="other" if isinstance(forge.fork, Gap) else forge.fork,
    )


def _facts(target: Target) -> tuple[Forge, Options, Gpu, list[ModelFile]] | Gap:
    """Forge, its options, its GPU, and the selected files with the checkpoint first."""
    forge = target.forge
    if isinstance(forge, Gap):
        return forge
    options, gpu, files = forge.options, target.gpu, target.files
    if isinstance(options, Gap):
        return _without(options)
    if isinstance(gpu, Gap):
        return _without(gpu)
    return _without(files) if isinstance(files, Gap) else _selected(forge, options, gpu, files)


def _without(gap: Gap) -> Gap:
    return Gap(f"no recommendation: {gap.reason}", gap.kind, expected=True)


def _selected(
    forge: Forge, options: Options, gpu: Gpu, files: Files
) -> tuple[Forge, Options, Gpu, list[ModelFile]] | Gap:
    selected = sorted(files.selected, key=lambda file: file.role != "checkpoint")
    if [file.role for file in selected].count("checkpoint") != 1:
        return Gap("no recommendation: the selected checkpoint cannot be read here", "missing", expected=True)
    if unplannable := [file for file in selected if file.format not in PLANNABLE or file.fault]:
        name = _base(unplannable[0].path)
        return Gap(f"no recommendation: {name} is damaged or no safetensors or GGUF file", "invalid", expected=True)
    return forge, options, gpu, selected


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


def _card(gpu: Gpu, free: int) -> Card:
    info = gpu.info
    rounded = free // MB // ROUNDED * ROUNDED
    capability = info.compute_capability or (8, 9)
    return Card(rounded, info.total // MB, info.name, capability, info.pcie_max_generation, info.pcie_width)


def _set_flags(values: Mapping[str, object]) -> Iterator[str]:
    return (name for name, value in values.items() if value is True)


def _base(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def answer(question: Question) -> Known[Advice]:
    """The planner's advice; a gap where a file cannot be read or nothing can be advised."""
    headers: list[Header] = []
    for path in (question.checkpoint, *question.modules):
        try:
            found = read_header(path)
        except OSError as error:
            return Gap(f"no recommendation: {_base(path)} cannot be read: {error.strerror or error}", "missing")
        if isinstance(found, Fault):
            return Gap(f"no recommendation: {_base(path)}: {found.message}", "invalid", expected=True)
        headers.append(found)
    request = Request(
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
    try:
        return recommend(request, fork=question.fork, current=question.settings)
    except RefusedError as refusal:
        return Gap(f"no recommendation: {refusal}", "failed", expected=True)
