"""What happened to what it means: the root cause, what only followed from it, and what else went wrong before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from forgediag.explain.anchors import anchors
from forgediag.explain.events import Said, Turn
from forgediag.explain.scan import Lines, scan
from forgediag.explain.signature import Signature
from forgediag.explain.text import alarming

KEPT = 50
"""Kinds of trouble in one log that are kept, the newest."""

FOLLOWING = 20
"""Kinds of follow-ups kept for each."""

EXCERPT = 15
"""Lines up to which a text is someone's excerpt: what is usual or harmless or sounds wrong in it is asked about."""

ASKED = 40
"""Lines up to which a harmless error with a traceback is asked about where nothing else is wrong: those of a start."""

_RANK = {"error": 7, "wrapper": 6, "follow-up": 2, "ending": 2, "warning": 1, "note": 0, "harmless": 0}
_GENERAL, _HEADING, _UNKNOWN = 5, 4, 3
"""An error of which only its class is known; the line before a traceback (or a box); one of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that went wrong: its root, what followed from it, and how often.

    `inner`: the first error of the chain where it is one that no signature knows and Forge's word for any failure
    came after it.
    """

    root: Said
    follow_ups: tuple[Said, ...] = ()
    inner: str = ""
    times: int = 1

    @property
    def rank(self) -> int:
        """How much it matters: 7 an error with a known cause, 5 to 3 one of a known class or none, 1 works, 0 usual."""
        return _rank(self.root)

    def caused(self, said: Said) -> bool:
        """Whether one of `follow_ups` follows from the root, and did not just happen about the same time."""
        echo = said.signature is not None and said.signature.level not in {"error", "warning"}
        return echo or (said.chain > 0 and said.chain == self.root.chain)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a log says. `troubles`: the newest first, those that break something before those that do not."""

    lines: int
    troubles: tuple[Trouble, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the cause of the first trouble is known."""
        return bool(self.troubles) and self.troubles[0].root.signature is not None


@dataclass(slots=True)
class _Log:
    """The troubles seen so far, by what they are; the newest last."""

    troubles: dict[str, Trouble] = field(default_factory=dict[str, Trouble])
    episode: list[Said] = field(default_factory=list[Said])
    harmless: Said | None = None
    failed: str = ""

    def turn(self, turn: Turn) -> None:
        self.close()
        if turn.kind != "load":
            self.failed = ""

    def say(self, said: Said) -> None:
        if said.signature is not None and said.signature.level == "harmless":
            if self.harmless is None or said.chain > self.harmless.chain == 0:
                self.harmless = said
        elif len(self.episode) < 200:
            self.episode.append(said)

    def close(self) -> None:
        episode, self.episode = self.episode, []
        if not episode:
            return
        trouble = _trouble(episode)
        root = trouble.root.signature
        if root is not None and (earlier := self._earlier(root)):
            old = self.troubles[earlier]
            self.troubles[earlier] = replace(old, follow_ups=_add(old, (trouble.root, *trouble.follow_ups)))
            return
        key = _key(trouble.root)
        if key in self.troubles:
            old = self.troubles.pop(key)
            trouble = replace(trouble, follow_ups=_add(trouble, old.follow_ups), times=old.times + 1)
        self.troubles[key] = trouble
        if trouble.rank > 2:
            self.failed = key
        if len(self.troubles) > KEPT:
            del self.troubles[next(iter(self.troubles))]

    def _earlier(self, root: Signature) -> str:
        if root.level == "follow-up" and self.failed in self.troubles:
            return self.failed
        return next((key for key in reversed(self.troubles) if key in root.after), "")


def explain(lines: Iterable[str]) -> Explanation:
    """The root cause of what went wrong in a console's lines, its follow-ups, and what went wrong before.

    Lines come without their ends; colours, boxes, padding and wrapping are no matter. Time is linear in the text,
    memory bounded.
    """
    log, counted = _Log(), Lines(lines, EXCERPT)
    for event in scan(counted, anchors()):
        if isinstance(event, Turn):
            log.turn(event)
        else:
            log.say(event)
    log.close()
    excerpt = counted.count <= EXCERPT
    troubles = tuple(_ordered(log.troubles.values(), excerpt=excerpt))
    if not troubles:
        troubles = tuple(Trouble(said) for said in _asked(log.harmless, counted) if said is not None)[:1]
    return Explanation(counted.count, troubles)


def _asked(harmless: Said | None, counted: Lines) -> Iterator[Said | None]:
    """What somebody who shows a text with nothing wrong in it may mean."""
    if counted.count <= EXCERPT:
        yield from (harmless, _noticed(counted))
    elif harmless is not None and harmless.chain and counted.count <= ASKED:
        yield harmless


def _noticed(counted: Lines) -> Said | None:
    """The first line of a short excerpt that sounds as if something were wrong."""
    return next((Said(number, line.strip()[:500], None) for number, line in counted.kept if alarming(line)), None)


def _trouble(episode: list[Said]) -> Trouble:
    """The root is the first of what matters most: a known error before an unknown one, that before mere warnings.

    A traceback is before a line in front of it that says no more than that something failed.
    """
    inner = _absorb(episode)
    root = max(episode, key=lambda said: (_rank(said), said.ended, not _general_heading(said)))
    kept: dict[str, Said] = {}
    for said in episode:
        if said.signature is not None and said.signature is not root.signature and said.signature.level != "note":
            kept.setdefault(_key(said), said)
    return Trouble(
        root,
        tuple(kept.values())[:FOLLOWING],
        inner if root.signature is not None and root.signature.level == "wrapper" else "",
    )


def _general_heading(said: Said) -> bool:
    return said.heading and said.signature is not None and said.signature.general


def _absorb(episode: list[Said]) -> str:
    """Take out what is less known than something else of its chain; the first such error's text."""
    best: dict[int, int] = {}
    for said in episode:
        best[said.chain] = max(best.get(said.chain, 0), _rank(said))
    less = [said for said in episode if said.chain and _UNKNOWN <= _rank(said) < min(best[said.chain], _GENERAL + 1)]
    for said in less:
        episode.remove(said)
    return less[0].text if less else ""


def _rank(said: Said) -> int:
    if said.signature is None:
        return _UNKNOWN
    most = _GENERAL if said.signature.general else _RANK["error"]
    if _general_heading(said) or (said.heading and said.signature.level == "wrapper"):
        most = _HEADING
    return min(_RANK[said.signature.level], most)


def _key(said: Said) -> str:
    return said.signature.id if said.signature else f"? {said.text[:120]}"


def _add(trouble: Trouble, more: Iterable[Said]) -> tuple[Said, ...]:
    """Its follow-ups and more, each kind once."""
    kept = {_key(said): said for said in trouble.follow_ups}
    for said in more:
        if said.signature is not trouble.root.signature:
            kept.setdefault(_key(said), said)
    return tuple(kept.values())[:FOLLOWING]


def _ordered(troubles: Iterable[Trouble], *, excerpt: bool) -> Iterator[Trouble]:
    newest = sorted(troubles, key=lambda trouble: trouble.root.line, reverse=True)
    yield from (trouble for trouble in newest if trouble.rank > _RANK["warning"])
    warnings = [trouble for trouble in newest if trouble.rank == _RANK["warning"]]
    yield from sorted(warnings, key=_broken_off)
    if excerpt:
        yield from (trouble for trouble in newest if trouble.rank == _RANK["note"])


def _broken_off(trouble: Trouble) -> bool:
    """Whether it only says where a traceback without its error was: what was read whole comes first."""
    return trouble.root.signature is not None and not trouble.root.signature.patterns
