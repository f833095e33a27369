"""A simulated Forge: a real HTTP server on loopback, built from what a real one was seen to do."""

from forgediag.testing.forge.clock import Clock, SystemClock, VirtualClock
from forgediag.testing.forge.faults import Fault, FaultKind
from forgediag.testing.forge.files import CHECKPOINTS, MODULES, Checkpoint, Files, ForgeError, Module
from forgediag.testing.forge.job import JobDone, JobRequest, Pace, Phase, PhaseChange
from forgediag.testing.forge.server import Setup, SimulatedForge
from forgediag.testing.forge.thread import ForgeThread

__all__ = [
    "CHECKPOINTS",
    "MODULES",
    "Checkpoint",
    "Clock",
    "Fault",
    "FaultKind",
    "Files",
    "ForgeError",
    "ForgeThread",
    "JobDone",
    "JobRequest",
    "Module",
    "Pace",
    "Phase",
    "PhaseChange",
    "Setup",
    "SimulatedForge",
    "SystemClock",
    "VirtualClock",
]
