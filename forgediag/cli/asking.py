"""The question for the planner: what was asked, completed by what is here, and every assumption told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forgediag.advise import Question, ask, card_of, free_before_loading, plannable, request_of, settings_of
from forgediag.cli import Failure, NotDone, NothingKnown
from forgediag.cli.here import NOT_ASKED, card_here, running_forge
from forgediag.cli.planning import Asked
from forgediag.config import Config, state_dir
from forgediag.forge.cards import capability_of, size_of
from forgediag.forge.dtypes import FP4, NF4, stored_type
from forgediag.forge.families import UNET_PREFIX, detect
from forgediag.forge.selection import base_name
from forgediag.history import History, HistoryError
from forgediag.model import MB, Fault, Forge, Gap, Gpu, GpuMemory, Header, Host, Job, Known, Target
from forgediag.plan.compare import requantised
from forgediag.plan.console import console_speed
from forgediag.plan.request import Card, Request, Settings
from forgediag.plan.speed import Speed
from forgediag.profile.evidence import LOOKED_BACK
from forgediag.profile.learning import learned_speed
from forgediag.sources.host import is_local, read_host

CONTEXT_MB = 620
"""MB Forge's own CUDA context takes before it looks how much is free (measured on an H100)."""

DESKTOP_MB = 1024
"""MB taken to be in use on a card that is only known by name: a desktop and Forge's CUDA context."""


@dataclass(frozen=True, slots=True)
class Case:
    """A question with what was assumed for it; `forge` is the one running, where it was looked for."""

    question: Question
    assumed: tuple[str, ...] = ()
    forge: Known[Forge] = NOT_ASKED


class Broken(NotDone):
    """A file Forge will refuse because of what is in it. `fault` says what."""

    def __init__(self, path: str, fault: Fault) -> None:
        says = f" ({fault.forge_says})" if fault.forge_says else ""
        super().__init__(f"{base_name(path)}: {fault.message}; Forge will fail to load it{says}")
        self.fault = fault


def for_file(checkpoint: str, asked: Asked, config: Config) -> Case:
    """The question about a checkpoint here.

    Raises:
        Failure: no card is here and none was described.
    """
    notes: list[str] = []
    forge: Known[Forge] = NOT_ASKED
    unset = None in (asked.inference_memory, asked.swap, asked.location)
    if unset or (asked.vram is None and asked.gpu is None):
        forge = running_forge(config)
    card = choose_card(asked, lambda: card_here(config), notes, forge)
    settings = Settings()
    if unset:
        if isinstance(forge, Forge) and not isinstance(forge.options, Gap):
            settings = settings_of(forge.options)
            notes.append(f"memory settings not given are those of the Forge at {forge.url}")
        else:
            notes.append("no Forge answers: memory settings not given are Forge's defaults (1024 MB, Queue, CPU)")
    paths = (checkpoint, *asked.modules)
    question = Question(
        name=base_name(checkpoint),
        checkpoint=checkpoint,
        modules=asked.modules,
        sizes=tuple(Path(path).stat().st_size if Path(path).is_file() else 0 for path in paths),
        card=card,
        settings=_settings(settings, asked),
        picture=asked.picture,
        storage=asked.storage,
        flags=asked.flags or frozenset(),
        ram_mb=_ram(asked, read_host()),
        fork="forge" if isinstance(forge, Gap) or isinstance(forge.fork, Gap) else forge.fork,
    )
    return Case(question, tuple(notes), forge)


def for_forge(target: Target, host: Known[Host], asked: Asked) -> Case:
    """The question about what a running Forge has selected; an option that was given counts instead of its fact.

    Raises:
        NothingKnown: it cannot be asked.
    """
    notes: list[str] = []
    described = asked.vram is not None or asked.gpu is not None
    card = choose_card(asked, lambda: target.gpu, notes) if described else None
    question = ask(target, host, asked.picture, card)
    if isinstance(question, Gap):
        way = "; describe the card with --vram or --gpu" if isinstance(target.gpu, Gap) and card is None else ""
        raise NothingKnown(question.reason + way * (not isinstance(target.files, Gap)))
    total, capability = asked.total_vram or question.card.total_mb, asked.compute_capability or question.card.capability
    question = replace(
        question,
        card=replace(question.card, total_mb=total, capability=capability),
        settings=_settings(question.settings, asked),
        storage=asked.storage or question.storage,
        flags=question.flags if asked.flags is None else asked.flags,
        ram_mb=_ram(asked, host),
    )
    return Case(question, tuple(notes), target.forge)


def choose_card(
    asked: Asked, here: Callable[[], Known[Gpu]], notes: list[str], forge: Known[Forge] = NOT_ASKED
) -> Card:
    """The card described by the options, completed by the one here, on which `forge` may hold memory now.

    Raises:
        Failure: neither tells how much memory there is.
    """
    if asked.gpu is not None:
        return _total(_named(asked.gpu, asked, notes), asked, notes)
    if asked.vram is not None and asked.compute_capability is not None:
        return _total(Card(asked.vram, asked.total_vram, capability=asked.compute_capability), asked, notes)
    found = here()
    if isinstance(found, Gap):
        if asked.vram is None:
            raise Failure(f"{found.reason}; give --vram SIZE, what is free on the card (8GiB), or --gpu NAME")
        notes.append("compute capability 8.9 (no card is here): --gpu NAME or --compute-capability says it")
        return _total(Card(asked.vram, asked.total_vram), asked, notes)
    card = replace(card_of(found.info, _free(found, asked, notes, forge)), capability=_capability(found, asked))
    if asked.vram is None:
        return replace(card, total_mb=asked.total_vram or card.total_mb)
    notes.append(f"speed and compute capability are those of the {found.info.name} here: --gpu NAME says another")
    return _total(replace(card, total_mb=asked.total_vram), asked, notes)


def _capability(found: Gpu, asked: Asked) -> tuple[int, int]:
    return asked.compute_capability or found.info.compute_capability or (8, 9)


def _free(found: Gpu, asked: Asked, notes: list[str], forge: Known[Forge]) -> float:
    if asked.vram is not None:
        return asked.vram
    if isinstance(forge, Forge) and is_local(forge.url):
        held = free_before_loading(forge, NOT_ASKED, found)
        if not isinstance(held, Gap):
            notes.append(f"{held / MB:.0f} MB are free for the Forge at {forge.url} when it has unloaded its models")
            return held / MB
    if not isinstance(found.memory, GpuMemory):
        raise Failure(f"{found.memory.reason}; give --vram SIZE, what is free on the card")
    free = found.memory.free / MB
    notes.append(
        f"{found.info.name}: {free:.0f} MB are free now, of which Forge's CUDA context will take {CONTEXT_MB} MB"
    )
    return max(0.0, free - CONTEXT_MB)


def _named(name: str, asked: Asked, notes: list[str]) -> Card:
    capability = asked.compute_capability or capability_of(name)
    if capability is None:
        notes.append(f"compute capability 8.9: {name} is not a card known here; --compute-capability says it")
    free, total = asked.vram, asked.total_vram
    if free is None:
        size = total or size_of(name)
        if size is None:
            raise Failure(f"--gpu {name}: how much memory it has is not known here; give --vram SIZE")
        total, free = size, size - DESKTOP_MB
        notes.append(f"{free:g} MB of {size:g} MB are free on a {name}: --vram SIZE says it exactly")
    return Card(free, total, name, capability or (8, 9))


def _total(card: Card, asked: Asked, notes: list[str]) -> Card:
    if card.total_mb is None:
        notes.append(f"a card of {card.total:g} MB, the next usual size above {asked.vram:g} MB: --total-vram says it")
    return card


def _settings(known: Settings, asked: Asked) -> Settings:
    """The settings known, with those given in their place."""
    made = known if asked.inference_memory is None else replace(known, inference_memory_mb=asked.inference_memory)
    if asked.swap is not None:
        made = replace(made, method="Async" if asked.swap == "async" else "Queue")
    if asked.location is not None:
        made = replace(made, location="Shared" if asked.location == "shared" else "CPU")
    return made


def _ram(asked: Asked, host: Known[Host]) -> int | None:
    if asked.ram is not None:
        return int(asked.ram)
    return None if isinstance(host, Gap) else host.ram_total // MB


def request_for(question: Question) -> Request:
    """The question with its files read.

    Raises:
        NothingKnown: a file cannot be read.
        Broken: Forge will refuse a file for what is in it.
    """
    headers: list[Header] = []
    for path in (question.checkpoint, *question.modules):
        found = plannable(path)
        if isinstance(found, Gap):
            raise NothingKnown(found.reason)
        if isinstance(found, Fault):
            raise Broken(path, found)
        headers.append(found)
    return _as_gguf(request_of(question, headers))


def _as_gguf(request: Request) -> Request:
    """With "gguf:TYPE" as storage: the request for the file of that type."""
    if request.storage is None or not request.storage.startswith("gguf:"):
        return request
    if stored_type(request.checkpoint.tensors) in {NF4, FP4}:
        raise Failure("--storage gguf: the shapes of a 4-bit file are not known; give a file in another type")
    prefix = "" if detect(request.checkpoint).bare else UNET_PREFIX
    return replace(request, checkpoint=requantised(request.checkpoint, request.storage[5:], prefix), storage=None)


def remembered(config: Config) -> Sequence[Job]:
    """The first Forge's jobs that the history knows; none where there is no history."""
    try:
        return History(state_dir(config)).jobs(config.targets[0].name, limit=10 * LOOKED_BACK) if config.targets else ()
    except HistoryError:
        return ()


def speed_for(request: Request, asked: Asked, name: str, config: Config) -> Speed | None:
    """The speed a console log shows, where one was named, else the one that this machine's own jobs show.

    Raises:
        NothingKnown: the log cannot be read.
        Failure: nothing in it tells a speed.
    """
    if asked.console is None:  # a card that was only named is not the one the jobs ran on
        return learned_speed(request, name, remembered(config)) if asked.gpu is None else None
    try:
        text = Path(asked.console).read_text("utf-8", errors="replace")
    except OSError as error:
        raise NothingKnown(f"{asked.console} cannot be read: {error.strerror or error}") from error
    speed = console_speed(request, text)
    if speed is None:
        raise Failure(f"{asked.console}: no finished progress bar is in it, so it tells no speed")
    return speed
