"""What Forge will answer when it loads a checkpoint with its additional modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LoadPhase = Literal["read", "recognise", "text_encoder", "unet", "vae", "loaded"]
"""How far Forge comes: reading the files, finding the family, then the parts in the order it builds them."""

ModuleFate = Literal["used", "partly-used", "overridden", "ignored", "refused", "not-reached"]


@dataclass(frozen=True, slots=True)
class LoadError:
    """The exception Forge raises: its type and its message, which is what the API answers.

    `cause` is the last line of the first traceback in the console, where that is another exception's.
    """

    type: str
    message: str
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ModuleUse:
    """What Forge does with one additional module, and why in a sentence. `why` is empty where it is simply used."""

    path: str
    fate: ModuleFate
    why: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What will come of loading these files in this order.

    Attributes:
        checkpoint: the checkpoint's path.
        family: its family as far as Forge finds one.
        phase: how far Forge comes.
        error: what it raises; None when it loads.
        printed: lines Forge's console shows on the way: counts of keys, missing and unexpected ones.
        subject: the file to blame or to look at first.
        cause: why, in one sentence; "" when nothing is wrong.
        fix: what to do, in order.
        renamed: files Forge moves to NAME.corrupted.
        modules: what becomes of each module.
        gaps: what loads though it should not: parts left uninitialised, modules that change nothing.
    """

    checkpoint: str
    family: str
    phase: LoadPhase
    error: LoadError | None = None
    printed: tuple[str, ...] = ()
    subject: str = ""
    cause: str = ""
    fix: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    modules: tuple[ModuleUse, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def loads(self) -> bool:
        """Whether Forge ends with a model."""
        return self.error is None
