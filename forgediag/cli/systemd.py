"""What systemd wants to hear of a service it started: that it is ready, that it lives, that it ends (sd_notify)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping


class Supervisor:
    """Tells systemd, where it listens; does nothing where it does not.

    Protocol: sd_notify(3) and sd_watchdog_enabled(3). A message that cannot be sent is dropped: then the watchdog ends
    this process, which is what it is for.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic) -> None:
        """Read what systemd set.

        Args:
            environ: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked at.
            clock: seconds.
        """
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit = environ.get("WATCHDOG_USEC", "")
        self._every = int(limit) / 2e6 if mine and limit.isdigit() else float("inf")
        self._clock = clock
        self._next = float("-inf")

    def ready(self) -> None:
        """The server listens."""
        self._tell("READY=1")

    def alive(self) -> None:
        """A report was made; told twice in each span of the watchdog."""
        if self._every < float("inf") and self._clock() >= self._next:
            self._next = self._clock() + self._every
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if self._address and hasattr(socket, "AF_UNIX"):
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                    to.settimeout(0)
                    to.sendto(state.encode(), self._address)
            except OSError:
                return
