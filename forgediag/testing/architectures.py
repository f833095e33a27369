"""Tensor names and shapes of the networks Forge loads, generated from their published architectures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Shapes = dict[str, tuple[int, ...]]


def _affine(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", (shape[0],)


def _residual(name: str, inside: int, outside: int, embedding: int) -> Shapes:
    made = dict(_affine(f"{name}.in_layers.0", inside))
    made |= _affine(f"{name}.in_layers.2", outside, inside, 3, 3)
    made |= _affine(f"{name}.emb_layers.1", outside, embedding)
    made |= _affine(f"{name}.out_layers.0", outside)
    made |= _affine(f"{name}.out_layers.3", outside, outside, 3, 3)
    if inside != outside:
        made |= _affine(f"{name}.skip_connection", outside, inside, 1, 1)
    return made


def _transformer(name: str, width: int, depth: int, context: int, *, linear: bool) -> Shapes:
    kernel = () if linear else (1, 1)
    made = dict(_affine(f"{name}.norm", width))
    made |= _affine(f"{name}.proj_in", width, width, *kernel)
    for index in range(depth):
        block = f"{name}.transformer_blocks.{index}"
        for attention, keys in (("attn1", width), ("attn2", context)):
            made |= {f"{block}.{attention}.to_{part}.weight": (width, size) for part, size in
                     (("q", width), ("k", keys), ("v", keys))}  # fmt: skip
            made |= _affine(f"{block}.{attention}.to_out.0", width, width)
        made |= _affine(f"{block}.ff.net.0.proj", 8 * width, width)
        made |= _affine(f"{block}.ff.net.2", width, 4 * width)
        for norm in ("norm1", "norm2", "norm3"):
            made |= _affine(f"{block}.{norm}", width)
    made |= _affine(f"{name}.proj_out", width, width, *kernel)
    return made


def unet(
    width: int,
    levels: tuple[tuple[int, int], ...],
    context: int,
    middle: int,
    *,
    adm: int | None = None,
    channels: int = 4,
    linear: bool = True,
) -> Shapes:
    """A latent diffusion UNet: two residual blocks a level; `levels` are (width multiple, transformer depth)."""
    multiples, depths = zip(*levels, strict=True)
    embedding = 4 * width
    made = dict(_affine("time_embed.0", embedding, width)) | dict(_affine("time_embed.2", embedding, embedding))
    if adm is not None:
        made |= _affine("label_emb.0.0", embedding, adm)
        made |= _affine("label_emb.0.2", embedding, embedding)
    made |= _affine("input_blocks.0.0", width, channels, 3, 3)
    sizes, now, index = [width], width, 1
    for level, multiple in enumerate(multiples):
        for _ in range(2):
            made |= _residual(f"input_blocks.{index}.0", now, now := width * multiple, embedding)
            if depths[level]:
                made |= _transformer(f"input_blocks.{index}.1", now, depths[level], context, linear=linear)
            sizes.append(now)
            index += 1
        if level < len(multiples) - 1:
            made |= _affine(f"input_blocks.{index}.0.op", now, now, 3, 3)
            sizes.append(now)
            index += 1
    made |= _residual("middle_block.0", now, now, embedding)
    made |= _transformer("middle_block.1", now, middle, context, linear=linear)
    made |= _residual("middle_block.2", now, now, embedding)
    index = 0
    for level in reversed(range(len(multiples))):
        for block in range(3):
            made |= _residual(f"output_blocks.{index}.0", now + sizes.pop(), now := width * multiples[level], embedding)
            place = 1
            if depths[level]:
                made |= _transformer(f"output_blocks.{index}.1", now, depths[level], context, linear=linear)
                place = 2
            if level and block == 2:
                made |= _affine(f"output_blocks.{index}.{place}.conv", now, now, 3, 3)
            index += 1
    return made | dict(_affine("out.0", width)) | dict(_affine("out.2", 4, width, 3, 3))


def _mlp(name: str, inside: int, outside: int) -> Shapes:
    return dict(_affine(f"{name}.in_layer", outside, inside)) | dict(_affine(f"{name}.out_layer", outside, outside))


def flux(*, guidance: bool = True, chroma: bool = False) -> Shapes:
    """Flux dev (guidance), schnell (none) or Chroma (a guidance network in place of the modulations)."""
    wide = 3072
    made = dict(_affine("img_in", wide, 64))
    if chroma:
        made |= _affine("distilled_guidance_layer.in_proj", 5120, 64)
        for index in range(5):
            made |= _mlp(f"distilled_guidance_layer.layers.{index}", 5120, 5120)
        made |= {f"distilled_guidance_layer.norms.{index}.scale": (5120,) for index in range(5)}
        made |= _affine("distilled_guidance_layer.out_proj", wide, 5120)
    else:
        made |= _mlp("time_in", 256, wide) | _mlp("vector_in", 768, wide)
        made |= _mlp("guidance_in", 256, wide) if guidance else {}
    made |= _affine("txt_in", wide, 4096)
    for index in range(19):
        for side in ("img", "txt"):
            block = f"double_blocks.{index}.{side}"
            made |= {} if chroma else _affine(f"{block}_mod.lin", 6 * wide, wide)
            made |= _affine(f"{block}_attn.qkv", 3 * wide, wide)
            made |= {f"{block}_attn.norm.{norm}_norm.scale": (128,) for norm in ("query", "key")}
            made |= _affine(f"{block}_attn.proj", wide, wide)
            made |= _affine(f"{block}_mlp.0", 4 * wide, wide)
            made |= _affine(f"{block}_mlp.2", wide, 4 * wide)
    for index in range(38):
        block = f"single_blocks.{index}"
        made |= _affine(f"{block}.linear1", 7 * wide, wide)
        made |= _affine(f"{block}.linear2", wide, 5 * wide)
        made |= {f"{block}.norm.{norm}_norm.scale": (128,) for norm in ("query", "key")}
        made |= {} if chroma else _affine(f"{block}.modulation.lin", 3 * wide, wide)
    made |= _affine("final_layer.linear", 64, wide)
    return made if chroma else made | dict(_affine("final_layer.adaLN_modulation.1", 2 * wide, wide))


def mmdit(depth: int, *, positions: int, norms: bool, twice: Iterable[int] = ()) -> Shapes:
    """Stable Diffusion 3's transformer; `norms` on queries and keys, a second attention in the blocks `twice`."""
    wide, second = 64 * depth, set(twice)
    made: Shapes = dict(_affine("x_embedder.proj", wide, 16, 2, 2)) | {"pos_embed": (1, positions, wide)}
    for name, inside in (("t_embedder", 256), ("y_embedder", 2048)):
        made |= _affine(f"{name}.mlp.0", wide, inside)
        made |= _affine(f"{name}.mlp.2", wide, wide)
    made |= _affine("context_embedder", wide, 4096)
    for index in range(depth):
        for side in ("context_block", "x_block"):
            block, last = f"joint_blocks.{index}.{side}", side == "context_block" and index == depth - 1
            double = side == "x_block" and index in second
            for attention in ("attn", "attn2") if double else ("attn",):
                made |= _affine(f"{block}.{attention}.qkv", 3 * wide, wide)
                made |= {} if last else _affine(f"{block}.{attention}.proj", wide, wide)
                made |= {f"{block}.{attention}.ln_{part}.weight": (64,) for part in "qk"} if norms else {}
            if not last:
                made |= _affine(f"{block}.mlp.fc1", 4 * wide, wide)
                made |= _affine(f"{block}.mlp.fc2", wide, 4 * wide)
            made |= _affine(f"{block}.adaLN_modulation.1", (2 if last else 9 if double else 6) * wide, wide)
    made |= _affine("final_layer.linear", 64, wide)
    return made | dict(_affine("final_layer.adaLN_modulation.1", 2 * wide, wide))


def clip(wide: int, layers: int, *, projection: bool = False) -> Shapes:
    """A CLIP text encoder as transformers names it."""
    made: Shapes = {
        "text_model.embeddings.token_embedding.weight": (49408, wide),
        "text_model.embeddings.position_embedding.weight": (77, wide),
    }
    for index in range(layers):
        layer = f"text_model.encoder.layers.{index}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            made |= _affine(f"{layer}.self_attn.{part}", wide, wide)
        made |= _affine(f"{layer}.layer_norm1", wide)
        made |= _affine(f"{layer}.mlp.fc1", 4 * wide, wide)
        made |= _affine(f"{layer}.mlp.fc2", wide, 4 * wide)
        made |= _affine(f"{layer}.layer_norm2", wide)
    made |= _affine("text_model.final_layer_norm", wide)
    return made | ({"text_projection.weight": (wide, wide)} if projection else {})


def open_clip(wide: int, layers: int) -> Shapes:
    """A CLIP text encoder as OpenCLIP names it (in SD2, SDXL and refiner checkpoints)."""
    made: Shapes = {"positional_embedding": (77, wide), "text_projection": (wide, wide), "logit_scale": ()}
    made["token_embedding.weight"] = (49408, wide)
    for index in range(layers):
        block = f"transformer.resblocks.{index}"
        made |= _affine(f"{block}.ln_1", wide)
        made |= {f"{block}.attn.in_proj_weight": (3 * wide, wide), f"{block}.attn.in_proj_bias": (3 * wide,)}
        made |= _affine(f"{block}.attn.out_proj", wide, wide)
        made |= _affine(f"{block}.ln_2", wide)
        made |= _affine(f"{block}.mlp.c_fc", 4 * wide, wide)
        made |= _affine(f"{block}.mlp.c_proj", wide, 4 * wide)
    return made | dict(_affine("ln_final", wide))


def t5() -> Shapes:
    """The encoder of T5-XXL."""
    made: Shapes = {"shared.weight": (32128, 4096)}
    for index in range(24):
        block = f"encoder.block.{index}.layer"
        made |= {f"{block}.0.SelfAttention.{part}.weight": (4096, 4096) for part in "qkvo"}
        if index == 0:
            made[f"{block}.0.SelfAttention.relative_attention_bias.weight"] = (32, 64)
        made[f"{block}.0.layer_norm.weight"] = (4096,)
        made |= {f"{block}.1.DenseReluDense.wi_{part}.weight": (10240, 4096) for part in (0, 1)}
        made[f"{block}.1.DenseReluDense.wo.weight"] = (4096, 10240)
        made[f"{block}.1.layer_norm.weight"] = (4096,)
    return made | {"encoder.final_layer_norm.weight": (4096,)}


def _vae_block(name: str, inside: int, outside: int) -> Shapes:
    made = dict(_affine(f"{name}.norm1", inside)) | dict(_affine(f"{name}.conv1", outside, inside, 3, 3))
    made |= dict(_affine(f"{name}.norm2", outside)) | dict(_affine(f"{name}.conv2", outside, outside, 3, 3))
    return made | (dict(_affine(f"{name}.nin_shortcut", outside, inside, 1, 1)) if inside != outside else {})


def _vae_middle(name: str) -> Shapes:
    made = _vae_block(f"{name}.mid.block_1", 512, 512) | dict(_affine(f"{name}.mid.attn_1.norm", 512))
    for part in ("q", "k", "v", "proj_out"):
        made |= _affine(f"{name}.mid.attn_1.{part}", 512, 512, 1, 1)
    return made | _vae_block(f"{name}.mid.block_2", 512, 512)


def vae(channels: int) -> Shapes:
    """The autoencoder with 4 (with quantising convolutions) or 16 latent channels."""
    made: Shapes = dict(_affine("encoder.conv_in", 128, 3, 3, 3))
    now = 128
    for level, size in enumerate((128, 256, 512, 512)):
        for block in range(2):
            made |= _vae_block(f"encoder.down.{level}.block.{block}", now, now := size)
        made |= _affine(f"encoder.down.{level}.downsample.conv", now, now, 3, 3) if level < 3 else {}
    made |= _vae_middle("encoder") | dict(_affine("encoder.norm_out", 512))
    made |= _affine("encoder.conv_out", 2 * channels, 512, 3, 3)
    made |= dict(_affine("decoder.conv_in", 512, channels, 3, 3)) | _vae_middle("decoder")
    for level, size in ((3, 512), (2, 512), (1, 256), (0, 128)):
        for block in range(3):
            made |= _vae_block(f"decoder.up.{level}.block.{block}", now, now := size)
        made |= _affine(f"decoder.up.{level}.upsample.conv", now, now, 3, 3) if level else {}
    made |= dict(_affine("decoder.norm_out", 128)) | dict(_affine("decoder.conv_out", 3, 128, 3, 3))
    if channels == 4:
        made |= _affine("quant_conv", 8, 8, 1, 1)
        made |= _affine("post_quant_conv", 4, 4, 1, 1)
    return made
