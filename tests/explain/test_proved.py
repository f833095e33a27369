"""Signatures that blame one part tell of it only where the text proves it, and leave finer causes first."""

import pytest

from forgediag.explain import explain
from forgediag.testing.explained import roots

TRACEBACK = "Traceback (most recent call last):"
OOM = "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB"
CONTROL = [
    '  File "/w/backend/sampling/sampling_function.py", line 267, in calc_cond_uncond_batch',
    "    c['control'] = control.get_control(input_x, timestep_, control_cond, 2)",
]
A1111_CONTROLNET = ['  File "/w/extensions/sd-webui-controlnet/scripts/hook.py", line 470, in process_sample']
EVA_CLIP = ['  File "/w/extensions/sd-webui-controlnet-evaclip/scripts/hook.py", line 4, in f']
PIP_RUNS = [
    '  File "/w/venv/lib/python3.10/site-packages/pip/__main__.py", line 24, in <module>',
    '  File "/w/venv/lib/python3.10/site-packages/pip/_internal/cli/base_command.py", line 180, in exc_logging_wrapper',
]
PIP_LOADS = ['  File "/w/venv/lib/python3.10/site-packages/pip/_internal/cli/main.py", line 10, in <module>']
DTYPES = "RuntimeError: mat1 and mat2 must have the same dtype, but got Float and Half"


@pytest.mark.parametrize(
    ("frames", "error", "cause"),
    [
        (CONTROL, "OddError: strange", "controlnet-get-control"),
        (CONTROL, OOM, "oom-cuda-any"),
        (CONTROL, DTYPES, "dtype-differs"),
        (A1111_CONTROLNET, DTYPES, "a1111-controlnet-in-forge"),
        (A1111_CONTROLNET, OOM, "oom-cuda-any"),
        (EVA_CLIP, DTYPES, "dtype-differs"),
        (PIP_LOADS, "ImportError: strange", "pip-broken"),
        (PIP_RUNS, "OddError: strange", "package-raised"),
    ],
)
def test_a_part_is_blamed_for_what_it_alone_can_have_done(frames: list[str], error: str, cause: str) -> None:
    assert roots(explain([TRACEBACK, *frames, error])) == [cause]


@pytest.mark.parametrize(
    ("shapes", "cause"),
    [
        ("4096x64 and 32x6144", "gguf-blocks-not-shaped"),
        ("1x768 and 256x9216", "gguf-blocks-not-shaped"),
        ("77x2048 and 768x320", "text-widths-mixed"),
        ("1x300 and 256x3072", "mat1-mat2-shapes"),
    ],
)
def test_blocks_of_a_quantised_layer_are_told_by_their_number(shapes: str, cause: str) -> None:
    assert roots(explain([f"RuntimeError: mat1 and mat2 shapes cannot be multiplied ({shapes})"])) == [cause]


def test_what_is_missing_after_a_failed_load_follows_from_it() -> None:
    failed = [TRACEBACK, '  File "/w/modules/sd_models.py", line 1, in f', OOM]
    after = [TRACEBACK, '  File "/w/modules/processing.py", line 1, in f', "AttributeError: 'NoneType' object has no"]
    trouble = explain([*failed, *after[:2], f"{after[2]} attribute 'is_webui_legacy_model'"]).troubles[0]
    assert trouble.root.line == 3
    assert [one.signature.id for one in trouble.follow_ups if one.signature is not None] == ["none-model"]
