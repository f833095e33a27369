"""A part Forge loads as a whole (text encoders, UNet, VAE): its layers, and how the greedy split falls over them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from forgediag.model import MB

Charge = Callable[[Iterable[int]], int]
"""Bytes of device memory that tensors of these sizes take, allocated in this order."""


def exact(sizes: Iterable[int]) -> int:
    """Every tensor rounded to the allocator's smallest step of 512 bytes (torch, CUDACachingAllocator)."""
    return sum(-(-size // 512) * 512 for size in sizes)


def segmented(sizes: Iterable[int]) -> int:
    """What torch's caching allocator calls allocated: a rest of 1 MB or less of a large block is not split off.

    Tensors over 1 MB are cut from segments of 20 MB, from 10 MB on they get a segment of their own in steps of 2 MB
    (torch, c10/cuda/CUDACachingAllocator.cpp). Observed on a real card: Flux in fp8, 11350 MB, takes 11502.
    """
    taken = 0
    free: list[int] = []
    for size in sizes:
        rounded = -(-size // 512) * 512
        if rounded <= MB:
            taken += rounded
            continue
        place = bisect_left(free, rounded)
        if place < len(free):
            block = free.pop(place)
        else:
            block = 20 * MB if rounded < 10 * MB else -(-rounded // (2 * MB)) * 2 * MB
        if block - rounded > MB:
            insort(free, block - rounded)
            block = rounded
        taken += block
    return taken


@dataclass(frozen=True, slots=True)
class Layer:
    """One module with weights of its own.

    `weight` and `extra` are bytes as Forge counts them (`module_size`); `tensors` are the real sizes, the weight
    first. A legacy layer is none of Forge's own operations and always goes to the GPU. `shadow` is counted by the
    split only: the textual-inversion wrapper registers the token embedding a second time. `twin` is the name of the
    layer whose weight it shares. `pulled` weights are moved to the GPU by the first forward pass wherever they were
    (T5's embedding).
    """

    name: str
    weight: float = 0
    extra: float = 0
    tensors: tuple[int, ...] = ()
    legacy: bool = False
    shadow: float = 0
    twin: str | None = None
    pulled: bool = False

    @property
    def total(self) -> float:
        """Bytes the split counts for the whole layer."""
        return self.weight + self.extra + self.shadow


@dataclass(frozen=True, slots=True)
class Split:
    """Where the greedy split puts the layers: masks over them, and the two numbers Forge prints."""

    weights: bytes
    extras: bytes
    gpu: float
    swap: float
    parted: frozenset[int]


@dataclass(slots=True)
class Profile:
    """The layers of a part in one state of use, and in bytes what lies outside every layer.

    `loose` are parameters the split neither counts nor moves, `buffers` and `late` buffers no number shows; `late` ones
    (the noise schedule) are not created where the weights are. `size` is what Forge prints as "Model Require" of an
    unloaded part, `largest` its largest weight.
    """

    layers: tuple[Layer, ...]
    loose: tuple[int, ...] = ()
    buffers: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    size: float = field(init=False)
    largest: float = field(init=False)
    _held: dict[tuple[bytes, bytes, Charge], tuple[float, int]] = field(
        default_factory=dict[tuple[bytes, bytes, Charge], tuple[float, int]]
    )
    _splits: dict[tuple[int, int], Split] = field(default_factory=dict[tuple[int, int], Split])
    _order: tuple[list[int], list[float]] | None = None
    _full: tuple[list[int], list[float]] | None = None

    def __post_init__(self) -> None:
        self.size = sum(layer.weight + layer.extra for layer in self.layers) + sum(self.loose)
        self.largest = max((layer.weight for layer in self.layers), default=0)

    def held(self, weights: bytes, extras: bytes, charge: Charge) -> tuple[float, int]:
        """(bytes as Forge counts them, device memory taken) of the layers whose mask is set."""
        key = (weights, extras, charge)
        if key not in self._held:
            counted = 0.0
            there: list[int] = []
            rows = zip(self.layers, weights, extras, strict=True)
            split = not all(weights)  # a split moves the layers smallest first, a whole part in definition order
            for layer, weight, extra in sorted(rows, key=lambda row: row[0].weight) if split else rows:
                first = 1 if layer.weight else 0
                if weight and first:
                    counted += layer.weight
                    there.append(layer.tensors[0])
                if extra:
                    counted += layer.extra
                    there += layer.tensors[first:]
            self._held[key] = counted, charge(there)
        return self._held[key]

    def split(self, limit: float) -> Split:
        """The greedy split: legacy layers, then extras, then weights, each smallest first, while below `limit`.

        Forge dfdcbab, backend/memory_management.py, build_module_profile and LoadedModel.model_load.
        """
        order, extras = self._order = self._order or self._by_extra()
        start = sum(layer.total for layer in self.layers if layer.legacy)
        chosen = max(0, bisect_left(extras, limit) - 1)
        if chosen == len(order):
            ranked, weights = self._full = self._full or self._by_weight(order, extras[-1])
        else:
            ranked, weights = self._by_weight(order[:chosen], extras[chosen] if chosen else start)
        kept = max(0, bisect_left(weights, limit) - 1)
        key = (chosen, kept)
        if key not in self._splits:
            self._splits[key] = self._place(order, chosen, ranked, kept, weights[kept])
        return self._splits[key]

    def _by_extra(self) -> tuple[list[int], list[float]]:
        ops = [i for i, layer in enumerate(self.layers) if not layer.legacy]
        order = sorted(ops, key=lambda i: self.layers[i].extra)
        start = sum(layer.total for layer in self.layers if layer.legacy)
        return order, list(accumulate((self.layers[i].extra for i in order), initial=start))

    def _by_weight(self, chosen: list[int], start: float) -> tuple[list[int], list[float]]:
        ranked = sorted(chosen, key=lambda i: self.layers[i].weight)
        return ranked, list(accumulate((self.layers[i].weight for i in ranked), initial=start))

    def _place(self, order: list[int], chosen: int, ranked: list[int], kept: int, gpu: float) -> Split:
        weights, extras = bytearray(len(self.layers)), bytearray(len(self.layers))
        for i, layer in enumerate(self.layers):
            weights[i] = extras[i] = layer.legacy
        for i in order[:chosen]:
            extras[i] = 1
        for i in ranked[:kept]:
            weights[i] = 1
        left = [i for i in order if not weights[i]]
        swap = sum(self.layers[i].weight + (0 if extras[i] else self.layers[i].extra) for i in left)
        twins = {layer.twin: i for i, layer in enumerate(self.layers) if layer.twin and not layer.weight}
        parted = frozenset(twins[self.layers[i].name] for i in left if extras[i] and self.layers[i].name in twins)
        return Split(bytes(weights), bytes(extras), gpu, swap, parted)


@dataclass(frozen=True, slots=True)
class Stages:
    """A part over its life: as built, after its first load (GGUF weights are baked), after its first forward pass.

    The layers are the same in all three, in the same order.
    """

    fresh: Profile
    loaded: Profile
    used: Profile

    @classmethod
    def of(
        cls,
        layers: Sequence[tuple[Layer, Layer, Layer]],
        loose: tuple[int, ...] = (),
        buffers: tuple[int, ...] = (),
        late: tuple[int, ...] = (),
    ) -> Stages:
        """Stages from layers given as (fresh, loaded, used)."""
        return cls(*(Profile(tuple(stage), loose, buffers, late) for stage in zip(*layers, strict=True)))

    def at(self, stage: int) -> Profile:
        """The profile of stage 0 (fresh), 1 (loaded) or 2 (used)."""
        return (self.fresh, self.loaded, self.used)[stage]

    def parted(self, indexes: frozenset[int]) -> Stages:
        """The stages after a split that left a shared embedding on both devices."""
        return Stages(*(part_twins(stage, indexes) for stage in (self.fresh, self.loaded, self.used)))


def part_twins(profile: Profile, indexes: frozenset[int]) -> Profile:
    """The profile after a split that left the shared embedding on both devices: wrapper and embedding are two now."""
    layers = tuple(
        replace(layer, weight=layer.shadow, tensors=(int(layer.shadow),)) if i in indexes else layer
        for i, layer in enumerate(profile.layers)
    )
    return Profile(layers, profile.loose, profile.buffers, profile.late)
