"""Errors while generating: what the next ones with the same cause would print is understood, and near ones are not."""

import pytest

from forgediag.explain import explain
from forgediag.testing.explained import roots

FORGE = '  File "C:\\Forge\\webui\\{}", line 7, in f\n    {}\n'


def root(text: str) -> str:
    return roots(explain(text.split("\n")))[0]


def raised(error: str, *frames: tuple[str, str]) -> str:
    return "Traceback (most recent call last):\n" + "".join(FORGE.format(*frame) for frame in frames) + error


@pytest.mark.parametrize(
    ("error", "frames", "cause"),
    [
        (
            "AttributeError: 'NoneType' object has no attribute 'load'",
            [("modules\\img2img.py", "image = Image.alpha_composite(inpaint_color_sketch, inpaint_color_sketch_fg)")],
            "inpaint-canvas-empty",
        ),
        (
            "AttributeError: 'NoneType' object has no attribute 'y'",
            [("modules\\img2img.py", "x")],
            "none-attribute-any",
        ),
        (
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)",
            [("extensions\\sd-webui-controlnet\\scripts\\batch_hijack.py", "x"), ("modules\\processing.py", "x")],
            "text-widths-mixed",
        ),
        (
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)",
            [("modules\\processing.py", "x"), ("backend\\patcher\\controlnet.py", "x")],
            "controlnet-family",
        ),
        (
            "RuntimeError: Sizes of tensors must match except in dimension 1. Expected size 4 but got size 3",
            [("extensions-builtin\\forge_legacy_preprocessors\\annotator\\midas\\api.py", "x")],
            "preprocessor-shape",
        ),
        (
            "RuntimeError: Given groups=1, weight of size [8, 4, 7, 7], expected input[1, 16, 9, 9] to have 4 channels",
            [("modules\\sd_vae_approx.py", "x")],
            "preview-wrong-family",
        ),
        (
            "AttributeError: 'IntegratedFluxTransformer2DModel' object has no attribute 'output_blocks'",
            [("extensions\\some\\scripts\\a.py", "x")],
            "unet-addon-on-transformer",
        ),
        (
            "AttributeError: 'IntegratedFluxTransformer2DModel' object has no attribute 'inner_forward'",
            [("extensions\\some\\scripts\\a.py", "x")],
            "flux-extension-on-new-neo",
        ),
        ("AssertionError", [("backend\\nn\\unet.py", "assert y.shape[0] == x.shape[0]")], "unet-vector-batch"),
        ("AssertionError", [("backend\\nn\\unet.py", "assert a == b")], "check-failed"),
    ],
)
def test_where_it_was_raised_tells_the_cause(error: str, frames: list[tuple[str, str]], cause: str) -> None:
    assert root(raised(error, *frames)) == cause


FOLDED = (
    'Traceback (most recent call last):   | 0/70 File "E:\\w\\modules_forge\\main_thread.py", line 39, '
    'in loop task.work() File "E:\\w\\extensions\\some\\scripts\\a.py", line 74, in f x = y( '
    "RuntimeError: shape '[1, 32, 32, 320]' is invalid for input of size 564480"
)


def test_a_traceback_that_lost_its_line_ends_is_read() -> None:
    said = explain(["fine", FOLDED, "fine"]).troubles[0].root
    assert said.signature is not None
    assert said.signature.id == "reshape-invalid"
    assert said.line == 2
    assert said.place is not None
    assert said.place.name == "some"


def test_a_chain_of_errors_that_lost_its_line_ends_is_read() -> None:
    link = " During handling of the above exception, another exception occurred: "
    assert root(FOLDED + link + FOLDED.replace("RuntimeError: shape", "OSError: cannot write mode RGBA as JPEG")) != "?"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("KeyError: 'Euler a Karras'", "sampler-key-old"),
        ("KeyError: 'euler'", "key-missing"),
        ("TypeError: '>' not supported between instances of 'NoneType' and 'float'", "operand-none"),
        ("TypeError: '>' not supported between instances of 'str' and 'int'", "operand-types"),
        ("TypeError: 'NoneType' object is not iterable", "none-not-iterable"),
        ("TypeError: 'bool' object is not iterable", "kind-wrong"),
        ("TypeError: object of type 'NoneType' has no len()", "none-value-any"),
        ("TypeError: object of type 'int' has no len()", "kind-wrong"),
        ("AttributeError: 'tuple' object has no attribute 'shape'", "container-for-object"),
        ("ValueError: too many values to unpack (expected 3)", "unpack-differs"),
        ("ValueError: cannot reshape array of size 12 into shape (2,2,4)", "array-reshape"),
        ("RuntimeError: Overflow when unpacking long", "seed-too-large"),
    ],
)
def test_values_of_the_wrong_kind_are_told_apart(error: str, cause: str) -> None:
    assert root(error) == cause
