"""Real shapes of files, none of which may raise an alarm: recorded from torch 2.13's own files, opcode by opcode."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from forgediag.formats.pickle import read, read_pickle
from forgediag.formats.window import Held
from forgediag.model import Header, Tensor
from forgediag.testing.pickles import (
    Code,
    Reduce,
    Storages,
    Weight,
    call,
    ordered,
    packed,
    reach,
    text,
    torch_legacy,
    torch_zip,
    value,
)

ORDERED = Code(reach("collections", "OrderedDict") + b")R")
ADAM = {
    "state": {0: {"step": Weight("F32", ()), "exp_avg": Weight("F32", (4,)), "exp_avg_sq": Weight("F32", (4,))}},
    "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), "amsgrad": False, "fused": None, "params": [0]}],
}
LATIN = Code(call(reach("_codecs", "encode"), "\x00\x01", "latin1"))
DTYPE = Code(call(reach("numpy", "dtype"), "f8", False, True) + value((3, "<", None, None, None, -1, -1, 0)) + b"b")
SCALAR = Code(call(reach("numpy.core.multiarray", "scalar"), DTYPE, LATIN))
EMPTY_ARRAY = call(reach("numpy.core.multiarray", "_reconstruct"), Code(reach("numpy", "ndarray")), (0,), b"b")
ARRAY = Code(EMPTY_ARRAY + value((1, (2, 3), DTYPE, False, LATIN)) + b"b")
CALLBACK = Code(reach("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"))
UNET = {"model.diffusion_model.out.2.bias": Weight("F16", (4,)), "cond_stage_model.x": Weight("F32", (2, 3))}


def sparse(dtype: str) -> Reduce:
    layout = Code(call(reach("torch.serialization", "_get_layout"), "torch.sparse_coo"))
    parts = (Weight("I64", (2, 3)), Weight(dtype, (3,)), (5, 5), True)
    return Reduce(reach("torch._utils", "_rebuild_sparse_tensor"), (layout, parts))


SHAPES: dict[str, object] = {
    "sd15-checkpoint-of-pytorch-lightning": {
        "epoch": 3, "global_step": 840000, "pytorch-lightning_version": "1.4.2", "state_dict": dict(UNET),
        "callbacks": {CALLBACK: {"best": SCALAR, "score": Weight("F32", ()), "path": "a/b"}},
        "optimizer_states": [ADAM], "lr_schedulers": [{"last_epoch": SCALAR}],
    },
    "pruned-checkpoint": {"state_dict": dict(UNET)},
    "module-with-metadata": {"_metadata": ordered({}, Storages()), "conv_in.weight": Weight("F32", (5, 4, 3, 3))},
    "parameters": {"w": Weight("F32", (2, 2), parameter=True)},
    "textual-inversion-pt": {
        "string_to_token": {"*": 265}, "string_to_param": {"*": Weight("F32", (2, 768), parameter=True)},
        "name": "x", "step": 5, "sd_checkpoint": None, "sd_checkpoint_name": None,
    },
    "textual-inversion-bin": {"<cat>": Weight("F32", (768,))},
    "hypernetwork": {
        768: ({"linear.0.weight": Weight("F32", (8, 4))}, {"linear.0.weight": Weight("F32", (8, 4))}),
        "layer_structure": [1, 2, 1], "is_layer_norm": False, "optional_info": None,
    },
    "lora-pt": {"lora_unet_down_blocks_0.lora_up.weight": Weight("F16", (320, 4)), "x.alpha": Weight("F32", ())},
    "esrgan-upscaler": {"params_ema": {"conv_first.weight": Weight("F32", (64, 3, 3, 3))}},
    "diffusers-bin": {"up_blocks.0.resnets.0.conv1.weight": Weight("F16", (4, 4, 3, 3))},
    "optimizer-state": {"model": dict(UNET), "optimizer": ADAM, "step": 3},
    "numpy-values": {"w": Weight("F32", (1,)), "array": ARRAY, "scalar": SCALAR, "bytes": LATIN},
    "bfloat16": {"w": Weight("BF16", (3,))},
    "fp8": {"a": Weight("F8_E4M3", (3,)), "b": Weight("F8_E5M2", (3,))},
    "every-other-dtype": {name: Weight(name, (3,)) for name in ("F64", "I64", "I32", "I16", "I8", "U8", "BOOL")},
    "sparse": {"w": Weight("F32", (1,)), "s": sparse("F32")},
    "dtype-and-device-values": {
        "w": Weight("F32", (1,)), "dtype": Code(reach("torch", "float16")),
        "device": Code(call(reach("torch", "device"), "cpu")), "size": Code(call(reach("torch", "Size"), [1, 2])),
    },
    "sets-and-namespaces": {
        "w": Weight("F32", (1,)), "set": Code(call(reach("__builtin__", "set"), [1, 2])), "big": 2**70, "neg": -1,
        "args": Code(call(reach("argparse", "Namespace")) + value({"lr": 0.1}) + b"b"), "f": 1.5, "none": None,
        "path": Code(call(reach("pathlib", "PosixPath"), "a", "b")),
        "complex": Code(call(reach("__builtin__", "complex"), 1.0, 2.0)),
        "default": Code(call(reach("collections", "defaultdict"), Code(reach("__builtin__", "int")))),
    },
    "scalars-and-empty": {"e": Weight("F32", (0,)), "s": Weight("F32", ()), "z": Weight("F32", (3, 0))},
    "omegaconf": {
        "w": Weight("F32", (1,)),
        "config": Code(reach("omegaconf.dictconfig", "DictConfig") + b")\x81" + value({"a": 1}) + b"b"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("save", [torch_zip, torch_legacy])
def test_a_real_shape_raises_no_alarm(name: str, save: Callable[[object], bytes]) -> None:
    found = read(Held(save(SHAPES[name])))

    assert found.safety.safe, found.safety
    assert isinstance(found.found, Header), found.found
    assert found.found.tensors


def test_a_state_dict_inside_a_checkpoint_is_what_forge_takes() -> None:
    header = read_pickle(Held(torch_zip(SHAPES["sd15-checkpoint-of-pytorch-lightning"])))
    assert isinstance(header, Header)
    assert header.tensors == {
        "model.diffusion_model.out.2.bias": Tensor("F16", (4,), 8),
        "cond_stage_model.x": Tensor("F32", (2, 3), 24),
    }
    assert header.metadata["global_step"] == "840000"


def names(shape: object) -> list[str]:
    header = read_pickle(Held(torch_zip(shape)))
    assert isinstance(header, Header), header
    return list(header.tensors)


def test_dicts_and_lists_within_each_other_join_their_names() -> None:
    assert names({"params": {"a": Weight("F32", (1,))}, "l": [1, Weight("F32", (1,))]}) == ["params.a", "l.1"]
    assert names({True: Weight("F32", (1,)), 1.5: Weight("F32", (1,))}) == ["True", "?"]


def test_what_holds_itself_ends() -> None:
    loop = b"}q\x00X\x01\x00\x00\x00ah\x00s."
    assert read_pickle(Held(packed(b"\x80\x02" + loop))) == Header("pickle", {})


def test_a_tensor_that_is_a_view_has_its_own_size() -> None:
    shape = {"a": Weight("F32", (4, 6)), "b": Weight("F32", (2, 6), share="0", offset=12)}
    header = read_pickle(Held(torch_zip(shape)))
    assert isinstance(header, Header)
    assert header.tensors["b"] == Tensor("F32", (2, 6), 48)


def test_a_sparse_tensor_counts_its_parts() -> None:
    header = read_pickle(Held(torch_legacy({"s": sparse("F32")})))
    assert isinstance(header, Header)
    assert header.tensors == {"s": Tensor("F32", (5, 5), 6 * 8 + 3 * 4)}


def rebuilt(function: str, *arguments: object, module: str = "torch._utils") -> dict[str, Tensor]:
    file = packed(b"\x80\x02" + value({"w": Code(call(reach(module, function), *arguments))}) + b".")
    header = read_pickle(Held(file))
    assert isinstance(header, Header), header
    return dict(header.tensors)


def test_tensors_without_data_have_shape_and_dtype() -> None:
    half = Code(reach("torch", "float16"))
    assert rebuilt("_rebuild_meta_tensor_no_storage", half, (2, 3), (3, 1), False) == {"w": Tensor("F16", (2, 3), 12)}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("_rebuild_meta_tensor_no_storage", (None, (2,))),
        ("_rebuild_meta_tensor_no_storage", ()),
        ("_rebuild_tensor_v2", ()),
        ("_rebuild_tensor_v2", (None, 0, (1,), (1,))),
        ("_rebuild_sparse_tensor", (None, (1, 2))),
        ("_rebuild_sparse_tensor", ()),
        ("_rebuild_parameter", ()),
    ],
)
def test_a_call_that_torch_would_refuse_is_no_tensor(function: str, arguments: tuple[object, ...]) -> None:
    assert rebuilt(function, *arguments) == {}


@pytest.mark.parametrize(("offset", "shape"), [(None, (1,)), (0, 5), (0, (-1,)), (0, (1,) * 65)])
def test_a_tensor_with_an_impossible_shape_is_none(offset: int | None, shape: object) -> None:
    storage = Code(value(("storage", Code(reach("torch", "FloatStorage")), "0", "cpu", 1)) + b"Q")
    assert rebuilt("_rebuild_tensor_v2", storage, offset, shape, (1,)) == {}


def test_a_tensor_of_a_type_of_its_own_is_one() -> None:
    half = Code(reach("torch", "float16"))
    inner = Code(reach("torch._utils", "_rebuild_meta_tensor_no_storage"))
    kind = Code(reach("torch.nn.parameter", "Parameter"))
    arguments = (inner, kind, (half, (2,), (1,), False), None)
    assert rebuilt("_rebuild_from_type_v2", *arguments, module="torch._tensor") == {"w": Tensor("F16", (2,), 4)}
    arguments = (inner, kind, [half], None)
    assert rebuilt("_rebuild_from_type_v2", *arguments, module="torch._tensor") == {}


def test_a_dtype_beside_an_untyped_storage_counts() -> None:
    storages = Storages()
    held = value(Weight("U8", (8,)), storages)
    storage = Code(held[held.index(b"(X") : held.index(b"Q") + 1])
    u16 = Code(reach("torch", "uint16"))
    made = Code(call(reach("torch._utils", "_rebuild_tensor_v3"), storage, 0, (4,), (1,), False, ORDERED, u16))
    header = read_pickle(Held(packed(b"\x80\x02" + value({"w": made}) + b".", storages)))
    assert isinstance(header, Header)
    assert header.tensors == {"w": Tensor("U16", (4,), 8)}


def test_an_ordered_dict_may_be_given_its_pairs() -> None:
    made = call(reach("collections", "OrderedDict"), [["a", 1], ["b"]])
    assert read_pickle(Held(packed(b"\x80\x02" + made + b"."))) == Header("pickle", {}, {"a": "1"})
    made = call(reach("collections", "defaultdict"), Code(reach("__builtin__", "int")), {"a": 2})
    assert read_pickle(Held(packed(b"\x80\x02" + made + b"."))) == Header("pickle", {}, {"a": "2"})


def test_every_way_to_write_a_constant_is_read() -> None:
    body = (
        b"(I01\nI00\nI5\nL5L\nF1.5\nS'a\\x62'\nS\"c\"\nVd\\u0065\nK\x01M\x01\x00J\x01\x00\x00\x00\x8b\x01\x00\x00\x00\x05"
        b"T\x01\x00\x00\x00xU\x01xC\x01x\x8d\x01\x00\x00\x00\x00\x00\x00\x00x\x8e\x01\x00\x00\x00\x00\x00\x00\x00x"
        b"\x96\x01\x00\x00\x00\x00\x00\x00\x00x\x8c\x01x)\x85\x86\x87(l(d\x8f(\x90(\x91(K\x01K\x02\x8800(0]K\x01a2l."
    )
    found = read(Held(packed(b"\x80\x05" + body)))
    assert found.safety.safe, found.safety
    assert text("é") == b"X\x02\x00\x00\x00\xc3\xa9"
