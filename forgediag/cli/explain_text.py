"""An explanation as text for people, and as the document for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from forgediag.explain import Explanation, Said, Trouble

WIDTH = 100

_LEVELS = {"warning": "works, but: ", "note": "usual: ", "harmless": "harmless: "}


def text(explanation: Explanation) -> str:
    """Root cause first, then what followed from it; the newest trouble first."""
    if not explanation.troubles:
        return f"Nothing wrong found in {explanation.lines} lines."
    return "\n\n".join(
        "\n".join(_trouble(trouble, first=number == 0)) for number, trouble in enumerate(explanation.troubles)
    )


def _trouble(trouble: Trouble, *, first: bool) -> Iterator[str]:
    root = trouble.root
    lead = "" if first else "Also, " if trouble.rank < 2 else "Before that, "
    if root.signature is None:
        yield f"{lead}line {root.line}: an error that forgediag does not know{_times(trouble)}"
        yield f"    {root.text}"
        yield from _where(root)
        yield from _following(trouble)
        return
    signature = root.signature
    level = _LEVELS.get(signature.level, "") if signature.patterns else ""  # where a traceback broke off is no state
    yield f"{lead}{level}{root.filled(signature.title)}  [{signature.id}]"
    yield f"  line {root.line}: {root.text}{_times(trouble)}"
    yield from _where(root)
    if trouble.inner:
        yield f"  The first error of its chain, not known to forgediag: {trouble.inner}"
    yield from textwrap.wrap(root.filled(signature.cause), WIDTH, initial_indent="  ", subsequent_indent="  ")
    for number, step in enumerate(signature.fix, 1):
        yield from textwrap.wrap(
            root.filled(step), WIDTH, initial_indent=f"  {number}. ", subsequent_indent="     ", break_long_words=False
        )
    yield from (f"  see {source}" for source in signature.sources[:3])
    yield from _following(trouble)


def _where(said: Said) -> Iterator[str]:
    if said.place is not None:
        yield f"  where: {said.place}"


def _times(trouble: Trouble) -> str:
    return f"  ({trouble.times} times, this is the last)" if trouble.times > 1 else ""


def _following(trouble: Trouble) -> Iterator[str]:
    for said in trouble.follow_ups:
        title = said.filled(said.signature.title) if said.signature else said.text
        yield f"  {'follows from it' if trouble.caused(said) else 'besides'}, line {said.line}: {title}"


def document(explanation: Explanation) -> dict[str, Any]:
    """`forgediag.explain/1`: `explanations` of what is known, `unknown` errors, `lines` read."""
    explanations: list[dict[str, Any]] = []
    unknown: list[dict[str, Any]] = []
    for number, trouble in enumerate(explanation.troubles):
        if trouble.root.signature is None:
            unknown.append({"line": trouble.root.line, "text": trouble.root.text, "where": _place(trouble.root)})
        else:
            explanations.append(_known(trouble.root, primary=number == 0, trouble=trouble))
        explanations.extend(_known(said, primary=False, trouble=trouble) for said in trouble.follow_ups)
    return {
        "schema": "forgediag.explain/1",
        "lines": explanation.lines,
        "explanations": explanations,
        "unknown": unknown,
    }


def _known(said: Said, *, primary: bool, trouble: Trouble) -> dict[str, Any]:
    signature, root = said.signature, trouble.root
    assert signature is not None  # noqa: S101 - follow-ups always are known
    return {
        "id": signature.id,
        "title": said.filled(signature.title),
        "level": signature.level,
        "cause": said.filled(signature.cause),
        "fix": [said.filled(step) for step in signature.fix],
        "line": said.line,
        "text": said.text,
        "where": _place(said),
        "primary": primary,
        "follows": _name(root) if said is not root and trouble.caused(said) else None,
        "inner": trouble.inner if said is root else "",
        "times": trouble.times if said is root else 1,
        "sources": list(signature.sources),
    }


def _place(said: Said) -> str:
    return str(said.place) if said.place is not None else ""


def _name(said: Said) -> str:
    return said.signature.id if said.signature else said.text
