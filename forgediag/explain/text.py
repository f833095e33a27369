"""A console's lines made plain: no colours, no boxes, no file names that a logger added at the right."""

from __future__ import annotations

import re

LONGEST = 8000
"""Characters of a line that are looked at."""

HOT = (
    "rror", "RROR", "xception", "raceback", "arning", "WARN", "ailed", "not ", "Not ", "annot", "Missing", "Unexpected: [",
    "Killed", "137", "oom-kill", "out of memory", "s/it", "has taken", "swap Loaded", "Swap Loaded", "inference_memory': -",
    "additional_modules': []", "loaded partially", "leak", "Leak", "corrupt", "malicious", "any key", "tecla", "任意键",
    "touche", "Taste", "клавишу", "c10.dll", "Faulting", "Patching LoRAs", "lora key", "MISMATCH", "mismatch", "invalid",
    "dequantize", "{}", "Loading Model", "100%", "txt2img", "img2img", "Launching", "File \"", "During handling",
    "direct cause", "frozen", "Interrupt", "No module", "disabled", "atal", "Done", "Startup time", "git-lfs",
    "in use", "unable", "Unable", "denied", "expected", "blockwise", "Must Use", "No VAE", "enough", "1455", "NaN",
    "insufficient", "_STATUS_", "memory access", "launch", "encountered", "shareable", "dubious", "HTTP/1.",
    "NumPy", "Numpy", "fallback", "incorrect", "ncorrect", "exceed", "Model loaded", "orrupt", "Could", "WinError", "eader", "ncomplete", "Invalid",
    "NoneType", "has no attribute", "torch.Size([", "DefaultCPU", "kernel image", "too old", "too many", "too small",
    "be the same", "must match", "xpected", "Wrong", "changing to", "dtype size", "[Errno", "fbgemm", "Storage", "space left",
    "No such file", "overflow", "Overflow", "TensorInvalid", "detail", "os error", "Tried to allocate", "is no", "reshape",
)  # fmt: skip
"""What a line that is looked at has one of; a signature whose patterns have none would never be found."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]{0,24}[ -/]{0,4}[@-~]|\x1b\][^\x07\n]{0,200}\x07|[\x00-\x08\x0b-\x1f]")
_LOGGER = re.compile(r" {1,4000}[\w.]{1,60}\.py(?::\d{1,6})?(?: :: [A-Z]{4,8})? *$")
_PREFIX = re.compile(r"^(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?:? ?)")
_BOX = re.compile("[─-╿❱]{1,4000}")
_FRAMED = re.compile("^ *[│┃|╭╰┌└] ?")


def plain(line: str) -> str:
    """The line without colours, control characters, a logger's columns and a time in front."""
    line = line[:LONGEST].rstrip()
    if "\x1b" in line or not line.isprintable():
        line = _CONTROL.sub("", line.replace("\t", "    "))
    if ".py" in line:
        line = _LOGGER.sub("", line)
    return _PREFIX.sub("", line) if line[:2] == "20" else line


def framed(line: str) -> bool:
    """Whether it belongs to a box that rich drew around a traceback."""
    return bool(line) and line.lstrip()[:1] in "│┃╭╰┌└" and bool(line.strip())


def squeezed(line: str) -> str:
    """The line without white space and the lines of boxes, so that wrapping and padding are no matter."""
    return "".join(_BOX.sub("", line).split())


def hot(line: str) -> bool:
    """Whether a signature or the course of things could be in it."""
    return any(word in line for word in HOT)
