"""Whole lines of Forge's console, each alone: the start, settings, loads, progress bars, warnings, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from forgediag.forge.log.events import (
    Answered,
    BarMoved,
    CleanedUp,
    Corrupted,
    Created,
    EnvironmentChanged,
    Event,
    FellBack,
    LoadBegan,
    ModelLoaded,
    Moved,
    OutOfMemory,
    Raised,
    RanLow,
    Started,
    StateDict,
    Tiled,
    VramState,
)

LONGEST = 4000
"""Characters of a line that are looked at."""

_BAR = re.compile(
    r"(\d{1,6})/(\d{1,6}) \[(?:(\d{1,3}):)?(\d{1,2}):(\d\d)<[\d:?]{1,12}, *(?:([\d.]{1,12})(s/it|it/s)|\?it/s)"
)
_RAISED = re.compile(r"[ |*]{0,40}((?:[A-Za-z_]\w{0,80}\.){0,6}[A-Za-z_]\w{0,80})(?:: (.*))?$")
_NUMBER = r"(-?\d{1,9}(?:\.\d{1,4})?)"


def read(line: str) -> Iterator[Event]:
    """The events of one line."""
    line = line[:LONGEST]
    bar = _BAR.search(line)
    if bar is not None:
        yield _moved(bar, total="Total progress" in line[: bar.start()])
    if _OOM.search(line):
        yield OutOfMemory(line.strip())
    for literal, pattern, make in _LINES:
        if literal in line and (match := pattern.search(line)):
            yield make(match)


def raised(line: str) -> Raised | None:
    """The error in the last line of a traceback; None in its other lines, which are indented or quote source."""
    match = _RAISED.match(line[:LONGEST])
    if match is None or not _is_error(match[1], match[2]):
        return None
    return Raised(match[1], match[2] or "")


def _is_error(name: str, message: str | None) -> bool:
    last = name.rpartition(".")[2]
    return message is not None or last.endswith(("Error", "Exception", "Interrupt", "Exit"))


def _moved(bar: re.Match[str], *, total: bool) -> BarMoved:
    hours, minutes, seconds = int(bar[3] or 0), int(bar[4]), int(bar[5])
    rate = float(bar[6]) if bar[6] and bar[6].count(".") <= 1 and bar[6] != "." else 0.0
    step = None if not rate else rate if bar[7] == "s/it" else 1 / rate
    return BarMoved(int(bar[1]), int(bar[2]), 3600 * hours + 60 * minutes + seconds, step, total)


def _load_began(match: re.Match[str]) -> LoadBegan:
    modules = match[2] or ""
    return LoadBegan(_unquoted(match[1]), tuple(_unquoted(text) for text in _QUOTED.findall(modules)))


def _unquoted(text: str) -> str:
    return text.strip("'\"").replace("\\\\", "\\")


def _parts(text: str) -> Mapping[str, float]:
    return {name.strip(): float(seconds) for name, seconds in _PART.findall(text)}


def _tiled(match: re.Match[str]) -> Tiled:
    action: Literal["decoding", "encoding"] = "encoding" if match[1] == "encoding" else "decoding"
    return Tiled(action)


_OOM = re.compile(r"(?i)\b(?:cuda|hip|xpu|device)(?: error:)? out of memory|OutOfMemoryError")
_QUOTED = re.compile(r"'[^']{1,1000}'|\"[^\"]{1,1000}\"")
_PART = re.compile(r"([a-z][a-z0-9 /_-]{0,60}): (\d{1,6}\.\d)s")
_KEY = re.compile(r"'(\w{1,60})': (\d{1,9})")

_Make = Callable[[re.Match[str]], Event]
_LINES: tuple[tuple[str, re.Pattern[str], _Make], ...] = (
    (
        "Total VRAM",
        re.compile(r"Total VRAM (\d{1,9}) MB, total RAM (\d{1,9}) MB"),
        lambda m: Started(int(m[1]), int(m[2])),
    ),
    ("Set vram state to:", re.compile(r"Set vram state to: (\w{1,20})"), lambda m: VramState(m[1])),
    (
        "Environment vars changed:",
        re.compile(rf"'stream': (True|False), 'inference_memory': {_NUMBER}, 'pin_shared_memory': (True|False)"),
        lambda m: EnvironmentChanged(m[1] == "True", float(m[2]), m[3] == "True"),
    ),
    (
        "Loading Model:",
        re.compile(
            r"'filename': ('[^']{1,1000}'|\"[^\"]{1,1000}\")(?:.{0,200}?'additional_modules': \[([^\]]{0,3000})\])?"
        ),
        _load_began,
    ),
    (
        "StateDict Keys:",
        re.compile(r"StateDict Keys: \{(.{0,1000})\}"),
        lambda m: StateDict({name: int(count) for name, count in _KEY.findall(m[1])}),
    ),
    (
        "K-Model Created:",
        re.compile(r"'storage_dtype': '?(?:torch\.)?(\w{1,30})'?, 'computation_dtype': (?:torch\.)?(\w{1,30})"),
        lambda m: Created(m[1], m[2]),
    ),
    (
        "Model loaded in",
        re.compile(r"Model loaded in (\d{1,6}\.\d)s(?: \((.{0,600})\))?"),
        lambda m: ModelLoaded(float(m[1]), _parts(m[2] or "")),
    ),
    ("Moving model(s)", re.compile(rf"Moving model\(s\) has taken {_NUMBER} seconds"), lambda m: Moved(float(m[1]))),
    ("Memory cleanup", re.compile(rf"Memory cleanup has taken {_NUMBER} seconds"), lambda m: CleanedUp(float(m[1]))),
    ("retrying with tiled VAE", re.compile(r"when regular VAE (decoding|encoding)"), _tiled),
    (
        "[Low GPU VRAM Warning]",
        re.compile(rf"current GPU free memory is {_NUMBER} MB"),
        lambda m: RanLow(float(m[1])),
    ),
    (
        "loading fallback",
        re.compile(r"Checkpoint (.{1,1000}?) not found; loading fallback (.{1,1000})"),
        lambda m: FellBack(m[1], m[2].strip()),
    ),
    ("File corrupted:", re.compile(r"File corrupted: (.{1,2000}?)\s*$"), lambda m: Corrupted(m[1])),
    (
        "HTTP/",
        re.compile(r'"(GET|HEAD|POST|PUT|DELETE|OPTIONS) ([^ "?]{1,300})[^"]{0,2000} HTTP/[\d.]{1,3}" (\d{3})'),
        lambda m: Answered(m[1], m[2], int(m[3])),
    ),
)
