"""Basic authentication against bcrypt hashes: slow for who guesses, fast for who was let in before."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping

from forgediag.sources.thread import in_thread

KNOWN = 64
"""Verdicts kept of each kind. A wrong password cannot push out a right one."""

AT_ONCE = 2
"""Hashes computed at once: each takes a core for 50 ms and more."""

WAITING = 16
"""Logins that may wait for theirs; more are told to come back."""

LONGEST = 72
"""Bytes of a password that bcrypt looks at."""

NOBODY = b"." * 53
"""Stands for the hash of a user there is not, so that the answer takes as long."""


class BusyError(Exception):
    """Too many logins are being checked already."""


class Logins:
    """Verdicts on Authorization headers. Belongs to one event loop."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._good: dict[bytes, None] = {}
        self._bad: dict[bytes, None] = {}
        self._running: dict[bytes, asyncio.Task[bool]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    def known(self, users: Mapping[str, bytes], header: str) -> bool | None:
        """The verdict if it needs no hashing; a changed hash needs a new one."""
        login = _decoded(header)
        if login is None:
            return False
        key = self._key(users, *login)
        return True if key in self._good else False if key in self._bad else None

    async def verdict(self, users: Mapping[str, bytes], header: str) -> bool:
        """Whether the header names one of `users` (bcrypt hashes by name) with the right password.

        Raises:
            BusyError: too many others are waiting.
        """
        known = self.known(users, header)
        login = _decoded(header)
        if known is not None or login is None:
            return bool(known)
        key = self._key(users, *login)
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= WAITING:
                raise BusyError
            task = self._running[key] = asyncio.ensure_future(self._check(key, users, *login))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    def _key(self, users: Mapping[str, bytes], user: str, password: bytes) -> bytes:
        """Equal for equal logins against an equal hash; keyed, so that no timing tells of what is in it."""
        parts = (user.encode(), password, users.get(user, b""))
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.new(self._secret, framed, hashlib.sha256).digest()

    async def _check(self, key: bytes, users: Mapping[str, bytes], user: str, password: bytes) -> bool:
        async with self._turn:
            good = await in_thread(lambda: _matches(users, user, password))
        verdicts = self._good if good else self._bad
        if len(verdicts) >= KNOWN:
            verdicts.pop(next(iter(verdicts)))
        verdicts[key] = None
        return good


def _decoded(header: str) -> tuple[str, bytes] | None:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _matches(users: Mapping[str, bytes], user: str, password: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - an extra

    stored = users.get(user)
    prefix = next(iter(users.values()), b"$2b$10$")[:7]
    return bcrypt.checkpw(password[:LONGEST], stored or prefix + NOBODY) and stored is not None
