"""Generations recorded, read back and written in every form."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forgediag.cli import profile
from forgediag.cli.profile_live import Live, status
from forgediag.cli.profile_text import text
from forgediag.history import History
from forgediag.model import MB, Gap, Known, Nvml
from forgediag.packages import install
from forgediag.profile.curve import Curve
from forgediag.recording.document import Recorded, to_json
from forgediag.testing.facts import FORGE, TARGET
from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.jobs import job
from forgediag.testing.reports import gpu, progress

Run = Callable[..., Any]
RECORDED = Recorded(
    (job(100.0, swapped=2394),), ((99.0, 2000 * MB), (104.0, 9000 * MB)), (), "RTX 4090", 24_576 * MB, "0.1"
)


class Gpus:
    """One card with a curve, or none."""

    stuck: Gap | None = None
    lag: float | None = None

    def __init__(self, nvml: Known[Nvml]) -> None:
        self.nvml = nvml

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def job_running(self, running: bool, gpus: Collection[str] | None = None) -> None: ...

    def snapshot(self) -> Known[Nvml]:
        return self.nvml

    def curve(self, uuid: str, start: float, end: float) -> Curve:
        curve = Curve()
        curve.add(start, 5000 * MB)
        return curve


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    gpus = Gpus(Nvml("550.90", (12, 4), (gpu(0),)))
    monkeypatch.setattr(profile, "sampler", lambda config: gpus)
    return gpus


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "kept.json"
    path.write_text(to_json(RECORDED), "utf-8")
    return path


def quick(run: Run, forge: ForgeThread, *arguments: object) -> Any:
    return run("--forge", forge.url, "--gpu", "0", "profile", *arguments)


def test_the_next_generation_is_recorded(run: Run, cards: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PROGRESS": "0.05", "PROGRESS_BUSY": "0.02", "TICK": "0.05"}.items():
        monkeypatch.setenv(f"FORGEDIAG_PACE_{name}", value)
    with ForgeThread(Setup(pace=Pace(step=0.05))) as forge:
        forge.call(lambda running: running.start_job(steps=4))

        ended = quick(run, forge, "--jobs", 1, "--duration", 20, "--json")

    assert ended.status == 0, ended.err
    (made,) = ended.json["jobs"]
    assert made["outcome"] == "done"
    assert ended.json["card"] == gpu(0).info.name
    assert ended.json["curve"]
    assert ended.json["ledgers"]
    assert "recording until 1 generation ended or 20 s have passed" in ended.err
    assert "generation 1: done" in ended.err


def test_nothing_that_ended_is_told(run: Run, cards: Gpus) -> None:
    cards.nvml = Gap("no card", "missing", expected=True)
    with ForgeThread() as forge:
        ended = quick(run, forge, "--duration", 0.3)

    assert ended.status == 1
    assert "no generation ended meanwhile" in ended.err


def test_without_a_forge_in_the_config_nothing_is_recorded(run: Run, cards: Gpus, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("forge = []\n")

    ended = run("--config", "f.toml", "profile", "--duration", 1)

    assert ended.status == 3
    assert "no Forge is configured" in ended.err


def test_the_last_of_the_history_are_shown(run: Run, tmp_path: Path) -> None:
    assert run("profile", "--last", 2).status == 3
    History(tmp_path / "cache" / "forgediag", create=True).write([job(1.0), job(2.0), job(3.0, outcome="oom")])

    ended = run("profile", "--last", 2)

    assert ended.status == 0
    assert "generation 1: done, 7.6 s, sd_xl_base_1.0.safetensors, 1.05 megapixels" in ended.out
    assert "generation 2: oom" in ended.out


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.html", b"<!doctype"), ("a.json", b'{"schema"'), ("a.trace", b'{"trace'), ("a.PNG", b"\x89PNG")],
)
def test_a_recording_is_written_in_the_form_its_name_asks_for(
    run: Run, kept: Path, tmp_path: Path, name: str, begins: bytes
) -> None:
    ended = run("profile", "--open", kept, "-o", name)

    assert ended.status == 0, ended.err
    assert ended.out == f"wrote {name}: 1 generations\n"
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_name_without_a_known_end_is_refused(run: Run, kept: Path) -> None:
    ended = run("profile", "--open", kept, "-o", "a.pdf")

    assert ended.status == 2
    assert "must end in one of .html, .json, .png, .trace" in ended.err


def test_a_place_that_cannot_be_written_to_is_one_line(run: Run, kept: Path) -> None:
    ended = run("profile", "--open", kept, "-o", "/nowhere/a.html")

    assert ended.status == 1
    assert "cannot write /nowhere/a.html: No such file" in ended.err


def test_a_recording_that_cannot_be_read_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("[]")

    assert "no-such.json cannot be read: No such file" in run("profile", "--open", "no-such.json").err
    ended = run("profile", "--open", "bad.json")
    assert ended.status == 3
    assert "bad.json cannot be read: no recording" in ended.err


def test_two_recordings_are_compared(run: Run, kept: Path) -> None:
    ended = run("profile", "--open", kept, "--compare", kept)

    assert "  sample               5.00 s  before 5.00 s  +0 %\n" in ended.out


def test_without_pillow_a_png_says_what_it_needs(run: Run, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)

    ended = run("profile", "--open", kept, "-o", "a.png")

    assert ended.status == 2
    assert install("pillow") in ended.err


def test_there_is_no_png_of_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text(to_json(Recorded(())))

    assert "nothing to draw" in run("profile", "--open", "empty.json", "-o", "a.png").err
    assert run("profile", "--open", "empty.json").status == 1


def test_a_png_without_a_curve_is_still_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bare.json").write_text(to_json(Recorded(RECORDED.jobs)))

    assert run("profile", "--open", "bare.json", "-o", "a.png").status == 0


def test_a_failed_generation_shows_its_error_and_how_its_phases_are_known() -> None:
    phases = tuple(replace(phase, seen_in="progress", device_peak=None) for phase in job(1.0).phases)
    failed = replace(
        job(1.0), error="ValueError: first\nsecond", phases=phases, step_seconds=(), ended=None, model=None
    )

    shown = text(Recorded((failed, replace(failed, phases=(), error=None, pixels=None))), None)

    assert "  ValueError: first\n" in shown
    assert "and more" not in shown
    assert "told by progress alone" in shown


def test_a_phase_that_was_not_there_before_is_new() -> None:
    then = replace(job(1.0), phases=job(1.0).phases[1:])

    assert "  encode text          0.80 s  before 0.00 s  new\n" in text(RECORDED, Recorded((then,)))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_written_anew() -> None:
    out = Terminal()
    live = Live(out, live=True)
    live.begin(None, 3.0)
    live.show(TARGET)
    live.show(replace(TARGET, jobs=(job(1.0), replace(job(2.0), ended=None))))
    live.end()

    assert "recording until 3 s have passed" in out.getvalue()
    assert "\r" in out.getvalue()
    assert "generation 2: done, 0.0 s\n" in out.getvalue()
    assert out.getvalue().endswith("\n")


def test_the_line_says_what_forge_does() -> None:
    idle = replace(TARGET, gpu=gpu(0))
    running = replace(FORGE, progress=progress(5.0))
    loading = replace(FORGE, progress=replace(progress(0.0), job_count=-1))

    assert status(replace(idle, forge=Gap("it is down"))).endswith("no Forge: it is down")
    assert status(idle).endswith("idle")
    assert status(replace(idle, forge=running)).endswith("step 10/20")
    assert status(replace(idle, forge=loading)).endswith("loading")
    assert status(idle).startswith("[")
    assert status(replace(idle, gpu=Gap("no card"))) == "idle"


def test_the_document_is_the_one_that_is_read_back(run: Run, kept: Path) -> None:
    assert json.loads(run("profile", "--open", kept, "--json").out) == json.loads(kept.read_text())
