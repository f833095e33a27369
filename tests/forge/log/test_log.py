"""Forge's console as typed events, fed in any pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgediag.forge.log import (
    Answered,
    BarMoved,
    CleanedUp,
    Corrupted,
    Created,
    EnvironmentChanged,
    Event,
    FellBack,
    LoadBegan,
    Loaded,
    LogReader,
    ModelLoaded,
    Moved,
    OutOfMemory,
    Raised,
    RanLow,
    Started,
    StateDict,
    Tiled,
    Unloaded,
    VramState,
)
from forgediag.forge.log.reader import KEPT

GOLDEN = Path(__file__).parents[2] / "golden"
TARGET = (
    "[Memory Management] Target: KModel, Free GPU: 1500.00 MB, Model Require: 640.16 MB, Previously Loaded: 0.00 MB, "
    "Inference Require: 1024.00 MB, Remaining: -164.16 MB, "
)
SWAP = "CPU Swap Loaded (blocked method): 288.00 MB, GPU Loaded: 352.16 MB\n"
LINES: list[tuple[str, Event]] = [
    ("Total VRAM 12282 MB, total RAM 32509 MB", Started(12282, 32509)),
    ("Set vram state to: NORMAL_VRAM", VramState("NORMAL_VRAM")),
    (
        "Environment vars changed: {'stream': False, 'inference_memory': 1579.0, 'pin_shared_memory': True}",
        EnvironmentChanged(stream=False, inference=1579.0, pinned=True),
    ),
    (
        (
            "Loading Model: {'checkpoint_info': {'filename': 'C:\\\\models\\\\a.safetensors', 'hash': '16dc60b3'}, '"
            "additional_modules': ['C:\\\\models\\\\ae.safetensors', \"it's.safetensors\"], 'unet_storage_dtype': None}"
        ),
        LoadBegan("C:\\models\\a.safetensors", ("C:\\models\\ae.safetensors", "it's.safetensors")),
    ),
    ("StateDict Keys: {'unet': 686, 'vae': 248, 'ignore': 0}", StateDict({"unet": 686, "vae": 248, "ignore": 0})),
    (
        "K-Model Created: {'storage_dtype': torch.float8_e4m3fn, 'computation_dtype': torch.bfloat16}",
        Created("float8_e4m3fn", "bfloat16"),
    ),
    ("K-Model Created: {'storage_dtype': 'nf4', 'computation_dtype': torch.bfloat16}", Created("nf4", "bfloat16")),
    (
        "Model loaded in 13.4s (unload existing model: 0.8s, forge model load: 10.3s, calculate hash: 2.4s).",
        ModelLoaded(13.4, {"unload existing model": 0.8, "forge model load": 10.3, "calculate hash": 2.4}),
    ),
    ("Model loaded in 0.4s", ModelLoaded(0.4, {})),
    ("Moving model(s) has taken 0.05 seconds", Moved(0.05)),
    ("Memory cleanup has taken 0.12 seconds", CleanedUp(0.12)),
    (
        "Warning: Ran out of memory when regular VAE decoding, retrying with tiled VAE decoding.",
        Tiled("decoding"),
    ),
    ("Ran out of memory when regular VAE encoding, retrying with tiled VAE encoding.", Tiled("encoding")),
    (
        "[Low GPU VRAM Warning] Your current GPU free memory is 1424.47 MB for this diffusion iteration.",
        RanLow(1424.47),
    ),
    ("Checkpoint gone not found; loading fallback good.safetensors ", FellBack("gone", "good.safetensors")),
    ("File corrupted: /m/my model.safetensors ", Corrupted("/m/my model.safetensors")),
    (
        'INFO:     127.0.0.1:37240 - "POST /sdapi/v1/txt2img HTTP/1.1" 200 OK',
        Answered("POST", "/sdapi/v1/txt2img", 200),
    ),
    (
        'INFO:     127.0.0.1:37240 - "GET /sdapi/v1/progress?skip_current_image=true HTTP/1.1" 401',
        Answered("GET", "/sdapi/v1/progress", 401),
    ),
    (
        "Total progress: 100%|██████████| 4/4 [00:06<00:00,  1.75s/it]",
        BarMoved(4, 4, 6, 1.75, total=True),
    ),
    (" 50%|█████     | 10/20 [01:00:05<00:10,  4.00it/s]", BarMoved(10, 20, 3605, 0.25, total=False)),
    ("  0%|          | 0/20 [00:00<?, ?it/s]", BarMoved(0, 20, 0, None, total=False)),
    ("  5%|          | 1/20 [00:00<00:01, 0.00it/s]", BarMoved(1, 20, 0, None, total=False)),
    ("  5%|          | 1/20 [00:00<00:01, 1.2.3it/s]", BarMoved(1, 20, 0, None, total=False)),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        OutOfMemory("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),
    ),
]


def events(text: str, size: int | None = None) -> list[Event]:
    reader = LogReader()
    pieces = [text] if size is None else [text[at : at + size] for at in range(0, len(text), size)]
    return [seen.event for piece in pieces for seen in reader.feed(piece, 0.0)]


@pytest.mark.parametrize(
    ("line", "event"), LINES, ids=[f"{type(event).__name__}-{n}" for n, (_, event) in enumerate(LINES)]
)
def test_a_line_is_its_event(line: str, event: Event) -> None:
    assert events(line + "\n") == [event]


def test_an_unload_is_one_event_with_all_it_read_and_dropped() -> None:
    text = (
        "[Unload] Trying to free 3072.00 MB for cuda:0 with 1 models keep loaded ... "
        "Current free memory is 900.00 MB ... Unload model KModel Current free memory is 7200.50 MB ... Done.\n"
    )

    assert events(text) == [Unloaded(3072.0, "cuda:0", 1, (900.0, 7200.5), ("KModel",))]


def test_an_unload_of_everything_needs_no_amount() -> None:
    text = "[Unload] Trying to free all memory for cpu with 0 models keep loaded ... Done.\n"

    assert events(text) == [Unloaded(None, "cpu", 0, (), ())]


def test_a_swapped_load_tells_where_its_weights_are() -> None:
    assert events(TARGET + SWAP) == [
        Loaded("KModel", 1500.0, 640.16, 0.0, 1024.0, -164.16, 288.0, 352.16, "CPU", "blocked")
    ]


def test_pinned_and_asynchronous_swap_is_told_apart() -> None:
    (event,) = events(TARGET + "Shared Swap Loaded (asynchronous method): 288.00 MB, GPU Loaded: 352.16 MB\n")

    assert isinstance(event, Loaded)
    assert (event.location, event.method) == ("Shared", "asynchronous")


def test_a_load_without_swap_has_everything_on_the_card() -> None:
    (event,) = events(TARGET + "All loaded to GPU.\n")

    assert isinstance(event, Loaded)
    assert (event.gpu, event.swapped, event.location) == (640.16, 0.0, None)


def test_on_a_cpu_only_the_end_of_a_load_is_printed() -> None:
    assert events("All loaded to GPU.\n") == [Loaded(None)]


def test_a_swap_without_its_beginning_still_tells_its_amounts() -> None:
    (event,) = events(SWAP)

    assert isinstance(event, Loaded)
    assert (event.target, event.swapped) == (None, 288.0)


def test_other_output_between_the_pieces_is_no_matter() -> None:
    access = 'INFO:     127.0.0.1:1 - "GET /sdapi/v1/memory HTTP/1.1" 200 OK\n'
    text = (
        "[Unload] Trying to free 3072.00 MB for cuda:0 with 0 models keep loaded ... " + access
        + "Current free memory is 900.00 MB ... Unload model KModel " + access + "Done.\n" + TARGET + access + SWAP
    )  # fmt: skip

    assert [type(event) for event in events(text) if not isinstance(event, Answered)] == [Unloaded, Loaded]


def test_pieces_of_an_unload_nobody_saw_begin_are_nothing() -> None:
    assert events("Current free memory is 900.00 MB ... Unload model KModel Done.\n") == []


def test_an_event_knows_when_it_began_and_ended() -> None:
    reader = LogReader()
    reader.feed(TARGET, 1.0)

    (seen,) = reader.feed("All loaded to GPU.", 3.0)

    assert (seen.began, seen.at) == (1.0, 3.0)


def test_the_last_line_of_a_traceback_is_what_was_raised() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/f/modules/x.py", line 1, in load\n'
        "    raise ValueError('Failed: to')\n"
        "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooSmall\n"
        "later: no error\n"
    )

    assert events(text) == [
        Raised("safetensors_rust.SafetensorError", "Error while deserializing header: HeaderTooSmall")
    ]


def test_an_error_without_a_message_is_told_too() -> None:
    assert events("Traceback (most recent call last):\n  x\nKeyboardInterrupt\n") == [Raised("KeyboardInterrupt", "")]


def test_a_bare_word_does_not_end_a_traceback() -> None:
    assert events("Traceback (most recent call last):\nload\nMemoryError\n") == [Raised("MemoryError", "")]


def test_colours_and_carriage_returns_are_taken_off() -> None:
    text = (
        "\x1b[32mMoving model(s) has taken \x1b[1m0.05 seconds\x1b[0m\r\n 50%|█ | 1/2 [00:01<00:01,  1.00s/it]\x1b[A\r"
    )

    assert events(text) == [Moved(0.05), BarMoved(1, 2, 1, 1.0, total=False)]


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    reader = LogReader()

    for _ in range(50):
        reader.feed("x" * 1000, 0.0)

    assert len(reader._text) <= KEPT


@pytest.mark.parametrize("size", [1, 7, 64])
def test_where_the_text_is_cut_changes_nothing(size: int) -> None:
    text = "".join(line + "\n" for line, _ in LINES) + TARGET + SWAP

    assert events(text, size) == events(text)


@pytest.mark.parametrize("name", ["scenarios.json", "played.json"])
def test_every_line_forge_printed_is_an_event(name: str) -> None:
    lines = [line for line in _strings(json.loads((GOLDEN / name).read_bytes())) if line.startswith("[")]

    assert len(lines) > 400
    assert [line for line in lines if len(events(line + "\n")) != 1] == []


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("[Unload] Trying to free 1.MB\n\r\x1b'{}:,"), max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    events(text, 13)


def _strings(document: Any) -> list[str]:
    if isinstance(document, str):
        return [document]
    items = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    return [text for item in items for text in _strings(item)]
