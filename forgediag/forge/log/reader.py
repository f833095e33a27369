"""Text as it comes from Forge's console to events, in pieces when other output falls between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from forgediag.forge.log import lines
from forgediag.forge.log.events import Event, Loaded, Seen, Unloaded

KEPT = 4096
"""Characters of a line without an end that are kept for what is still to come."""

_N = r"(-?\d{1,9}(?:\.\d{1,4})?)"
_CONTROL = re.compile(r"\x1b\[[0-9;?]{0,24}[A-Za-z]|\x1b\][^\x07\n]{0,200}\x07|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")

_PIECES = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in {
            "unload": (
                rf"\[Unload\] Trying to free (?:all memory|{_N} MB) for (\S{{1,20}}) "
                r"with (\d+) models keep loaded \.\.\. "
            ),
            "free": rf"Current free memory is {_N} MB \.\.\. ",
            "model": r"Unload model (\w{1,60}) ",
            "done": r"Done\.",
            "target": (
                rf"\[Memory Management\] Target: (\w{{1,60}}), Free GPU: {_N} MB, Model Require: {_N} MB, "
                rf"Previously Loaded: {_N} MB, Inference Require: {_N} MB, Remaining: {_N} MB, "
            ),
            "whole": r"All loaded to GPU\.",
            "swap": rf"(CPU|Shared) Swap Loaded \((asynchronous|blocked) method\): {_N} MB, GPU Loaded: {_N} MB",
            "end": r"\n",
        }.items()
    )
)  # fmt: skip


class LogReader:
    """Reads one Forge's console. Feed it text as it comes, cut anywhere."""

    def __init__(self) -> None:
        self._text = ""
        self._line_began: float | None = None
        self._traceback = False
        self._unload: tuple[Unloaded, float] | None = None
        self._target: tuple[Loaded, float] | None = None
        self._steps: dict[str, Callable[[re.Match[str], float], Event | None]] = {
            "unload": self._on_unload,
            "free": self._on_free,
            "model": self._on_model,
            "done": self._on_done,
            "target": self._on_target,
            "whole": self._on_whole,
            "swap": self._on_swap,
        }
        self._began = 0.0

    def feed(self, text: str, at: float) -> list[Seen]:
        """The events that end in this piece of output, in order.

        Args:
            text: what was printed; colours, carriage returns and Windows line ends are no matter.
            at: when it was seen, in seconds of any clock.
        """
        self._text += _CONTROL.sub("", text.replace("\r", "\n"))
        seen = list(self._read(at))
        if len(self._text) > KEPT:
            self._text = self._text[-KEPT:]
        return seen

    def _read(self, at: float) -> Iterator[Seen]:
        line_start, position = 0, 0
        text = self._text
        for match in _PIECES.finditer(text):
            name = match.lastgroup or ""
            position = match.end()
            if name == "end":
                yield from self._on_line(text[line_start : match.start()], at)
                line_start = position
                continue
            self._began = at
            event = self._steps[name](match, at)
            if event is not None:
                yield Seen(event, self._began, at)
        self._text = text[max(line_start, position) :]

    def _on_line(self, line: str, at: float) -> Iterator[Seen]:
        if line.lstrip(" |*").startswith("Traceback (most recent call last)"):
            self._traceback = True
            return
        raised = lines.raised(line) if self._traceback else None
        if raised is not None:
            self._traceback = False
            yield Seen(raised, at, at)
        for event in lines.read(line):
            yield Seen(event, at, at)

    def _on_unload(self, match: re.Match[str], at: float) -> None:
        needed, device, kept = _values(match)
        self._unload = Unloaded(float(needed) if needed else None, device, int(kept), (), ()), at

    def _on_free(self, match: re.Match[str], at: float) -> None:  # noqa: ARG002 - one signature for all
        if self._unload is not None:
            event, began = self._unload
            free = (*event.free, float(_values(match)[0]))
            self._unload = Unloaded(event.needed, event.device, event.kept, free, event.models), began

    def _on_model(self, match: re.Match[str], at: float) -> None:  # noqa: ARG002
        if self._unload is not None:
            event, began = self._unload
            models = (*event.models, _values(match)[0])
            self._unload = Unloaded(event.needed, event.device, event.kept, event.free, models), began

    def _on_done(self, match: re.Match[str], at: float) -> Event | None:  # noqa: ARG002
        if self._unload is None:
            return None
        event, self._began = self._unload
        self._unload = None
        return event

    def _on_target(self, match: re.Match[str], at: float) -> None:
        name, *numbers = _values(match)
        free, required, previous, inference, remaining = map(float, numbers)
        self._target = Loaded(name, free, required, previous, inference, remaining), at

    def _on_whole(self, match: re.Match[str], at: float) -> Event:  # noqa: ARG002
        event, self._began = self._target or (Loaded(None), at)
        self._target = None
        return _placed(event, swapped=0.0, gpu=event.required)

    def _on_swap(self, match: re.Match[str], at: float) -> Event:
        location, method, swapped, gpu = _values(match)
        event, self._began = self._target or (Loaded(None), at)
        self._target = None
        return _placed(event, swapped=float(swapped), gpu=float(gpu), location=location, method=method)


def _values(match: re.Match[str]) -> list[str]:
    """The groups inside the alternative that matched."""
    first = _PIECES.groupindex[match.lastgroup or ""]
    inner = {name: index for name, index in _PIECES.groupindex.items() if index > first}
    last = min(inner.values(), default=_PIECES.groups + 1)
    return [match.group(index) for index in range(first + 1, last)]


def _placed(
    event: Loaded, swapped: float, gpu: float, location: str | None = None, method: str | None = None
) -> Loaded:
    return Loaded(
        event.target,
        event.free,
        event.required,
        event.previous,
        event.inference,
        event.remaining,
        swapped,
        gpu,
        "Shared" if location == "Shared" else "CPU" if location else None,
        "asynchronous" if method == "asynchronous" else "blocked" if method else None,
    )
