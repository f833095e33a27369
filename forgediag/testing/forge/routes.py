"""The endpoints of a simulated Forge, who may ask them, and what they answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from forgediag.http import Request, Response
from forgediag.testing.forge import answers
from forgediag.testing.forge.faults import JSON
from forgediag.testing.forge.job import JobRequest

if TYPE_CHECKING:
    from forgediag.testing.forge.server import SimulatedForge

    Act = Callable[[SimulatedForge, Request], Response | Awaitable[Response]]

COMPRESSED_FROM = 1000
"""Bytes from which Forge's middleware compresses for a client that accepts gzip."""

SYSINFO_SECONDS = 2.0
"""Each sysinfo runs `pip freeze` (observed on a real Forge)."""

WITH_MODULES = frozenset({"forge", "ersatzforge", "neo"})
EVERY_FORK = WITH_MODULES | {"other"}


@dataclass(frozen=True, slots=True)
class Route:
    """One path: what its methods do, and who may ask."""

    acts: Mapping[str, Act]
    protected: bool = True
    ui_only: bool = False
    forks: frozenset[str] = EVERY_FORK


def said(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(status, {**JSON, **(headers or {})}, json.dumps(body, separators=(",", ":")).encode())


def compressed(response: Response, request: Request) -> Response:
    """The answer as Forge's gzip middleware sends it."""
    body = cast("bytes", response.body)
    if len(body) < COMPRESSED_FROM or "gzip" not in request.headers.get("accept-encoding", ""):
        return response
    headers = {**response.headers, "content-encoding": "gzip", "vary": "Accept-Encoding"}
    return Response(response.status, headers, gzip.compress(body, 1))


def _invalid(kind: str, loc: list[object], text: str) -> Response:
    error: dict[str, object] = {"type": kind, "loc": loc, "msg": text, "input": {}}
    return said(422, {"detail": [error]})


def _posted(request: Request) -> object:
    """The JSON of a body.

    Raises:
        ValueError: it is none.
    """
    return json.loads(request.body) if request.body else None


def _get_options(forge: SimulatedForge, _: Request) -> Response:
    return said(*forge.options.get())


def _set_options(forge: SimulatedForge, request: Request) -> Response:
    try:
        payload = _posted(request)
    except ValueError:
        return _invalid("json_invalid", ["body", 0], "JSON decode error")
    return said(*forge.options.post(payload))


def _memory(forge: SimulatedForge, _: Request) -> Response:
    ram = answers.ram(forge.setup.ram_mb * 1024 * 1024, forge.resident)
    return said(200, {"ram": ram, "cuda": forge.torch.answer()})


def _cmd_flags(forge: SimulatedForge, _: Request) -> Response:
    return said(*answers.cmd_flags(forge.flags()))


async def _txt2img(forge: SimulatedForge, request: Request) -> Response:
    """Ends with the job, not with the client: a real one generates on when its client has gone."""
    try:
        payload = _posted(request)
        if not isinstance(payload, dict):
            return _invalid("model_attributes_type", ["body"], "Input should be a valid dictionary or object")
        body = cast("dict[str, Any]", payload)
        job = JobRequest.from_payload(body)
    except (TypeError, ValueError):
        return _invalid(
            "int_parsing", ["body"], "Input should be a valid integer, unable to parse string as an integer"
        )
    return said(200, answers.images(await forge.run_job(job), body))


def _interrupt(forge: SimulatedForge, _: Request) -> Response:
    forge.engine.interrupt()
    return said(200, {})


def _refresh(forge: SimulatedForge, _: Request) -> Response:
    forge.files.refresh()
    return said(200, None)


def _unload(forge: SimulatedForge, _: Request) -> Response:
    forge.engine.unload()
    return said(200, {})


async def _sysinfo(forge: SimulatedForge, _: Request) -> Response:
    await forge.clock.sleep(SYSINFO_SECONDS)
    setup = forge.setup
    body = answers.sysinfo(setup.root, setup.auth, forge.options.disk, setup.torch, forge.errors)
    return Response(200, {**JSON, "content-type": "text/plain; charset=utf-8"}, json.dumps(body, indent=4).encode())


def _page(_: SimulatedForge, __: Request) -> Response:
    text = b"<!DOCTYPE html><html><head><title>Stable Diffusion</title></head><body><script>window.gradio_config = {}"
    body = text + b" " * (answers.PAGE_BYTES - len(text))
    return Response(200, {**JSON, "content-type": "text/html; charset=utf-8"}, body)


def _openapi(forge: SimulatedForge, _: Request) -> Response:
    paths: dict[str, dict[str, object]] = {
        path: {method.lower(): {} for method in route.acts}
        for path, route in ROUTES.items()
        if path.startswith("/sdapi") and forge.setup.fork in route.forks
    }
    properties = {key: {"default": value} for key, value in forge.options.defaults.items()}
    schemas = {"components": {"schemas": {"Options": {"type": "object", "properties": properties}}}}
    return said(200, {"openapi": "3.1.0", "info": {"title": "FastAPI", "version": "0.1.0"}, "paths": paths, **schemas})


def _always(body: object) -> Act:
    return lambda _forge, _request: said(200, body)


def _get(act: Act, **how: Any) -> Route:
    return Route({"GET": act}, **how)


def _post(act: Act, **how: Any) -> Route:
    return Route({"POST": act}, **how)


API: Mapping[str, Route] = {
    "options": Route({"GET": _get_options, "POST": _set_options}),
    "memory": _get(_memory),
    "progress": _get(lambda forge, _: said(200, forge.engine.progress())),
    "cmd-flags": _get(_cmd_flags),
    "sd-models": _get(lambda forge, _: said(200, answers.checkpoints(forge.files))),
    "sd-modules": _get(lambda forge, _: said(200, answers.modules(forge.files)), forks=WITH_MODULES),
    "sd-vae": _get(_always([]), forks=frozenset({"other"})),
    "samplers": _get(_always(answers.samplers())),
    "schedulers": _get(_always(answers.schedulers())),
    "upscalers": _get(_always([{"name": "None", "model_name": None, "model_path": None, "scale": 4.0}])),
    "extensions": _get(_always([])),
    "embeddings": _get(_always({"loaded": {}, "skipped": {}})),
    "loras": _get(_always([]), protected=False),
    "refresh-loras": _post(_always(None), protected=False),
    "refresh-checkpoints": _post(_refresh),
    "refresh-vae": _post(_always(None)),
    "unload-checkpoint": _post(_unload),
    "reload-checkpoint": _post(_always({}), forks=EVERY_FORK - {"neo"}),
    "interrupt": _post(_interrupt),
    "skip": _post(_always(None)),
    "txt2img": _post(_txt2img),
}
ROUTES: Mapping[str, Route] = {
    **{f"/sdapi/v1/{name}": route for name, route in API.items()},
    "/openapi.json": _get(_openapi, protected=False),
    "/internal/ping": _get(_always({}), protected=False, ui_only=True),
    "/internal/sysinfo": _get(_sysinfo, protected=False, ui_only=True),
    "/internal/pending-tasks": _get(_always({"size": 0, "tasks": []}), protected=False, ui_only=True),
    "/": _get(_page, protected=False, ui_only=True),
}
"""Every path. A password protects /sdapi/ but not what is marked so (observed with --api-auth on a real Forge)."""
