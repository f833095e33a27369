"""Record what a safetensors version says of the corpus: `python record_safetensors.py PYTHON >FILE`.

PYTHON is an interpreter with that version (0.4.2 for tests/formats/safetensors_042.json).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from forgediag.testing.corpus import corpus

JUDGE = """
import sys
from safetensors import safe_open
for line in sys.stdin:
    try:
        safe_open(line.rstrip("\\n"), "np"); print()
    except Exception as error:
        print(str(error).replace("\\n", "\\\\n"))
"""


def main() -> None:
    cases = [case for case in corpus() if case.name.endswith(".safetensors")]
    with tempfile.TemporaryDirectory() as folder:
        paths = [case.write(Path(folder)) for case in cases]
        asked = "".join(f"{path}\n" for path in paths)
        ended = subprocess.run([sys.argv[1], "-c", JUDGE], input=asked, capture_output=True, text=True, check=True)
    answers = ended.stdout.split("\n")[: len(cases)]
    said = {case.label: answer or None for case, answer in zip(cases, answers, strict=True)}
    print(json.dumps(said, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
