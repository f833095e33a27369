"""What the Forge at hand knows, for judging payloads meant for it."""

from __future__ import annotations

import asyncio
from typing import Any

from forgediag.cli.here import running_forge
from forgediag.config import Config
from forgediag.forge.payload import Knowledge
from forgediag.forge.payload.words import rows_of, table_of
from forgediag.model import MB, CudaMemory, Forge, Gap, Known, Listing, Options, TorchMemory


def knowledge(config: Config) -> Known[tuple[Knowledge, str]]:
    """What the configured Forge has, and how to name it; a gap where it cannot be asked."""
    forge = running_forge(config)
    if isinstance(forge, Gap):
        return forge
    if not isinstance(forge.options, Options) or forge.options.broken:
        reason = forge.options.reason if isinstance(forge.options, Gap) else "its GET options is broken"
        return Gap(f"{forge.url}: {reason}")
    scripts, schedulers = asyncio.run(_more(forge.url, config))
    plain = Knowledge()
    return Knowledge(
        fork="forge" if isinstance(forge.fork, Gap) else forge.fork,
        options=frozenset(forge.options.values),
        listing=forge.listing if isinstance(forge.listing, Listing) else None,
        selected=forge.options,
        samplers=plain.samplers if isinstance(forge.samplers, Gap) else forge.samplers,
        schedulers=plain.schedulers if isinstance(schedulers, Gap) else schedulers,
        scripts=plain.scripts if isinstance(scripts, Gap) else scripts,
        total_mb=_total(forge),
    ), f"the {'Forge' if forge.fork == 'forge' else forge.fork} at {forge.url}"


def _total(forge: Forge) -> int | None:
    if isinstance(forge.memory, TorchMemory) and isinstance(forge.memory.cuda, CudaMemory):
        return forge.memory.cuda.total // MB
    return None


async def _more(url: str, config: Config) -> tuple[Known[frozenset[str]], Known[frozenset[str]]]:
    from forgediag.sources.forge import Endpoint, ForgeClient  # noqa: PLC0415 - a tenth of a second

    target = config.targets[0]
    client = ForgeClient(url, target.credentials(), timeout=target.timeout)
    scripts = await client.read(Endpoint("scripts", "/sdapi/v1/scripts", _scripts, optional=True))
    schedulers = await client.read(Endpoint("schedulers", "/sdapi/v1/schedulers", _schedulers, optional=True))
    await client.close()
    return scripts, schedulers


def _scripts(body: Any, _broken: tuple[str, ...]) -> frozenset[str]:
    """GET /sdapi/v1/scripts: names by tab, in lower case."""
    return frozenset(str(name) for names in table_of(body).values() for name in rows_of(names))


def _schedulers(body: Any, _broken: tuple[str, ...]) -> frozenset[str]:
    """GET /sdapi/v1/schedulers: names, labels and aliases."""
    found: set[str] = set()
    for row in rows_of(body):
        item = table_of(row)
        found |= {str(item.get("name")), str(item.get("label")), *map(str, rows_of(item.get("aliases")))}
    return frozenset(found)
