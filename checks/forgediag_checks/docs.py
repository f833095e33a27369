"""docs/checks.md from the declarations of the checks."""

from __future__ import annotations

from collections.abc import Sequence

from forgediag.check import Check

_HEAD = """# Checks

What `forgediag doctor` and the daemon judge. Each check is `ok`, `unknown`, `warning` or `failure`; the severity below
is its usual one. This page is generated from the checks' own declarations.

| check | judges | severity | from |
|---|---|---|---|"""


def render(checks: Sequence[Check]) -> str:
    """The page about all checks, as Markdown: what each judges, why it matters, what to do."""
    parts = [_HEAD]
    parts += [
        f"| [{item.id}](#{item.id}) | {item.title} | {item.severity.label} |"
        f" {', '.join(need.__name__ for need in item.needs)} |"
        for item in checks
    ]
    for item in checks:
        steps = "\n".join(f"{number}. {step}" for number, step in enumerate(item.fix, 1))
        parts.append(f"\n## {item.id}\n\n{item.title}. {item.why}\n\n{steps}")
    return "\n".join(parts) + "\n"
