"""The pickles of the corpus: good ones of both kinds, and one for each fault."""

from __future__ import annotations

from forgediag.testing.pickles import Weight, packed, torch_legacy, torch_zip, zipped

_UNET = "model.diffusion_model.input_blocks.0.0.weight"
_ZIP = torch_zip({"state_dict": {_UNET: Weight("F16", (320, 4, 3, 3)), "b": Weight("F32", (4,))}})
_OLD = torch_legacy({_UNET: Weight("F16", (320, 4, 3, 3)), "b": Weight("F32", (4,))})
_LARGE = torch_zip({"w": Weight("F32", (1024, 600))})
_PLACE = _ZIP.index(b"archive/data/0") - 30

PICKLES: dict[str, tuple[bytes, str | None]] = {
    "zip": (_ZIP, None),
    "zip-large": (_LARGE, None),
    "zip-deflated": (torch_zip({"w": Weight("BF16", (8, 8))}, deflated=True), None),
    "old": (_OLD, None),
    "zip-cut": (_ZIP[: len(_ZIP) // 2], "pickle-cut"),
    "zip-cut-by-a-byte": (_ZIP[:-1], "pickle-cut"),
    "zip-large-cut": (_LARGE[:-100], "pickle-cut"),
    "old-cut": (_OLD[:-1], "pickle-cut"),
    "old-cut-in-its-pickle": (_OLD[:150], "pickle-cut"),
    "zip-in-front": (b"PK\3\4" + _ZIP, "zip-directory"),
    "zip-of-model-whole": (zipped([("model.safetensors", bytes(64))]), "zip-not-torch"),
    "zip-version": (zipped([("a/data.pkl", b"N."), ("a/version", b"99")]), "zip-version"),
    "torchscript": (packed(b"N.", extra=[("constants.pkl", b"N.")]), "torchscript"),
    "pickle-of-opcodes": (packed(b"\x80\2\xff."), "pickle-broken"),
    "plain-pickle": (b"\x80\2}q\0.", "pickle-not-torch"),
    "nothing-known": (b"\1\2\3", "pickle-unreadable"),
    "record-missing": (_ZIP.replace(b"archive/data/0", b"archive/data/9"), "record-missing"),
    "record-moved": (_ZIP[:_PLACE] + b"XX" + _ZIP[_PLACE + 2 :], "record-unreadable"),
    "record-short": (
        torch_zip({"a": Weight("F32", (2,)), "b": Weight("F64", (2,), share="0")}), "record-size",
    ),
    "tensor-bounds": (
        torch_zip({"a": Weight("F32", (2,)), "b": Weight("F32", (4,), share="0")}), "tensor-bounds",
    ),
}  # fmt: skip
"""The file and its fault's id by label; None for a good one."""
