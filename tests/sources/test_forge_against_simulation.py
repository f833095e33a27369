"""Our client and the simulated Forge, each a witness for the other: what is simulated is what is read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from forgediag.model import CudaMemory, Flags, Forge, Gap, Known, Listing, Options, Progress, TorchMemory
from forgediag.sources.forge import ENDPOINTS, ForgeClient, assemble
from forgediag.testing.forge import Setup, SimulatedForge, SystemClock

T = TypeVar("T")


def observed(
    prepare: Callable[[SimulatedForge], Awaitable[Any] | Any],
    setup: Setup | None = None,
    auth: tuple[str, str] | None = None,
    timeout: float = 10.0,
) -> Known[Forge]:
    """The Forge as our client sees it after `prepare`."""

    async def act() -> Known[Forge]:
        async with SimulatedForge(setup, clock=SystemClock(500)) as forge:
            result = prepare(forge)
            if isinstance(result, Awaitable):
                await result
            client = ForgeClient(forge.url, auth, timeout=timeout)
            facts = {name: await client.read(endpoint) for name, endpoint in ENDPOINTS.items()}
            await client.close()
            return assemble(forge.url, facts)

    return asyncio.run(act())


def known(fact: Known[T], kind: type[T]) -> T:
    assert isinstance(fact, kind), fact
    return fact


def nothing(_: SimulatedForge) -> None:
    """Leave the Forge as it starts."""


def test_every_fact_of_a_fresh_forge_is_read() -> None:
    forge = known(observed(nothing, Setup(port=7861, auth="user:pass"), auth=("user", "pass")), Forge)
    assert forge.fork == "forge"
    assert known(forge.options, Options).inference_memory_mb == 1024.0
    assert known(known(forge.memory, TorchMemory).cuda, CudaMemory).total == 12288 * 2**20
    assert not known(forge.progress, Progress).running
    assert len(known(forge.listing, Listing).checkpoints) == 4
    assert known(forge.flags, Flags).values["api_auth"] is True
    assert known(forge.samplers, tuple)


def test_a_loaded_model_is_read() -> None:
    forge = known(observed(lambda forge: forge.run_job(steps=1)), Forge)
    options = known(forge.options, Options)
    hashes = {row.name: row.sha256 for row in known(forge.listing, Listing).checkpoints}
    assert options.loaded_sha256 == hashes["meadow-sd15"]


def test_a_load_under_way_is_read_as_loading() -> None:
    async def prepare(forge: SimulatedForge) -> None:
        forge.clock = forge.engine._clock = SystemClock(1)
        forge.start_job()
        await asyncio.sleep(0.1)

    assert known(known(observed(prepare), Forge).progress, Progress).loading


def test_an_option_of_a_wrong_type_is_named() -> None:
    forge = known(observed(lambda forge: forge.options.post({"CLIP_stop_at_last_layers": "two"})), Forge)
    assert known(forge.options, Options).broken == ("CLIP_stop_at_last_layers",)


@pytest.mark.parametrize("fork", ["forge", "ersatzforge", "neo", "other"])
def test_a_fork_is_told_by_its_options(fork: Any) -> None:
    assert known(observed(nothing, Setup(fork=fork)), Forge).fork == fork


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("hang", "timeout"),
        ("latency", "timeout"),
        ("drip", "timeout"),
        ("refuse", "refused"),
        ("reset", "refused"),
        ("unauthorized", "unauthorized"),
        ("html", "not_forge"),
        ("redirect", "not_forge"),
        ("not_found", "not_forge"),
        ("huge", "not_forge"),
        ("half_json", "invalid"),
        ("wrong_shape", "invalid"),
        ("wrong_types", "invalid"),
        ("error", "invalid"),
    ],
)
def test_each_fault_is_the_gap_that_names_it(fault: Any, kind: str) -> None:
    timeout = 0.5 if kind == "timeout" else 10.0
    forge = observed(lambda forge: forge.fault(fault, "/sdapi/v1/progress"), timeout=timeout)
    assert isinstance(forge, Gap)
    assert forge.kind == kind


def test_a_dead_forge_is_refused() -> None:
    forge = observed(lambda forge: forge.go_down())
    assert isinstance(forge, Gap)
    assert forge.kind == "refused"
