"""What `plan` and `recommend` are asked: one set of options, and the question for the planner they make."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from forgediag.cli import Failure, quantities

if TYPE_CHECKING:
    from forgediag.plan.request import Picture

Command = Callable[..., None]
MOST_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as given; None where one was not. MB for memory."""

    modules: tuple[str, ...] = ()
    vram: float | None = None
    total_vram: float | None = None
    gpu: str | None = None
    compute_capability: tuple[int, int] | None = None
    ram: float | None = None
    inference_memory: float | None = None
    swap: Literal["queue", "async"] | None = None
    location: Literal["cpu", "shared"] | None = None
    storage: str | None = None
    forge_flags: str | None = None
    size: tuple[int, int] | None = None
    batch: int = 1
    steps: int = 20
    cfg: float | None = None
    images: int = 1
    new_prompt: bool = False
    cached_prompt: bool = False
    img2img: bool = False
    hires: float | None = None
    cloned_unet: bool = False
    reserve_mb: float = 0
    console: str | None = None

    @property
    def picture(self) -> Picture:
        """What is to be generated."""
        from forgediag.plan.request import Picture  # noqa: PLC0415 - a tenth of a second, which --help does without

        width, height = self.size or (None, None)
        return Picture(
            width=width,
            height=height,
            batch=self.batch,
            steps=self.steps,
            cfg=self.cfg,
            images=self.images,
            new_prompt=self.new_prompt,
            cached_prompt=self.cached_prompt,
            img2img=self.img2img,
            hires=self.hires,
            cloned_unet=self.cloned_unet,
            hard_mb=self.reserve_mb,
        )

    @property
    def flags(self) -> frozenset[str] | None:
        """Forge's start flags as attributes, None where none were given."""
        from forgediag.plan.request import flags_of  # noqa: PLC0415 - as above

        return None if self.forge_flags is None else flags_of(self.forge_flags)


def planning(command: Command) -> Command:
    """Give a command the options of the planner; it gets them as `asked`."""
    names = [field.name for field in fields(Asked)]

    @functools.wraps(command)
    def gathered(*arguments: Any, **values: Any) -> None:
        command(*arguments, asked=_checked(Asked(**{name: values.pop(name) for name in names})), **values)

    wrapped: Command = gathered
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _checked(asked: Asked) -> Asked:
    """The options, if they can be meant together.

    Raises:
        Failure: they cannot.
    """
    if asked.vram is not None and asked.total_vram is not None and asked.vram > asked.total_vram:
        raise Failure(f"--vram {asked.vram:g} MB is free memory: a card of {asked.total_vram:g} MB cannot have it")
    if asked.hires is not None and not 1 <= asked.hires <= 8:
        raise Failure(f"--hires {asked.hires:g}: Forge enlarges 1 to 8 times")
    if asked.images > MOST_IMAGES:
        raise Failure(f"--images {asked.images}: at most {MOST_IMAGES} are planned; each is like the second")
    if asked.reserve_mb < 0:
        raise Failure(f"--reserve-mb {asked.reserve_mb:g}: memory kept free is not negative")
    return asked


def _read(parse: Callable[[str, str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    def convert(_context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        return None if text is None else parse(max(parameter.opts, key=len), text)

    return convert


def _option(*names: str, **how: Any) -> Callable[[Command], Command]:
    return cast("Callable[[Command], Command]", click.option(*names, **how))


_OPTIONS = (
    _option("--module", "modules", multiple=True, metavar="FILE", help="A VAE or text encoder file, as Forge's "
            "VAE / Text Encoder box selects it. May be given more than once."),
    _option("--vram", callback=_read(quantities.memory_of_a_machine), metavar="SIZE",
            help="Memory free on the card before Forge's first load: 8GiB, 7173.54MB. Default: that of the card here."),
    _option("--total-vram", callback=_read(quantities.memory_of_a_machine), metavar="SIZE",
            help="The card's whole memory. Default: --vram rounded up to the next usual card."),
    _option("--gpu", metavar="NAME", help="A card by its name ('RTX 4070'), for its speed and Forge's rules for it."),
    _option("--compute-capability", callback=_read(quantities.capability), metavar="X.Y",
            help="Default: that of --gpu or of the card here, else 8.9."),
    _option("--ram", callback=_read(quantities.memory_of_a_machine), metavar="SIZE",
            help="The host's memory. Default: this machine's."),
    _option("--inference-memory", callback=_read(quantities.megabytes), metavar="MB",
            help="forge_inference_memory. Default: the running Forge's, else 1024."),
    _option("--swap", type=click.Choice(["queue", "async"], case_sensitive=False),
            help="Swap Method. Default: the running Forge's, else queue."),
    _option("--location", type=click.Choice(["cpu", "shared"], case_sensitive=False),
            help="Swap Location. Default: the running Forge's, else cpu."),
    _option("--storage", callback=_read(quantities.storage), metavar="NAME",
            help="Diffusion in Low Bits: float8_e4m3fn, nf4, ...; gguf:Q8_0 plans that file. Default: Automatic."),
    _option("--forge-flags", metavar="'...'", help="Forge's own start flags: '--always-low-vram --vae-in-fp32'."),
    _option("--size", callback=_read(quantities.pixels), metavar="WxH",
            help="Default: 1024x1024, for SD1.5 512x512."),
    _option("--batch", type=int, default=1, show_default=True, metavar="N", help="Images made at once."),
    _option("--steps", type=int, default=20, show_default=True, metavar="N", help="Sampling steps."),
    _option("--cfg", type=float, metavar="X", help="CFG scale. Default: 1 for Flux and Chroma, else 7."),
    _option("--images", type=int, default=1, show_default=True, metavar="N", help="Images made one after another."),
    _option("--new-prompt", is_flag=True, help="Each image has a prompt of its own."),
    _option("--cached-prompt", is_flag=True, help="The prompt is encoded already: begin at the UNet."),
    _option("--img2img", is_flag=True, help="The picture begins from another one."),
    _option("--hires", type=float, metavar="SCALE", help="Hires fix: a second pass this much larger."),
    _option("--cloned-unet", is_flag=True, help="An extension clones the UNet for each job (LoRA, ControlNet)."),
    _option("--reserve-mb", callback=_read(quantities.megabytes), default="0", metavar="MB",
            help="Memory kept free while sampling: ControlNet, online LoRAs."),
    _option("--console", type=click.Path(dir_okay=False), metavar="FILE",
            help="A console log of Forge's: the speed is taken from its progress bars."),
)  # fmt: skip
