"""The default of every option, as this Forge itself declares it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from forgediag.actions import Address
from forgediag.sources.forge import http_client


async def option_defaults(address: Address) -> Mapping[str, Any]:
    """Defaults by option, from the schema of the options in GET /openapi.json; empty where it has none.

    Its first answer takes a second (observed).
    """
    client = http_client(address.url, address.auth, max(address.timeout, 10.0), address.transport)
    try:
        response = await asyncio.wait_for(client.get(f"{address.url}/openapi.json"), 15)
        properties = response.json()["components"]["schemas"]["Options"]["properties"]
        return {key: told["default"] for key, told in properties.items() if "default" in told}
    except (httpx.HTTPError, asyncio.TimeoutError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    finally:
        await client.aclose()
