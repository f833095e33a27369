"""UNets and transformers of every family, whole and harmed, for tests of what Forge makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from forgediag.testing import architectures as nets
from forgediag.testing.architectures import Shapes

_SD = ((1, 1), (2, 1), (4, 1), (4, 0))
_XL = ((1, 0), (2, 2), (4, 10))

WHOLE: Mapping[str, Callable[[], Shapes]] = {
    "sd15": lambda: nets.unet(320, _SD, 768, 1, linear=False),
    "sd15-inpaint": lambda: nets.unet(320, _SD, 768, 1, linear=False, channels=9),
    "sd2": lambda: nets.unet(320, _SD, 1024, 1),
    "sdxl": lambda: nets.unet(320, _XL, 2048, 10, adm=2816),
    "refiner": lambda: nets.unet(384, ((1, 0), (2, 4), (4, 4), (4, 0)), 1280, 4, adm=2560),
    "flux": nets.flux,
    "schnell": lambda: nets.flux(guidance=False),
    "chroma": lambda: nets.flux(chroma=True),
    "sd3": lambda: nets.mmdit(24, positions=36864, norms=False),
    "sd35m": lambda: nets.mmdit(24, positions=147456, norms=True, twice=range(13)),
    "sd35l": lambda: nets.mmdit(38, positions=36864, norms=True),
}


def _without(pattern: str) -> Callable[[Shapes], Shapes]:
    wanted = re.compile(pattern)
    return lambda shapes: {name: shape for name, shape in shapes.items() if not wanted.match(name)}


def _shaped(pattern: str, change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Callable[[Shapes], Shapes]:
    wanted = re.compile(pattern)
    return lambda shapes: {name: change(shape) if wanted.match(name) else shape for name, shape in shapes.items()}


def _halved(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(1, length // 2) for length in shape)


def _more(shapes: Shapes) -> Shapes:
    first = next(iter(shapes)).rpartition(".")[0]
    return {"scaled_fp8": (2,), **shapes, f"{first}.alpha": (), "model_ema.decay": (), "time_embed.1.weight": (4,)}


HARMS: Mapping[str, Callable[[Shapes], Shapes]] = {
    "whole": dict,
    "no-middle": _without(r"middle_block\.|double_blocks\.9\.|joint_blocks\.9\."),
    "no-middle-transformer": _without(r"middle_block\.1\.|single_blocks\.20\."),
    "no-out": _without(r"out\.|final_layer\."),
    "no-first-up": _without(r"output_blocks\.0\.|single_blocks\.0\."),
    "no-last-up": _without(r"output_blocks\.(8|11)\.|single_blocks\.37\."),
    "no-second-down": _without(r"input_blocks\.1\.|double_blocks\.0\.|joint_blocks\.0\.x_block"),
    "no-last-down": _without(r"input_blocks\.(8|11)\.|double_blocks\.18\.|joint_blocks\.(23|37)\."),
    "no-last-residual": _without(r"input_blocks\.10\.|joint_blocks\.12\.x_block\.attn2"),
    "no-keys": _without(r"input_blocks\.4\.1\.transformer_blocks\.0\.attn2\.to_k|y_embedder\.mlp\.0"),
    "no-positions": _without(r"pos_embed|context_embedder|time_embed|time_in"),
    "no-norms": _without(r".*(norm\d?|norm\.key_norm|ln_q)\.(weight|bias|scale)$"),
    "no-biases": _without(r".*\.bias$"),
    "half-convolution": _shaped(r"output_blocks\.3\.0\.in_layers\.2|x_embedder\.proj\.bias|.*key_norm", _halved),
    "half-matrices": _shaped(r".*\.(ff\.net\.2|qkv|linear2)\.weight$", _halved),
    "half-down": _shaped(r"input_blocks\.8\.0\.out_layers\.3\.weight|pos_embed", _halved),
    "flat-convolutions": _shaped(r".*(in_layers\.2|skip_connection|proj_in)\.weight$", lambda shape: shape[:2]),
    "more": _more,
}
"""What a broken merge, a wrong extraction or another kind of model does to one."""


def unet(family: str, harm: str) -> Shapes:
    """The tensors of one, without the prefix a checkpoint gives them.

    Raises:
        KeyError: there is no such family or harm.
    """
    return HARMS[harm](WHOLE[family]())
