"""The UNet of SD1, SD2 and SDXL as Forge builds it for a file: its config read off the names, then every layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from forgediag.forge.loading.overlay import MaskedError
from forgediag.forge.state_dict import EMPTY, Network, Shape, affine, linear, listed
from forgediag.model import LoadError


@dataclass(frozen=True, slots=True)
class Config:
    """What Forge derives from the names and shapes (huggingface_guess 84826248, detection.py, detect_unet_config).

    `blocks` are the residual blocks of each level, `depths` the transformer blocks after each of them on the way
    down, `depths_up` on the way up, listed from the outermost; `middle` is negative without a transformer.
    """

    channels: int
    inside: int
    outside: int
    adm: int | None
    blocks: tuple[int, ...]
    multiples: tuple[int, ...]
    depths: tuple[int, ...]
    depths_up: tuple[int, ...]
    middle: int
    linear: bool
    context: int


_TRANSFORMER = re.compile(r"((?:in|out)put_blocks\.\d+\.)1\.transformer_blocks\.(\d+)")
_FIRST = re.compile(r"input_blocks\.(\d+)\.1\.transformer_blocks\.")
_BLOCK = re.compile(r"input_blocks\.(\d+)\.")


def config(shapes: Mapping[str, Shape], prefix: str) -> Config:
    """The config of a UNet whose names are without their prefix.

    Args:
        shapes: shapes by name; `input_blocks.0.0.weight` is among them and has two sides at least.
        prefix: of the names in the file, for the error's text.

    Raises:
        MaskedError: a name is not there that Forge looks up.
    """
    depth = _Depths(shapes, prefix).of
    count = _counted({int(found[1]) for name in shapes if (found := _BLOCK.match(name))})
    channels, inside = shapes["input_blocks.0.0.weight"][:2]
    levels: list[list[int]] = [[]]
    down: list[int] = []
    up: list[int] = []
    for index in range(count):
        there, back = f"input_blocks.{index}.", f"output_blocks.{count - index - 1}."
        if f"{there}0.op.weight" in shapes:
            levels.append([])
            up.append(depth(back))
            continue
        if f"{there}0.in_layers.0.weight" in shapes:
            levels[-1].append(_first(_shape(shapes, f"{there}0.out_layers.3.weight", prefix)) // channels)
            down.append(depth(there))
        if f"{back}0.in_layers.0.weight" in shapes:
            up.append(depth(back))
    label, out = shapes.get("label_emb.0.0.weight"), shapes.get("out.2.weight")
    return Config(
        channels=channels,
        inside=inside,
        outside=out[0] if out else 4,
        adm=label[1] if label and len(label) > 1 else None,
        blocks=tuple(map(len, levels)),
        multiples=tuple(level[-1] if level else 0 for level in levels),
        depths=tuple(down),
        depths_up=tuple(up),
        middle=_middle(shapes),
        linear=_linear(shapes),
        context=_context(shapes),
    )


def _shape(shapes: Mapping[str, Shape], name: str, prefix: str) -> Shape:
    if name not in shapes:
        raise MaskedError(f"KeyError: '{prefix}{name}'")
    return shapes[name]


def _first(shape: Shape) -> int:
    if not shape:
        raise MaskedError("IndexError: tuple index out of range")
    return shape[0]


class _Depths:
    """How many transformer blocks a block has, as Forge counts them: from 0 on, without a gap."""

    def __init__(self, shapes: Mapping[str, Shape], prefix: str) -> None:
        self._shapes, self._prefix = shapes, prefix
        self._found: dict[str, set[str]] = {}
        for name in shapes:
            if match := _TRANSFORMER.match(name):
                self._found.setdefault(match[1], set()).add(match[2])

    def of(self, block: str) -> int:
        found = self._found.get(block)
        if found is None:
            return 0
        _shape(self._shapes, f"{block}1.transformer_blocks.0.attn2.to_k.weight", self._prefix)
        _shape(self._shapes, f"{block}1.proj_in.weight", self._prefix)
        count = 0
        while any(text.startswith(str(count)) for text in found):
            count += 1
        return count


def _counted(indices: set[int]) -> int:
    count = 0
    while count in indices:
        count += 1
    return count


def _middle(shapes: Mapping[str, Shape]) -> int:
    if "middle_block.1.proj_in.weight" not in shapes:
        return -1
    count = 0
    while any(name.startswith(f"middle_block.1.transformer_blocks.{count}") for name in shapes):
        count += 1
    return count


def _context(shapes: Mapping[str, Shape]) -> int:
    """Inputs of the keys of the first cross attention; Forge takes those of the others to be the same."""
    end = ".transformer_blocks.0.attn2.to_k.weight"
    there = [(int(found[1]), name) for name in shapes if name.endswith(end) and (found := _FIRST.match(name))]
    return shapes[min(there)[1]][1] if there else 0


def _linear(shapes: Mapping[str, Shape]) -> bool:
    """Whether the first transformer's projections are matrices."""
    blocks = {int(found[1]) for name in shapes if (found := _FIRST.match(name))}
    within = [index for index in blocks if f"input_blocks.{index}.0.in_layers.0.weight" in shapes]
    return bool(within) and len(shapes.get(f"input_blocks.{min(within)}.1.proj_in.weight", ())) == 2


def network(found: Config, heads: int | None) -> Network | LoadError:
    """IntegratedUNet2DConditionModel (Forge dfdcbab, backend/nn/unet.py).

    Args:
        found: the config.
        heads: attention heads where their number is fixed, None for 64 channels a head.

    Returns:
        The network, or what Forge raises where the config tells of fewer blocks on the way up than it builds.
    """
    if len(found.depths_up) < sum(found.blocks) + len(found.blocks):
        return LoadError("IndexError", "pop from empty list")
    wide = 4 * found.channels
    time = listed([linear(wide, found.channels), EMPTY, linear(wide, wide)])
    children: dict[str, Network] = {"time_embed": time}
    if found.adm is not None:
        children["label_emb"] = listed([listed([linear(wide, found.adm), EMPTY, linear(wide, wide)])])
    down = list(_down(found, heads))
    now = down[-1][1]
    children["input_blocks"] = listed([block for block, _ in down])
    children["middle_block"] = listed(_middle_block(now, found, heads))
    children["output_blocks"] = listed(list(_up(found, heads, [width for _, width in down])))
    out = affine(found.outside, found.channels, 3, 3)
    children["out"] = listed([affine(found.channels * found.multiples[0]), EMPTY, out])
    return Network(children=children)


def _down(found: Config, heads: int | None) -> Iterator[tuple[Network, int]]:
    """The blocks on the way down, each with the channels it gives."""
    now = found.channels
    yield listed([affine(found.channels, found.inside, 3, 3)]), now
    depths = iter(found.depths)
    for level, multiple in enumerate(found.multiples):
        for _ in range(found.blocks[level]):
            block = [_residual(now, now := multiple * found.channels, found)]
            if depth := next(depths):
                block.append(_transformer(now, depth, found, heads))
            yield listed(block), now
        if level < len(found.multiples) - 1:
            yield listed([Network(children={"op": affine(now, now, 3, 3)})]), now


def _middle_block(now: int, found: Config, heads: int | None) -> list[Network]:
    if found.middle < 0:
        return [_residual(now, now, found)]
    return [_residual(now, now, found), _transformer(now, found.middle, found, heads), _residual(now, now, found)]


def _up(found: Config, heads: int | None, widths: list[int]) -> Iterator[Network]:
    now, depths = widths[-1], list(found.depths_up)
    for level in reversed(range(len(found.multiples))):
        for index in range(found.blocks[level] + 1):
            block = [_residual(now + widths.pop(), now := found.multiples[level] * found.channels, found)]
            if depth := depths.pop():
                block.append(_transformer(now, depth, found, heads))
            if level and index == found.blocks[level]:
                block.append(Network(children={"conv": affine(now, now, 3, 3)}))
            yield listed(block)


def _residual(inside: int, outside: int, found: Config) -> Network:
    """A block; one that is to give no channels at all gives as many as it takes."""
    outside = outside or inside
    skip = EMPTY if inside == outside else affine(outside, inside, 1, 1)
    return Network(
        children={
            "in_layers": listed([affine(inside), EMPTY, affine(outside, inside, 3, 3)]),
            "h_upd": EMPTY,
            "x_upd": EMPTY,
            "emb_layers": listed([EMPTY, linear(outside, 4 * found.channels)]),
            "out_layers": listed([affine(outside), EMPTY, EMPTY, affine(outside, outside, 3, 3)]),
            "skip_connection": skip,
        }
    )


def _attention(wide: int, context: int) -> Network:
    keys = linear(wide, context)
    out = listed([linear(wide, wide), EMPTY])
    return Network(children={"to_q": linear(wide, wide), "to_k": keys, "to_v": keys, "to_out": out})


def _transformer(now: int, depth: int, found: Config, heads: int | None) -> Network:
    wide = now // heads * heads if heads else now // 64 * 64
    norm, feed = affine(wide), Network(children={"proj": linear(8 * wide, wide)})
    block = Network(
        children={
            "attn1": _attention(wide, wide),
            "norm1": norm,
            "attn2": _attention(wide, found.context),
            "norm2": norm,
            "ff": Network(children={"net": listed([feed, EMPTY, linear(wide, 4 * wide)])}),
            "norm3": norm,
        }
    )
    into, out = linear(wide, now), linear(wide, now)
    if not found.linear:
        into, out = affine(wide, now, 1, 1), affine(now, wide, 1, 1)
    return Network(
        children={
            "norm": affine(now),
            "proj_in": into,
            "transformer_blocks": listed([block] * depth),
            "proj_out": out,
        }
    )
