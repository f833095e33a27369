"""Elements of HTML and SVG as strings: what is not markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias, Union

VOID = frozenset({"meta", "link", "br"})
"""Elements of HTML that never have content nor an end."""


class Html(str):
    """Markup that is safe as it stands."""

    __slots__ = ()


Node: TypeAlias = Union[str, Iterable["Node"], None]  # noqa: UP007 - evaluated on 3.10, where | takes no quoted name
"""Markup, a text that is escaped, nothing, or several of them."""


def join(*nodes: Node) -> Html:
    """Nodes one after another."""
    return Html("".join(_parts(nodes)))


def _parts(node: Node) -> Iterable[str]:
    if isinstance(node, Html):
        yield node
    elif isinstance(node, str):
        yield escape(node, quote=False)
    elif node is not None:
        for item in node:
            yield from _parts(item)


def tag(element: str, /, *nodes: Node, **attributes: str | float | bool | None) -> Html:
    """An element. Attributes: `class_` is class, `aria_label` is aria-label; True is an empty one, None is left out."""
    written = [element]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        written.append(f'{label}="{"" if value is True else escape(_value(value))}"')
    start = f"<{' '.join(written)}>"
    return Html(start if element in VOID else f"{start}{join(*nodes)}</{element}>")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def table(titles: Sequence[str], rows: Iterable[Sequence[Node]]) -> Html:
    """A table; each cell knows its column's title, for a screen too narrow for columns shows it beside the cell."""
    head = tag("tr", (tag("th", title, scope="col") for title in titles))
    body = (
        tag("tr", (tag("td", tag("div", cell), data_label=title) for title, cell in zip(titles, row, strict=True)))
        for row in rows
    )
    return tag("table", tag("thead", head), tag("tbody", body))
