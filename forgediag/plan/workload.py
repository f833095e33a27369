"""The loads a picture makes."""

from __future__ import annotations

from forgediag.forge.families import Base
from forgediag.forge.memory.run import Workload
from forgediag.model import MB
from forgediag.plan.request import Picture


def workload_of(picture: Picture, base: Base, *, inpaint: bool = False) -> Workload:
    """The loads this makes with a checkpoint of a family, `inpaint` if its UNet takes more than a latent."""
    size = picture.size(base)
    passes = [size]
    if picture.hires is not None:
        passes.append((int(size[0] * picture.hires) // 8 * 8, int(size[1] * picture.hires) // 8 * 8))
    return Workload(
        passes=tuple(passes),
        batch=picture.batch,
        images=picture.images,
        prompts=1 if picture.scale(base) == 1 else 2,
        hires_prompts=picture.hires_prompts(base),
        cached_prompt=picture.cached_prompt,
        new_prompt=picture.new_prompt,
        img2img=picture.img2img,
        inpaint=inpaint,
        late_encode=picture.late_encode,
        cloned_unet=picture.cloned_unet,
        new_lora=picture.new_lora,
        pixel_hires=picture.pixel_hires,
        hard=picture.hard_mb * MB,
        split_attention=picture.split_attention,
    )
