"""Loading a state dict into a network, by names and shapes alone: what is missing, unexpected, or of another size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forgediag.model import Tensor

StateDict = dict[str, Tensor]
"""Tensors by name, in the order in which Forge's dict has them: messages follow it."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A module: its own parameters, and its children in the order in which torch registered them.

    `lenient` is Forge's own Linear: it takes whatever has its name, misses nothing and looks at no other name
    (Forge dfdcbab, backend/operations.py). `sizes` are outputs and inputs, where they are known.
    """

    parameters: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    children: Mapping[str, Network] = field(default_factory=dict[str, "Network"])
    lenient: bool = False
    sizes: Shape = ()


LINEAR = Network(lenient=True)
EMPTY = Network()


def linear(outside: int, inside: int) -> Network:
    """A Linear whose sizes are known."""
    return Network(lenient=True, sizes=(outside, inside))


def affine(*shape: int) -> Network:
    """A convolution or a norm: a weight of this shape and a bias as long as its first dimension."""
    return Network({"weight": shape, "bias": shape[:1]})


def weight(*shape: int) -> Network:
    """An embedding or a norm without a bias."""
    return Network({"weight": shape})


def listed(modules: Sequence[Network]) -> Network:
    """A list or sequence of modules."""
    return Network(children={str(index): module for index, module in enumerate(modules)})


def linears(*places: int) -> Network:
    """A sequence with linear layers in these places, up to the last, and layers without parameters between them."""
    return listed([LINEAR if index in places else EMPTY for index in range(places[-1] + 1)])


@dataclass(slots=True)
class Loaded:
    """What `load_state_dict(strict=False)` returns or raises.

    `mute` are the Linear weights it lacks without a word, `unfit` those it takes though they are of another size.
    """

    missing: list[str] = field(default_factory=list[str])
    unexpected: list[str] = field(default_factory=list[str])
    mismatched: list[str] = field(default_factory=list[str])
    mute: list[str] = field(default_factory=list[str])
    unfit: list[str] = field(default_factory=list[str])

    def error(self, name: str) -> str | None:
        """The message of the RuntimeError it raises, for a network of this class name."""
        return (
            "\n\t".join((f"Error(s) in loading state_dict for {name}:", *self.mismatched)) if self.mismatched else None
        )


def load(network: Network, tensors: Mapping[str, Tensor]) -> Loaded:
    """Load tensors into a network.

    The order of every list is torch's: a module's own names, then its children's; unexpected names of one module
    in the order of the state dict (torch 2.13.0, nn/modules/module.py; the messages of 2.3.1 are the same).
    """
    result = Loaded()
    _load(network, {name: tensor.shape for name, tensor in tensors.items()}, "", result)
    return result


def _load(network: Network, shapes: Mapping[str, Shape], prefix: str, result: Loaded) -> None:
    if network.lenient:
        _take(network, shapes, prefix, result)
        return
    for name, wanted in network.parameters.items():
        if name not in shapes:
            result.missing.append(prefix + name)
        elif shapes[name] != wanted and not (wanted == () and shapes[name] == (1,)):
            result.mismatched.append(
                f"size mismatch for {prefix}{name}: copying a param with shape {size(shapes[name])} from checkpoint, "
                f"the shape in current model is {size(wanted)}."
            )
    below: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        head, dot, rest = name.partition(".")
        if dot and head in network.children:
            below.setdefault(head, {})[rest] = shape
        elif dot or name not in network.parameters:
            result.unexpected.append(prefix + name)
    for name, child in network.children.items():
        _load(child, below.get(name, {}), f"{prefix}{name}.", result)


def _take(network: Network, shapes: Mapping[str, Shape], prefix: str, result: Loaded) -> None:
    """A Linear takes what there is."""
    if "weight" not in shapes:
        result.mute.append(f"{prefix}weight")
    elif _unfit(shapes["weight"], network.sizes):
        result.unfit.append(f"{prefix}weight")


def _unfit(shape: Shape, sizes: Shape) -> bool:
    """Whether a matrix is of another size; packed 4-bit weights are a single column, and are unpacked later."""
    return bool(sizes) and shape != sizes and not (len(shape) == 2 and shape[1] == 1)


def size(shape: Shape) -> str:
    """A shape as torch prints it."""
    return f"torch.Size([{', '.join(map(str, shape))}])"
