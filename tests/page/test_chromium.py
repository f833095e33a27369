"""The page in a real Chromium: what is seen, that it lives, that nothing complains and nothing goes elsewhere."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from forgediag.model import Severity

if TYPE_CHECKING:
    from forgediag.testing.chromium import Page
    from tests.page.conftest import Served

LIVE = "document.getElementById('state').className === 'live'"
SIZES = [(390, False), (390, True), (768, False), (1440, False), (1440, True)]

OUTSIDE = """
[...document.querySelectorAll('main *')].filter(n => !n.closest('thead'))
  .filter(n => n.getBoundingClientRect().right > innerWidth + 1).map(n => n.outerHTML)
"""

CONTRAST = """
(() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return {rgb: n.slice(0, 3), a: n[3] ?? 1}; };
  const light = rgb => { const [r, g, b] = rgb.map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126*r + 0.7152*g + 0.0722*b; };
  const behind = node => { for (let at = node; at; at = at.parentElement) {
    const part = at.matches('svg.part') ? at.querySelector('rect') : null;
    const colour = parse(part ? getComputedStyle(part).fill : getComputedStyle(at).backgroundColor);
    if (colour.a > 0) return colour.rgb; } return [255, 255, 255]; };
  const low = [];
  for (const node of document.querySelectorAll('body *')) {
    const text = [...node.childNodes].some(n => n.nodeType === 3 && n.nodeValue.trim());
    if (!text || node.closest('.unseen, .skip, title, desc, noscript') || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const front = light(parse(node instanceof SVGElement ? style.fill : style.color).rgb), back = light(behind(node));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < 4.5) low.push(`${node.outerHTML} ${ratio.toFixed(2)}`);
  }
  return low;
})()
"""


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_it_fits_the_screen_and_can_be_read(browser: Page, served: Served, width: int, dark: bool) -> None:
    browser.open(served.url, width=width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(OUTSIDE) == []
    assert browser.evaluate(CONTRAST) == []
    back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == ("rgb(18, 21, 26)" if dark else "rgb(246, 247, 249)")


def test_the_verdict_and_the_first_fix_are_on_the_first_screen_of_a_phone(browser: Page, served: Served) -> None:
    browser.open(served.url, width=390, height=844)
    bottom = browser.evaluate("document.querySelector('.finding ol').getBoundingClientRect().bottom")
    assert bottom < 844
    assert browser.evaluate("document.querySelector('h1').innerText") == "Something is wrong."


def test_a_changed_fact_shows_and_scroll_focus_and_open_details_stay(browser: Page, served: Served) -> None:
    browser.open(served.url, height=500)
    browser.wait(LIVE)
    browser.evaluate(
        "document.querySelector('#finding-forge-vae-latent-channels-sdxl-vae-safetensors-evidence').open = true"
    )
    browser.evaluate("document.querySelector('#unknown summary').focus({preventScroll: true}); scrollTo(0, 300)")
    assert served.report is not None
    only = tuple(item for item in served.report.findings if item.severity is not Severity.WARNING)
    healed = replace(served.report, findings=tuple(replace(item, message="now it is another") for item in only))
    served.report = healed
    browser.wait("document.querySelector('.finding').innerText.includes('now it is another')")
    assert browser.evaluate("document.querySelectorAll('#findings > .finding').length") == 1
    assert browser.evaluate("document.querySelectorAll('#findings details[open]').length") == 1
    assert browser.evaluate("document.activeElement.parentElement.id") == "unknown"
    assert browser.evaluate("scrollY") == 300
    served.report = replace(healed, findings=())
    browser.wait("document.querySelector('h1').innerText === 'Nothing is wrong.'")
    assert browser.evaluate("document.title") == "✓ ok - forgediag"
    assert browser.evaluate("document.querySelector('#verdict').className") == "verdict ok"
    assert browser.evaluate("document.querySelectorAll('.finding').length") == 0


def test_a_server_that_has_gone_is_said_and_one_that_is_back_is_taken(browser: Page, served: Served) -> None:
    kept, served.report = served.report, served.report
    browser.open(served.url)
    served.report = None
    browser.wait("document.getElementById('state').innerText.includes('does not answer')")
    assert browser.evaluate("document.querySelector('h1').innerText") == "Something is wrong."
    served.report = kept
    browser.wait(LIVE)


def test_nothing_complains_and_no_other_host_is_asked(browser: Page, served: Served) -> None:
    browser.open(served.url)
    browser.wait(LIVE)
    browser.wait(f"performance.getEntriesByType('resource').filter(e => e.name === '{served.url}/').length >= 2")
    assert browser.complaints == []
    allowed = (f"{served.url}/", "data:image/svg+xml", "about:blank")
    assert [url for url in browser.asked if not url.startswith(allowed)] == []


def test_what_is_not_ours_cannot_run(browser: Page, served: Served) -> None:
    browser.open(served.url)
    browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.harm = 1'}))")
    assert browser.evaluate("window.harm") is None
    assert any("Content Security Policy" in line for line in browser.complaints)


def test_without_javascript_everything_is_there(browser: Page, served: Served) -> None:
    browser.open(served.url, script=False)
    try:
        assert browser.evaluate("document.querySelectorAll('noscript meta[http-equiv=refresh]').length") == 1
        assert browser.evaluate("document.querySelectorAll('.panels > section').length") == 6
        assert browser.evaluate("document.getElementById('state').innerText") == "Reload for newer facts."
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.complaints == []


def test_a_browser_that_comes_too_early_asks_again_by_itself(browser: Page, served: Served) -> None:
    kept, served.report = served.report, None
    browser.open(served.url)
    assert "first poll is not done yet" in browser.evaluate("document.body.innerText")
    served.report = kept
    browser.wait("!!document.querySelector('h1')")


def test_a_screen_reader_has_landmarks_headings_and_a_name_for_every_picture(browser: Page, served: Served) -> None:
    browser.open(served.url)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    assert {"main", "banner", "contentinfo", "navigation", "region", "status"} <= {role for role, _ in roles}
    assert [
        name for role, name in roles if role in {"image", "img", "region", "link", "progressbar"} and not name
    ] == []
    levels = browser.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(n => Number(n.nodeName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert "table" in {role for role, _ in roles}


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Page, served: Served) -> None:
    browser.open(served.url)
    wanted = browser.evaluate("document.querySelectorAll('a, summary').length")
    hidden = browser.evaluate("document.querySelectorAll('details:not([open]) > :not(summary) a').length")
    hidden += browser.evaluate("document.querySelectorAll('details:not([open]) > :not(summary) summary').length")
    seen: list[str] = []
    for _ in range(wanted - hidden):
        browser.press("Tab", 9)
        seen.append(browser.evaluate("document.activeElement.innerText"))
        outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen
    assert seen[0] == "To the findings"
    assert "Why, and how to set it" in json.dumps(seen)
