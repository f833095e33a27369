"""Build the fake libnvidia-ml.so.1: `python tests/fake_nvml/build.py OUTDIR`, then run with LD_LIBRARY_PATH=OUTDIR."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SONAME = "libnvidia-ml.so.1"


def build(folder: Path) -> Path:
    """Compile the library into `folder` with gcc and return its path.

    Raises:
        FileNotFoundError: there is no gcc.
        subprocess.CalledProcessError: gcc refused; it says why on stderr.
    """
    library = folder / SONAME
    sources = [str(HERE / name) for name in ("fake_nvml.c", "memory.c", "state.c")]
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-format-truncation"]
    link = ["-shared", "-fPIC", f"-Wl,-soname,{SONAME}", "-Wl,-Bsymbolic"]
    command = ["gcc", "-O2", *warnings, *link, "-o", str(library), *sources, "-lm", "-lpthread"]
    subprocess.run(command, check=True)
    return library


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    print(build(out))
