"""A console's lines made plain: no colours, no boxes, no file names that a logger added at the right."""

from __future__ import annotations

import re

LONGEST = 8000
"""Characters of a line that are looked at."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]{0,24}[ -/]{0,4}[@-~]|\x1b\][^\x07\n]{0,200}\x07|[\x00-\x08\x0b-\x1f]")
_LOGGER = re.compile(r"(?<!script:) {1,4000}[\w.]{1,60}\.py(?::\d{1,6})?(?: :: [A-Z]{4,8})? *$")
_PREFIX = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?:? ?|"
    r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.-]{1,64} [\w.-]{1,64}(?:\[\d{1,9}\])?: ?|"
    r"\[\d\d:\d\d:\d\d\] ?|"
    r"[a-z][\w.-]{0,60}-\d{1,3} {1,20}\| ?"
)
"""A time by a logger, the journal's or syslog's head, a time in brackets, the name of a container."""

_BOX = re.compile("[─-╿❱]{1,4000}")
_RAISED = re.compile(r"[ |*>`'\"│]{0,12}((?:[A-Za-z_]\w{0,80}\.){0,6}[A-Za-z_]\w{0,80})(?:: |:?[`'\"]?$)")
_WITHIN = re.compile(
    r"(?:: |\] |- |ERROR +|^)[`'\"]?(?:[A-Za-z_]\w{0,80}\.){0,6}[A-Z]\w{0,80}(?:Error|Exception)(?:: |[`'\"]?$)"
)
_ENDINGS = ("Error", "Exception", "Interrupt", "Exit", "Warning", "Iteration", "ExceptionGroup")
_ALARM = re.compile(
    r"\b(?:errors?|fail(?:ed|ure|s)?|warn(?:ing)?|cannot|can't|couldn't|could not|not (?:found|available|supported)|"
    r"not able|no such|unable|unknown|unrecognized|invalid|refused|denied|missing|unsupported|exception|fatal|does not|"
    r"abort(?:ed)?|crash(?:ed)?|killed|requires|incompatible|mismatch(?:ed)?|timed out|timeout|corrupt(?:ed)?)\b",
    re.IGNORECASE,
)
_ANSWERED = re.compile(r"[\"']error[\"']: ?[\"']([A-Za-z_]\w{0,80})[\"'],")
_SAID = re.compile(r"[\"'](?:errors|message)[\"']: ?[\"'](.{1,4000})[\"']")
_FRAMED = re.compile("^ *[│┃|╭╰┌└] ?")
_FOLDED = re.compile(r'Traceback \(most recent call last\):?.{0,400}? File "')
_FOLD = re.compile(
    r' {1,400}(?=File "[^"]{1,600}", line \d|Traceback \(most|During handling of the above|The above exception was)'
)
_ERROR = re.compile(r" {1,400}(?=(?:[A-Za-z_]\w{0,80}\.){0,6}[A-Z]\w{0,80}(?:Error|Exception)(?:: |$))")


def plain(line: str) -> str:
    """The line without colours, control characters, a logger's columns, a time in front and quotes' backslashes."""
    line = line[:LONGEST].rstrip()
    if "\x1b" in line or not line.isprintable():
        line = _CONTROL.sub("", line.replace("\t", "    "))
    if "\\'" in line or '\\"' in line:
        line = line.replace("\\'", "'").replace('\\"', '"')
    if "error" in line and "API error" not in line:
        line = _answered(line)
    if ".py" in line:
        line = _LOGGER.sub("", line)
    prefix = _PREFIX.match(line)
    return line if prefix is None else line[prefix.end() :]


def _answered(line: str) -> str:
    """The error of an answer of the API that a client printed; other lines as they are."""
    name = _ANSWERED.search(line)
    message = _SAID.search(line, name.end()) if name is not None else None
    return line if name is None or message is None else f"{name[1]}: {message[1]}"


def folded(line: str) -> bool:
    """Whether it is a traceback that lost its line ends."""
    return 'File "' in line and _FOLDED.search(line[:LONGEST]) is not None


def unfolded(line: str) -> list[str]:
    """The lines of a traceback that lost its line ends."""
    lines: list[str] = []
    for part in _FOLD.split(line[: 4 * LONGEST]):
        frame, *error = _ERROR.split(part, maxsplit=1) if part.startswith("File ") else [part]
        lines += [f"  {frame}" if part.startswith("File ") else frame, *error]
    return lines


def framed(line: str) -> bool:
    """Whether it belongs to a box that rich drew around a traceback."""
    return bool(line) and line.lstrip()[:1] in "│┃╭╰┌└" and bool(line.strip())


def unboxed(line: str) -> str:
    """What stands in a line of a box that a whole traceback is in; empty where it is none."""
    line = line.strip()
    return line[1:-1].strip() if line[:1] in {"│", "┃"} and line[-1:] == line[:1] else ""


def raised(line: str) -> bool:
    """Whether it is the last line of a traceback, the error's name and message."""
    match = _RAISED.match(line)
    if match is None:
        return False
    name = match[1]
    return name.endswith(_ENDINGS) or ("." in name and not name.endswith((".py", ".bat", ".sh", ".exe")))


def error_within(line: str) -> bool:
    """Whether it names an exception, alone as the last line of a traceback or after other words."""
    match = _RAISED.match(line)
    return (match is not None and match[1].endswith(("Error", "Exception"))) or _WITHIN.search(line) is not None


def alarming(line: str) -> bool:
    """Whether somebody who shows but a few lines may mean this one."""
    return _ALARM.search(line) is not None


def squeezed(line: str) -> str:
    """The line without white space and the lines of boxes, so that wrapping and padding are no matter."""
    return "".join(_BOX.sub("", line).split())
