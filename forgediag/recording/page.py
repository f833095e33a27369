"""A recording as one self-contained HTML page: no request leaves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from html import escape
from statistics import median

from forgediag.forge.selection import base_name
from forgediag.model import Job, Phase
from forgediag.recording.chart import GIB, PARTS, PHASES, memory, stacked
from forgediag.recording.document import Recorded

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--paper:#fff;--line:#d0d7de;--curve:#0550ae;--limit:#cf222e}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9da7b1;--paper:#0d1117;--line:#30363d;--curve:#79c0ff;
--limit:#ff7b72}}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;
max-width:1100px;padding:1rem}h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}
p.dim,caption{color:var(--dim);text-align:left}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}svg{width:100%;min-width:640px;height:auto;display:block}
text{font:12px system-ui,sans-serif;fill:var(--dim)}text.band{fill:var(--ink)}.grid{stroke:var(--line)}
.curve{fill:none;stroke:var(--curve);stroke-width:2}.limit{stroke:var(--limit);stroke-dasharray:6 4}
.phase-load{fill:#8c959f55}.phase-text_encode{fill:#54aeff44}.phase-unet_load{fill:#fb8f4455}.phase-sample{fill:#4ac26b44}
.phase-vae_encode{fill:#d4a72c44}.phase-vae_decode{fill:#bf87ff55}.phase-unload,.phase-other{fill:#8c959f33}
.part-driver{fill:#57606a}.part-others{fill:#8c959f}.part-context{fill:#bc8cff}.part-weights{fill:#0969da}
.part-activations{fill:#2da44e}.part-cache{fill:#a2d2ff}.part-unexplained{fill:#cf222e}
.key{display:inline-block;width:.9em;height:.9em;margin:0 .3em 0 1em;vertical-align:-.1em;background:currentColor}
svg.key{display:inline-block;min-width:0}p span{white-space:nowrap}
.bars{display:flex;align-items:flex-end;gap:1px;height:90px;border-bottom:1px solid var(--line)}
.bars i{flex:1;background:var(--curve);min-width:1px}
"""


def html(recorded: Recorded, other: Recorded | None = None) -> str:
    """The page. With another recording, the last generation of each is compared, phase by phase."""
    title = "forgediag profile"
    body = [
        f"<h1>{title}</h1>",
        f'<p class="dim">{escape(_summary(recorded))}</p>',
        *([_comparison(recorded, other)] if other is not None else []),
        *(_job(number, job, recorded) for number, job in enumerate(recorded.jobs, start=1)),
        *([] if recorded.jobs else ["<p>No generation was recorded.</p>"]),
        *_ledger(recorded),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _summary(recorded: Recorded) -> str:
    card = recorded.card or "no NVIDIA card was read"
    total = f", {recorded.total / GIB:.1f} GiB" if recorded.total else ""
    count = len(recorded.jobs)
    return f"{count} generation{'' if count == 1 else 's'}; {card}{total}; forgediag {recorded.forgediag}"


def _job(number: int, job: Job, recorded: Recorded) -> str:
    end = job.ended if job.ended is not None else job.started
    when = datetime.fromtimestamp(job.started, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    facts = [
        when,
        job.outcome,
        f"{end - job.started:.1f} s",
        *([base_name(job.model)] if job.model else []),
        *([f"{job.pixels / 1e6:.2f} megapixels"] if job.pixels else []),
        *([f"{job.steps} steps"] if job.steps else []),
        *(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in job.settings),
    ]
    error = f"<p><strong>{escape(job.error)}</strong></p>" if job.error else ""
    picture = memory(recorded.of(job), job.phases, job.started, max(end, job.started + 0.1), recorded.total)
    return (
        f"<section><h2>Generation {number}</h2><p>{escape('; '.join(facts))}</p>{error}"
        f'<div class="scroll">{picture}</div>'
        f"{_phases(job.phases)}{_steps(job.step_seconds)}</section>"
    )


def _phases(phases: Sequence[Phase]) -> str:
    if not phases:
        return "<p>No phase is known: give forgediag Forge's console (--log FILE).</p>"
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("phase", "seconds", "peak on the card", "above weights", "swapped", "system memory")
    )
    rows = "".join(
        f'<tr><th scope="row">{PHASES[phase.name]}</th><td>{phase.seconds:.2f}</td><td>{_size(phase.device_peak)}</td>'
        f"<td>{_size(phase.above_weights)}</td><td>{_size(phase.swapped)}</td><td>{_size(phase.resident_peak)}</td></tr>"
        for phase in phases
    )
    seen = "Forge's console" if any(phase.seen_in == "log" for phase in phases) else "progress answers alone"
    return (
        f'<div class="scroll"><table><caption>Phases, told by {seen}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _size(size: int | None) -> str:
    return "-" if size is None else f"{size / GIB:.2f} GiB"


def _steps(steps: Sequence[float]) -> str:
    if not steps:
        return ""
    longest = max(steps)
    bars = "".join(f'<i style="height:{100 * step / longest:.1f}%" title="{step:.3f} s"></i>' for step in steps)
    told = f"{len(steps)} steps: {median(steps):.3f} s in the middle, {longest:.3f} s at most"
    return f'<p>{told}</p><div class="bars" role="img" aria-label="{told}">{bars}</div>'


def _ledger(recorded: Recorded) -> Iterator[str]:
    if len(recorded.ledgers) < 2:
        return
    first, last = recorded.ledgers[0].at, recorded.ledgers[-1].at
    names = {part.name for ledger in recorded.ledgers for part in ledger.parts} - {"free"}
    keys = "".join(_key(name, title) for name, title in PARTS.items() if name in names)
    drawn = stacked(recorded.ledgers, first, last)
    yield f'<section><h2>What held the card</h2><p>{keys}</p><div class="scroll">{drawn}</div></section>'


def _key(name: str, title: str) -> str:
    square = f'<rect class="part-{name}" width="1" height="1"/>'
    return f'<span><svg class="key" viewBox="0 0 1 1" aria-hidden="true">{square}</svg>{title}</span> '


def _comparison(recorded: Recorded, other: Recorded) -> str:
    if not recorded.jobs or not other.jobs:
        return "<p>Nothing to compare: one of the recordings has no generation.</p>"
    now, then = recorded.jobs[-1], other.jobs[-1]
    names = [name for name in PHASES if any(phase.name == name for phase in (*now.phases, *then.phases))]
    rows = "".join(_compared(name, now, then) for name in names)
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("phase", "seconds", "before", "change", "peak on the card", "before")
    )
    changed = [
        f"{key}: {dict(then.settings).get(key)} before, {value} now"
        for key, value in now.settings
        if dict(then.settings).get(key) != value
    ]
    return (
        f"<section><h2>Compared</h2><p>{escape('; '.join(changed) or 'The same settings.')}</p>"
        f'<div class="scroll"><table>'
        f"<caption>The last generation of each recording</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
        "</table></div></section>"
    )


def _compared(name: str, now: Job, then: Job) -> str:
    here = [phase for phase in now.phases if phase.name == name]
    there = [phase for phase in then.phases if phase.name == name]
    took, had = sum(phase.seconds for phase in here), sum(phase.seconds for phase in there)
    change = f"{100 * (took / had - 1):+.0f} %" if had else "new"
    peaks = [max((phase.device_peak or 0 for phase in phases), default=0) or None for phases in (here, there)]
    return (
        f'<tr><th scope="row">{PHASES[name]}</th><td>{took:.2f}</td><td>{had:.2f}</td><td>{change}</td>'
        f"<td>{_size(peaks[0])}</td><td>{_size(peaks[1])}</td></tr>"
    )
