"""Sizes in the words of findings."""

from forgediag.model import MB


def gib(size: float) -> str:
    """Bytes as GiB with one decimal."""
    return f"{size / (1024 * MB):.1f} GiB"


def mb(size: float) -> str:
    """Bytes as whole MB, as Forge counts them."""
    return f"{int(size / MB)} MB"
