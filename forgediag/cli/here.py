"""What is here to plan for: the running Forge, the card in this machine, this machine's memory."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from forgediag.config import DEFAULT_URLS, Config
from forgediag.gpus import first_look
from forgediag.model import Forge, Gap, Gpu, Known
from forgediag.observe import gpu_of
from forgediag.sources.sampler import Sampler

NOT_ASKED = Gap("not asked", expected=True)
NO_FORGE = Gap("no Forge is configured (forge = [] in the config file); name one with --forge URL", "missing")
FIRST_LOOK = 10.0
"""Seconds to wait for the driver: the first call takes a second and more where no persistence daemon runs."""


def running_forge(config: Config) -> Known[Forge]:
    """The first configured Forge, read once; a gap where none answers or none is configured."""
    if not config.targets:
        return NO_FORGE
    target = config.targets[0]
    urls = (target.url,) if target.url else DEFAULT_URLS
    if all(map(refuses, urls)):
        return Gap(f"nothing answers at {' or '.join(urls)}", "refused")
    from forgediag.sources.poll import ForgePoll  # noqa: PLC0415 - see refuses

    async def read() -> Known[Forge]:
        poll = ForgePoll(target, config.pace)
        await poll.read_once()
        await poll.close()
        return poll.facts()

    return asyncio.run(read())


def refuses(url: str) -> bool:
    """Whether nothing listens there: found out without HTTP, which takes a tenth of a second to import."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError):
        return False
    return False


def card_here(config: Config) -> Known[Gpu]:
    """The configured card, or the only one in this machine, as NVML has it now."""
    sampler = Sampler()
    sampler.start()
    nvml = first_look(sampler, FIRST_LOOK)
    sampler.stop()
    configured = config.targets[0].gpu if config.targets else None
    return gpu_of(nvml, NOT_ASKED, NOT_ASKED, configured, local=True)
