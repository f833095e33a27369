"""What an installed Forge can load: families and formats by the commit that brought them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from forgediag.forge.commits import UPSTREAM
from forgediag.model import Header


@dataclass(frozen=True, slots=True)
class Feature:
    """A kind of model Forge learnt to load. `families` are forgediag's names; `engine` is the file that proves it.

    `traits` are those of `ModelFile` that need it.
    """

    name: str
    commit: str
    since: str
    families: frozenset[str] = frozenset()
    engine: str | None = None
    traits: frozenset[str] = frozenset()


FEATURES = (
    Feature("Flux", "a6baf4a4", "2024-08-07", frozenset({"flux-dev", "flux-schnell"}), "flux"),
    Feature("Flux schnell", "12a02b88", "2024-08-11", frozenset({"flux-schnell"})),
    Feature("GGUF", "e5f213c2", "2024-08-19", traits=frozenset({"GGUF"})),
    Feature("SDXL refiner as a model", "8dd92501", "2025-02-25", frozenset({"sdxl-refiner"})),
    Feature("SD3.5", "f23bc80d", "2025-02-27", frozenset({"sd3", "sd3.5-medium", "sd3.5-large"}), "sd35"),
    Feature("GGUF with BF16 tensors", "17a42e58", "2025-05-19", traits=frozenset({"GGUF:BF16"})),
    Feature("Chroma", "963e7643", "2025-06-23", frozenset({"chroma"}), "chroma"),
    Feature("fp8 with scales", "d6b1d188", "2025-06-24", traits=frozenset({"fp8-scaled"})),
)
"""Found in the history of Forge's main branch up to dfdcbab, its last commit (2025-06-26)."""

LAST = "dfdcbab6"
"""The newest commit of Forge's main branch: no update will bring more families."""


@lru_cache(maxsize=1)
def _positions() -> dict[str, tuple[int, str]]:
    """Each commit's place in the history and its month."""
    found: dict[str, tuple[int, str]] = {}
    month = ""
    for word in UPSTREAM.split():
        if word.endswith(":"):
            month = word[:-1]
        else:
            found[word] = (len(found), month)
    return found


def dated(commit: str | None) -> str | None:
    """The month of a commit of Forge's main branch ("2025-06"), None where it is not one since August 2024."""
    place = _positions().get((commit or "")[:8])
    return None if place is None else place[1]


_ENDINGS = (
    (".scale_weight\0", "fp8-scaled"),
    ("scaled_fp8\0", "fp8-scaled"),
    (".quant_state.bitsandbytes__nf4\0", "bitsandbytes"),
    (".quant_state.bitsandbytes__fp4\0", "bitsandbytes"),
)


def traits_of(header: Header) -> frozenset[str]:
    """What not every Forge, or not every install of it, can read in a file; see `ModelFile.traits`."""
    if header.format == "gguf":
        kinds = {tensor.dtype for tensor in header.tensors.values()}
        return frozenset({"GGUF"} | (kinds & {"GGUF:BF16"}))
    names = (
        "\0".join(header.tensors) + "\0"
    )  # one search through all: endings of a million names were a third of the time
    return frozenset(trait for ending, trait in _ENDINGS if ending in names)


def needed(family: str, traits: Collection[str]) -> tuple[Feature, ...]:
    """What a file of this family with these traits needs."""
    return tuple(item for item in FEATURES if family in item.families or item.traits & set(traits))


def can(feature: Feature, commit: str | None, engines: Collection[str]) -> bool | None:
    """Whether an install can load it; None where that is not known.

    The file of the family's engine proves it, forks included; without such a file the commit's place in Forge's
    history tells, for commits of Forge's own main branch.
    """
    if feature.engine is not None and engines:
        return feature.engine in engines
    places = _positions()
    here = places.get((commit or "")[:8])
    return None if here is None else here[0] >= places[feature.commit][0]
