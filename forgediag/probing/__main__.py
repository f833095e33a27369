"""`python -m forgediag.probing`: a request as JSON on standard input, the passes as JSON on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any


def main() -> int:
    """Run what is asked for. Exit status: 0, 3 without numpy, 4 when memory or the file gives out."""
    asked: Mapping[str, Any] = json.load(sys.stdin)
    _limit(int(asked["memory"]), int(asked["seconds"]))
    try:
        from forgediag.probing.passes import run  # noqa: PLC0415 - numpy may be missing
    except ImportError as error:
        return _failed(3, str(error))
    started = time.perf_counter()
    try:
        answer = run(asked)
    except (MemoryError, OSError, ValueError, KeyError) as error:
        return _failed(4, f"{type(error).__name__}: {error}")
    json.dump({**answer, "seconds": time.perf_counter() - started, "peak": _peak()}, sys.stdout)
    return 0


def _failed(status: int, why: str) -> int:
    json.dump({"error": why}, sys.stdout)
    return status


def _limit(memory: int, seconds: int) -> None:
    """Have the kernel end what takes too much; on Windows the parent watches alone."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _peak() -> int | None:
    """The most memory held so far, in bytes."""
    if sys.platform != "linux":
        return None
    import resource  # noqa: PLC0415 - not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
