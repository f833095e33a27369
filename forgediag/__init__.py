"""Diagnostics and memory profiling for Stable Diffusion WebUI Forge."""

__version__ = "0.1.0"
