"""Take docs/page.png: the page of the demo as a real Chromium shows it.

    python docs/screenshot.py [SECONDS] [--dark] [--phone]

Runs `forgediag demo`, lets its day go on for SECONDS (default 90), and takes the picture when a job runs and
something is found: a VAE that does not fit the selected checkpoint.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from forgediag.testing.chromium import chromium, installed

PORT = 19837
READY = "['progress', '.curve', '.timeline', '.finding'].every(name => document.querySelector(name))"


def main(seconds: float, file: Path, *, width: int, dark: bool) -> None:
    """Run the demo and take the picture."""
    browser = installed()
    if browser is None:
        sys.exit("Chromium is not installed (Debian: apt-get install chromium)")
    program = Path(sys.executable).with_name("forgediag")
    url = f"http://127.0.0.1:{PORT}/"
    demo = subprocess.Popen([program, "demo", "--listen", f"127.0.0.1:{PORT}"], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        time.sleep(seconds)
        urllib.request.urlopen(url, timeout=5).close()
        with tempfile.TemporaryDirectory() as folder, chromium(Path(folder), browser) as page:
            page.open(url, width=width, dark=dark)
            page.wait(READY, 200)
            page.screenshot(file)
    finally:
        demo.terminate()
        demo.wait()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    main(
        float(words[0]) if words else 90.0,
        Path(__file__).with_name("page.png"),
        width=390 if "--phone" in sys.argv else 1120,
        dark="--dark" in sys.argv,
    )
