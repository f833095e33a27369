"""The manager at the moment a checkpoint was just built: which parts there are, and where they were created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forgediag.forge import dtypes
from forgediag.forge.components import Component
from forgediag.forge.families import UNET, Part
from forgediag.forge.memory.manager import Body, Manager
from forgediag.forge.memory.rules import Rules
from forgediag.forge.memory.swap import QUEUE, Swap
from forgediag.forge.parts import Charge, exact


def created_on_gpu(rules: Rules, unet: Component, free: float, ram: float) -> bool:
    """Whether the UNet is built on the card: there is more free on it than in RAM (unet_inital_load_device)."""
    if rules.state == "HIGH_VRAM":
        return True
    if rules.offload_always:
        return False
    kept = unet.computation if unet.storage.partition(":")[0] in dtypes.QUANTISED else unet.storage
    return free > ram and dtypes.SIZE[kept] * unet.parameters < free


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes free on the card and in RAM when the model is built, and bytes reserved for inference."""

    free: float
    ram: float
    inference: float


def start(
    rules: Rules,
    parts: Mapping[Part, Component],
    room: Room,
    *,
    charge: Charge = exact,
    swap: Swap = QUEUE,
) -> Manager:
    """A manager with these parts, nothing loaded yet."""
    manager = Manager(rules, room.free, room.inference, charge, swap)
    manager.bodies = built(manager, parts, room.ram)
    return manager


def built(manager: Manager, parts: Mapping[Part, Component], ram: float) -> list[Body]:
    """The parts as they lie in memory right after Forge built them, on a manager that holds no other ones."""
    rules = manager.rules
    bodies = [Body(part, made.stages, part in rules.on_cpu, part in rules.kept_on_gpu) for part, made in parts.items()]
    for body in bodies:
        if body.target == UNET and created_on_gpu(rules, parts[UNET], manager.free_empty, ram):
            body.move(to_gpu=True)
            body.late = False
    return bodies
