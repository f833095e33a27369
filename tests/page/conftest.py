"""A report with everything a page can show, a server of it, and a real Chromium to look at it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from forgediag.http import Server, serve
from forgediag.model import (
    MB,
    Advice,
    CurvePoint,
    Expected,
    Fault,
    Files,
    Finding,
    LoadError,
    Part,
    Prediction,
    Recent,
    Report,
    Setting,
    Severity,
)
from forgediag.plugins import exporters, files
from forgediag.server import Site
from forgediag.testing.chromium import Page, chromium, installed
from forgediag.testing.facts import CHECKPOINT, GIB, VAE, model_file, vae_file
from forgediag.testing.jobs import job
from forgediag.testing.reports import report, with_target

HARM = "<script>alert(1)</script>"
T = TypeVar("T")
START = 1_700_000_000


def advice() -> Advice:
    """Flux on a card too small: more weights on it mean less swapping until memory runs out."""
    points = tuple(
        CurvePoint(mb, 24 * 1024 - mb, 0.0, 12 + abs(mb - 3000) / 400, fits=mb > 900) for mb in range(500, 9000, 250)
    )
    return Advice(
        model="sd_xl_base_1.0.safetensors",
        current=Setting(7000, 17576, "Queue", "CPU"),
        recommended=Setting(3000, 21576, "Queue", "CPU"),
        also_set={"xl_GPU_MB": 21576},
        expected=Expected(12.0, 22.0, 1.83, 9000.0),
        curve=points,
        because=("The weights fit beside the decode.",),
        confidence="calibrated",
    )


def finding(subject: str = "sdxl_vae.safetensors", *, severity: Severity = Severity.FAILURE) -> Finding:
    """A finding with markup and a path in every text."""
    return Finding(
        check="vae-latent-channels",
        severity=severity,
        target="forge",
        subject=subject,
        message=f"{VAE} has 16 channels {HARM}",
        evidence={"path": VAE, "lines": ["one", "two"]},
        fix=(f"Unselect {VAE}.", "Or select another VAE."),
    )


def make(seconds: float = 5.0) -> Report:
    """One Forge with a card, a job under way and three that ended, a damaged file, and an advice with a curve."""
    given = report(seconds=seconds, start=float(START))
    damaged = model_file("/forge/models/Stable-diffusion/half.safetensors", fault=Fault("cut", "it ends early", ()))
    other = replace(model_file("/forge/models/Stable-diffusion/other.safetensors"), selected=False)
    prediction = Prediction(CHECKPOINT, "sdxl", "vae", LoadError("RuntimeError", "size mismatch " * 30))
    known = Files(
        (model_file(), vae_file(), damaged, other), {"/far/away.safetensors": "no such folder"}, 2, prediction
    )
    jobs = (job(START - 400.0), job(START - 200.0, outcome="oom"), job(START - 20.0))
    given = with_target(given, files=known, jobs=jobs)
    target = given.snapshot.targets[0]
    assert target.ledger is not None
    extra = Part("weights", 200 * MB, "read", "IntegratedAutoencoderKL")
    free = next(part for part in target.ledger.parts if part.name == "free")
    parts = (
        *(part for part in target.ledger.parts if part is not free),
        extra,
        replace(free, size=free.size - extra.size),
    )
    given = with_target(given, ledger=replace(target.ledger, parts=parts))
    values = tuple(None if 300 <= at < 320 else (6 + (at // 50) % 9) * GIB for at in range(900))
    snapshot = replace(given.snapshot, recent={"GPU-00000000-5f1c-4b4e-9d3a-0123456789ab": Recent(START + 5, values)})
    findings = (finding(), *given.findings, finding("a driver", severity=Severity.UNKNOWN))
    return replace(given, snapshot=snapshot, findings=findings, advice={"forge": advice()})


@pytest.fixture
def rich() -> Report:
    """Everything a page can show of one Forge."""
    return make()


class Served:
    """A server of `report`, which may be exchanged while it runs."""

    def __init__(self) -> None:
        self.report: Report | None = make()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        site = Site(lambda: self.report, exporters(), files())
        self._server: Server = self._run(serve(site.handle, "127.0.0.1", 0))
        self.url = self._server.url

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        self._run(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture
def served() -> Iterator[Served]:
    """The page of `rich` at `served.url`."""
    running = Served()
    yield running
    running.close()


@pytest.fixture(scope="session")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = installed()
    if program is None:
        pytest.skip(
            "chromium is not installed: the page is not looked at in a browser (Debian: apt-get install chromium)"
        )
    with chromium(tmp_path_factory.mktemp("chromium"), program) as page:
        yield page


@pytest.fixture
def browser(_browser: Page) -> Page:
    """A real Chromium; what earlier tests made it say and ask is forgotten."""
    _browser.call("Page.navigate", url="about:blank")
    _browser.wait("location.href === 'about:blank'")
    _browser.complaints.clear()
    _browser.asked.clear()
    return _browser
