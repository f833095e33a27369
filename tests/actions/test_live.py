"""The live probe and the cures against a simulated Forge: what is asked, and that everything is as it was."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from forgediag.actions import Address, NotAppliedError
from forgediag.actions.borrow import idle, state
from forgediag.actions.cure import cure_options, cure_stuck, variants
from forgediag.actions.defaults import option_defaults
from forgediag.actions.live import LiveProbe, live
from forgediag.actions.tiny import STUCK, tiny
from forgediag.sources.undo import Journal, JournalError
from forgediag.testing.forge import ForgeThread, Pace, Setup
from forgediag.testing.forge.files import CHECKPOINTS, MODULES, Module

FAST = Pace(0, 0, 0, 0, 0, 0, 0)
SD15, NO_VAE, GOOD_VAE, FLUX_VAE = (
    "meadow-sd15.safetensors",
    "no-vae-sd15.safetensors",
    "vae-4ch.safetensors",
    "ae.safetensors",
)
NAN = Module("nan.safetensors", state="nan")
OPTIONS = ("sd_model_checkpoint", "forge_additional_modules", "forge_unet_storage_dtype")


@contextmanager
def forge(**how: Any) -> Iterator[tuple[ForgeThread, Address]]:
    how = {"pace": FAST, "modules": (*MODULES, NAN), **how}
    with ForgeThread(Setup(**how)) as running:
        yield running, Address(running.url, timeout=5)


def selected(running: ForgeThread) -> dict[str, Any]:
    return running.call(lambda it: {key: it.options.value(key) for key in OPTIONS})


def probe(address: Address, tmp_path: Path, *files: str, told: list[str] | None = None, **how: Any) -> LiveProbe:
    tell = (told if told is not None else []).append
    return asyncio.run(live(address, Journal(tmp_path, address.url), files, 20, tell, **how))


def refused(address: Address, tmp_path: Path, *files: str) -> str:
    with pytest.raises(NotAppliedError) as caught:
        probe(address, tmp_path, *files)
    return str(caught.value)


def picture(address: Address) -> str:
    return asyncio.run(tiny(address, 20)).end


def test_a_good_file_gives_a_picture_and_everything_is_as_it_was(tmp_path: Path) -> None:
    with forge() as (running, address):
        before = selected(running)
        made = probe(address, tmp_path, "/elsewhere/" + NO_VAE, "/elsewhere/" + GOOD_VAE)
        assert selected(running) == before
    assert made.outcome.end == "picture"
    assert made.cured is None
    assert made.sound
    assert list(tmp_path.iterdir()) == []


def test_black_pictures_answered_with_200_are_known(tmp_path: Path) -> None:
    with forge() as (running, address):
        made = probe(address, tmp_path, SD15, NAN.name)
        assert selected(running)["forge_additional_modules"] == []
    assert made.outcome.end == "black"


@pytest.mark.parametrize("modules", [[], [GOOD_VAE]])
def test_a_failed_load_is_told_word_for_word_and_the_stuck_state_cured(tmp_path: Path, modules: list[str]) -> None:
    paths = [f"/opt/forge/models/VAE/{name}" for name in modules]
    with forge(config={"forge_additional_modules": paths}) as (running, address):
        before = selected(running)
        assert picture(address) == "picture"
        made = probe(address, tmp_path, SD15, FLUX_VAE, prove=True)
        assert selected(running) == before
        assert picture(address) == "picture"
    assert made.outcome.type == "RuntimeError"
    assert made.outcome.message.startswith(
        "Error(s) in loading state_dict for IntegratedAutoencoderKL:\n\tsize mismatch"
    )
    assert made.cured is not None
    assert made.cured.done
    assert made.proof is not None
    assert made.sound


def test_the_stuck_state_is_known_by_its_error_and_cured(tmp_path: Path) -> None:
    with forge() as (running, address):
        picture(address)
        running.call(lambda it: it.options.post({"forge_additional_modules": [FLUX_VAE]}))
        picture(address)
        running.call(lambda it: it.options.post({"forge_additional_modules": []}))
        stuck = asyncio.run(tiny(address, 20))
        assert stuck.stuck
        assert stuck.message == STUCK
        cured = asyncio.run(cure_stuck(address, Journal(tmp_path, address.url), 20, lambda _: None))
        assert cured.done
        assert picture(address) == "picture"


def test_the_same_modules_in_another_order_are_really_tried(tmp_path: Path) -> None:
    config = {
        "forge_additional_modules": [
            f"/opt/forge/models/VAE/{GOOD_VAE}",
            "/opt/forge/models/text_encoder/clip_l.safetensors",
        ]
    }
    with forge(config=config) as (running, address):
        before = selected(running)
        told: list[str] = []
        assert probe(address, tmp_path, SD15, "clip_l.safetensors", GOOD_VAE, told=told).outcome.loaded
        assert selected(running) == before
    assert "clip_l.safetensors + vae-4ch.safetensors" in told[0]


def test_a_probe_that_was_killed_is_put_back_by_the_next(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with forge() as (running, address):
        before = selected(running)
        journal = Journal(tmp_path, address.url)
        journal.begin({key: before[key] for key in OPTIONS[:2]})
        kept = json.loads(journal.path.read_text("utf-8"))
        journal.path.write_text(json.dumps({**kept, "pid": gone.pid}), "utf-8")
        running.call(lambda it: it.options.post({"forge_additional_modules": [FLUX_VAE]}))
        made = probe(address, tmp_path, SD15)
        assert selected(running) == before
    assert made.recovered == {key: before[key] for key in OPTIONS[:2]}


def test_another_probe_at_work_is_left_alone(tmp_path: Path) -> None:
    with forge() as (running, address):
        Journal(tmp_path, address.url).begin({})
        assert "is at work" in refused(address, tmp_path, SD15)
        with pytest.raises(JournalError, match="is at work"):
            Journal(tmp_path, address.url).begin({})
        assert running.call(lambda it: [path for path in it.requests if path.startswith("POST")]) == []


def test_a_journal_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with forge() as (_, address):
        Journal(tmp_path, address.url).path.write_text("{", "utf-8")
        assert "cannot be read" in refused(address, tmp_path, SD15)
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be written"):
        Journal(tmp_path / "file", "http://x").begin({})


def test_a_running_job_and_a_forge_that_is_gone_are_left_alone(tmp_path: Path) -> None:
    with forge(pace=Pace(step=30)) as (running, address):
        running.call(lambda it: it.start_job())
        until = time.monotonic() + 10
        while not running.call(lambda it: it.engine.state.job):
            assert time.monotonic() < until
        assert not asyncio.run(idle(address, 0.3))
        assert "a job is running" in refused(address, tmp_path, SD15)
    assert "nothing was written" in refused(address, tmp_path, SD15)


@pytest.mark.parametrize(
    ("files", "words"),
    [(("no.safetensors",), "does not list no.safetensors"), ((SD15, "no.safetensors"), "drop it without a word")],
)
def test_a_file_forge_does_not_list_is_told(tmp_path: Path, files: tuple[str, ...], words: str) -> None:
    with forge() as (_, address):
        assert words in refused(address, tmp_path, *files)


def test_a_selection_that_could_not_be_put_back_is_not_touched(tmp_path: Path) -> None:
    with forge(selected="gone.safetensors") as (_, address):
        assert "could not be put back" in refused(address, tmp_path, SD15)
    with forge(config={"forge_additional_modules": ["/x/gone.safetensors"]}) as (_, address):
        assert "could not be put back" in refused(address, tmp_path, SD15)


def test_options_of_a_wrong_type_are_set_to_forges_own_default(tmp_path: Path) -> None:
    told: list[str] = []
    with forge() as (running, address):
        running.call(lambda it: it.options.post({"CLIP_stop_at_last_layers": "two"}))
        assert "doctor --cure" in refused(address, tmp_path, SD15)
        defaults = asyncio.run(option_defaults(address))
        applied = asyncio.run(cure_options(address, defaults, told.append))
        assert running.call(lambda it: it.options.get()[0]) == 200
        assert asyncio.run(cure_options(address, defaults, told.append)) is None
    assert applied is not None
    assert applied.changes[0].new == 1
    assert told == ["setting CLIP_stop_at_last_layers from 'two' back to its default 1"]


def test_an_option_whose_default_nobody_knows_is_left(tmp_path: Path) -> None:
    with forge() as (running, address):
        running.call(lambda it: it.options.post({"CLIP_stop_at_last_layers": "two"}))
        with pytest.raises(NotAppliedError, match="options set CLIP_stop_at_last_layers=VALUE"):
            asyncio.run(cure_options(address, {}, lambda _: None))


def test_a_forge_without_a_schema_has_no_defaults() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[]))
    assert asyncio.run(option_defaults(Address("http://forge", transport=transport))) == {}


def test_without_modules_another_checkpoint_is_the_detour() -> None:
    with forge(modules=()) as (_, address):
        (variant,) = variants(asyncio.run(state(address)))
        assert set(variant.detour) == {"sd_model_checkpoint"}
    with forge(modules=(), checkpoints=CHECKPOINTS[1:2]) as (_, address):
        assert list(variants(asyncio.run(state(address)))) == []
        with pytest.raises(NotAppliedError, match="restart Forge"):
            asyncio.run(cure_stuck(address, Journal(Path("unused"), address.url), 20, lambda _: None))


@pytest.mark.parametrize(
    ("answer", "end", "words"),
    [
        (httpx.Response(200, json={"images": []}), "unseen", "Forge sent none"),
        (httpx.Response(200, json={"images": ["AAAA"]}), "unseen", "no PNG"),
        (httpx.Response(200, json={"images": ["?"]}), "unseen", ""),
        (httpx.Response(200, text="<html>"), "error", "not JSON"),
        (httpx.Response(422, json={"detail": "no"}), "error", "no"),
        (httpx.Response(500, json=[]), "error", "without a reason"),
    ],
)
def test_every_answer_is_told_as_what_it_is(answer: httpx.Response, end: str, words: str) -> None:
    outcome = asyncio.run(tiny(Address("http://forge", transport=httpx.MockTransport(lambda _: answer)), 5))
    assert outcome.end == end
    assert words in str(outcome)


def test_an_answer_that_does_not_come_is_told() -> None:
    def breaks(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    assert asyncio.run(tiny(Address("http://forge", transport=httpx.MockTransport(breaks)), 5)).end == "no-answer"
    with forge(pace=Pace(step=30)) as (_, address):
        outcome = asyncio.run(tiny(address, 0.3))
    assert (outcome.end, outcome.message) == ("no-answer", "not within 0.3 s")
