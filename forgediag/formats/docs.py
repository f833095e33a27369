"""The page about faults of model files, made from their table: `python -m forgediag.formats.docs >docs/files.md`."""

from __future__ import annotations

import sys

from forgediag.formats.faults import FAULTS
from forgediag.formats.found import found_by

_TOP = """# What can be wrong with a model file

Made by `python -m forgediag.formats.docs`. The id of each fault is stable; `doctor --json` carries it as `fault`.
Where the page says that Forge loads a file without a word, no error will ever name it.

`doctor PATH` and `models` read headers, the beginning and the end of files; `lock`, `hash` and the daemon read files
whole, `verify` those that changed. What one of them found in a file, all of them tell until the file changes.
"""


def page() -> str:
    """The whole page."""
    parts = [_TOP]
    for name, kind in sorted(FAULTS.items()):
        steps = "\n".join(f"- {step}" for step in kind.fix)
        parts.append(f"## `{name}`\n\n**{kind.title}.** {kind.why}\n\nFound by {found_by(name)}.\n\n{steps}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
