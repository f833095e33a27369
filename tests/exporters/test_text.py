"""The report in words for a terminal."""

from __future__ import annotations

from dataclasses import replace

from forgediag.model import Finding, Forge, Gap, Nvml, Progress, Report, Severity, Snapshot
from forgediag.testing.facts import FORGE, HOST, VAE, options
from forgediag.testing.reports import advice, gpu, report, with_gpu, with_target
from forgediag_exporters.text import TEXTS, WIDTH

RENDER = {item.name: item.render for item in TEXTS}
GAP = Gap("nothing listens on 127.0.0.1:7860", "refused")
NOTHING = Report(Snapshot(7.0, (), Gap("no NVIDIA driver", "missing"), Gap("not read", "starting")), (), (), {})


def verdict(given: Report) -> list[str]:
    return RENDER["text"](given).decode().splitlines()


def test_a_report_says_what_was_looked_at_what_is_wrong_and_what_to_do() -> None:
    given = report(seconds=5)
    assert verdict(given) == [
        "forge: http://127.0.0.1:7861 answers (forge)",
        "  selected  sd_xl_base_1.0.safetensors [31e35c80fc]",
        f"            + {VAE}",
        "  listed    1 checkpoints, 1 modules",
        "  memory    forge_inference_memory 1024 MB (GPU Weights 23552 MB)",
        "  job       running: step 10 of 20, 50%",
        "  process   pid 100, 4.0 GiB of system memory",
        "gpu 0: NVIDIA GeForce RTX 4090, driver 550.90",
        "  memory    16.0 GiB used, 7.7 GiB free of 24.0 GiB",
        "host: 19.0 GiB of 32.0 GiB memory available, swap 8.0 GiB free of 8.0 GiB",
        "",
        "WARNING  GPU 0  [gpu-other-processes]",
        "  Other programs hold 300 MB of Forge's card.",
        "    processes: [{'pid': 200, 'used_mb': 300}]",
        "  1. Close what is not needed.",
        "  2. Let the desktop run on another card.",
        "",
        "Verdict: warning. It works, but something should be changed.",
        "Do this first: Close what is not needed.",
    ]


def test_what_is_not_known_is_said_with_its_reason() -> None:
    given = with_target(report(), forge=GAP)
    nothing = replace(NOTHING, snapshot=replace(NOTHING.snapshot, targets=given.snapshot.targets))
    assert verdict(nothing) == [
        "forge: nothing listens on 127.0.0.1:7860",
        "gpu: no NVIDIA driver",
        "host: not read",
        "",
        "Verdict: ok. Nothing is wrong.",
    ]


def test_a_forge_that_answers_only_its_progress_is_told_by_that() -> None:
    forge = replace(
        FORGE, fork=GAP, options=GAP, progress=Progress("txt2img", -1, 0, "0", 0, 0, 0.0, interrupted=False)
    )
    lines = verdict(with_target(report(), forge=forge, process=GAP))
    assert lines[:2] == ["forge: http://127.0.0.1:7861 answers (unknown fork)", "  job       running: loading, 0%"]


def test_an_idle_forge_without_a_card_has_no_job_and_no_gpu_weights() -> None:
    lines = verdict(with_target(report(), forge=FORGE, gpu=GAP))
    assert "  job       none" in lines
    assert "  memory    forge_inference_memory 1024 MB" in lines


def test_a_fork_without_the_option_and_nothing_selected() -> None:
    bare = options(sd_model_checkpoint=None, forge_inference_memory=None, forge_additional_modules=[])
    forge: Forge = replace(FORGE, options=bare, listing=GAP, progress=GAP)
    assert verdict(with_target(report(), forge=forge))[1:3] == [
        "  selected  nothing",
        "  process   pid 100, 4.0 GiB of system memory",
    ]


def test_a_lost_card_and_a_host_without_swap_are_told() -> None:
    given = with_gpu(report(), memory=Gap("GPU 0 fell off the bus", "lost"))
    lines = verdict(replace(given, snapshot=replace(given.snapshot, host=replace(HOST, swap_total=0, swap_free=0))))
    assert "  memory    GPU 0 fell off the bus" in lines
    assert "host: 20.0 GiB of 32.0 GiB memory available, no swap" in lines


def test_findings_stay_in_order_and_long_lines_are_broken() -> None:
    long = "a long sentence about what is wrong " * 10
    findings = tuple(
        Finding(f"check-{label.label}", label, "forge", "subject", long, {"evidence": long}, (long,))
        for label in (Severity.FAILURE, Severity.UNKNOWN)
    )
    lines = verdict(replace(NOTHING, findings=findings))
    heads = [line for line in lines if line.endswith("]")]
    assert heads == ["FAILURE  subject  [check-failure]", "UNKNOWN  subject  [check-unknown]"]
    assert max(map(len, lines)) <= WIDTH
    assert "Verdict: failure. Something is wrong." in lines


def test_text_is_plain_ascii_where_the_facts_are() -> None:
    assert RENDER["text"](report()).isascii()
    assert RENDER["recommendation-text"](report()).isascii()


def test_advice_says_what_is_set_what_is_better_and_why() -> None:
    assert RENDER["recommendation-text"](report()).decode().splitlines() == [
        "forge: sd_xl_base_1.0",
        "  now        forge_inference_memory 1024 MB (GPU Weights 23552 MB), Queue + CPU",
        "  better     forge_inference_memory 3072 MB (GPU Weights 21504 MB), Queue + CPU",
        "  also set   xl_GPU_MB 21504",
        "  - The VAE decodes 1024x1024 in 2.9 GB.",
        "  confidence estimated",
    ]


def test_advice_without_a_current_setting_leaves_it_out() -> None:
    given = replace(report(), advice={"forge": replace(advice(), current=None)})
    assert b"now" not in RENDER["recommendation-text"](given)


def test_advice_that_cannot_be_given_says_why() -> None:
    assert RENDER["recommendation-text"](NOTHING) == b"nothing to advise: no Forge is configured\n"
    given = replace(report(), advice={"forge": GAP})
    assert RENDER["recommendation-text"](given) == b"forge: nothing listens on 127.0.0.1:7860\n"


def test_every_card_is_told() -> None:
    given = report(2)
    assert isinstance(given.snapshot.nvml, Nvml)
    assert [line for line in verdict(given) if line.startswith("gpu ")] == [
        f"gpu {index}: {gpu(index).info.name}, driver 550.90" for index in range(2)
    ]
