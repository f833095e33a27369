"""Loading and unloading of parts as Forge does it, with every line it prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from forgediag.forge.memory.rules import Rules
from forgediag.forge.memory.swap import QUEUE, Swap, swap_limit
from forgediag.forge.parts import Charge, Profile, Stages, exact
from forgediag.model import MB


@dataclass(frozen=True, slots=True)
class Load:
    """One part made ready. Bytes.

    `free` is what Forge saw before, `gpu` and `swap` what it printed (all and nothing when everything was loaded).
    `moved` went to the card for it.
    """

    target: str
    free: float
    require: float
    previously: float
    inference: float
    remaining: float
    gpu: float
    swap: float
    moved: float


@dataclass(slots=True)
class Body:
    """A part in memory: what is on the card right now. `on_cpu` parts compute on the CPU and never take GPU memory."""

    target: str
    stages: Stages
    on_cpu: bool = False
    kept_on_gpu: bool = False
    stage: int = 0
    weights: bytes = b""
    extras: bytes = b""
    loose: bool = False
    buffers: bool = False
    late: bool = False
    swapped: bool = False

    def __post_init__(self) -> None:
        self.move(to_gpu=False)

    @property
    def profile(self) -> Profile:
        """Its layers as they are now."""
        return self.stages.at(self.stage)

    def move(self, *, to_gpu: bool) -> None:
        """The whole part to one side, buffers included."""
        mask = (b"\x01" if to_gpu else b"\x00") * len(self.stages.fresh.layers)
        self.weights = self.extras = mask
        self.loose = self.buffers = self.late = to_gpu

    def inclusive(self) -> float:
        """Bytes on its load device, as Forge counts them."""
        if self.on_cpu:
            return self.profile.size
        counted, _ = self.profile.held(self.weights, self.extras, exact)
        return counted + (sum(self.profile.loose) if self.loose else 0)

    def taken(self, charge: Charge) -> int:
        """Device memory it takes."""
        profile = self.profile
        if self.on_cpu or not (self.loose or any(self.extras) or any(self.weights)):
            return 0
        _, taken = profile.held(self.weights, self.extras, charge)
        for there, tensors in ((self.loose, profile.loose), (self.buffers, profile.buffers), (self.late, profile.late)):
            if there:
                taken += charge(tensors)
        return taken

    def use(self) -> None:
        """A forward pass: types settle, and T5's embedding goes to the GPU wherever it was."""
        self.stage = 2
        if not self.on_cpu:
            pulled = bytearray(self.weights)
            for index, layer in enumerate(self.profile.layers):
                if layer.pulled:
                    pulled[index] = 1
            self.weights = bytes(pulled)


@dataclass(slots=True)
class Entry:
    """A patcher in Forge's list of loaded models. Clones of one model are patchers of the same body."""

    body: Body
    patcher: int = 0
    abandoned: bool = False


@dataclass(slots=True)
class Manager:
    """Forge's memory manager. `free_empty` is what is free with none of its parts on the card, in bytes.

    `lines` grows by what Forge prints, `loads` by what was made ready, `unloads` by what went, `moved_out` by its
    bytes. Source: Forge dfdcbab, backend/memory_management.py.
    """

    rules: Rules
    free_empty: float
    inference: float
    charge: Charge = exact
    swap: Swap = QUEUE
    bodies: list[Body] = field(default_factory=list[Body])
    entries: list[Entry] = field(default_factory=list[Entry])
    lines: list[str] = field(default_factory=list[str])
    loads: list[Load] = field(default_factory=list[Load])
    unloads: list[str] = field(default_factory=list[str])
    moved_out: float = 0

    def free(self) -> float:
        """Free device memory as Forge sees it."""
        return self.free_empty - sum(body.taken(self.charge) for body in self.bodies)

    def load(self, wanted: Sequence[Entry], required: float = 0, hard: float = 0) -> None:
        """load_models_gpu: make these ready, unloading others for it."""
        to_free = max(self.inference, required) + hard
        present, missing = self._sort(wanted)
        if not missing:
            if any(not entry.body.on_cpu for entry in present):
                self._free_memory(to_free, present)
            return
        for entry in missing:
            self.entries = [other for other in self.entries if other.body is not entry.body]
        sizes = [(entry, entry.body.inclusive()) for entry in missing]
        needs = [entry.body.profile.size - there * 0.75 for entry, there in sizes if not entry.body.on_cpu]
        if needs:
            self._free_memory(sum(needs) * 1.3 + to_free, present)
        for entry, inclusive in sizes:
            self._load_one(entry, inclusive, self.inference + hard)

    def unload_all(self) -> None:
        """unload_all_models: before another checkpoint, and after a memory option was changed."""
        line = "[Unload] Trying to free all memory for cuda:0 with 0 models keep loaded ... "
        self._release(line, 1e30, ())

    def _sort(self, wanted: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        present: list[Entry] = []
        missing: list[Entry] = []
        for entry in wanted:
            match = next((e for e in self.entries if e.body is entry.body and e.patcher == entry.patcher), None)
            if match is None:
                missing.append(entry)
            else:
                self.entries.remove(match)
                self.entries.insert(0, match)
                present.append(match)
        return present, missing

    def _free_memory(self, needed: float, keep: Sequence[Entry]) -> None:
        line = f"[Unload] Trying to free {needed / MB:.2f} MB for cuda:0 with {len(keep)} models keep loaded ... "
        self._release(line, needed, keep)

    def _release(self, line: str, needed: float, keep: Sequence[Entry]) -> None:
        self.entries = [entry for entry in self.entries if not entry.abandoned]
        for entry in reversed(tuple(self.entries)):
            if not self.rules.unload_everything:
                free = self.free()
                line += f"Current free memory is {free / MB:.2f} MB ... "
                if free > needed:
                    break
            if not entry.body.on_cpu and entry not in keep:
                self.entries.remove(entry)
                line += f"Unload model {entry.body.target} "
                self._unload(entry.body)
        self.lines.append(line + "Done.")

    def _unload(self, body: Body) -> None:
        self.unloads.append(body.target)
        if not body.kept_on_gpu:
            self.moved_out += body.inclusive()
        body.move(to_gpu=body.kept_on_gpu)
        body.swapped = False

    def _load_one(self, entry: Entry, inclusive: float, inference: float) -> None:
        body, free = entry.body, self.free()
        exclusive = body.profile.size - inclusive
        remaining = free - exclusive - inference
        limit, line = -1.0, ""
        if not body.on_cpu and self.rules.state in {"LOW_VRAM", "NORMAL_VRAM"}:
            line = (
                f"[Memory Management] Target: {body.target}, Free GPU: {free / MB:.2f} MB, "
                f"Model Require: {exclusive / MB:.2f} MB, Previously Loaded: {inclusive / MB:.2f} MB, "
                f"Inference Require: {inference / MB:.2f} MB, Remaining: {remaining / MB:.2f} MB, "
            )
            if remaining < 0:
                limit = inclusive if inclusive > 0 else swap_limit(free, inference)
        elif not body.on_cpu and self.rules.state == "NO_VRAM":
            limit = 0
        gpu, swap = self._place(body, limit)
        self.lines.append(line + self._placed(gpu, swap, limit))
        moved = 0 if body.on_cpu else max(0.0, body.inclusive() - inclusive)
        self.loads.append(Load(body.target, free, exclusive, inclusive, inference, remaining, gpu, swap, moved))
        body.stage = max(body.stage, 1)
        self.entries.insert(0, entry)

    def _place(self, body: Body, limit: float) -> tuple[float, float]:
        if limit < 0:
            if not body.on_cpu:
                body.move(to_gpu=True)
            return body.profile.size, 0
        split = body.profile.split(limit)
        body.weights, body.extras = split.weights, split.extras
        body.swapped = True
        if split.parted:
            body.stages = body.stages.parted(split.parted)
        return split.gpu, split.swap

    def _placed(self, gpu: float, swap: float, limit: float) -> str:
        if limit < 0:
            return "All loaded to GPU."
        flag = "Shared" if self.swap.shared else "CPU"
        method = "asynchronous" if self.swap.asynchronous else "blocked"
        return f"{flag} Swap Loaded ({method} method): {swap / MB:.2f} MB, GPU Loaded: {gpu / MB:.2f} MB"
