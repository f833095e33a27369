"""A console's lines made plain: no colours, no boxes, no file names that a logger added at the right."""

from __future__ import annotations

import re

LONGEST = 8000
"""Characters of a line that are looked at."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]{0,24}[ -/]{0,4}[@-~]|\x1b\][^\x07\n]{0,200}\x07|[\x00-\x08\x0b-\x1f]")
_LOGGER = re.compile(r" {1,4000}[\w.]{1,60}\.py(?::\d{1,6})?(?: :: [A-Z]{4,8})? *$")
_PREFIX = re.compile(r"^(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?:? ?)")
_BOX = re.compile("[─-╿❱]{1,4000}")
_RAISED = re.compile(r"[ |*>`'\"│]{0,12}((?:[A-Za-z_]\w{0,80}\.){0,6}[A-Za-z_]\w{0,80})(?:: |:?[`'\"]?$)")
_WITHIN = re.compile(r"(?:: |\] |- |ERROR +|^)[`'\"]?(?:[A-Za-z_]\w{0,80}\.){0,6}[A-Z]\w{0,80}(?:Error|Exception)(?:: |[`'\"]?$)")
_ENDINGS = ("Error", "Exception", "Interrupt", "Exit", "Warning", "Iteration", "ExceptionGroup")
_ALARM = re.compile(
    r"\b(?:errors?|fail(?:ed|ure|s)?|warn(?:ing)?|cannot|can't|couldn't|could not|not (?:found|available|supported|able)|"
    r"no such|unable|unknown|unrecognized|invalid|refused|denied|missing|unsupported|exception|fatal|abort(?:ed)?|"
    r"crash(?:ed)?|killed|requires|incompatible|mismatch(?:ed)?|does not|timed out|timeout|corrupt(?:ed)?)\b",
    re.IGNORECASE,
)
_FRAMED = re.compile("^ *[│┃|╭╰┌└] ?")


def plain(line: str) -> str:
    """The line without colours, control characters, a logger's columns, a time in front and quotes' backslashes."""
    line = line[:LONGEST].rstrip()
    if "\x1b" in line or not line.isprintable():
        line = _CONTROL.sub("", line.replace("\t", "    "))
    if "\\'" in line or '\\"' in line:
        line = line.replace("\\'", "'").replace('\\"', '"')
    if ".py" in line:
        line = _LOGGER.sub("", line)
    return _PREFIX.sub("", line) if line[:2] == "20" else line


def framed(line: str) -> bool:
    """Whether it belongs to a box that rich drew around a traceback."""
    return bool(line) and line.lstrip()[:1] in "│┃╭╰┌└" and bool(line.strip())


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
