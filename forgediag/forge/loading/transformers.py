"""The transformers of Flux, Chroma and SD3 as Forge builds them, as trees of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping

from forgediag.forge.state_dict import EMPTY, LINEAR, Network, Shape, affine, linears, listed, weight
from forgediag.model import LoadError

DOUBLE, SINGLE = 19, 38
"""Blocks of every Flux and Chroma, whatever a file holds (huggingface_guess 84826248, detection.py)."""

_MLP = Network(children={"in_layer": LINEAR, "silu": EMPTY, "out_layer": LINEAR})
_QK = Network(children=dict.fromkeys(("query_norm", "key_norm"), Network({"scale": (128,)})))
_ATTENTION = Network(children={"qkv": LINEAR, "norm": _QK, "proj": LINEAR})
_MODULATION = Network(children={"lin": LINEAR})


def flux(*, guidance: bool) -> Network:
    """IntegratedFluxTransformer2DModel (Forge dfdcbab, backend/nn/flux.py); `guidance` is dev's."""
    before = {"pe_embedder": EMPTY, "img_in": LINEAR, "time_in": _MLP, "vector_in": _MLP}
    before["guidance_in"] = _MLP if guidance else EMPTY
    last = {"norm_final": EMPTY, "linear": LINEAR, "adaLN_modulation": linears(1)}
    return _flux(before, _MODULATION, last)


def chroma() -> Network:
    """IntegratedChromaTransformer2DModel (Forge dfdcbab, backend/nn/chroma.py; its sizes in backend/loader.py)."""
    guidance = {
        "in_proj": LINEAR,
        "layers": listed([_MLP] * 5),
        "norms": listed([Network({"scale": (5120,)})] * 5),
        "out_proj": LINEAR,
    }
    before = {"pe_embedder": EMPTY, "img_in": LINEAR, "distilled_guidance_layer": Network(children=guidance)}
    return _flux(before, None, {"norm_final": EMPTY, "linear": LINEAR})


def _flux(before: Mapping[str, Network], modulation: Network | None, last: Mapping[str, Network]) -> Network:
    double: dict[str, Network] = {}
    for side in ("img", "txt"):
        double |= {f"{side}_mod": modulation} if modulation else {}
        double |= {f"{side}_norm1": EMPTY, f"{side}_attn": _ATTENTION, f"{side}_norm2": EMPTY}
        double[f"{side}_mlp"] = linears(0, 2)
    single = {"linear1": LINEAR, "linear2": LINEAR, "norm": _QK, "pre_norm": EMPTY, "mlp_act": EMPTY}
    single |= {"modulation": modulation} if modulation else {}
    return Network(
        children={
            **before,
            "txt_in": LINEAR,
            "double_blocks": listed([Network(children=double)] * DOUBLE),
            "single_blocks": listed([Network(children=single)] * SINGLE),
            "final_layer": Network(children=last),
        }
    )


NO_NUMBER = "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
"""The message of the TypeError for a size that the file does not tell (Python 3.10 to 3.13)."""


def mmdit(shapes: Mapping[str, Shape]) -> Network | LoadError:
    """MMDiTX (Forge dfdcbab, backend/nn/mmditx.py), or what Forge raises for one that does not tell its sizes."""
    if not {"pos_embed", "y_embedder.mlp.0.weight"} <= shapes.keys():
        return LoadError("TypeError", NO_NUMBER)
    embedder = shapes["x_embedder.proj.weight"]
    inside, patch, depth = embedder[1], embedder[2], embedder[0] // 64
    wide = 64 * depth
    positions = shapes["pos_embed"][1]
    normed = "joint_blocks.0.context_block.attn.ln_q.weight" in shapes
    twice = range(13) if round(math.sqrt(positions)) == 384 else range(0)
    blocks = [_joint(normed, last=index == depth - 1, twice=index in twice) for index in range(depth)]
    context = LINEAR if "context_embedder.weight" in shapes else EMPTY
    mlp = Network(children={"mlp": linears(0, 2)})
    last = {"norm_final": EMPTY, "linear": LINEAR, "adaLN_modulation": linears(1)}
    return Network(
        {"pos_embed": (1, positions, wide)},
        {
            "x_embedder": Network(children={"proj": affine(wide, inside, patch, patch)}),
            "t_embedder": mlp,
            "y_embedder": mlp,
            "context_embedder": context,
            "joint_blocks": listed(blocks),
            "final_layer": Network(children=last),
        },
    )


def _joint(normed: bool, *, last: bool, twice: bool) -> Network:  # noqa: FBT001 - whether queries and keys are
    context, pictures = _block(normed, pre_only=last), _block(normed, twice=twice)
    return Network(children={"context_block": context, "x_block": pictures})


def _block(normed: bool, *, pre_only: bool = False, twice: bool = False) -> Network:  # noqa: FBT001 - as above
    norm = weight(64) if normed else EMPTY
    norms = {"ln_q": norm, "ln_k": norm}
    whole = Network(children={"qkv": LINEAR, "proj": LINEAR, **norms})
    parts = {"norm1": EMPTY, "attn": Network(children={"qkv": LINEAR, **norms}) if pre_only else whole}
    parts |= {"attn2": whole} if twice else {}
    if not pre_only:
        parts["norm2"] = EMPTY
        parts["mlp"] = Network(children={"fc1": LINEAR, "act": EMPTY, "fc2": LINEAR})
    return Network(children={**parts, "adaLN_modulation": linears(1)})
