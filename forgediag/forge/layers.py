"""Tensors grouped into the modules Forge builds, in the order in which its classes define them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from forgediag.forge.dtypes import FP4, GGUF, GGUF_BAKED, GGUF_QUANTS, NF4, SIZE, elements
from forgediag.forge.parts import Layer
from forgediag.model import Tensor

_CHILDREN: Mapping[str, str] = {
    "": "encoder decoder quant_conv post_quant_conv shared text_model text_projection time_embed label_emb "
    "input_blocks zero_convs input_hint_block middle_block middle_block_out output_blocks out "
    "img_in time_in vector_in guidance_in distilled_guidance_layer txt_in "
    "double_blocks single_blocks x_embedder t_embedder y_embedder context_embedder joint_blocks final_layer",
    "input_blocks": "in_layers emb_layers out_layers skip_connection op norm proj_in transformer_blocks proj_out",
    "middle_block": "in_layers emb_layers out_layers norm proj_in transformer_blocks proj_out",
    "output_blocks": "in_layers emb_layers out_layers skip_connection conv norm proj_in transformer_blocks proj_out",
    "transformer_blocks": "attn1 norm1 attn2 norm2 ff norm3",
    "attn1": "to_q to_k to_v to_out",
    "attn2": "to_q to_k to_v to_out qkv proj ln_q ln_k",
    "double_blocks": "img_mod img_attn img_mlp txt_mod txt_attn txt_mlp",
    "img_attn": "qkv norm proj",
    "txt_attn": "qkv norm proj",
    "norm": "query_norm key_norm",
    "single_blocks": "linear1 linear2 norm modulation",
    "distilled_guidance_layer": "in_proj layers norms out_proj",
    "final_layer": "linear adaLN_modulation",
    "joint_blocks": "context_block x_block",
    "context_block": "attn mlp adaLN_modulation",
    "x_block": "attn attn2 mlp adaLN_modulation",
    "attn": "qkv proj ln_q ln_k",
    "text_model": "embeddings encoder final_layer_norm",
    "embeddings": "token_embedding position_embedding",
    "layers": "in_layer out_layer self_attn layer_norm1 mlp layer_norm2",
    "self_attn": "k_proj v_proj q_proj out_proj",
    "layer": "SelfAttention DenseReluDense layer_norm",
    "SelfAttention": "q k v o relative_attention_bias",
    "DenseReluDense": "wi_0 wi_1 wo",
    "encoder": "conv_in down mid norm_out conv_out layers block final_layer_norm",
    "decoder": "conv_in mid up norm_out conv_out",
    "block": "norm1 conv1 norm2 conv2 nin_shortcut layer",
    "down": "block attn downsample",
    "up": "block attn upsample",
    "mid": "block_1 attn_1 block_2",
    "block_1": "norm1 conv1 norm2 conv2",
    "block_2": "norm1 conv1 norm2 conv2",
    "attn_1": "norm q k v proj_out",
}
"""Children in the order in which Forge's classes define them (backend/nn/*.py, transformers' CLIP), by parent."""

_RANK = {(parent, token): i for parent, tokens in _CHILDREN.items() for i, token in enumerate(tokens.split())}


def _place(path: str) -> tuple[tuple[int, str], ...]:
    """A sort key that puts module paths in definition order; what no class defines comes last, by name."""
    key: list[tuple[int, str]] = []
    parent = ""
    for token in path.split("."):
        if token.isdigit():
            key.append((int(token), ""))
        else:
            key.append((_RANK.get((parent, token), 99), token))
            parent = token
    return tuple(key)


def modules(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by module path and leaf name, modules in definition order; companions of quantised weights left out."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        if ".weight." not in name and not path.endswith(".weight") and not tensor.dtype.startswith("I"):
            grouped.setdefault(path, {})[leaf] = tensor
    return {path: grouped[path] for path in sorted(grouped, key=_place)}


Measure = Callable[[str, Tensor], tuple[float, int]]
"""(bytes as Forge counts them, real bytes) of a tensor, by its leaf name."""


def layer(path: str, leaves: Mapping[str, Tensor], measure: Measure, *, legacy: bool = False) -> Layer:
    """A layer from the tensors of one module."""
    counted = {leaf: measure(leaf, tensor) for leaf, tensor in leaves.items()}
    weight = counted.pop("weight", None)
    real = [] if weight is None else [weight[1]]
    return Layer(
        path,
        weight[0] if weight else 0,
        sum(count for count, _ in counted.values()),
        tuple(real + [size for _, size in counted.values()]),
        legacy,
    )


def plain(size: int) -> Measure:
    """Every tensor cast to a type of `size` bytes; a `scale_weight` keeps its own."""

    def measure(leaf: str, tensor: Tensor) -> tuple[float, int]:
        nbytes = tensor.nbytes if leaf == "scale_weight" else elements(tensor.shape) * size
        return nbytes, nbytes

    return measure


def raw(_leaf: str, tensor: Tensor) -> tuple[float, int]:
    """A GGUF tensor as it lies in the file."""
    return tensor.nbytes, tensor.nbytes


def baked(_leaf: str, tensor: Tensor) -> tuple[float, int]:
    """A GGUF tensor after the first load, which prepares some types for computing."""
    before, after = GGUF_BAKED.get(tensor.dtype[5:], (1, 1))
    return tensor.nbytes * after // before, tensor.nbytes * after // before


def computed(size: int) -> Measure:
    """A GGUF tensor after the first forward pass: what is not quantised is in the computation type now."""

    def measure(leaf: str, tensor: Tensor) -> tuple[float, int]:
        if leaf == "weight" and tensor.dtype.removeprefix("GGUF:") in GGUF_QUANTS:
            return baked(leaf, tensor)
        return plain(size)(leaf, tensor)

    return measure


def bnb(size: int) -> Measure:
    """A bitsandbytes 4-bit linear layer: 1.1 bytes a byte once quantised, 0.55 an element before (module_size)."""

    def measure(leaf: str, tensor: Tensor) -> tuple[float, int]:
        count = elements(tensor.shape)
        if leaf != "weight":
            return count * size, count * size
        return (count * 1.1, count) if tensor.dtype == "U8" else (count * 0.55, count // 2)

    return measure


Life = tuple[Layer, Layer, Layer]
"""A layer as built, after its first load, after its first forward pass."""


def linear(path: str, leaves: Mapping[str, Tensor], storage: str, computation: str) -> Life:
    """A linear layer over its life in a storage type."""
    size = SIZE[computation]
    if storage == GGUF:
        return layer(path, leaves, raw), layer(path, leaves, baked), layer(path, leaves, computed(size))
    still = layer(path, leaves, bnb(size) if storage in {NF4, FP4} else plain(SIZE[storage]))
    return still, still, still


def total_elements(tensors: Iterable[Tensor]) -> int:
    """Elements as torch sees them: raw bytes of a quantised GGUF tensor, else elements (state_dict_parameters)."""
    return sum(
        t.nbytes if t.dtype.startswith("GGUF:") and t.dtype[5:] not in {"F16", "F32"} else elements(t.shape)
        for t in tensors
    )
