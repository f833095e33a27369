"""What a pickle asks for, by CPython's own reader with nothing behind the names: the reference for our scanner."""

from __future__ import annotations

import io
import pickle


class _Inert:
    """Takes the place of whatever is asked for."""

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None: ...
    def __call__(self, *_: object) -> _Inert:
        return self

    def __setstate__(self, _: object) -> None: ...
    def __setitem__(self, _: object, __: object) -> None: ...
    def append(self, _: object) -> None: ...


class _Asking(pickle._Unpickler):  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - in Python, its memo is a dict
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.asked: list[tuple[str, str]] = []

    def find_class(self, module: str, name: str) -> type[_Inert]:
        self.asked.append((module, name))
        return _Inert

    def persistent_load(self, pid: object) -> _Inert:  # noqa: ARG002 - called with it by name or place
        return _Inert()


def asked(opcodes: bytes) -> list[tuple[str, str]]:
    """Module and name of all that is asked for until the end, or until the reader refuses to go on."""
    reader = _Asking(opcodes)
    try:
        reader.load()
    except Exception:  # a broken pickle raises anything
        return reader.asked
    return reader.asked
