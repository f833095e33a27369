"""The options of a simulated Forge: what is set, saved, in effect and answered, with a real one's surprises."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from forgediag.testing.forge.files import Checkpoint, Files, ForgeError, Module
from forgediag.testing.forge.option_defaults import MEMORY_KEYS

CHECKPOINT = "sd_model_checkpoint"
MODULE_LIST = "forge_additional_modules"
DTYPE = "forge_unet_storage_dtype"
INFERENCE = "forge_inference_memory"
START_INFERENCE_MB = 1024.0
"""What every started Forge works with, whatever its config says (observed on a real Forge)."""

TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Selection:
    """What the next generation will use. `dtype`: how the UNet is stored, None for as it comes."""

    checkpoint: Checkpoint | None
    modules: tuple[Module, ...] = ()
    dtype: str | None = None


class OptionStore:
    """Options as Forge keeps them. `data`: in memory, `disk`: config.json, `effective_mb`: the memory manager's."""

    def __init__(
        self,
        defaults: Mapping[str, object],
        config: Mapping[str, object],
        files: Files,
        total_mb: int,
        console: Callable[[str], None],
    ) -> None:
        self.defaults = dict(defaults)
        self.disk = dict(config)
        self.data: dict[str, object] = {}
        self.effective_mb = START_INFERENCE_MB
        self.unload_wanted = False
        self._files, self._total_mb, self._console = files, total_mb, console
        self.selection = Selection(None)
        self.restart()

    def restart(self) -> None:
        """Read config.json again; the memory manager starts with its own value."""
        self.data = dict(self.disk)
        self.effective_mb = START_INFERENCE_MB
        self.unload_wanted = False
        self.select(tell=False)

    def value(self, key: str) -> object:
        """What is set, or the default."""
        return self.data.get(key, self.defaults.get(key))

    def get(self) -> tuple[int, object]:
        """Status and body of GET /sdapi/v1/options.

        A value of another type than its default's makes it a 500 whose body has the values that were ever set: in
        config.json's order, and without those never set (observed on a real Forge).
        """
        values: dict[str, object] = {}
        errors: list[dict[str, object]] = []
        for key, default in self.defaults.items():
            try:
                values[key] = as_answered(default, self.value(key))
            except _TypeMismatchError as error:
                errors.append(error.told(key, self.value(key)))
        return (500, validation_error(errors, self.data)) if errors else (200, values)

    def post(self, payload: object) -> tuple[int, object]:
        """Status and body of POST /sdapi/v1/options.

        Raises:
            ForgeError: what Forge's handler raised.
        """
        if not isinstance(payload, dict):
            return 422, {"detail": [_invalid("dict_type", ["body"], "Input should be a valid dictionary", payload)]}
        self.apply(cast("dict[str, object]", payload))
        self.disk = dict(self.data)
        return 200, None

    def apply(self, payload: Mapping[str, object]) -> None:
        """Set options, not yet on the disk; the memory keys last, so that an unknown key keeps them unset.

        Raises:
            ForgeError: RuntimeError for an unknown checkpoint, before anything is set; KeyError for an unknown key and
                TypeError for a wrong type, after the keys before it were set.
        """
        alias = payload.get(CHECKPOINT)
        if alias is not None and (not isinstance(alias, str) or self._files.find(alias) is None):
            raise ForgeError("RuntimeError", f"model '{alias}' not found")
        before = self.selection
        memory: dict[str, object] = {}
        for key, value in payload.items():
            if key not in self.defaults:
                raise ForgeError("KeyError", repr(key))
            if key in MEMORY_KEYS:
                memory[key] = value
            else:
                self._set(key, value)
        changed = self._apply_memory(memory)
        self.select(tell=changed, before=before)

    def _set(self, key: str, value: object) -> None:
        if key == MODULE_LIST:
            paths = [self._files.path(module) for module in self._modules(value)]
            if sorted(paths) != sorted(cast("list[str]", self.value(key) or [])):
                self.data[key] = paths  # the same ones in another order are not (read in Forge dfdcbab)
        elif key == CHECKPOINT and isinstance(value, str):
            if self._files.find(value) != self.selection.checkpoint or self.data.get(CHECKPOINT) is None:
                self.data[key] = value  # stored as written; another name of the same model is not (observed)
        else:
            self.data[key] = value

    def _modules(self, value: object) -> list[Module]:
        """By base name; an unknown one is dropped without a word, and a string is taken letter by letter."""
        if not isinstance(value, (list, str, dict)):
            raise ForgeError("TypeError", f"'{type(value).__name__}' object is not iterable")
        found: list[Module] = []
        for item in cast("Iterable[object]", value):
            if not isinstance(item, str):
                kind = type(item).__name__
                raise ForgeError("TypeError", f"expected str, bytes or os.PathLike object, not {kind}")
            module = self._files.modules.get(posixpath.basename(item))
            if module is not None:
                found.append(module)
        return found

    def _apply_memory(self, wanted: Mapping[str, object]) -> bool:
        """Hand changed values to the memory manager; null applies the present value once more (observed)."""
        changes = {key: value for key, value in wanted.items() if value is None or value != self.value(key)}
        if not changes:
            return False
        inference = changes.get(INFERENCE)
        if inference is not None and not isinstance(inference, (int, float)):
            raise ForgeError("TypeError", f"unsupported operand type(s) for -: 'int' and '{type(inference).__name__}'")
        self.data.update({key: value for key, value in changes.items() if value is not None})
        present = self.value(INFERENCE)
        self.effective_mb = float(cast("float", present))
        self.unload_wanted = True
        self._tell_memory()
        return True

    def _tell_memory(self) -> None:
        total, mine = self._total_mb, self.effective_mb
        stream, pinned = self.value("forge_async_loading") == "Async", self.value("forge_pin_shared_memory") == "Shared"
        names = f"'stream': {stream}, 'inference_memory': {mine}, 'pin_shared_memory': {pinned}"
        self._console(f"Environment vars changed: {{{names}}}")
        if mine < min(512, total * 0.05):
            text = "You just set Forge to use 100% GPU memory"
            self._console(f"[Low VRAM Warning] {text} ({total - mine:.2f} MB) to load model weights.")
            return
        share = 100 * mine / total
        self._console(
            f"[GPU Setting] You will use {100 - share:.2f}% GPU memory ({total - mine:.2f} MB) to load weights, "
            f"and use {share:.2f}% GPU memory ({mine:.2f} MB) to do matrix computation."
        )

    def select(self, *, tell: bool, before: Selection | None = None) -> None:
        """Turn the options into files; a checkpoint that is gone becomes the first one listed (observed)."""
        name, stored = self.value(CHECKPOINT), self.value(MODULE_LIST)
        checkpoint = self._files.find(name) if isinstance(name, str) else None
        if checkpoint is None and self._files.checkpoints:
            checkpoint = next(iter(self._files.checkpoints.values()))
            if isinstance(name, str):
                self._console(f"Checkpoint {name} not found; loading fallback {checkpoint.name}")
        modules = self._modules(cast("object", stored)) if isinstance(stored, list) else []
        chosen = Selection(checkpoint, tuple(modules))
        anew = tell or before is None or before != replace(chosen, dtype=before.dtype)
        self.selection = replace(chosen, dtype=self._dtype() if anew or before is None else before.dtype)
        if tell or (before is not None and before != self.selection):
            self._console(f"Model selected: {self.described()}")
            self._console("Using online LoRAs in FP16: False")

    def _dtype(self) -> str | None:
        """Read only when something else is selected or the memory changes (observed)."""
        name = str(self.value(DTYPE)).removesuffix(" (fp16 LoRA)")
        return None if name in {"Automatic", "None"} else name

    def described(self) -> str:
        """The selection as Forge prints it."""
        checkpoint, modules = self.selection.checkpoint, [self._files.path(file) for file in self.selection.modules]
        if checkpoint is None:
            return "{}"
        info = {"filename": self._files.path(checkpoint), "hash": checkpoint.sha256[-8:]}
        return repr(
            {"checkpoint_info": info, "additional_modules": modules, "unet_storage_dtype": self.selection.dtype}
        )


class _TypeMismatchError(Exception):
    """A value that is not of its option's type, with pydantic's name and text for that."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text

    def told(self, key: str, value: object) -> dict[str, object]:
        return _invalid(self.kind, ("response", key), self.text, value)


def as_answered(default: object, value: object) -> object:
    """A value as the response model of GET options turns it: whole numbers to floats, falsy defaults untyped.

    Raises:
        _TypeMismatchError: it is not of the default's type.
    """
    if value is None or not default:
        return value
    if isinstance(default, bool):
        return _as_bool(value)
    if isinstance(default, (int, float)):
        return _as_float(value)
    if not isinstance(value, type(default)):
        name, noun = ("list_type", "list") if isinstance(default, list) else ("string_type", "string")
        raise _TypeMismatchError(name, f"Input should be a valid {noun}")
    return value


def _as_bool(value: object) -> bool:
    truth = TRUTHS.get(str(value).lower()) if isinstance(value, (bool, int, str)) else None
    if truth is None:
        raise _TypeMismatchError("bool_parsing", "Input should be a valid boolean, unable to interpret input")
    return truth


def _as_float(value: object) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str):
        raise _TypeMismatchError("float_type", "Input should be a valid number")
    try:
        return float(value)
    except ValueError:
        text = "Input should be a valid number, unable to parse string as a number"
        raise _TypeMismatchError("float_parsing", text) from None


def _invalid(kind: str, loc: object, text: str, value: object) -> dict[str, object]:
    url = f"https://errors.pydantic.dev/2.8/v/{kind}"
    return {"type": kind, "loc": loc, "msg": text, "input": value, "url": url}


def validation_error(errors: list[dict[str, object]], body: Mapping[str, Any]) -> dict[str, object]:
    """The 500 of a FastAPI 0.104 answer whose values do not fit its model: the values are inside."""
    text = f"{len(errors)} validation errors:\n" + "".join(f"  {error}\n" for error in errors)
    return {"error": "ResponseValidationError", "detail": "", "body": dict(body), "message": text}


def wrong_flag_type(name: str, value: object) -> dict[str, object]:
    """The validation error of a flag whose model says string."""
    return _invalid("string_type", ("response", name), "Input should be a valid string", value)
