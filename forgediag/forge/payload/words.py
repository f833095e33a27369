"""A remark about a payload, and what else a name may have meant. Nothing here ever repeats a prompt or a picture."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import cast

from forgediag.model import Finding, Severity

ELSEWHERE: Mapping[str, str] = {
    "sd_checkpoint_model": "sd_model_checkpoint",
    "model": "sd_model_checkpoint",
    "checkpoint": "sd_model_checkpoint",
    "sd_model": "sd_model_checkpoint",
    "sd_model_name": "sd_model_checkpoint",
    "vae": "forge_additional_modules",
    "text_encoder": "forge_additional_modules",
    "additional_modules": "forge_additional_modules",
    "inference_memory": "forge_inference_memory",
    "gpu_weights": "forge_inference_memory",
    "forge_gpu_weights": "forge_inference_memory",
    "sampler": "sampler_name",
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "cfg": "cfg_scale",
    "clip_skip": "CLIP_stop_at_last_layers",
    "num_images": "n_iter",
    "hires_fix": "enable_hr",
    "image": "init_images",
    "init_image": "init_images",
}
"""Names that clients of other programs use, and Forge's own. The first was seen sent to Forge in the wild."""

KINDS: Mapping[type, str] = {
    bool: "true/false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
NAMES: Mapping[str, str] = {
    "array": "a list",
    "boolean": "true/false",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "string": "text",
}


_ENDING = re.compile(r"(?:\.(?:safetensors|ckpt|gguf|pt|bin))?(?: \[[0-9a-f]+\])?$")
"""What names of different files have in common."""


def table_of(value: object) -> Mapping[str, object]:
    """A JSON object, or nothing where it is none."""
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def rows_of(value: object) -> list[object]:
    """A JSON list, or nothing where it is none."""
    return cast("list[object]", value) if isinstance(value, list) else []


def remark(
    rule: str, severity: Severity, subject: str, message: str, *fix: str, evidence: Mapping[str, object] | None = None
) -> Finding:
    """A finding about a payload."""
    return Finding(rule, severity, "payload", short(subject), message, evidence or {}, fix)


def short(text: object) -> str:
    """A name in one line of at most 80 characters."""
    line = "".join(char if char.isprintable() else "?" for char in str(text)[:100])
    return line if len(line) <= 80 else line[:77] + "..."


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    return KINDS.get(type(value), type(value).__name__)


def meant(name: str, known: Collection[str]) -> str | None:
    """The known name most like this one, or None."""
    other = ELSEWHERE.get(name.lower())
    if other in known:
        return other
    from difflib import get_close_matches  # noqa: PLC0415 - only where something is wrong

    folded = {_ENDING.sub("", item.lower()): item for item in sorted(known)}
    found = get_close_matches(_ENDING.sub("", name[:100].lower()), folded, 1, 0.75)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """`; did you mean X?`, or nothing."""
    other = meant(name, known)
    return f"; did you mean {other}?" if other else ""


def fits(value: object, kind: str) -> bool:
    """Whether pydantic 2 takes a JSON value for a type, as lenient as it is (seen on a real Forge)."""
    if value is None or kind == "any":
        return True
    if kind == "boolean":
        return isinstance(value, bool) or value in (0, 1) or str(value).lower() in _BOOLEANS
    if kind in {"integer", "number"}:
        return _number(value, whole=kind == "integer")
    return isinstance(value, {"array": list, "object": dict, "string": str}[kind])


_BOOLEANS = frozenset({"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"})


def _number(value: object, *, whole: bool) -> bool:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
    return isinstance(value, (int, float)) and (not whole or float(value).is_integer())
