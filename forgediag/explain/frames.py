"""The frames of a traceback: whose code an error was raised in."""

from __future__ import annotations

import re
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["extension", "builtin", "forge", "script", "package", "python", "other"]

KEPT = 80
"""Frames of a traceback that are remembered, the last."""

_FRAME = re.compile(r'File "([^"]{1,600})", line (\d{1,8})(?:, in (\S{1,120}))?')
_RICH = re.compile(r"^[\s│┃|]{0,12}([^│┃|]{1,600}\.pyx?):(\d{1,8}) in (\S{1,120})")
_PATH = re.compile(r"(?:^|[\\/])(extensions(?:-builtin)?[\\/][^:*?\"<>|]{1,300})")
_LOADING = re.compile(r"Error loading script: ([^\\/:*?\"<>|]{1,120}\.py)")

_PACKAGES = re.compile(r"/(?:site|dist)-packages/([^/]+?)(?:\.pyx?)?(?:/|$)")
_EXTENSION = re.compile(r"(?:^|/)extensions(-builtin)?/([^/]+)(?:/(.*))?$")
_REPOSITORY = re.compile(r"/repositories/([^/]+)/")
_PYTHON = re.compile(r"^<|\.pyx$|/lib/python3[^/]*/|/[Ll]ib/(?!.*-packages)|/cpython-3|/python3\d*/lib/", re.IGNORECASE)
_FORGE = re.compile(
    r"(?:^|/)((?:modules|modules_forge|backend|ldm_patched|packages_3rdparty|k_diffusion|huggingface_guess)/.*|"
    r"(?:webui|launch)\.py)$"
)
_SCRIPT = re.compile(r"(?:^|/)(scripts/[^/]+\.py)$")
_PASSING_ON = (
    "modules/scripts.py",
    "modules/script_callbacks.py",
    "modules/script_loading.py",
    "modules/scripts_postprocessing.py",
    "modules/errors.py",
    "modules/call_queue.py",
    "modules_forge/main_thread.py",
)
"""Forge's modules that call the code of others."""

_WRAPPING = (
    "modules/gradio_extensions.py",
    "modules/gradio_extensons.py",
    "modules/ui_components.py",
    "modules_forge/forge_canvas/canvas.py",
    "modules/options.py",
    "modules/shared.py",
)
"""Forge's modules that only hand on what an extension asks of gradio or of the settings."""

_NAMES = {
    "extension": "the extension {}",
    "builtin": "Forge's built-in extension {}",
    "forge": "Forge's own code",
    "script": "the script {}",
    "package": "the Python package {}",
    "python": "Python itself",
    "other": "the file {}",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an error was raised.

    `name`: of the extension, script or package. `file`: within it. `package`: the installed package that this code
    called and that raised it, empty where it raised it itself.
    """

    kind: Kind
    name: str
    file: str = ""
    line: int = 0
    function: str = ""
    package: str = ""

    @property
    def owner(self) -> str:
        """Whose code it is."""
        return _NAMES[self.kind].format(self.name)

    def __str__(self) -> str:
        file = "" if self.kind == "other" else self.file
        at = ", ".join([*([file] if file else []), *([f"line {self.line}"] if self.line else [])])
        within = f"{self.owner} ({at}{f', in {self.function}' if self.function else ''})" if at else self.owner
        return f"{within}, raised in the package {self.package}" if self.package else within


_OWNERS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (_PACKAGES, "package"),
    (_REPOSITORY, "package"),
    (_PYTHON, "python"),
    (_FORGE, "forge"),
    (_SCRIPT, "script"),
)


def place(path: str, line: int = 0, function: str = "") -> Place:
    """Whose a source file is."""
    path = path.replace("\\", "/").replace("//", "/")
    function = "" if function in {"<module>", "<lambda>"} else function
    file = path.rsplit("/", 1)[-1]
    if (found := _EXTENSION.search(path)) is not None and "-packages/" not in path:
        return Place("builtin" if found[1] else "extension", found[2], found[3] or "", line, function)
    for pattern, kind in _OWNERS:
        if (found := pattern.search(path)) is not None:
            name = found[1].split("/")[-1] if kind in {"package", "script"} else ""
            return Place(kind, name, found[1] if kind in {"forge", "script"} else file, line, function)
    if path.split("/", 1)[0].removesuffix(".py") in sys.stdlib_module_names:
        return Place("python", "", file, line, function)  # the standard library of an embedded Python has no folder
    return Place("other", file, file, line, function)


def named(text: str) -> Place | None:
    """The extension or script whose file a line names.

    Such as `*** Error running process: …/extensions/x/scripts/y.py` or `*** Error loading script: y.py`.
    """
    if (script := _LOADING.search(text)) is not None:
        return Place("script", script[1])
    found = _PATH.search(text)
    if found is None:
        return None
    before, ending, _ = found[1].partition(".py")
    return place(before + ending if ending else before.strip(" ."))


@dataclass(slots=True)
class Frames:
    """The frames of one traceback, the last ones.

    `within`: whose it is by the line in front of it. `ended`: it goes out of the program's first function, so that the
    program ended.
    """

    within: Place | None = None
    ended: bool = False
    _paths: deque[str] = field(default_factory=lambda: deque[str](maxlen=KEPT))
    _own: Place | None = None
    _last: Place | None = None
    _importer: Place | None = None
    """The extension that, as far as the frames tell, is importing: after it modules were only loaded."""

    def add(self, text: str) -> bool:
        """A line of the traceback; whether it is a frame."""
        match = _FRAME.search(text) or _RICH.match(text)
        if match is None:
            return False
        here = place(match[1].strip(), int(match[2]), match[3] or "")
        self._paths.append(match[1].replace("\\", "/"))
        self._last = here
        if here.kind == "extension":
            self._importer = here
        elif here.function and here.kind != "python":
            self._importer = None
        self.ended = self.ended or here.file == "launch.py"
        wrapped = here.file in _WRAPPING and self._own is not None and self._own.kind == "extension"
        if here.kind not in {"package", "python"} and not wrapped:
            self._own = here
        return True

    def place(self, *, importing: bool = False) -> Place | None:
        """Whose code raised the error: the last frame that is not of a package or of Python.

        `importing`: it is an error of an import, which is the extension's that asks for a module of Forge.
        """
        own, last = self._own, self._last
        if importing and own is not None and own.kind == "forge" and self._importer is not None:
            return self._importer
        if own is None or (own.kind == "forge" and own.file in _PASSING_ON and self.within is not None):
            return self.within or last
        if last is not None and last.kind == "package":
            return Place(own.kind, own.name, own.file, own.line, own.function, last.name)
        return own

    def hold(self, words: tuple[str, ...]) -> bool:
        """Whether one of these is so: `@KIND` or `@KIND:FILE` that it was raised there, else that a path has the words.

        Words with `+` between them must all be so.
        """
        here = self.place()
        kinds = {"@unplaced"}
        if here is not None:
            kinds = {f"@{here.kind}", f"@{here.kind}:{here.file}", f"@package:{here.package or here.name}"}
        if here is not None and here.package:
            kinds.update(("@in-package", f"@{here.kind}-in-package"))
        return any(all(self._holds(word, kinds) for word in all_of.split("+")) for all_of in words)

    def _holds(self, word: str, kinds: set[str]) -> bool:
        return word in kinds if word[0] == "@" else any(word in path for path in self._paths)
