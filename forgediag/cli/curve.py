"""The trade-off curve of an advice: seconds an image over `forge_inference_memory`, for a terminal and as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from forgediag.cli.glyphs import Glyphs
from forgediag.model import Advice, Setting
from forgediag.tradeoff import Frame, Marks, marks

COLUMNS, ROWS = 78, 11


def terminal(advice: Advice, shown: Glyphs) -> Iterator[str]:
    """The curve in at most 100 columns."""
    drawn = marks(advice)
    if drawn is None:
        return
    rows = _grid(drawn, shown)
    frame = drawn.frame
    swap = f"{advice.recommended.forge_async_loading} + {advice.recommended.forge_pin_shared_memory}"
    yield f"seconds an image over forge_inference_memory, {swap}:"
    for index, row in enumerate(rows):
        label = f"{frame.high:8.1f} " if index == 0 else f"{frame.low:8.1f} " if index == len(rows) - 1 else " " * 9
        yield label + shown.down + "".join(row).rstrip()
    yield " " * 9 + shown.corner + shown.across * COLUMNS
    ends = f"{frame.left:g} MB", f"{frame.right:g} MB"
    yield " " * 10 + ends[0] + " " * (COLUMNS - len(ends[0]) - len(ends[1])) + ends[1]
    unfit = f"   {shown.unfit} may run out of memory" if any(not fits for *_, fits in drawn.curve) else ""
    yield " " * 10 + f"{shown.here} now   {shown.best} recommended{unfit}"


def _grid(drawn: Marks, shown: Glyphs) -> list[list[str]]:
    rows = [[" "] * COLUMNS for _ in range(ROWS)]

    def put(mb: float, seconds: float, glyph: str) -> None:
        column = min(COLUMNS - 1, max(0, round(drawn.frame.x(mb, COLUMNS - 1))))
        rows[ROWS - 1 - max(0, round(drawn.frame.y(seconds, ROWS - 1)))][column] = glyph

    for mb, seconds, fits in drawn.curve:
        put(mb, seconds, shown.point if fits else shown.unfit)
    if drawn.here is not None:
        put(*drawn.here, shown.here)
    put(*drawn.best, shown.best)
    return rows


WIDE, HIGH = 860, 420
LEFT, TOP, RIGHT, BOTTOM = 70, 60, 30, 70
STYLE = (
    "text{font:13px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}.axis{stroke:#888}"
    ".grid{stroke:#ddd}.fits{stroke:#1f77b4;stroke-width:2;fill:none}.unfit{fill:#d62728}"
    ".here{fill:#fff;stroke:#ff7f0e;stroke-width:3}.best{fill:#2ca02c}"
)


def svg(advice: Advice) -> str | None:
    """The curve as a picture; None where no speed is known."""
    drawn = marks(advice)
    if drawn is None:
        return None
    width, height = WIDE - LEFT - RIGHT, HIGH - TOP - BOTTOM

    def place(mb: float, seconds: float) -> tuple[float, float]:
        return round(LEFT + drawn.frame.x(mb, width), 1), round(TOP + height - drawn.frame.y(seconds, height), 1)

    inside = [
        f'<rect width="{WIDE}" height="{HIGH}" fill="#fff"/>',
        f'<text class="title" x="{LEFT}" y="28">{escape(advice.model)}: seconds an image</text>',
        *_axes(drawn.frame, place),
        *_curve(drawn.curve, place),
        *_labelled(drawn, advice, place),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *inside, "</svg>", ""])


Place = Callable[[float, float], tuple[float, float]]


def _axes(frame: Frame, place: Place) -> Iterator[str]:
    for part in range(5):
        seconds = frame.low + (frame.high - frame.low) * part / 4
        x, y = place(frame.left, seconds)
        kind = "axis" if part == 0 else "grid"
        yield f'<line class="{kind}" x1="{x}" y1="{y}" x2="{WIDE - RIGHT}" y2="{y}"/>'
        yield f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{seconds:.1f}</text>'
        mb = frame.left + (frame.right - frame.left) * part / 4
        x, y = place(mb, frame.low)
        yield f'<text x="{x}" y="{y + 20}" text-anchor="middle">{mb:.0f}</text>'
    yield f'<text x="{WIDE / 2}" y="{HIGH - 28}" text-anchor="middle">forge_inference_memory (MB)</text>'


def _curve(points: Sequence[tuple[int, float, bool]], place: Place) -> Iterator[str]:
    """A line through the points; those that may run out of memory are red."""
    line = " ".join(f"{x},{y}" for x, y in (place(mb, seconds) for mb, seconds, _ in points))
    yield f'<polyline class="fits" points="{line}"/>'
    for mb, seconds, fits in points:
        if not fits:
            x, y = place(mb, seconds)
            yield f'<circle class="unfit" cx="{x}" cy="{y}" r="3"><title>may run out of memory</title></circle>'


def _labelled(drawn: Marks, advice: Advice, place: Place) -> Iterator[str]:
    marked: list[tuple[str, str, tuple[float, float], Setting]] = []
    if drawn.here is not None and advice.current is not None:
        marked.append(("here", "you are here", drawn.here, advice.current))
    marked.append(("best", "recommended", drawn.best, advice.recommended))
    for row, (kind, label, (mb, seconds), setting) in enumerate(marked):
        x, y = place(min(max(mb, drawn.frame.left), drawn.frame.right), seconds)
        yield f'<circle class="{kind}" cx="{x}" cy="{y}" r="7"/>'
        text = (
            f"{label}: {setting.forge_inference_memory} MB (GPU Weights {setting.gpu_weights_mb} MB), "
            f"{setting.forge_async_loading} + {setting.forge_pin_shared_memory}: {seconds:.1f} s"
        )
        at = TOP - 12 + 18 * row
        yield f'<circle class="{kind}" cx="{LEFT + 130}" cy="{at - 4}" r="5"/>'
        yield f'<text x="{LEFT + 142}" y="{at}">{text}</text>'
