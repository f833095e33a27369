"""A recording as a PNG, drawn by Pillow (extra `[png]`)."""

from __future__ import annotations

import io

from forgediag.cli import Failure, NotDone
from forgediag.packages import install
from forgediag.recording.chart import BOTTOM, GIB, HIGH, LEFT, PHASES, RIGHT, TOP, WIDE, Frame
from forgediag.recording.document import Recorded

COLOURS = {
    "load": "#d5d9dd", "text_encode": "#cfe5ff", "unet_load": "#fddcc4", "sample": "#cdeed6", "vae_encode": "#f3e7c6",
    "vae_decode": "#e9d7ff", "unload": "#e3e5e8", "other": "#e3e5e8",
}  # fmt: skip


def png(recorded: Recorded) -> bytes:
    """The last generation's memory with its phases.

    Raises:
        Failure: Pillow is not installed.
        NotDone: nothing was recorded that could be drawn.
    """
    try:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Failure(f"a PNG needs Pillow; run {install('pillow')}, or write .html") from error
    if not recorded.jobs:
        raise NotDone("no generation ended meanwhile, so there is nothing to draw")
    job = recorded.jobs[-1]
    curve = recorded.of(job)
    end = max(job.ended or job.started, job.started + 0.1)
    highest = max([used for _, used in curve], default=0)
    frame = Frame(job.started, end, max(recorded.total or 0, highest, GIB) * 1.05)
    image = Image.new("RGB", (WIDE, HIGH), "white")
    draw = ImageDraw.Draw(image)
    for phase in job.phases:
        left, right = frame.x(phase.start), frame.x(phase.end)
        draw.rectangle((left, TOP, max(left + 1, right), HIGH - BOTTOM), fill=COLOURS[phase.name])
        if right - left > 7 * len(PHASES[phase.name]):
            draw.text((left + 4, TOP + 4), PHASES[phase.name], fill="black")
    for gib in range(0, int(frame.top / GIB) + 1, max(1, round(frame.top / GIB / 6))):
        y = frame.y(gib * GIB)
        draw.line((LEFT, y, WIDE - RIGHT, y), fill="#d0d7de")
        draw.text((4, y - 6), f"{gib} GiB", fill="#57606a")
    points: list[tuple[float, float]] = []
    for at, used in curve:
        points += [(frame.x(at), points[-1][1])] if points else []
        points.append((frame.x(at), frame.y(used)))
    if points:
        draw.line([*points, (float(WIDE - RIGHT), points[-1][1])], fill="#0550ae", width=2)
    draw.text((LEFT, HIGH - BOTTOM + 8), f"{end - job.started:.1f} s, {highest / GIB:.2f} GiB at most", fill="black")
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()
