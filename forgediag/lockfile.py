"""The lock file: what each model file is, as a text that people review and `verify` compares with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forgediag.toml import TomlError, is_list, is_mapping, loads

SCHEMA = "forgediag.lock/1"

_HEAD = """\
# What each model file is. Written by `forgediag lock`, compared by `forgediag verify`; review changes like code.
"""
_DIGITS = {"sha256": 64, "autov3": 64, "blake3": 64}
_TEXTS = ("format", "family")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r"}


class LockError(ValueError):
    """A text is no lock file, told in one line."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One file. `path` has `/` and counts from the lock file's folder, or is absolute; hashes in lower case.

    Times and inodes are not kept here: they differ on every machine that has the same files.
    """

    path: str
    size: int
    sha256: str
    format: str
    family: str
    autov3: str | None = None
    blake3: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """All of it: the folders in which files are looked for, and the files by path."""

    folders: tuple[str, ...]
    files: Mapping[str, Locked] = field(default_factory=dict[str, Locked])


def render(lock: Lock) -> str:
    """The lock file's text: sorted, one block a file, the same for the same files."""
    folders = ", ".join(map(_quoted, lock.folders))
    blocks = [f"{_HEAD}schema = {_quoted(SCHEMA)}\nfolders = [{folders}]\n"]
    blocks += [_block(lock.files[path]) for path in sorted(lock.files)]
    return "\n".join(blocks)


def _block(file: Locked) -> str:
    lines = ["[[file]]", f"path = {_quoted(file.path)}", f"bytes = {file.size}", f'sha256 = "{file.sha256}"']
    for name in ("autov3", "blake3"):
        if (value := getattr(file, name)) is not None:
            lines.append(f'{name} = "{value}"')
    lines += [f"format = {_quoted(file.format)}", f"family = {_quoted(file.family)}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(char) or _escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else char


def parse(text: str) -> Lock:
    """A lock file's text.

    Raises:
        LockError: it is none, is of a later schema, or a block in it is not whole.
    """
    try:
        document = loads(text)
    except TomlError as error:
        raise LockError(f"is not TOML: {error}") from error
    schema = document.get("schema")
    if schema != SCHEMA:
        raise LockError(f"has the schema {schema!r}, this forgediag knows {SCHEMA!r}")
    folders, rows = document.get("folders"), document.get("file", [])
    if not is_list(folders) or not all(isinstance(folder, str) for folder in folders):
        raise LockError("has no list `folders`")
    files: dict[str, Locked] = {}
    if not is_list(rows):
        raise LockError("has no [[file]] tables")
    for number, row in enumerate(rows, 1):
        file = _locked(row, number)
        if file.path in files:
            raise LockError(f"names {file.path} twice")
        files[file.path] = file
    return Lock(tuple(map(str, folders)), files)


def _locked(row: object, number: int) -> Locked:
    values: Mapping[str, Any] = row if is_mapping(row) else {}
    path, size = values.get("path"), values.get("bytes")
    if not isinstance(path, str) or not path:
        raise LockError(f"has a block without a path: the one at place {number}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise LockError(f"has no size of {path}")
    hashes = {name: _hash(values, name, path) for name in _DIGITS}
    if (sha256 := hashes.pop("sha256")) is None:
        raise LockError(f"has no sha256 of {path}")
    texts = {name: str(values.get(name, "unknown")) for name in _TEXTS}
    return Locked(path, size, sha256, texts["format"], texts["family"], **hashes)


def _hash(values: Mapping[str, Any], name: str, path: str) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-f]{{{_DIGITS[name]}}}", value):
        raise LockError(f"has a {name} of {path} that is none: {str(value)[:80]!r}")
    return value
