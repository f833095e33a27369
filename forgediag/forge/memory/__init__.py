"""Forge's memory manager as functions without side effects: what it loads, unloads, splits and prints."""

from forgediag.forge.memory.estimates import decode_estimate, encode_estimate, unet_estimate
from forgediag.forge.memory.manager import Body, Load, Manager, Swap
from forgediag.forge.memory.rules import Rules, rules
from forgediag.forge.memory.run import Run, Step, Successor, Workload, run
from forgediag.forge.memory.start import Room, start

__all__ = [
    "Body",
    "Load",
    "Manager",
    "Room",
    "Rules",
    "Run",
    "Step",
    "Successor",
    "Swap",
    "Workload",
    "decode_estimate",
    "encode_estimate",
    "rules",
    "run",
    "start",
    "unet_estimate",
]
