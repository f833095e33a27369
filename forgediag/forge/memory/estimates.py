"""The bytes Forge itself thinks a phase will need."""

from __future__ import annotations


def unet_estimate(width: int, height: int, batch: int, element: int, *, split_attention: bool = False) -> float:
    """Bytes Forge asks for before sampling: always for two passes, whatever the CFG scale and the model.

    `element` is the size of the computation type. Forge dfdcbab, backend/modules/k_model.py, memory_required.
    """
    area = 2 * batch * (width // 8) * (height // 8)
    return (1.65 if split_attention else 1.28) * area * element * 16384


def decode_estimate(width: int, height: int, element: int) -> float:
    """Bytes Forge asks for before a VAE decode, whatever the batch (backend/patcher/vae.py, memory_used_decode)."""
    return 2178 * (height // 8) * (width // 8) * 64 * element


def encode_estimate(width: int, height: int, element: int) -> float:
    """Bytes Forge asks for before a VAE encode (backend/patcher/vae.py, memory_used_encode)."""
    return 1767 * height * width * element
