"""The text encoders Forge builds, as trees of parameters."""

from __future__ import annotations

from collections.abc import Mapping

from forgediag.forge.state_dict import EMPTY, LINEAR, Network, affine, weight

VOCABULARY = 49408
POSITIONS = 77


def clip(width: int, layers: int) -> Network:
    """IntegratedCLIP (Forge dfdcbab, backend/nn/clip.py; transformers 4.46.1, CLIPTextModel)."""
    layer = Network(
        children={
            "self_attn": Network(children=dict.fromkeys(("k_proj", "v_proj", "q_proj", "out_proj"), LINEAR)),
            "layer_norm1": affine(width),
            "mlp": Network(children={"activation_fn": EMPTY, "fc1": LINEAR, "fc2": LINEAR}),
            "layer_norm2": affine(width),
        }
    )
    embeddings = {
        "token_embedding": weight(VOCABULARY, width),
        "position_embedding": weight(POSITIONS, width),
    }
    text = {
        "embeddings": Network(children=embeddings),
        "encoder": Network(children={"layers": Network(children={str(i): layer for i in range(layers)})}),
        "final_layer_norm": affine(width),
    }
    transformer = Network(children={"text_model": Network(children=text), "text_projection": LINEAR})
    return Network({"logit_scale": ()}, {"transformer": transformer})


def t5(width: int = 4096, layers: int = 24, heads: int = 64, vocabulary: int = 32128) -> Network:
    """IntegratedT5 with the config of T5-XXL (Forge dfdcbab, backend/nn/t5.py)."""
    blocks = {str(index): _t5_block(width, heads if index == 0 else 0) for index in range(layers)}
    encoder = {"block": Network(children=blocks), "final_layer_norm": weight(width)}
    transformer = {"encoder": Network(children=encoder), "shared": weight(vocabulary, width)}
    return Network({"logit_scale": ()}, {"transformer": Network(children=transformer)})


def _t5_block(width: int, heads: int) -> Network:
    attention = dict.fromkeys("qkvo", LINEAR)
    if heads:
        attention["relative_attention_bias"] = weight(32, heads)
    dense = Network(children=dict.fromkeys(("wi_0", "wi_1", "wo"), LINEAR))
    layers = {
        "0": Network(children={"SelfAttention": Network(children=attention), "layer_norm": weight(width)}),
        "1": Network(children={"DenseReluDense": dense, "layer_norm": weight(width)}),
    }
    return Network(children={"layer": Network(children=layers)})


CLIPS: Mapping[str, tuple[int, int]] = {"clip_l": (768, 12), "clip_g": (1280, 32), "clip_h": (1024, 23)}
"""Width and layers of each CLIP (Forge dfdcbab, backend/huggingface/*/text_encoder*/config.json)."""
