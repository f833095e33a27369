"""`forgediag verify`: are the model files what the lock file says?"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

from forgediag.cli import NothingKnown, Settings
from forgediag.cli.reading import opened_lock, reader, reading_options
from forgediag.model import Severity
from forgediag.sources.locking import Outcome, verify_files
from forgediag.sources.patience import Hung
from forgediag.verify import findings

SCHEMA = "forgediag.verify/1"


@click.command("verify")
@click.argument("paths", metavar="[DIR]...", nargs=-1)
@click.option("--lock", "lock_path", metavar="FILE", default="forgediag.lock", help="Default: forgediag.lock.")
@click.option("--strict", is_flag=True, help="Exit 1 for new and moved files too.")
@reading_options
@click.pass_obj
def command(
    settings: Settings,
    paths: tuple[str, ...],
    lock_path: str,
    strict: bool,  # noqa: FBT001 - click's signature
    full: bool,  # noqa: FBT001
    rate: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Compare the model files with the lock file: changed, corrupted, missing, moved, new, duplicate.

    A file whose size, times and inode are those it had when it was read is not read again, but with --full. Exit
    status: 0 as locked, 1 changed, corrupted, missing or damaged, 3 something cannot be read.
    """
    lock = opened_lock(lock_path, must=True)
    base = Path(os.path.abspath(lock_path)).parent  # noqa: PTH100 - links stay as they are
    only = tuple(os.path.abspath(path) for path in paths)  # noqa: PTH100
    try:
        with reader(settings, full=full, rate=rate) as files:
            outcome = verify_files(base, lock, files, only)
    except Hung as error:
        raise NothingKnown(f"the folders cannot be listed: {error}; is a network disk gone?") from error
    click.echo(json.dumps(_document(outcome), indent=1) if as_json else _text(outcome))
    sys.exit(_status(outcome, strict=strict))


def _status(outcome: Outcome, *, strict: bool) -> int:
    states = {item.state for item in outcome.differences}
    if states & {"changed", "corrupted", "missing", "damaged"} or (strict and states & {"new", "moved"}):
        return 1
    return 3 if "unreadable" in states else 0


def _document(outcome: Outcome) -> dict[str, Any]:
    told = findings(outcome.differences)
    return {
        "schema": SCHEMA,
        "verdict": max((item.severity for item in told), default=Severity.OK).label,
        "files": outcome.files,
        "locked": len(outcome.lock.files),
        "read": outcome.read,
        "trusted": outcome.trusted,
        "oldest_read": outcome.oldest,
        "states": dict(Counter(item.state for item in outcome.differences)),
        "findings": [
            {
                "check": item.check,
                "severity": item.severity.label,
                "subject": item.subject,
                "message": item.message,
                "evidence": dict(item.evidence),
                "fix": list(item.fix),
            }
            for item in told
        ],
    }


def _text(outcome: Outcome) -> str:
    lines: list[str] = []
    for state, message, fix in ((i.evidence["state"], i.message, i.fix) for i in findings(outcome.differences)):
        lines.append(f"{state:<10} {message}")
        if state not in {"new", "duplicate", "moved"}:
            lines += [f"           {number}. {step}" for number, step in enumerate(fix, 1)]
    bad = sum(item.state not in {"duplicate", "new"} for item in outcome.differences)
    lines.append(f"{len(outcome.lock.files)} locked files, {bad or 'none'} not as locked")
    lines.append(f"{outcome.read} read now, {outcome.trusted} trusted{_trust(outcome)}")
    return "\n".join(lines)


def _trust(outcome: Outcome) -> str:
    if not outcome.trusted or outcome.oldest is None:
        return ""
    hours = (time.time() - outcome.oldest) / 3600
    age = (
        f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"
    )
    return (
        f": size, times and inode are as when they were read, up to {age} ago."
        " Decay of the disk since then is only found by --full"
    )
