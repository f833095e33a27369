"""The page as text: what is said, in which order, what is escaped and what is kept private."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from forgediag.http import SAFE, Request, Response
from forgediag.model import (
    Expected,
    Files,
    Finding,
    Gap,
    Phase,
    Prediction,
    Progress,
    Recent,
    Report,
    Severity,
    Snapshot,
    Tally,
    Verification,
)
from forgediag.plugins import exporters, files
from forgediag.server import Site
from forgediag.testing.facts import CHECKPOINT, FORGE, GIB, OPTIONS, model_file, options
from forgediag.testing.reports import gpu, with_target
from forgediag_exporters.page.advice import advice
from forgediag_exporters.page.document import document
from forgediag_exporters.page.html import Html, join, tag
from forgediag_exporters.page.timeline import phase_bar, timeline
from forgediag_exporters.page.words import span

BROWSERS = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "text/html",
)
GAP = Gap("nothing listens on 127.0.0.1:7860", "refused")
NOTHING = Report(Snapshot(7.0, (), Gap("no NVIDIA driver", "missing"), Gap("not read", "starting")), (), (), {})


def get(given: Report | None, path: str = "/", **headers: str) -> Response:
    site = Site(lambda: given, exporters(), files())
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = site.handle(Request("GET", path, {}, names))
    assert isinstance(answer, Response)
    return answer


def words(markup: str) -> str:
    """The text of a page, white space made one."""
    bare = re.sub(r"<noscript>.*?</noscript>|<(meta|link)[^>]*>|<!doctype html>", "", markup)
    return " ".join(" ".join(ET.fromstring(bare).itertext()).split())


@pytest.mark.parametrize("accept", BROWSERS)
def test_a_browser_gets_the_page(rich: Report, accept: str) -> None:
    answer = get(rich, accept=accept)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "accept" in answer.headers["vary"]


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "text/*;q=0.5, text/plain"])
def test_curl_and_wget_get_the_text(rich: Report, accept: str) -> None:
    assert get(rich, accept=accept).headers["content-type"] == "text/plain; charset=utf-8"


def test_the_policy_lets_nothing_in_and_nothing_out(rich: Report) -> None:
    answer = get(rich, accept="text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert SAFE["cache-control"] == "no-store"  # which the server puts on every answer
    assert isinstance(answer.body, bytes)
    text = answer.body.decode()
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", text)
    assert re.findall(r"<script[^>]*>", text) == re.findall(r'<script src="/static/page\.js\?v=\w+" defer="">', text)


def test_its_files_are_kept_by_browsers_and_need_no_report() -> None:
    for path, kind in (("/static/page.css", "text/css"), ("/static/page.js", "text/javascript")):
        answer = get(None, path, accept_encoding="gzip")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"


def test_their_address_changes_with_their_content(rich: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(re.findall(r"/static/\S+\?v=\w+", document(rich)))
    monkeypatch.setattr("forgediag_exporters.page._read", lambda name: b"other")
    assert len(before) == 2
    assert not before & set(re.findall(r"/static/\S+\?v=\w+", document(rich)))


def test_the_verdict_comes_first_then_the_worst_finding_with_its_fix(rich: Report) -> None:
    said = words(document(rich)).split("- forgediag", 1)[1]
    order = [
        "Something is wrong.",
        "2 things to look at.",
        "✕ failure",
        "Start here.",
        "Unselect sdxl_vae.safetensors.",
    ]
    order += ["How one can tell", "! warning", "1 thing could not be looked at", "NVIDIA GeForce RTX 4090"]
    places = [said.index(text) for text in order]
    assert places == sorted(places)


def test_markup_in_a_fact_is_shown_not_obeyed(rich: Report) -> None:
    text = document(rich)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_no_folder_of_the_machine_is_shown(rich: Report) -> None:
    text = document(rich)
    assert "/forge/" not in text
    assert "/far/" not in text
    assert "sdxl_vae.safetensors has 16 channels" in text


def test_the_card_adds_up_and_says_how_each_part_is_known(rich: Report) -> None:
    said = words(document(rich))
    assert "16.0 GiB of 24.0 GiB used, at most 17.0 GiB in the last 5 min." in said
    assert "weights: diffusion model 4.8 GiB 20%" in said
    assert "torch's cache 10.1 GiB 42% (inferred)" in said


def test_memory_over_time_has_a_hole_where_nothing_was_read(rich: Report) -> None:
    text = document(rich)
    assert "Memory in the last 15 minutes" in text
    assert text.count('class="area"') == 2
    assert "Highest 14.0 GiB of 24.0 GiB. 3 generations ended in that time." in text
    assert "✕ out of memory" in text


def test_a_peak_of_one_second_is_drawn(rich: Report) -> None:
    target = rich.snapshot.targets[0]
    values = [GIB] * 900
    values[451] = 12 * GIB
    drawn = str(timeline(target, Recent(1_700_000_005, tuple(values))))
    assert " 90L" in drawn


@pytest.mark.parametrize("recent", [None, Recent(5, ()), Recent(5, (None, None))])
def test_without_a_curve_there_is_no_chart_of_it(rich: Report, recent: Recent | None) -> None:
    assert timeline(rich.snapshot.targets[0], recent) is None


def test_an_early_end_is_marked_beside_its_band(rich: Report) -> None:
    target = rich.snapshot.targets[0]
    recent = Recent(1_700_000_005, (GIB,) * 900)
    jobs = tuple(replace(job, outcome="interrupted", ended=None) for job in target.jobs)
    drawn = str(timeline(replace(target, jobs=jobs), recent))
    assert drawn.count("■ interrupted</text>") == 3
    assert 'text-anchor="end">■ interrupted' in drawn


def test_a_job_without_phases_has_no_bar() -> None:
    assert phase_bar(()) is None
    assert phase_bar((Phase("sample", 5.0, 5.0, "log"),)) is None


def test_the_advice_says_how_much_faster_and_where_one_is(rich: Report) -> None:
    said = words(document(rich))
    assert "1.8 times as fast : 12.0 s an image instead of 22.0 s." in said
    assert "now inference memory 7000 MB = GPU Weights 17576 MB, Queue + CPU" in said
    assert "The recommended 3000 MB take 12.0 s an image. You are at 7000 MB with 22.0 s." in said
    assert "✕ may run out of memory" in said


ADVICE: list[tuple[dict[str, Any], str]] = [
    ({"expected": Expected(12.0, 12.1)}, "About as fast, and safer"),
    ({"expected": Expected()}, "Another setting is better for this model."),
    ({"current": None, "expected": Expected(12.0)}, "The recommended 3000 MB take 12.0 s an image."),
    ({"flags": ("--cuda-stream",)}, "--cuda-stream"),
]


@pytest.mark.parametrize(("changes", "told"), ADVICE)
def test_the_advice_of_other_kinds(rich: Report, changes: dict[str, Any], told: str) -> None:
    item = rich.advice["forge"]
    assert not isinstance(item, Gap)
    assert told in words(str(advice(rich.snapshot.targets[0], replace(item, **changes))))


def test_who_has_the_best_setting_is_told_to_leave_it(rich: Report) -> None:
    item = rich.advice["forge"]
    assert not isinstance(item, Gap)
    said = words(
        str(advice(rich.snapshot.targets[0], replace(item, current=item.recommended, expected=Expected(12.0, 12.0))))
    )
    assert "Leave it: no other setting is better for this model." in said
    assert "also set" not in said
    assert "better" not in said.split("Why, and how")[0].split("for this model.")[1]


def test_advice_that_cannot_be_given_says_why(rich: Report) -> None:
    assert "No advice: not yet." in str(advice(rich.snapshot.targets[0], Gap("not yet")))
    assert advice(rich.snapshot.targets[0], None) is None


def test_each_model_file_has_its_health(rich: Report) -> None:
    said = words(document(rich))
    assert "✕ Forge will not load this selection: RuntimeError: size mismatch" in said
    assert "half.safetensors selected sdxl module, safetensors 319 MiB ✕ it ends early" in said
    assert "sd_xl_base_1.0.safetensors selected sdxl checkpoint, safetensors 6.5 GiB ✓ whole 31e35c80fc" in said
    assert "vae module, safetensors 319 MiB ! there is a finding 63aeecb90f" in said
    assert "1 more file, nothing wrong seen" in said
    assert "2 not looked at yet; 1 cannot be read here (away.safetensors: no such folder)." in said


FILES: list[tuple[Any, str]] = [
    (Files((), prediction=Prediction(CHECKPOINT, "sdxl", "loaded")), "✓ Forge will load this selection."),
    (Files((), prediction=Gap("/forge/x is gone")), "Whether the selection loads is not known: x is gone."),
    (Gap("the folder is elsewhere"), "The model files cannot be looked at: the folder is elsewhere."),
    (Files((replace(model_file(), sha256=Gap("not hashed")),)), "6.5 GiB ✓ whole"),
    (Files(tuple(replace(model_file(f"/m/{n}"), selected=False) for n in range(60))), "and 20 more"),
    (Files((), {}, pending=1), "1 not looked at yet."),
]


@pytest.mark.parametrize(("known", "told"), FILES)
def test_files_of_other_kinds(rich: Report, known: Any, told: str) -> None:
    assert told in words(document(with_target(rich, files=known)))


def test_files_read_anew_say_how_many_are_unchanged(rich: Report) -> None:
    known = Verification("lock", {"ok": 7, "changed": 1, "pending": 2}, 100, 40, 86400.0)
    said = words(document(with_target(rich, verification=known)))
    assert "Read anew against the lock file: 7 unchanged, 1 not; 40% of this round." in said
    empty = Verification("first read", {}, 0, 0, 86400.0)
    assert "against their first read: 0 unchanged, 0 not; 100% of this round." in words(
        document(with_target(rich, verification=empty))
    )


def test_what_is_set_says_both_sides_and_what_is_in_effect(rich: Report) -> None:
    chosen = options(forge_async_loading="Queue", forge_pin_shared_memory="CPU", forge_unet_storage_dtype="nf4")
    given = with_target(rich, forge=replace(FORGE, options=chosen))
    snapshot = replace(given.snapshot, tallies={"forge": Tally(effective_inference_memory=2 * GIB)})
    said = words(document(replace(given, snapshot=snapshot)))
    assert "inference memory 1024 MB kept free of weights GPU Weights 23552 MB at most on the card" in said
    assert "in effect ! 2048 MB: Forge works with this, whatever is set" in said
    assert "swap Queue + CPU stored as nf4 fork forge" in said


def test_a_bare_fork_without_a_card_has_fewer_panels(rich: Report) -> None:
    bare = replace(OPTIONS, values={"forge_inference_memory": 1024.0})
    forge = replace(FORGE, options=bare, fork=GAP, progress=GAP, listing=GAP)
    given = with_target(rich, forge=forge, gpu=Gap("no card"), process=GAP, install=GAP, jobs=(), files=Files(()))
    said = words(document(given))
    assert "No card to show: no card." in said
    assert "checkpoint nothing" in said
    assert "Job: not known ." in said
    assert "The last generations" not in said
    none = replace(FORGE, options=replace(OPTIONS, values={}))
    assert "GPU Weights" not in words(document(with_target(given, forge=none))).split("What is set")[1]


def test_a_forge_that_does_not_answer_is_still_on_the_page(rich: Report) -> None:
    given = with_target(rich, forge=GAP, gpu=replace(gpu(0), memory=Gap("it is lost")), files=GAP)
    said = words(document(given))
    assert "does not answer: nothing listens on 127.0.0.1:7860" in said
    assert "Its memory cannot be read: it is lost." in said
    assert "What is set" not in said
    assert "Model files" not in said


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (Progress("", 0, 0, "0", 0, 0, 0.0, interrupted=False), "Job: none"),
        (Progress("txt2img", -1, 0, "0", 0, 0, 0.01, interrupted=False), "Job: loading"),
        (Progress("txt2img", 1, 0, "0", 3, 20, 0.15, interrupted=False), "Job: step 3 of 20"),
    ],
)
def test_the_job_under_way(rich: Report, progress: Progress, told: str) -> None:
    assert told in words(document(with_target(rich, forge=replace(FORGE, progress=progress))))


def test_a_card_whose_ledger_or_peaks_are_not_known_is_shown_without(rich: Report) -> None:
    given = with_target(rich, gpu=replace(gpu(0), peaks={}), ledger=None, jobs=())
    said = words(document(given))
    assert "8.0 GiB of 24.0 GiB used." in said
    assert "torch's cache" not in said


def test_nothing_configured_and_nothing_wrong() -> None:
    said = words(document(NOTHING))
    assert "Nothing is wrong." in said
    assert "What to do" not in said


def test_only_unknown_things_leave_nothing_to_do(rich: Report) -> None:
    only = tuple(item for item in rich.findings if item.severity is Severity.UNKNOWN)
    said = words(document(replace(rich, findings=only)))
    assert "Nothing needs to be done." in said
    assert "Nothing wrong was found, but not everything could be looked at." in said


def test_many_findings_are_cut_short(rich: Report) -> None:
    many = tuple(replace(rich.findings[0], subject=f"file {number}") for number in range(30))
    text = document(replace(rich, findings=many))
    assert text.count("<article") == 20
    assert "10 more: " in text


def fleet(rich: Report, count: int, sick: str) -> Report:
    first = rich.snapshot.targets[0]
    targets = tuple(replace(first, name=f"forge-{number}") for number in range(count))
    broken = Finding("forge-reachable", Severity.FAILURE, sick, "Forge", "down", {}, ("Start it.",))
    return replace(rich, snapshot=replace(rich.snapshot, targets=targets), findings=(broken,))


def test_several_forges_have_a_row_each_the_worst_first(rich: Report) -> None:
    said = words(document(fleet(rich, 3, "forge-2")))
    assert "forge-2: Forge Start here. down" in said
    assert "3 Forges Forge state model job card forge-2 ✕ failure sd_xl_base_1.0.safetensors" in said
    assert "forge-0 ✓ ok" in said


def test_of_many_forges_the_worst_are_shown_whole(rich: Report) -> None:
    text = document(fleet(rich, 100, "forge-70"))
    assert text.count('class="target"') == 8
    assert text.index('<h2 id="target-forge-70-title">') < text.index('<h2 id="target-forge-0-title">')
    assert "The 8 worst are shown below." in text
    down = words(document(with_target(fleet(rich, 2, "forge-0"), forge=GAP, gpu=GAP)))
    assert "nothing listens on 127.0.0.1:7860 not known not seen" in down
    unread = with_target(fleet(rich, 2, "forge-0"), forge=replace(FORGE, options=Gap("no options")))
    assert "no options" in words(document(unread))


def test_every_id_is_there_once_and_every_link_of_the_page_leads_somewhere(rich: Report) -> None:
    text = document(fleet(rich, 9, "forge-3"))
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert sorted(set(ids)) == sorted(ids)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert {name for names in re.findall(r'aria-labelledby="([^"]+)"', text) for name in names.split()} <= set(ids)


def test_two_findings_about_one_thing_have_an_id_each(rich: Report) -> None:
    text = document(replace(rich, findings=(rich.findings[0], replace(rich.findings[0], message="and this"))))
    name = "finding-forge-vae-latent-channels-sdxl-vae-safetensors"
    assert re.findall(rf'<article id="({name}[^"]*)"', text) == [name, f"{name}-2"]
    assert f'href="#{name}"' in text


def test_elements_escape_what_is_not_markup() -> None:
    assert tag("p", "<b>", Html("<i></i>"), None, ["a", ("b",)], title='"', hidden=True, x=1.5, y=False, z=None) == (
        '<p title="&quot;" hidden="" x="1.5">&lt;b&gt;<i></i>ab</p>'
    )
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert join("<", tag("br")) == "&lt;<br>"


def test_times_in_words() -> None:
    assert (span(5.25), span(125.0)) == ("5.2 s", "2 min 05 s")
