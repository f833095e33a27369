"""Logs to their root causes."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from forgediag.explain import Explanation, explain, signatures
from forgediag.explain.anchors import Anchors, Matches, anchors
from forgediag.explain.signature import filled
from forgediag.testing.explained import roots

HERE = Path(__file__).parent
LOAD = "Loading Model: {'checkpoint_info': {'filename': '/m/x.safetensors', 'hash': '1'}, 'additional_modules': []}"
DONE = "Total progress: 100%|██████████| 20/20 [00:06<00:00,  3.10it/s]"
NO_CLIP = "AssertionError: You do not have CLIP state dict!"
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB."


def read(name: str) -> Explanation:
    return explain((HERE / "logs" / f"{name}.log").read_text("utf-8").split("\n"))


def follow_ups(explanation: Explanation) -> list[str]:
    return [said.signature.id if said.signature else "?" for said in explanation.troubles[0].follow_ups]


def raised(error: str) -> list[str]:
    return ["Traceback (most recent call last):", '  File "x.py", line 1, in f', "    f()", error]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("a-truncated60", "safetensors-incomplete-metadata"),
        ("f-sd15-with-16ch-vae", "vae-16ch-on-4ch-model"),
        ("k-zip-truncated-ckpt", "pytorch-stream-reader"),
        ("n5-gguf-fluxlike-tiny", "no-clip-state-dict"),
        ("f3-decoder-only-vae", "vae-missing-keys-log"),
    ],
)
def test_a_recorded_failure_has_its_one_root_cause(name: str, cause: str) -> None:
    assert roots(read(name)) == [cause]


def test_what_follows_is_named_as_such_even_after_the_next_load() -> None:
    assert follow_ups(read("a-truncated60")) == [
        "file-renamed-corrupted",
        "failed-to-recognize-model-type",
        "model-file-missing",
        "none-sd-checkpoint-info",
    ]


def test_a_good_run_needs_no_explanation() -> None:
    assert read("good-txt2img").troubles == ()


def test_the_newest_trouble_comes_first() -> None:
    explanation = explain([LOAD, *raised(NO_CLIP), LOAD, DONE, *raised(OOM)])
    assert roots(explanation) == ["oom-cuda-any", "no-clip-state-dict"]


def test_the_same_trouble_again_is_counted_with_its_last_line() -> None:
    trouble = explain([LOAD, *raised(NO_CLIP), LOAD, *raised(NO_CLIP)]).troubles[0]
    assert (trouble.times, trouble.root.line) == (2, 10)


def test_an_unknown_error_is_not_given_a_cause() -> None:
    explanation = explain(raised("ZeroDivisionError: division by zero"))
    assert roots(explanation) == ["?"]
    assert not explanation.known
    assert explanation.troubles[0].root.text == "ZeroDivisionError: division by zero"


def test_the_unknown_first_error_of_a_chain_stands_beside_the_wrapper() -> None:
    chain = [
        *raised("ZeroDivisionError: division by zero"),
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        *raised("ValueError: Failed to recognize model type!"),
    ]
    trouble = explain(chain).troubles[0]
    assert trouble.root.signature is not None
    assert trouble.root.signature.id == "failed-to-recognize-model-type"
    assert trouble.inner == "ZeroDivisionError: division by zero"


def test_warnings_come_after_errors_and_usual_lines_only_in_excerpts() -> None:
    low = "[Low GPU VRAM Warning] Your current GPU free memory is 223.35 MB for this diffusion iteration."
    swap = "CPU Swap Loaded (blocked method): 2142.00 MB, GPU Loaded: 20558.13 MB"
    excerpt = [LOAD, *raised(NO_CLIP), LOAD, low, DONE, swap]
    assert roots(explain(excerpt)) == ["no-clip-state-dict", "low-gpu-vram-warning", "cpu-swap-loaded"]
    assert roots(explain(excerpt + ["fine"] * 100)) == ["no-clip-state-dict", "low-gpu-vram-warning"]


def test_colours_columns_boxes_and_wrapping_are_no_matter() -> None:
    neo = [
        "\x1b[31mFailed to load diffusion model...    \x1b[0m          sd_models.py :: ERROR",
        "(check README for supported models)          sd_models.py :: ERROR",
    ]
    assert roots(explain(neo)) == ["neo-failed-to-recognize-model"]
    box = [
        "╭── Traceback (most recent call last) ──╮",
        "│ x.py:3 in f │",
        "╰───────────────╯",
        "AssertionError: You do not",
    ]
    assert roots(explain([*box, "have CLIP state dict!"])) == ["no-clip-state-dict"]


def test_what_a_progress_bar_overwrote_is_read() -> None:
    line = f" 5%|▌ | 1/20\r{OOM}\r 10%|█ | 2/20\r"
    assert roots(explain([line])) == ["oom-cuda-any"]


def test_an_indented_traceback_of_a_script_ends_at_its_error() -> None:
    script = ["*** Error loading script: a.py", *(f"    {line}" for line in raised("KeyError: 'gelu_new'"))]
    starred = [f"*** {line}" for line in raised("KeyError: 'gelu_new'")]
    assert roots(explain([*script, "---", *starred])) == ["t5-gelu-new"]


def test_localised_windows_texts_match_by_number() -> None:
    german = "OSError: Die Auslagerungsdatei ist zu klein, um diesen Vorgang durchzuführen. (os error 1455)"
    assert roots(explain(raised(german))) == ["page-file-too-small"]
    assert roots(explain(raised("OSError: [WinError 1455] 页面文件太小."))) == ["page-file-too-small"]


def test_the_layer_that_does_not_fit_decides_inside_a_long_message() -> None:
    message = [
        "RuntimeError: Error(s) in loading state_dict for IntegratedFluxTransformer2DModel:",
        "\tsize mismatch for img_in.weight: copying a param with shape torch.Size([3072, 384]) from checkpoint",
    ]
    assert roots(explain([*raised(message[0]), message[1]])) == ["flux-fill-img-in"]


def test_lines_of_others_inside_a_traceback_do_not_end_it() -> None:
    lines = raised(NO_CLIP)
    lines[3:3] = ['INFO:     127.0.0.1:1 - "GET /sdapi/v1/progress HTTP/1.1" 200 OK', "  0%|  | 0/20"]
    assert roots(explain([LOAD, *lines])) == ["no-clip-state-dict"]


def test_a_warning_inside_a_traceback_does_not_end_it() -> None:
    lines = raised(NO_CLIP)
    lines[3:3] = ["[Low GPU VRAM Warning] Your current GPU free memory is 1.00 MB", "OddError of something: fine"]
    explanation = explain(lines)
    assert roots(explanation) == ["no-clip-state-dict"]
    assert follow_ups(explanation) == ["low-gpu-vram-warning"]


def test_a_message_without_its_class_ends_the_traceback_it_stands_in() -> None:
    cut = [*raised("")[:3], "Expected all tensors to be on the same device, but found cpu and cuda:0", "x"]
    explanation = explain(cut)
    assert roots(explanation) == ["different-devices"]
    assert explanation.troubles[0].root.place is not None


def test_a_generation_that_is_done_ends_an_open_traceback() -> None:
    lines = [DONE, *raised("")[:3], DONE, DONE, *raised(OOM), DONE, DONE, *raised(NO_CLIP)]
    assert roots(explain(lines)) == ["no-clip-state-dict", "oom-cuda-any"]


def test_a_traceback_that_a_new_load_breaks_off_is_over() -> None:
    assert roots(explain([*raised("")[:3], LOAD, *raised(NO_CLIP)])) == ["no-clip-state-dict"]
    assert roots(explain([*raised("")[:3], "The above exception was the direct cause of", *raised(NO_CLIP)])) == [
        "no-clip-state-dict"
    ]


def test_frames_tell_where_the_error_itself_says_nothing() -> None:
    frame = '  File "quants.py", line 163, in dequantize_pytorch'
    assert roots(explain([frame])) == ["gguf-dequantize-t5"]
    assert roots(explain([frame, "TypeError: odd"])) == ["gguf-dequantize-t5"]
    assert roots(explain([frame, *["    x()"] * 500, "fine"])) == ["gguf-dequantize-t5"]
    assert roots(explain(['  File "a.py", line 1, in f', *["    x()"] * 500, "fine"])) == []


def test_what_a_failed_load_leaves_follows_from_it_after_the_next_load_too() -> None:
    stuck = "AttributeError: 'NoneType' object has no attribute 'sd_checkpoint_info'"
    explanation = explain([LOAD, *raised(NO_CLIP), LOAD, *raised(stuck), *raised(NO_CLIP), LOAD, *raised(stuck)])
    assert roots(explanation) == ["no-clip-state-dict"]
    assert follow_ups(explanation) == ["none-sd-checkpoint-info"]


def test_an_unknown_error_without_its_traceback_is_one_too() -> None:
    assert roots(explain(["ZeroDivisionError: division by zero"])) == ["?"]


def test_two_chains_are_not_one() -> None:
    explanation = explain([*raised("ZeroDivisionError: one"), *raised(NO_CLIP), *raised(NO_CLIP)])
    assert roots(explanation) == ["no-clip-state-dict"]


def test_a_root_that_comes_again_as_a_follow_up_is_not_its_own() -> None:
    gone = 'FileNotFoundError: No such file or directory: "/m/x.safetensors"'
    cut = "safetensors_rust.SafetensorError: Error while deserializing header: MetadataIncompleteBuffer"
    explanation = explain([LOAD, *raised(cut), LOAD, *raised(gone), *raised(cut)])
    assert roots(explanation) == ["safetensors-incomplete-metadata"]
    assert follow_ups(explanation) == ["model-file-missing"]


def test_a_start_of_the_program_ends_what_was_stuck() -> None:
    stuck = "AttributeError: 'NoneType' object has no attribute 'sd_checkpoint_info'"
    again = explain([LOAD, *raised(NO_CLIP), "Launching Web UI with arguments:", *raised(stuck)])
    assert roots(again) == ["none-sd-checkpoint-info", "no-clip-state-dict"]


def test_an_answer_of_200_ends_an_episode() -> None:
    answer = 'INFO:     127.0.0.1:1 - "POST /sdapi/v1/txt2img HTTP/1.1" 200 OK'
    assert roots(explain([*raised(NO_CLIP), answer, *raised(OOM)])) == ["oom-cuda-any", "no-clip-state-dict"]


def test_troubles_and_follow_ups_are_bounded() -> None:
    many = [line for number in range(200) for line in (LOAD, *raised(f"ZeroDivisionError: {number}"))]
    assert len(explain(many).troubles) == 50
    assert len(explain([*raised(NO_CLIP) * 400]).troubles) == 1


def test_a_log_longer_than_a_batch_keeps_its_line_numbers() -> None:
    for before in (7990, 7995, 7999, 8000, 18001):
        explanation = explain([*["fine"] * before, *raised(NO_CLIP)])
        assert [trouble.root.line for trouble in explanation.troubles] == [before + 4]


def test_hostile_lines_take_linear_time() -> None:
    began = time.perf_counter()
    explain(["Error(s) in loading state_dict for " * 30_000, "CUDA out of memory. Tried to allocate GPU " * 30_000] * 5)
    explain(["Traceback (most recent call last):"] * 20_000)
    assert time.perf_counter() - began < 5


def test_the_first_run_over_the_held_out_texts_stays_as_noted() -> None:
    held_out = json.loads((HERE / "held_out.json").read_text("utf-8"))
    assert (len(held_out), sum(text["first_run"] == text["cause"] for text in held_out)) == (36, 13)
    for text in held_out:
        assert roots(explain(text["text"].split("\n")))[:1] == [text.get("now", text["cause"])], text["source"]


@pytest.mark.parametrize(
    ("name", "judged"),
    [
        ("held_out_2", {"right": 9, "wrong": 7, "unknown": 31}),
        ("held_out_3", {"right": 7, "wrong": 1, "unknown": 11}),
        ("held_out_4", {"right": 66, "wrong": 9, "unknown": 10, "partial": 28}),
        ("held_out_5", {"right": 33, "wrong": 14, "unknown": 5, "partial": 9}),
        ("held_out_6", {"right": 21, "wrong": 4, "unknown": 9, "partial": 14}),
    ],
)
def test_the_first_run_over_later_held_out_texts_stays_as_noted(name: str, judged: dict[str, int]) -> None:
    held_out = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    assert Counter(text["judged"] for text in held_out) == judged
    for text in held_out:
        expected = [text["cause"]] if text["cause"] else []
        assert roots(explain(text["text"].split("\n")))[:1] == expected, text["source"]


EXTENSION = '  File "/w/extensions/some/scripts/a.py", line 1, in f'
PACKAGE = '  File "/w/venv/lib/python3.10/site-packages/torch/x.py", line 1, in g'
FORGE = '  File "/w/modules/processing.py", line 1, in h'


@pytest.mark.parametrize(
    ("frames", "error", "cause"),
    [
        ([FORGE, EXTENSION, PACKAGE], "TypeError: strange", "extension-raised"),
        ([EXTENSION, FORGE], "TypeError: strange", "forge-called-by-extension"),
        ([FORGE, EXTENSION], OOM, "oom-cuda-any"),
    ],
)
def test_an_extension_is_blamed_for_an_unknown_error_raised_in_it(frames: list[str], error: str, cause: str) -> None:
    assert roots(explain(["Traceback (most recent call last):", *frames, error])) == [cause]


def test_the_error_in_an_extension_is_told_with_its_place() -> None:
    trouble = explain(["Traceback (most recent call last):", FORGE, EXTENSION, PACKAGE, "TypeError: strange"]).troubles[
        0
    ]
    assert str(trouble.root.place) == "the extension some (scripts/a.py, line 1, in f), raised in the package torch"


LOADING = '  File "/w/modules/script_loading.py", line 13, in load_module'


def test_a_script_that_fails_to_load_is_named_by_the_line_before() -> None:
    heading = "*** Error loading script: couple.py"
    trouble = explain([heading, "Traceback (most recent call last):", LOADING, "OddError: strange"]).troubles[0]
    assert str(trouble.root.place) == "the script couple.py"
    alone = explain([heading]).troubles[0].root
    assert alone.signature is not None
    assert alone.filled(alone.signature.title).endswith("couple.py")


@pytest.mark.parametrize(
    ("frames", "error", "place"),
    [
        (["in <module>", "in <module>"], "ModuleNotFoundError: No module named 'cv3'", "the extension some"),
        (["in <module>", "in <module>"], "TypeError: strange", "Forge's own code"),
        (["in f", "in g"], "ImportError: strange", "Forge's own code"),
    ],
)
def test_a_failed_import_is_the_extensions_that_asks_for_the_module(frames: list[str], error: str, place: str) -> None:
    paths = ("/w/extensions/some/scripts/a.py", "/w/modules/sd_hijack_clip.py")
    traceback = [f'  File "{path}", line 1, {frame}' for path, frame in zip(paths, frames, strict=True)]
    root = explain(["Traceback (most recent call last):", *traceback, error]).troubles[0].root
    assert str(root.place).startswith(place)


def test_a_text_that_ends_within_a_traceback_is_said_to_do_so() -> None:
    cut = explain(["Traceback (most recent call last):", EXTENSION, "    f()"]).troubles[0].root
    assert cut.signature is not None
    assert (cut.signature.id, cut.signature.level) == ("traceback-cut-off", "warning")
    assert "the extension some" in cut.filled(cut.signature.cause)


def test_an_unknown_error_says_whose_code_raised_it() -> None:
    frame = FORGE.replace("processing", "odd")
    root = explain(["Traceback (most recent call last):", frame, "OddError: strange"]).troubles[0].root
    assert root.signature is None
    assert str(root.place) == "Forge's own code (modules/odd.py, line 1, in h)"


def test_a_specific_signature_wins_over_a_general_one_in_the_same_chain() -> None:
    link = ["", "The above exception was the direct cause of the following exception:", ""]
    lines = ["Traceback (most recent call last):", EXTENSION, "TypeError: strange", *link, *raised(NO_CLIP)]
    assert roots(explain(lines)) == ["no-clip-state-dict"]


def test_the_heading_of_an_error_tells_whose_code_it_is_where_the_frames_are_cut() -> None:
    heading = "*** Error running process: C:\\forge\\extensions\\sd-odd\\scripts\\a.py"
    root = explain([heading, "OddError: strange"]).troubles[0].root
    assert str(root.place) == "the extension sd-odd (scripts/a.py)"
    passing = '  File "C:\\forge\\modules\\scripts.py", line 9, in process'
    lines = [heading, "Traceback (most recent call last):", passing, "OddError: strange"]
    assert roots(explain(lines)) == ["extension-raised"]
    wrapped = ["*** Error running process:", "C:\\forge\\extensions\\sd-odd\\scripts\\a.py", *lines[1:]]
    assert roots(explain(wrapped)) == ["extension-raised"]


def test_a_heading_in_front_of_a_traceback_is_not_the_cause() -> None:
    heading = "activating extra network lora with arguments [x]: AttributeError"
    frame = '  File "/w/modules_forge/unet_patcher.py", line 27, in clone'
    error = "AttributeError: 'UnetPatcher' object has no attribute 'model_keys'"
    lines = [heading, "Traceback (most recent call last):", frame, error]
    assert roots(explain(lines)) == ["object-lacks-attribute-in-forge"]


def test_the_heading_s_own_cause_takes_in_the_traceback_under_it() -> None:
    lines = ["*** Error reading metadata from file: /m/x.safetensors", *raised("OddError: strange")]
    trouble = explain(lines).troubles[0]
    assert trouble.root.signature is not None
    assert (trouble.root.signature.id, trouble.follow_ups) == ("metadata-unreadable", ())


def test_a_heading_without_a_cause_of_its_own_shows_the_error_under_it() -> None:
    trouble = explain(["activating extra network lora with arguments [x]: OddError", *raised("OddError: a")]).troubles[
        0
    ]
    assert trouble.inner == "OddError: a"


def test_an_error_in_front_of_its_frames_belongs_to_them() -> None:
    lines = ["OddError: strange", EXTENSION, "    f()"]
    assert str(explain(lines).troubles[0].root.place) == "the extension some (scripts/a.py, line 1, in f)"


def test_a_traceback_that_rich_drew_tells_whose_code_it_is() -> None:
    box = [
        "╭───────────── Traceback (most recent call last) ─────────────╮",
        "│ C:\\forge\\extensions\\sd-odd\\scripts\\a.py:12 in process      │",
        "│                                                             │",
        "│ ❱ 12 │   odd()                                              │",
        "│ C:\\forge\\venv\\Lib\\site-packages\\torch\\x.py:7 in odd       │",
        "╰─────────────────────────────────────────────────────────────╯",
        "RuntimeError: strange",
    ]
    root = explain(box).troubles[0].root
    assert str(root.place) == "the extension sd-odd (scripts/a.py, line 12, in process), raised in the package torch"


@pytest.mark.parametrize("before", ["", "> ", "```", "`", "2024-09-21 16:59:18 ", "[16:59:18] ", "ERROR: ", "stderr: "])
def test_an_error_is_found_behind_what_people_and_loggers_put_in_front(before: str) -> None:
    assert roots(explain([f"{before}ModuleNotFoundError: No module named 'odd'"])) == ["missing-module"]


@pytest.mark.parametrize(
    "before",
    [
        "Nov 24 19:00:01 box python3[812]: ",
        "2026-11-24T19:00:01+0000 ",
        "[19:00:01] ",
        "webui-1  | ",
        "> ",
        "    ",
        "*** ",
    ],
)
def test_a_traceback_is_read_behind_what_stands_in_front_of_each_line(before: str) -> None:
    lines = ["Traceback (most recent call last):", FORGE, EXTENSION, "OddError: strange"]
    root = explain([f"{before}{line}" for line in lines]).troubles[0].root
    assert root.signature is not None
    assert (root.signature.id, root.place and root.place.name) == ("extension-raised", "some")


def test_quotes_with_backslashes_are_quotes() -> None:
    assert roots(explain(["KeyError: \\'gelu_new\\'"])) == ["t5-gelu-new"]


def test_an_error_that_ends_the_start_comes_before_one_that_does_not() -> None:
    launch = '  File "/w/launch.py", line 54, in <module>'
    lines = ["Failed to load ZLUDA: x", "Traceback (most recent call last):", launch, "No module named 'gguf'"]
    lines[-1] = f"ModuleNotFoundError: {lines[-1]}"
    assert roots(explain(lines)) == ["gguf-missing"]


def test_what_is_harmless_is_told_only_to_those_who_show_little_else() -> None:
    noise = ["Sampler Scheduler autocorrection: x"]
    assert roots(explain(noise)) == ["sampler-autocorrection"]
    assert roots(explain([*noise, *["fine"] * 100])) == []


def test_what_merely_sounds_wrong_is_noticed_in_a_short_text() -> None:
    line = "[odd] the frobnicator is not available"
    assert [trouble.root.text for trouble in explain([line]).troubles] == [line]
    assert explain([line, *["fine"] * 100]).troubles == ()
    assert explain(["all is fine"]).troubles == ()


def test_the_blanks_of_a_signature_are_filled_in() -> None:
    root = (
        explain(["Traceback (most recent call last):", EXTENSION, "ModuleNotFoundError: No module named 'rembg'"])
        .troubles[0]
        .root
    )
    assert root.signature is not None
    assert (
        root.filled(root.signature.title) == "the extension some needs the Python package rembg, which is not installed"
    )
    assert filled("{1} {2|b} {package|c} {3}", ("a",), "", "") == "a b c …"


DEVELOPED = json.loads((HERE / "developed.json").read_text("utf-8"))


@pytest.mark.parametrize("text", DEVELOPED, ids=[text["source"] for text in DEVELOPED])
def test_a_real_text_from_a_public_issue_is_explained(text: dict[str, str]) -> None:
    assert roots(explain(text["text"].split("\n")))[:1] == [text["cause"]]


def test_no_line_is_passed_over_that_could_say_something(monkeypatch: pytest.MonkeyPatch) -> None:
    every = tuple((signature, pattern) for signature in signatures() for pattern in signature.patterns)

    def find(_: Anchors, lines: Sequence[str]) -> tuple[list[int], dict[int, Matches]]:
        return list(range(len(lines))), dict.fromkeys(range(len(lines)), every)

    texts = [log.read_text("utf-8").split("\n") for log in sorted((HERE / "logs").glob("*.log"))]
    texts += [text["text"].split("\n") for text in DEVELOPED[::6]]
    filtered = [explain(text) for text in texts]
    monkeypatch.setattr(Anchors, "find", find)
    assert [explain(text) for text in texts] == filtered


def test_what_was_searched_once_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.explain.anchors.KINDS", 10)
    anchors.cache_clear()
    lines = [f"odd line {'x' * number}" for number in range(1000)] * 2
    assert roots(explain([*lines, *raised(NO_CLIP)])) == ["no-clip-state-dict"]


def test_what_only_a_frame_of_forge_tells_is_not_an_extension_s() -> None:
    told = "    self.process_unit_after_every_sampling(p, unit, self.current_params[i], pp)"
    lines = ["Traceback (most recent call last):", FORGE, told, EXTENSION, "KeyError: 0"]
    assert roots(explain(lines)) == ["controlnet-unit-not-prepared"]


def test_a_traceback_within_one_that_broke_off_is_read() -> None:
    lines = ["Traceback (most recent call last):", FORGE, *(f"    {line}" for line in raised(NO_CLIP))]
    assert roots(explain(lines)) == ["no-clip-state-dict"]


def test_an_excerpt_from_the_middle_of_an_indented_traceback_is_read() -> None:
    assert roots(explain([f"    {line}" for line in raised(NO_CLIP)[1:]])) == ["no-clip-state-dict"]


def test_the_end_of_the_process_is_no_cause_after_an_error() -> None:
    assert roots(explain([*raised("TypeError: strange"), "Press any key to continue . . ."])) == ["?"]
    assert roots(explain(["Press any key to continue . . ."])) == ["press-any-key"]
