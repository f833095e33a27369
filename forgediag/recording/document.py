"""What a recording holds, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from forgediag.model import Job, Ledger, Part, Phase

SCHEMA = "forgediag.profile/1"


class RecordingError(Exception):
    """A file that is no recording: one line that says why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Generations, oldest first, with what the card did meanwhile. Times are Unix seconds, memory bytes.

    `curve` holds (time, bytes used on the card), each until the next; `ledgers` share the card out now and then.
    """

    jobs: tuple[Job, ...]
    curve: tuple[tuple[float, int], ...] = ()
    ledgers: tuple[Ledger, ...] = ()
    card: str | None = None
    total: int | None = None
    forgediag: str = ""

    def of(self, job: Job) -> tuple[tuple[float, int], ...]:
        """The curve during one job, from what held at its start on."""
        end = job.started if job.ended is None else job.ended
        before = [point for point in self.curve if point[0] <= job.started][-1:]
        inside = [point for point in self.curve if job.started < point[0] <= end]
        return (*((job.started, used) for _, used in before), *inside)


def to_json(recorded: Recorded) -> str:
    """One JSON document."""
    return json.dumps({"schema": SCHEMA, **asdict(recorded)}, ensure_ascii=False, separators=(",", ":")) + "\n"


def from_json(text: str) -> Recorded:
    """The recording in a document.

    Raises:
        RecordingError: it is none.
    """
    try:
        found: Any = json.loads(text)
        if not isinstance(found, dict) or cast("dict[str, Any]", found).get("schema") != SCHEMA:
            raise RecordingError(f"no recording: its schema is not {SCHEMA}")
        document = cast("dict[str, Any]", found)
        return Recorded(
            jobs=tuple(job_from(item) for item in document["jobs"]),
            curve=tuple((float(at), int(used)) for at, used in document["curve"]),
            ledgers=tuple(
                Ledger(item["at"], item["total"], tuple(Part(**part) for part in item["parts"]))
                for item in document["ledgers"]
            ),
            card=document["card"],
            total=document["total"],
            forgediag=document["forgediag"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordingError(f"no whole recording: {type(error).__name__}: {error}") from error


def job_from(document: Mapping[str, Any]) -> Job:
    """A job from its JSON form. Fields of a newer version are left out, those it lacks are at their defaults.

    Raises:
        KeyError, TypeError: it has not even what every job has.
    """
    known: dict[str, Any] = {name: value for name, value in document.items() if name in Job.__slots__}
    phases = ({name: value for name, value in item.items() if name in Phase.__slots__} for item in known["phases"])
    known["phases"] = tuple(Phase(**item) for item in phases)
    known["settings"] = tuple((key, value) for key, value in known["settings"])
    for name in ("step_seconds", "departures"):
        known[name] = tuple(known.get(name, ()))
    return Job(**known)
