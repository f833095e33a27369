"""The simulated Forge itself: a real HTTP server on loopback that answers, fails and surprises like a real one."""

from __future__ import annotations

import asyncio
import base64
import hmac
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from forgediag.http import Limits, Request, Response, Server, serve
from forgediag.model import Fork
from forgediag.testing.forge import answers
from forgediag.testing.forge.clock import Clock, SystemClock
from forgediag.testing.forge.engine import Engine
from forgediag.testing.forge.faults import Fault, FaultKind, answer_wrongly
from forgediag.testing.forge.files import CHECKPOINTS, MODULES, Checkpoint, Files, ForgeError, Module
from forgediag.testing.forge.job import JobDone, JobRequest, Pace, PhaseChange
from forgediag.testing.forge.option_defaults import defaults
from forgediag.testing.forge.options import OptionStore
from forgediag.testing.forge.routes import ROUTES, compressed, said
from forgediag.testing.forge.torch_memory import MB, TorchMemory

LIMITS = Limits(body_bytes=64 * MB, read_seconds=60.0, idle_seconds=30.0, connections=1024)


@dataclass(frozen=True)
class Setup:
    """What kind of Forge. `port`: the `--port` it was started with, None for none; `auth`: `user:password`.

    `config`: its config.json, beside the checkpoint selected. `ui`: with the web UI, not API only. `log`: a file that
    the console goes to.
    """

    fork: Fork = "forge"
    ui: bool = False
    auth: str | None = None
    port: int | None = None
    vram_mb: int = 12288
    cuda: bool = True
    ram_mb: int = 32768
    root: str = "/opt/forge"
    torch: str = "2.3.1+cu121"
    checkpoints: Sequence[Checkpoint] = CHECKPOINTS
    modules: Sequence[Module] = MODULES
    selected: str | None = "meadow-sd15.safetensors"
    config: Mapping[str, object] | None = None
    flags: Mapping[str, object] | None = None
    pace: Pace = field(default_factory=Pace)
    log: str | None = None


class SimulatedForge:
    """A Forge to test against. `async with SimulatedForge() as forge:` serves it at `forge.url`.

    Its parts are public: `options` (what is set and in effect), `files`, `torch` (memory on the card), `engine`
    (generations), `console` (the last lines printed), `requests` (paths asked for, in order).
    """

    def __init__(self, setup: Setup | None = None, *, clock: Clock | None = None) -> None:
        self.setup = setup or Setup()
        self.clock: Clock = clock or SystemClock()
        self.console: deque[str] = deque(maxlen=1000)
        self.requests: deque[str] = deque(maxlen=10_000)
        self.errors: list[str] = []
        self.files: Files = Files(self.setup.root, self.setup.checkpoints, self.setup.modules)
        self.torch = TorchMemory(self.setup.vram_mb * MB, available=self.setup.cuda)
        config = {"sd_model_checkpoint": self.setup.selected, **(self.setup.config or {})}
        known = defaults(self.setup.fork, self.setup.vram_mb)
        self.options = OptionStore(known, config, self.files, self.setup.vram_mb, self.say)
        self.engine: Engine = self._engine()
        self._faults: list[Fault] = []
        self._tasks: set[asyncio.Task[JobDone]] = set()
        self._server: Server | None = None
        self._address = ("127.0.0.1", 0)

    def _engine(self) -> Engine:
        return Engine(self.options, self.files, self.torch, self.clock, self.say, self.setup.pace)

    async def __aenter__(self) -> SimulatedForge:
        """Start to listen on a free port of loopback."""
        await self.come_up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, ending what runs."""
        await self.go_down()

    def say(self, line: str) -> None:
        """Print a line to the console."""
        self.console.append(line)
        if self.setup.log is not None:
            with Path(self.setup.log).open("a", encoding="utf-8") as log:
                log.write(line + "\n")

    @property
    def url(self) -> str:
        """Where it listens, or did before it went down."""
        return f"http://{self._address[0]}:{self._address[1]}"

    async def come_up(self, port: int | None = None) -> None:
        """Listen: on `port`, else where it listened before, else on any free port.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            self._server = await serve(self._handle, "127.0.0.1", port or self._address[1], limits=LIMITS)
            self._address = ("127.0.0.1", self._server.port)
            self.torch.running = True
            self.engine.tell("idle")

    async def go_down(self) -> None:
        """Die: connections are cut, generations end, the card is free again, later ones are refused."""
        if self._server is not None:
            await self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.torch.release()
        self.torch.running = False
        self.engine.tell("idle")

    async def restart(self) -> None:
        """Die and come back: config.json is read, the memory manager starts with 1024 MB, modules are listed anew."""
        await self.go_down()
        self.files.refresh()
        self.files.refresh_modules()
        self.options.restart()
        self.torch = TorchMemory(self.torch.total, self.torch.available, outside=self.torch.outside)
        listeners = self.engine.on_phase
        self.engine = self._engine()
        self.engine.on_phase = listeners
        self.say(f"Total VRAM {self.setup.vram_mb} MB, total RAM {self.setup.ram_mb} MB")
        await self.come_up()

    def open_page(self) -> None:
        """Somebody opens the web page: its sliders apply the stored memory value (observed; the order is a race)."""
        self.options.apply({"forge_inference_memory": None})

    def on_phase(self, listener: Callable[[PhaseChange], None]) -> None:
        """Have every change of phase told, so that a simulated GPU can follow."""
        self.engine.on_phase.append(listener)

    def fault(self, kind: FaultKind, path: str | None = None, **how: Any) -> Fault:
        """Go wrong from now on, on one path or on all; see `Fault` for `seconds`, `to` and `times`."""
        fault = Fault(kind, path, **how)
        self._faults.append(fault)
        return fault

    def heal(self, fault: Fault | None = None) -> None:
        """End one fault, or all."""
        self._faults = [kept for kept in self._faults if fault is not None and kept is not fault]

    def start_job(self, request: JobRequest | None = None, **asked: Any) -> asyncio.Task[JobDone]:
        """Begin a generation; it ends even when nobody waits for it.

        Args:
            request: what is wanted.
            asked: fields of JobRequest that differ from it.
        """
        task = asyncio.ensure_future(self.engine.run(replace(request or JobRequest(), **asked)))
        self._tasks.add(task)
        task.add_done_callback(self._job_ended)
        return task

    def _job_ended(self, task: asyncio.Task[JobDone]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.errors.append(str(error))

    async def run_job(self, request: JobRequest | None = None, **asked: Any) -> JobDone:
        """A generation from begin to end.

        Raises:
            ForgeError: what a client would get as a 500.
        """
        return await asyncio.shield(self.start_job(request, **asked))

    def _handle(self, request: Request) -> Response | Awaitable[Response]:
        self.requests.append(f"{request.method} {request.path}")
        for fault in self._faults:
            if fault.takes(request.path):
                return answer_wrongly(fault, request, lambda: self._answer_later(request))
        return self._answer(request)

    async def _answer_later(self, request: Request) -> Response:
        answer = self._answer(request)
        return await answer if inspect.isawaitable(answer) else answer

    def _answer(self, request: Request) -> Response | Awaitable[Response]:
        route = ROUTES.get(request.path)
        if route is None or (route.ui_only and not self.setup.ui) or self.setup.fork not in route.forks:
            return said(404, {"detail": "Not Found"})
        act = route.acts.get("GET" if request.method == "HEAD" else request.method)
        if act is None:
            return said(405, {"detail": "Method Not Allowed"}, {"allow": ", ".join(route.acts)})
        if route.protected and self.setup.auth is not None and (refusal := self._refusal(request)):
            return refusal
        try:
            answer = act(self, request)
        except ForgeError as error:
            self.say(f"{error.kind}: {error.message}")
            return self._failed(error)
        if isinstance(answer, Response):
            return compressed(answer, request)
        return self._awaited(answer, request)

    async def _awaited(self, answer: Awaitable[Response], request: Request) -> Response:
        try:
            return compressed(await answer, request)
        except ForgeError as error:
            return self._failed(error)

    def _failed(self, error: ForgeError) -> Response:
        return said(500, {"error": error.kind, "detail": "", "body": "", "message": error.message})

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return said(401, {"detail": "Not authenticated"}, {"www-authenticate": "Basic"})
        wanted = base64.b64encode((self.setup.auth or "").encode()).decode()
        if not hmac.compare_digest(given.strip(), wanted):
            return said(401, {"detail": "Incorrect username or password"}, {"www-authenticate": "Basic"})
        return None

    def flags(self) -> dict[str, object]:
        """The start flags."""
        extra = self.setup.flags or {}
        return answers.flags(self.setup.root, self.setup.port, self.setup.auth, extra, ui=self.setup.ui)

    @property
    def resident(self) -> int:
        """Forge's RSS in bytes: its libraries, and the weights of the model in memory."""
        model = self.engine.model
        return int((700 + (1.2 * (model.unet_mb + model.text_mb) if model else 0)) * MB)
