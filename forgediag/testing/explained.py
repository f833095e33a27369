"""What an explanation names, for tests."""

from __future__ import annotations

from forgediag.explain import Explanation


def roots(explanation: Explanation) -> list[str]:
    """The ids of what it says went wrong, in its order; "?" for what it does not know."""
    return [trouble.root.signature.id if trouble.root.signature else "?" for trouble in explanation.troubles]
