"""What a simulated Forge, or something else at its address, can be made to do wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, cast

from forgediag.http import Request, Response

FaultKind = Literal[
    "latency",
    "hang",
    "refuse",
    "unauthorized",
    "html",
    "half_json",
    "huge",
    "drip",
    "redirect",
    "error",
    "wrong_types",
    "wrong_shape",
    "reset",
    "not_found",
]
JSON = {"server": "uvicorn", "content-type": "application/json"}
HTML = b"<!DOCTYPE html><html><head><title>It works!</title></head><body>Not a Forge.</body></html>"
HUGE = 200 * 1024 * 1024


@dataclass
class Fault:
    """One way to go wrong, on one path or (None) on all.

    `seconds`: how late (latency) or between two bytes (drip). `to`: where a redirect leads, default to itself.
    `times`: how many requests it lasts, None for until healed. `refuse` hangs up without an answer.
    """

    kind: FaultKind
    path: str | None = None
    seconds: float = 1.0
    to: str | None = None
    times: int | None = None

    def takes(self, path: str) -> bool:
        """Whether this request goes wrong; one of `times` is used up when it does."""
        if self.times == 0 or self.path not in {None, path}:
            return False
        if self.times is not None:
            self.times -= 1
        return True


async def answer_wrongly(fault: Fault, request: Request, good: Callable[[], Awaitable[Response]]) -> Response:
    """The wrong answer.

    Args:
        fault: what goes wrong.
        request: what was asked.
        good: makes the right answer, where the wrong one is made of it.

    Raises:
        ConnectionResetError: the client is hung up on.
    """
    if fault.kind == "hang":
        await asyncio.Event().wait()
    if fault.kind == "refuse":
        raise ConnectionResetError
    if fault.kind == "latency":
        await asyncio.sleep(fault.seconds)
        return await good()
    if fault.kind in {"half_json", "wrong_types", "wrong_shape", "drip", "reset"}:
        return _spoilt(fault, await good())
    return _foreign(fault, request)


def _foreign(fault: Fault, request: Request) -> Response:
    """Answers that have nothing of the right one."""
    if fault.kind == "unauthorized":
        return Response(401, {**JSON, "www-authenticate": "Basic"}, b'{"detail":"Not authenticated"}')
    if fault.kind == "html":
        return Response(200, {"server": "nginx", "content-type": "text/html"}, HTML)
    if fault.kind == "huge":
        return Response(200, JSON, _huge())
    if fault.kind == "redirect":
        return Response(302, {"location": fault.to or request.path}, b"")
    if fault.kind == "not_found":
        return Response(404, JSON, b'{"detail":"Not Found"}')
    body = b'{"error":"RuntimeError","detail":"","body":"","message":"CUDA error: unspecified launch failure"}'
    return Response(500, JSON, body)


def _spoilt(fault: Fault, response: Response) -> Response:
    """The right answer with something wrong about it."""
    body = cast("bytes", response.body)
    if fault.kind == "half_json":
        return Response(response.status, response.headers, body[: len(body) // 2])
    if fault.kind == "drip":
        return Response(response.status, response.headers, _drip(body, fault.seconds))
    if fault.kind == "reset":
        headers = {**response.headers, "content-length": str(len(body) + 1)}
        return Response(response.status, headers, _reset(body))
    value: object = json.loads(body)
    wrong = _retyped(value) if fault.kind == "wrong_types" else _reshaped(value)
    return Response(response.status, response.headers, json.dumps(wrong).encode())


def _reshaped(value: object) -> object:
    """A list where an object belongs, an object where a list does."""
    return {"items": cast("list[object]", value)} if isinstance(value, list) else [value]


def _retyped(value: object) -> object:
    """Every leaf of another type."""
    if isinstance(value, dict):
        return {key: _retyped(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_retyped(item) for item in cast("list[object]", value)]
    return 7 if isinstance(value, str) else "seven"


async def _huge() -> AsyncIterator[bytes]:
    part = b"0" * 65536
    yield b'{"padding":"'
    for _ in range(HUGE // len(part)):
        yield part
    yield b'"}'


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for index in range(len(body)):
        yield body[index : index + 1]
        await asyncio.sleep(seconds)


async def _reset(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2 + 1]
    await asyncio.sleep(0.02)
    raise ConnectionResetError
