"""Options that may hold a credential: of those only whether they are set is kept or shown."""

from __future__ import annotations

import re
from typing import Any

SECRET = re.compile(r"auth|passw|token|secret|api_?key", re.IGNORECASE)
"""Names of options in which Forge's extensions keep credentials."""


def told(key: str, value: Any) -> Any:
    """The value, or True in place of a text that may be a credential."""
    return True if value and isinstance(value, str) and SECRET.search(key) else value
