"""A recording as a document, a page, a trace."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from forgediag.model import MB, GpuMemory, Ledger, Part
from forgediag.profile.ledger import Holdings, ledger
from forgediag.recording.chart import memory, stacked
from forgediag.recording.document import Recorded, RecordingError, from_json, to_json
from forgediag.recording.page import html
from forgediag.recording.trace import trace
from forgediag.testing.jobs import job

JOB = job(1_700_000_000.0, swapped=2394)
CURVE = tuple((JOB.started - 1 + second, (2000 + 900 * second) * MB) for second in range(10))
TOTAL = 24_576 * MB


def card(at: float) -> Ledger:
    used = int(2000 + 500 * (at - JOB.started)) * MB
    memory = GpuMemory(TOTAL, used, TOTAL - used - 300 * MB, 300 * MB)
    return ledger(Holdings(at, memory, used - 200 * MB, None, 800 * MB, {"KModel": 1000 * MB}))


LEDGERS = tuple(card(JOB.started + second) for second in range(6))
RECORDED = Recorded((JOB,), CURVE, LEDGERS, "RTX 4090", TOTAL, "0.1")


def test_a_recording_comes_back_as_it_was() -> None:
    assert from_json(to_json(RECORDED)) == RECORDED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html>", "no whole recording: JSONDecodeError"),
        ("[]", "no recording: its schema is not forgediag.profile/1"),
        ('{"schema": "forgediag.jobs/1"}', "no recording: its schema"),
        ('{"schema": "forgediag.profile/1"}', "no whole recording: KeyError: 'jobs'"),
        ('{"schema": "forgediag.profile/1", "jobs": [1], "curve": []}', "no whole recording: "),
        ("[" * 100_000, "no whole recording: RecursionError"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(RecordingError) as refused:
        from_json(text)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_fields_of_another_version_do_no_harm() -> None:
    document = json.loads(to_json(RECORDED))
    document["jobs"][0]["later"] = 1
    document["jobs"][0]["phases"][0]["later"] = 1
    del document["jobs"][0]["pixels"]

    assert from_json(json.dumps(document)).jobs == (replace(JOB, pixels=None),)


def test_a_job_has_the_curve_from_what_held_at_its_start() -> None:
    points = RECORDED.of(JOB)

    assert points[0] == (JOB.started, 2900 * MB)
    assert points[-1][0] <= (JOB.ended or 0)
    assert Recorded((JOB,)).of(JOB) == ()
    assert len(RECORDED.of(replace(JOB, ended=None))) == 1


def test_the_page_tells_phases_steps_and_peaks() -> None:
    page = html(RECORDED)

    for told in ("Generation 1", "RTX 4090", "1.05 megapixels", "20 steps", "VAE decode", "11.85 GiB", "2.34 GiB"):
        assert told in page
    assert "Phases, told by Forge's console" in page


def test_no_request_leaves_the_page() -> None:
    page = html(RECORDED, RECORDED)

    assert not re.search(r"https?:|//|url\(|<script|<link|<img|@import|src=", page)
    assert "default-src 'none'" in page


def test_nothing_in_a_recording_can_become_markup() -> None:
    bad = "<script>alert(1)</script>"
    page = html(replace(RECORDED, card=bad, jobs=(replace(JOB, model=bad, error=bad, settings=((bad, bad),)),)))

    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_job_without_phases_says_how_to_get_them() -> None:
    bare = replace(JOB, phases=(), step_seconds=(), model=None, pixels=None, steps=None, ended=None)
    page = html(Recorded((bare,)))

    assert "give forgediag Forge's console" in page
    assert "no NVIDIA card was read" in page


def test_phases_that_progress_told_are_called_that() -> None:
    told = replace(JOB, phases=tuple(replace(phase, seen_in="progress", device_peak=None) for phase in JOB.phases))

    assert "told by progress answers alone" in html(Recorded((told,)))


def test_an_empty_recording_says_so() -> None:
    assert "No generation was recorded." in html(Recorded(()))
    assert "Nothing to compare" in html(Recorded(()), RECORDED)


def test_two_recordings_are_compared_phase_by_phase() -> None:
    slow = tuple(replace(phase, end=phase.start + 2 * phase.seconds) for phase in JOB.phases)
    then = replace(JOB, settings=(("forge_inference_memory", 4096.0),), phases=slow[1:])
    page = html(RECORDED, Recorded((then,)))

    assert "forge_inference_memory: 4096.0 before, 1024.0 now" in page
    assert "-50 %" in page
    assert "new" in page


def test_the_same_settings_are_told_as_that() -> None:
    assert "The same settings." in html(RECORDED, RECORDED)


def test_the_card_is_drawn_part_by_part_without_what_is_free() -> None:
    drawn = stacked(LEDGERS, LEDGERS[0].at, LEDGERS[-1].at)

    assert re.findall(r'class="part-(\w+)"', drawn) == ["driver", "others", "context", "weights", "cache"]


def test_one_moment_is_no_chart() -> None:
    assert "What held the card" not in html(replace(RECORDED, ledgers=LEDGERS[:1]))
    assert stacked((Ledger(0.0, 0, (Part("free", 0, "read"),)),), 0.0, 0.0).startswith("<svg")


def test_a_curve_that_is_not_there_is_not_drawn() -> None:
    drawn = memory((), JOB.phases, JOB.started, JOB.started + 8, None)

    assert "not recorded" in drawn
    assert 'class="curve"' not in drawn


def test_a_trace_has_slices_for_phases_and_steps_and_a_counter_for_memory() -> None:
    events = json.loads(trace(RECORDED))["traceEvents"]
    kinds = [(event["ph"], event.get("tid")) for event in events]

    assert kinds.count(("X", 1)) == 1
    assert kinds.count(("X", 2)) == len(JOB.phases)
    assert kinds.count(("X", 3)) == len(JOB.step_seconds)
    assert sum(event["ph"] == "C" for event in events) == len(CURVE)
    sample = next(event for event in events if event["name"] == "sample")
    assert sample["dur"] == pytest.approx(5_000_000)


def test_a_job_without_an_end_or_sampling_has_no_slices_for_them() -> None:
    bare = replace(JOB, ended=None, phases=JOB.phases[:1])

    assert [e["tid"] for e in json.loads(trace(Recorded((bare,))))["traceEvents"] if e["ph"] == "X"] == [2]


@pytest.mark.parametrize("width", [390, 1440])
def test_a_browser_shows_the_page(tmp_path: Path, width: int) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed: the page was not opened in a browser")
    page, shot = tmp_path / "p.html", tmp_path / "p.png"
    page.write_text(html(RECORDED, RECORDED), "utf-8")
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]

    ended = subprocess.run(
        [*command, f"--window-size={width},1200", f"--screenshot={shot}", "--enable-logging=stderr", page.as_uri()],
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert shot.stat().st_size > 10_000
    assert b"Refused to" not in ended.stderr
