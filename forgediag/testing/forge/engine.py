"""Generations of a simulated Forge, one after the other: loads, steps, failures, and the state they leave behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from forgediag.testing.forge import printed
from forgediag.testing.forge.clock import Clock
from forgediag.testing.forge.files import VAE_MB, Checkpoint, Files, ForgeError
from forgediag.testing.forge.job import STATE_KEYS, JobDone, JobRequest, Pace, Phase, PhaseChange, State
from forgediag.testing.forge.options import CHECKPOINT, OptionStore, Selection
from forgediag.testing.forge.torch_memory import MB, TorchMemory

TEXT, UNET, VAE = "JointTextEncoder", "KModel", "IntegratedAutoencoderKL"
"""What Forge calls the parts of a model when it places them."""

DECODE_MB = 2178
"""Memory a VAE decode of one megapixel really takes with cuDNN: 1280 MB live, 1.70 times that (measured)."""
DECODE_ESTIMATE_MB = 4356
"""What Forge thinks it takes, by which it throws the UNet off the card (dfdcbab, backend/patcher/vae.py)."""
TILED_MB = 320
STEP_MB = 400
"""Live memory of a sampling step of one megapixel, about (measured: 305 for SDXL, 500 for SD 1.5, 567 for Flux)."""


class Engine:
    """Runs generations. `on_phase`: who is told every change of phase; `model`: what is loaded."""

    def __init__(
        self,
        store: OptionStore,
        files: Files,
        torch: TorchMemory,
        clock: Clock,
        console: Callable[[str], None],
        pace: Pace,
    ) -> None:
        self.state = State()
        self.pace = pace
        self.model: Checkpoint | None = None
        self.on_phase: list[Callable[[PhaseChange], None]] = []
        self._good: Selection | None = None
        self._unet_mb = self._swap_mb = 0.0
        self._placed: list[str] = []
        self._store, self._files, self._torch, self._clock = store, files, torch, clock
        self._console = console
        self._turn = asyncio.Lock()

    def interrupt(self) -> None:
        """End the running generation after the step it is in."""
        self.state.interrupted = True

    def unload(self) -> None:
        """Take all weights off the card."""
        self._leave(*self._placed)
        self._torch.release()
        self._unet_mb = 0.0
        self.tell("unload")

    def _leave(self, *models: str, needed_mb: float | None = None) -> None:
        """Say that models leave the card, those of them that are on it; asked for room, Forge says so in any case."""
        gone = [model for model in self._placed if model in models]
        if gone or (needed_mb is not None and self._torch.available):
            self._console(printed.unloaded(self._room_mb(), gone, needed_mb))
        self._placed = [model for model in self._placed if model not in models]

    def _place(self, model: str, require_mb: float, swap_mb: float = 0.0) -> None:
        """Say that a model is placed on the card; on a CPU Forge prints only the end of the line (observed)."""
        if not self._torch.available:
            self._console("All loaded to GPU.")
            return
        inference = self._store.effective_mb
        self._console(printed.placed(model, self._room_mb(), require_mb, inference, swap_mb))
        self._placed.append(model)

    async def run(self, request: JobRequest) -> JobDone:
        """One generation, when its turn comes.

        Raises:
            ForgeError: what Forge would answer as a 500.
        """
        async with self._turn:
            await self._clock.sleep(self.pace.begin)
            self._begin()
            stored: dict[str, object] = {}
            try:
                stored = self._override(request)
                return await self._generate(request)
            except ForgeError as error:
                self._console(f"{error.kind}: {error.message}")
                raise
            finally:
                if request.restore and stored:
                    self._store.apply(stored)
                self.state.job, self.state.job_count = "", 0
                self.tell("idle")

    def _begin(self) -> None:
        now = self._clock.now()
        stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(now))
        self.state = State("scripts_txt2img", -1, 0, stamp, started=now)

    def _override(self, request: JobRequest) -> dict[str, object]:
        """Set what a request overrides; an unknown checkpoint is left out without a word (observed).

        Returns what to set again afterwards: only keys that config.json has (read in Forge dfdcbab), so that another
        one sticks.
        """
        wanted = dict(request.override_settings)
        alias = wanted.get(CHECKPOINT)
        if alias is not None and (not isinstance(alias, str) or self._files.find(alias) is None):
            del wanted[CHECKPOINT]
        stored = {key: self._store.data[key] for key in wanted if key in self._store.data}
        if wanted:
            self._store.apply(wanted)
        return stored

    async def _generate(self, request: JobRequest) -> JobDone:
        model = await self._load()
        self.state.job_count = request.n_iter
        for _ in range(request.n_iter):
            model = await self._load()
            await self._iterate(request, model)
            self.state.job_no += 1
            self.state.sampling_step = 0
            if self.state.interrupted:
                break
        black = model.state == "nan" or any(module.state == "nan" for module in self._store.selection.modules)
        images = self.state.job_no * request.batch_size
        return JobDone(request, model, images, self.state.interrupted, black)

    async def _load(self) -> Checkpoint:
        """Load what is selected, unless it is loaded already.

        A failed load leaves no model but the memory of the last good selection: going back to exactly that one never
        loads again (observed on a real Forge).
        """
        wanted = self._store.selection
        if self._store.unload_wanted:
            self._store.unload_wanted = False
            self.unload()
        if wanted == self._good:
            if self.model is None:
                raise ForgeError("AttributeError", "'NoneType' object has no attribute 'sd_checkpoint_info'")
            return self.model
        checkpoint = wanted.checkpoint
        if checkpoint is None:
            text = "You do not have any model! Please download at least one model in [models/Stable-diffusion]."
            raise ForgeError("ValueError", text)
        self._console(f"Loading Model: {self._store.described()}")
        self.model = None
        self.unload()
        seconds = self.pace.load_per_gb * (checkpoint.unet_mb + checkpoint.text_mb) / 1024
        await self._clock.sleep(seconds)
        self._refuse_unloadable(checkpoint, wanted)
        self._files.hashed.add(checkpoint.name)
        self._store.data["sd_checkpoint_hash"] = checkpoint.sha256
        self._console(f"Model loaded in {seconds:.1f}s (forge model load: {seconds:.1f}s).")
        self.model, self._good = checkpoint, wanted
        return checkpoint

    def _refuse_unloadable(self, checkpoint: Checkpoint, wanted: Selection) -> None:
        problem = self._files.load_error(checkpoint, wanted.modules)
        if problem is None:
            return
        error, renamed = problem
        if renamed:
            path = self._files.path(self._files.disk.pop(renamed))
            self._console(f"File corrupted: {path} ")
            self._console(f"Forge has tried to move the corrupted file to {path}.corrupted ")
        raise error

    async def _iterate(self, request: JobRequest, model: Checkpoint) -> None:
        text_mb = model.text_mb + sum(file.size_mb for file in self._store.selection.modules if file.part != "vae")
        self._leave(VAE, needed_mb=text_mb)
        self._place(TEXT, min(text_mb, self._room_mb()))
        await self._phase("text_encode", self._unet_mb + min(text_mb, self._room_mb()), self.pace.text_encode)
        self._console(printed.moved(self.pace.text_encode))
        if not self._unet_mb:
            self._split(model)
            await self._phase("unet_load", self._unet_mb, self.pace.unet_load)
            self._console(printed.moved(self.pace.unet_load))
        await self._sample(request)
        await self._decode(request)

    async def _decode(self, request: JobRequest) -> None:
        """The UNet leaves the card when the decode is thought not to fit beside it; a decode that fails is tiled."""
        pixels, seconds = request.megapixels, self.pace.vae_decode * request.megapixels
        self._hold(self._unet_mb)
        needed_mb = 1.3 * VAE_MB + max(self._store.effective_mb, DECODE_ESTIMATE_MB * pixels)
        self._leave(TEXT, needed_mb=needed_mb)
        if self._room_mb() < needed_mb:
            self.unload()
        self._place(VAE, VAE_MB)
        try:
            self._hold(self._unet_mb + VAE_MB + DECODE_MB * pixels * request.batch_size)
        except ForgeError:
            self._console("Warning: Ran out of memory when regular VAE decoding, retrying with tiled VAE decoding.")
            self._hold(self._unet_mb + VAE_MB + TILED_MB)
            seconds *= 3
        self.tell("vae_decode")
        await self._clock.sleep(seconds)
        self._hold(self._unet_mb + VAE_MB)

    def _split(self, model: Checkpoint) -> None:
        """How much of the model goes to the card: Forge's arithmetic (dfdcbab, backend/memory_management.py)."""
        self._unet_mb, self._swap_mb = model.unet_mb, 0.0
        if not self._torch.available:
            self._place(UNET, model.unet_mb)
            return
        self._hold(0)
        self._leave(TEXT, needed_mb=1.3 * model.unet_mb + self._store.effective_mb)
        free, mine = self._room_mb(), self._store.effective_mb
        if free - model.unet_mb - mine < 0:
            self._unet_mb = min(model.unet_mb, max(0.0, (free - mine) / 1.3, free - mine - 1280))
            self._torch.release()
        self._swap_mb = model.unet_mb - self._unet_mb
        self._place(UNET, model.unet_mb, self._swap_mb)

    async def _sample(self, request: JobRequest) -> None:
        """All steps, or those until an interruption."""
        self.state.sampling_steps = request.steps
        seconds = (
            self.pace.step * request.megapixels * request.batch_size + self._swap_mb / 1024 * self.pace.swap_per_gb
        )
        await self._phase("sampling", self._unet_mb + STEP_MB * request.megapixels * request.batch_size, 0)
        self._console(printed.bar(0, request.steps, seconds))
        for step in range(request.steps):
            if self.state.interrupted:
                return
            await self._clock.sleep(seconds)
            self.state.sampling_step = step + 1
            self._console(printed.bar(step + 1, request.steps, seconds))
            if request.fails is not None and step + 1 >= request.steps / 2:
                raise request.fails

    async def _phase(self, phase: Phase, allocated_mb: float, seconds: float) -> None:
        self._hold(allocated_mb)
        self.tell(phase)
        await self._clock.sleep(seconds)

    def _hold(self, allocated_mb: float) -> None:
        if self._torch.available:
            self._torch.hold(int(allocated_mb * MB))

    def _room_mb(self) -> float:
        return (self._torch.usable - 1) / MB

    def tell(self, phase: Phase) -> None:
        """Let who listens know that a phase has begun."""
        change = PhaseChange(phase, self._clock.now(), self._torch.used, self._torch.allocated)
        for listener in self.on_phase:
            listener(change)

    def progress(self) -> dict[str, object]:
        """GET /sdapi/v1/progress. While a model loads: job_count -1, ratio 0.01, an ETA of 99 times what has passed."""
        state = self.state
        shown = {key: getattr(state, key) for key in STATE_KEYS}
        if not state.job_count:
            return {"progress": 0.0, "eta_relative": 0.0, "state": shown, "current_image": None, "textinfo": None}
        ratio = 0.01
        if state.job_count > 0:
            ratio += state.job_no / state.job_count
            if state.sampling_steps:
                ratio += state.sampling_step / state.sampling_steps / state.job_count
        ratio = min(ratio, 1.0)
        elapsed = self._clock.now() - state.started
        eta = elapsed / ratio - elapsed
        return {"progress": ratio, "eta_relative": eta, "state": shown, "current_image": None, "textinfo": None}
