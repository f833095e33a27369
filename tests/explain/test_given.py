"""Signatures that demand proof: what numbers are to each other, and whose the card is."""

import pytest

from forgediag.explain import explain, signatures
from forgediag.explain.given import holds
from forgediag.explain.signature import Signature
from forgediag.testing.explained import roots

NVIDIA = [signature for signature in signatures() if signature.machine == "nvidia"]
PROGRAM = "ZLUDA support: experimental"
LAYER = "RuntimeError: mat1 and mat2 shapes cannot be multiplied ({})"
PACKED = (
    "RuntimeError: Error(s) in loading state_dict for {}: size mismatch for x.weight: copying a param with shape "
    "torch.Size([{}]) from checkpoint, the shape in current model is torch.Size([{}])."
)
CHANNELS = "RuntimeError: Given groups=1, weight of size [{}], expected input[{}] to have {} channels, but got {} {}"


def root(*lines: str) -> Signature | None:
    return explain(lines).troubles[0].root.signature


def cause(*lines: str) -> str:
    return roots(explain(lines))[0]


@pytest.mark.parametrize(
    ("condition", "gaps", "true"),
    [
        ("{1} * 2 = {2}", ("3", "6"), True),
        ("{1} * 2 = {2}", ("3", "7"), False),
        ("{1} != {2}", ("3", "7"), True),
        ("{1} != {2}", ("7", "7"), False),
        ("{1} < 8", ("7",), True),
        ("{1} < 8", ("8",), False),
        ("{1} in 3 4", ("4",), True),
        ("{1} in 3 4", ("5",), False),
        ("{1} = 1; {2} = 2", ("1", "3"), False),
        ("{1} < 8", ("x",), False),
        ("{1} != {2}", ("1",), False),
        ("{1} < 8", ("²",), False),
        ("1 < {1}", ("9" * 13,), False),
    ],
)
def test_a_relation_is_true_of_whole_numbers_only(condition: str, gaps: tuple[str, ...], true: bool) -> None:
    assert holds([condition], gaps) is true


def test_one_condition_of_several_is_enough() -> None:
    assert holds(["{1} = 1", "{1} = 2"], ("2",))


@pytest.mark.parametrize("condition", ["", "{1}", "= 2", "{1} ="])
def test_what_is_no_relation_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="no relation"):
        holds([condition], ("1",))


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ("4096x64 and 384x3072", "flux-fill-unsupported"),
        ("4032x64 and 128x3072", "flux-first-layer-differs"),
        ("1x59136 and 768x768", "text-encoder-not-pooled"),
        ("2x98560 and 1280x1280", "text-encoder-not-pooled"),
        ("77x2048 and 768x320", "text-widths-mixed"),
        ("154x768 and 2048x640", "text-widths-mixed"),
        ("1x3072 and 1320x18432", "weights-still-packed"),
        ("1x3072 and 1321x18432", "mat1-mat2-shapes"),
        ("4096x3072 and 1728x3072", "weights-still-packed"),
        ("4096x3072 and 3264x3072", "weights-still-packed"),
        ("4096x6144 and 3072x6144", "weights-still-packed"),
        ("4096x3072 and 1x4718592", "weights-still-packed"),
        ("1x2560 and 2816x1280", "mat1-mat2-shapes"),
        ("4096x2048 and 1024x320", "text-widths-mixed"),
    ],
)
def test_shapes_that_do_not_fit_prove_a_cause_or_none(shapes: str, told: str) -> None:
    assert cause(LAYER.format(shapes)) == told


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        ("6144, 3072", "6144, 6144", "state-dict-packed"),
        ("9437184, 1", "6144, 3072", "state-dict-packed"),
        ("6144, 3071", "6144, 6144", "state-dict-any"),
        ("1536, 3072", "6144, 6144", "state-dict-any"),
        ("6144", "3072", "state-dict-any"),
    ],
)
def test_half_of_the_columns_is_a_packed_file(found: str, wanted: str, told: str) -> None:
    assert cause(PACKED.format("Part", found, wanted)) == told


@pytest.mark.parametrize(
    ("weight", "given", "wants", "gets", "told"),
    [
        ("128, 3, 3, 3", "1, 4, 512, 512", 3, 4, "picture-with-alpha"),
        ("64, 3, 3, 3", "1, 1, 512, 512", 3, 1, "picture-with-alpha"),
        ("64, 3, 3, 3", "1, 16, 64, 64", 3, 16, "channels-do-not-fit"),
        ("320, 4, 3, 3", "2, 16, 64, 64", 4, 16, "channels-do-not-fit"),
        ("320, 9, 3, 3", "2, 4, 64, 64", 9, 4, "inpainting-model-plain-latent"),
        ("5120, 36, 1, 2, 2", "1, 16, 21, 60, 104", 36, 16, "inpainting-model-plain-latent"),
    ],
)
def test_channels_that_do_not_fit_prove_a_cause_or_none(
    weight: str, given: str, wants: int, gets: int, told: str
) -> None:
    assert cause(CHANNELS.format(weight, given, wants, gets, "channels instead")) == told


@pytest.mark.parametrize("signature", NVIDIA, ids=[signature.id for signature in NVIDIA])
def test_nothing_of_nvidia_s_is_advised_for_an_amd_card(signature: Signature) -> None:
    for example in signature.examples:
        told = root("Device: cuda:0 AMD Radeon RX 6600 [ZLUDA] : native", *example.text.split("\n"))
        if told is not None:
            assert told.machine != "nvidia"
            assert "nvidia-smi" not in " ".join(told.fix)


@pytest.mark.parametrize(
    "line",
    [
        "ROCm: agents=['gfx1031']",
        PROGRAM,
        "Launching Web UI with arguments: --use-zluda",
        "pytorch version: 2.3.0+rocm6.0",
        'venv "C:\\stable-diffusion-webui-amdgpu-forge\\venv\\Scripts\\Python.exe"',
    ],
)
def test_a_card_is_amd_s_by_what_was_printed_before(line: str) -> None:
    error = "RuntimeError: No CUDA GPUs are available"
    assert (cause(line, error), cause(error)) == ("amd-no-device", "no-cuda-gpus")


def test_a_card_of_nvidia_s_that_is_named_later_counts() -> None:
    lines = [PROGRAM, "Device: cuda:0 NVIDIA GeForce RTX 4090 : native", "RuntimeError: No CUDA GPUs are available"]
    assert cause(*lines) == "no-cuda-gpus"


@pytest.mark.parametrize(
    "line", ["OOM", "CUDA OOM", "out of memory", "RuntimeError: out of memory", "got OOM at 1024x1024"]
)
def test_out_of_memory_in_few_words_is_understood(line: str) -> None:
    assert cause(line) == "oom-named"


def test_a_word_that_ends_like_one_is_not_taken_for_it() -> None:
    assert not explain(["LivingROOM", "ZOOM"]).troubles


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("RuntimeError: Sizes of tensors must match (2 vs 1)", "?"),
        ("RuntimeError: No HIP GPUs are available", "amd-no-device"),
        ("KeyError: 'double_blocks.0.img_attn.qkv.weight_scale'", "tensor-not-in-file"),
        (
            "RuntimeError: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
            "four-meet-three",
        ),
        ("ValueError: operands could not be broadcast together with shapes (8,8,4) (8,8,3)", "picture-channels-differ"),
        ("ValueError: operands could not be broadcast together with shapes (8,9,3) (8,8,3)", "numpy-inhomogeneous"),
        ("Access to the path 'C:\\x\\y' is denied.", "dotnet-access-denied"),
        ("Killed", "linux-killed"),
        ("KeyError: '🔄'", "keyerror-button"),
        ("RuntimeError: \"topk_mps\" not implemented for 'Half'", "mps-dtype"),
        ("RuntimeError: Conv3D is not supported on MPS", "mps-operation"),
        ("TypeError: Retry.__init__() got an unexpected keyword argument 'method_whitelist'", "urllib3-too-new"),
        (
            "AttributeError: 'StableDiffusionProcessingImg2Img' object has no attribute 'hr_scale'",
            "other-mode-attribute",
        ),
        ("RuntimeError: Input type (float) and bias type (c10::Half) should be the same", "layer-type-differs"),
        (
            "RuntimeError: Promotion for Float8 Types is not supported, attempted to promote Half and Float8_e4m3fn",
            "float8-promotion",
        ),
        ("AttributeError: 'Dropdown' object has no attribute 'style'", "extension-for-gradio-3"),
        ("System.IO.IOException: There is not enough space on the disk.", "dotnet-file-error"),
        ("AttributeError: module 'backend.memory_management' has no attribute 'x'", "own-module-lacks"),
    ],
)
def test_siblings_of_what_was_seen_are_understood(line: str, told: str) -> None:
    assert cause(line) == told
