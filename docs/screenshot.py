"""Take docs/page.png and docs/profile.png: what the demo and a recording look like in a real Chromium.

    python docs/screenshot.py [SECONDS] [--dark] [--phone]
    python docs/screenshot.py --profile

The page: runs `forgediag demo`, lets its day go on for SECONDS (default 90), and takes the picture when a job runs and
something is found: a VAE that does not fit the selected checkpoint. The recording: SDXL and a Flux that is larger than
the demo's card, each loaded and sampled once. Pictures have a palette of 128 colours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from io import StringIO
from pathlib import Path

from PIL import Image

from forgediag.cli.profile import record, write
from forgediag.cli.profile_live import Live
from forgediag.config import Config, TargetConfig
from forgediag.sources.sampler import Sampler
from forgediag.testing.chromium import chromium, installed
from forgediag.testing.forge import ForgeThread, JobRequest
from forgediag.testing.gpu import SimulatedGpu
from forgediag.testing.models import write_models
from forgediag.testing.nvml import SimulatedNvml
from forgediag.testing.timeline import FLUX_MODULES, connect, setup_on

PORT = 19837
READY = "['progress', '.curve', '.timeline', '.finding'].every(name => document.querySelector(name))"
SDXL = {"sd_model_checkpoint": "sunrise-sdxl.safetensors", "forge_additional_modules": []}
FLUX = {"sd_model_checkpoint": "harbour-flux-fp8.safetensors", "forge_additional_modules": FLUX_MODULES}


def shoot(url: str, file: Path, *, width: int, dark: bool = False, ready: str = "!!document.body") -> None:
    """Take a picture of a whole page."""
    browser = installed()
    if browser is None:
        sys.exit("Chromium is not installed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder), browser) as page:
        page.open(url, width=width, dark=dark)
        page.wait(ready, 200)
        page.screenshot(file)
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(128).save(file, optimize=True)


def take_page(seconds: float, file: Path, *, width: int, dark: bool) -> None:
    """Run the demo and take the picture."""
    program = Path(sys.executable).with_name("forgediag")
    url = f"http://127.0.0.1:{PORT}/"
    demo = subprocess.Popen([program, "demo", "--listen", f"127.0.0.1:{PORT}"], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        time.sleep(seconds)
        urllib.request.urlopen(url, timeout=5).close()
        shoot(url, file, width=width, dark=dark, ready=READY)
    finally:
        demo.terminate()
        demo.wait()


def generate(forge: ForgeThread) -> None:
    """A picture of each model, when the recording has begun."""
    time.sleep(3)
    for model in (SDXL, FLUX):
        request = JobRequest(steps=12, width=1024, height=1024, override_settings=model, restore=False)
        forge.wait(lambda running, request=request: running.run_job(request))
        time.sleep(2)


def take_profile(file: Path) -> None:
    """Record two generations of a simulated Forge on a simulated card, and take the report's picture."""
    gpu = SimulatedGpu(forge_pid=os.getpid())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder)
        log, report = folder / "forge.log", folder / "report.html"
        log.touch()
        with ForgeThread(replace(setup_on(gpu), root=name, log=str(log))) as forge:
            forge.call(lambda running: connect(running, gpu))
            target = TargetConfig(name="demo", url=forge.url, directory=name, log=str(log))
            forge.wait(lambda running: running.run_job(steps=1))  # what CUDA's context takes is read while it rests
            working = threading.Thread(target=generate, args=[forge])
            working.start()
            config = Config(targets=(target,), state_dir=name)
            recorded = record(config, Sampler(SimulatedNvml(gpu).load), 2, None, Live(StringIO(), live=False))
            working.join()
        write(recorded, None, report)
        shoot(report.as_uri(), file, width=1200)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if "--profile" in sys.argv:
        take_profile(Path(__file__).with_name("profile.png"))
    else:
        take_page(
            float(words[0]) if words else 90.0,
            Path(__file__).with_name("page.png"),
            width=390 if "--phone" in sys.argv else 1120,
            dark="--dark" in sys.argv,
        )
