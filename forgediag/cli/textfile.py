"""Metrics in a file, for node_exporter's textfile collector."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from forgediag.model import Report
from forgediag.plugins import exporters

log = logging.getLogger("forgediag")

OWN = b"process_"
"""Families that node_exporter has of itself: a second of the same name makes it drop the whole file."""


class Textfile:
    """Writes the metrics of each report to a file, which is always a whole one: another is put in its place."""

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is written.

        Args:
            path: ends with .prom, in the directory that node_exporter reads.
        """
        self._path = path
        self._render = next(item.render for item in exporters() if item.path == "/metrics")
        self._failed = False

    def write(self, report: Report) -> None:
        """Write; where that fails the log says so once, until it works again."""
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")  # not *.prom: node_exporter passes it over
        try:
            part.write_bytes(without_own(self._render(report)))
            part.replace(self._path)
        except OSError as error:
            if not self._failed:
                log.error("%s cannot be written: %s", self._path, error.strerror or error)  # noqa: TRY400 - one line
            self._failed = True
            return
        self._failed = False


def without_own(text: bytes) -> bytes:
    """The exposition without the families that describe this process."""
    lines = text.splitlines(keepends=True)
    return b"".join(line for line in lines if not _family(line).startswith(OWN))


def _family(line: bytes) -> bytes:
    words = line.split(b" ", 3)
    return words[2] if line.startswith(b"#") and len(words) > 2 else line
