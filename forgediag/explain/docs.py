"""docs/errors.md from the signatures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forgediag.explain.signature import Signature

_HEAD = """# Errors

What `forgediag explain` knows. This page is generated from `forgediag/explain/signatures/*.json`; a new signature is
an entry there (see `forgediag/explain/signature.py` for its fields) with examples, their sources, and a near miss.
Examples are as somebody's console or a real Forge printed them, often only the line that tells; one marked "worded from
source" was put together from the code that prints it or from what an issue tells, and not compared with a print.
Then `python -m forgediag.explain.docs >docs/errors.md`.

| error | title | kind |
|---|---|---|"""


def render(known: Sequence[Signature]) -> str:
    """The page about all signatures, as Markdown."""
    return "\n".join([_HEAD, *map(_row, known), *(line for item in known for line in _section(item))]) + "\n"


def _row(item: Signature) -> str:
    return f"| [{item.id}](#{item.id}) | {_safe(item.title)} | {item.level}{', general' if item.general else ''} |"


def _section(item: Signature) -> Iterator[str]:
    yield f"\n## {item.id}\n\n{item.title}. {item.cause}\n"
    for example in item.examples:
        yield "\n".join(f"    {line}" for line in example.text.splitlines()) + "\n"
        if example.worded != "printed":
            yield "(worded from source)\n"
    yield from (f"{number}. {step}" for number, step in enumerate(item.fix, 1))
    yield "\nSources: " + ", ".join(f"<{source}>" if " " not in source else source for source in item.sources)


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    import sys

    from forgediag.explain.signature import signatures

    sys.stdout.write(render(signatures()))
