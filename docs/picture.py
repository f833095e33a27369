"""Draw docs/demo.svg: the demo's GPU memory as a scrape sees it and as the peak window does.

    python docs/picture.py [SECONDS]

Runs `forgediag demo`, asks it twice a second as Prometheus would, and draws what it answered.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PORT = 19836
WIDTH, HEIGHT, LEFT, TOP = 900, 330, 64, 44
GIB = 1024**3
PEAK = 'forge_gpu_memory_used_max_bytes{window="15s"}, sampled at 100 Hz'
STYLE = """svg{background:#fff;font:12px system-ui,sans-serif} text{fill:#444} .grid{stroke:#e4e4e4} .job{fill:#eef3fb}
.used{fill:none;stroke:#2a6fbb;stroke-width:2}
.peak{fill:none;stroke:#c8501e;stroke-width:1.6;stroke-dasharray:5 3}"""
SERIES = {
    "used": r'forge_gpu_memory_bytes\{gpu="0",kind="used",[^}]*\} (\S+)',
    "peak": r'forge_gpu_memory_used_max_bytes\{[^}]*window="15s"\} (\S+)',
    "total": r'forge_gpu_memory_bytes\{gpu="0",kind="total",[^}]*\} (\S+)',
    "busy": r"forge_job_running\{[^}]*\} (\S+)",
}


def watch(seconds: float) -> list[dict[str, float]]:
    """What the demo answered, every half second."""
    program = Path(sys.executable).with_name("forgediag")
    demo = subprocess.Popen([program, "demo", "--listen", f"127.0.0.1:{PORT}"], stdout=subprocess.DEVNULL)  # noqa: S603
    rows: list[dict[str, float]] = []
    try:
        time.sleep(10)
        started = time.monotonic()
        while (now := time.monotonic() - started) < seconds:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as answer:
                text = answer.read().decode()
            found = {name: re.search(pattern, text) for name, pattern in SERIES.items()}
            rows.append({"at": now, **{name: float(match[1]) for name, match in found.items() if match}})
            time.sleep(0.5)
    finally:
        demo.terminate()
        demo.wait()
    return rows


def draw(rows: list[dict[str, float]]) -> str:
    """The picture as SVG."""
    end, total = rows[-1]["at"], max(row.get("total", 0) for row in rows)

    def x(at: float) -> float:
        return LEFT + at / end * (WIDTH - LEFT - 16)

    def y(size: float) -> float:
        return TOP + (1 - size / total) * (HEIGHT - TOP - 40)

    def line(name: str) -> str:
        return " ".join(f"{x(row['at']):.1f},{y(row[name]):.1f}" for row in rows if name in row)

    jobs = [
        f'<rect x="{x(a["at"]):.1f}" y="{TOP}" width="{x(b["at"]) - x(a["at"]) + 0.5:.1f}" '
        f'height="{HEIGHT - TOP - 40}" class="job"/>'
        for a, b in itertools.pairwise(rows)
        if a.get("busy")
    ]
    grid = [
        f'<line x1="{LEFT}" x2="{WIDTH - 16}" y1="{y(size * GIB):.1f}" y2="{y(size * GIB):.1f}" class="grid"/>'
        f'<text x="{LEFT - 8}" y="{y(size * GIB) + 4:.1f}" text-anchor="end">{size} GiB</text>'
        for size in range(0, int(total / GIB) + 1, 2)
    ]
    ticks = [
        f'<text x="{x(at):.1f}" y="{HEIGHT - 16}" text-anchor="middle">{at} s</text>'
        for at in range(0, int(end) + 1, 15)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<title>GPU memory of the demo: used at each scrape, and the highest of the last 15 seconds</title>",
            f"<style>{STYLE}</style>",
            *jobs,
            *grid,
            *ticks,
            f'<polyline class="used" points="{line("used")}"/><polyline class="peak" points="{line("peak")}"/>',
            f'<text x="{LEFT}" y="20" style="fill:#2a6fbb">forge_gpu_memory_bytes{{kind="used"}}</text>',
            f'<text x="{LEFT + 260}" y="20" style="fill:#c8501e">{PEAK}</text>',
            f'<text x="{LEFT}" y="37">shaded: a generation runs</text>',
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    picture = draw(watch(float(sys.argv[1]) if len(sys.argv) > 1 else 75))
    Path(__file__).with_name("demo.svg").write_text(picture, "utf-8")
