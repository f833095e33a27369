"""Why a setting is recommended, in words a user of Forge's web page understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from forgediag.forge.families import UNET
from forgediag.model import MB, Fork
from forgediag.plan.predict import Plan
from forgediag.plan.request import Request, Settings

PHASES = {
    "text_encode": "while the prompt is encoded",
    "vae_encode": "while the picture is encoded",
    "sample": "while sampling",
    "vae_decode": "while the VAE decodes",
}


class Judged(Protocol):
    """What a reason is read from: a setting with its plan, its seconds an image, and the bytes it leaves."""

    @property
    def settings(self) -> Settings:
        """The setting."""
        ...

    @property
    def plan(self) -> Plan:
        """What Forge would do with it."""
        ...

    @property
    def seconds(self) -> float:
        """Seconds of a further image."""
        ...

    @property
    def fits(self) -> bool:
        """Whether it never runs out of memory."""
        ...

    @property
    def slack(self) -> float:
        """Bytes left at the tightest moment beyond the margin."""
        ...


def reasons(request: Request, best: Judged, now: Judged, tried: Sequence[Judged], fork: Fork) -> tuple[str, ...]:
    """The reasons in order of weight: what it brings, what it costs, where the cliffs are, where the margin is from."""
    told = [_gain(best, now), _swap(best.plan), _decode(best.plan), _cliff(request, best)]
    told += [_method(best, tried), _bus(request, best.plan), _margin(best), _fork(fork)]
    if not best.fits:
        told.insert(0, "No setting fits this picture on this card: this one misses by the least.")
    return tuple(reason for reason in told if reason)


def _gain(best: Judged, now: Judged) -> str:
    if not now.fits:
        peak = now.plan.tight
        where = PHASES[peak.phase] if peak else "within the margin"
        return f"The current setting can run out of memory {where}."
    if best.seconds >= 0.99 * now.seconds:
        return f"The current setting is as fast as any: {now.seconds:.1f} s an image."
    return f"An image takes {best.seconds:.1f} s instead of {now.seconds:.1f} s."


def _swap(plan: Plan) -> str:
    if not plan.unet_swap:
        return "The whole model stays on the card: nothing is swapped while sampling."
    return (
        f"{plan.unet_swap / MB:.0f} MB of the model are swapped at every step, because it does not fit beside the rest."
    )


def _decode(plan: Plan) -> str:
    peak = [peak for peak in plan.peaks if peak.phase == "vae_decode"][-1]
    text = f"The VAE decode is the largest need: {peak.needed / MB:.0f} MB, of {peak.free / MB:.0f} MB free then"
    return (
        f"{text}; Forge itself asks for {peak.estimate / MB:.0f} MB and moves the model out for the decode below that."
    )


def _cliff(request: Request, best: Judged) -> str:
    unet = best.plan.components.parts[UNET]
    cliff = request.card.free_mb - unet.stages.used.size / MB
    if cliff <= 0:
        return ""
    side = "below" if best.settings.inference_memory_mb <= cliff else "above"
    return f"Up to {cliff:.0f} MB reserved the model fits as a whole; the recommended value is {side} that cliff."


def _method(best: Judged, tried: Sequence[Judged]) -> str:
    if best.settings.location == "Shared":
        pinned = best.plan.pinned / MB
        return f"Shared pins {pinned:.0f} MB of host memory: copies are several times as fast from there."
    if any(not other.fits and other.settings.method == "Async" for other in tried):
        return "Async is not advised: its copies in flight have no bound, up to all swapped weights at once."
    return ""


def _bus(request: Request, plan: Plan) -> str:
    width = request.card.pcie_width
    if not plan.unet_swap or width is None or width >= 8:
        return ""
    return f"The card has only {width} PCIe lanes: a swapped MB costs {16 // width} times what it does in a full slot."


def _margin(best: Judged) -> str:
    source = "jobs seen on this machine" if best.plan.speed and best.plan.speed.jobs else "no job seen yet"
    return (
        f"{best.slack / MB:.0f} MB are left at the tightest moment beyond the margin "
        f"(200 MB or a share of the peak, and 150 MB less free memory than now; {source})."
    )


def _fork(fork: Fork) -> str:
    if fork == "neo":
        return "Forge Neo has no such option, sending it is an error: start it with --reserve-vram instead."
    if fork == "ersatzforge":
        return "ersatzForge keeps the reserve in the preset keys, not the GPU weights, and adds it to its own estimate."
    return ""
