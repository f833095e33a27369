"""Every signature: its examples are explained by it, its near miss is not, and its patterns are linear."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from forgediag.explain import Explanation, body, explain, signatures
from forgediag.explain.anchors import anchor
from forgediag.explain.docs import render
from forgediag.explain.episode import ASKED
from forgediag.explain.signature import Pattern, Signature

DOCS = Path(__file__).parents[2] / "docs"


def said(text: str) -> Explanation:
    return explain(body.lines(text) if text.startswith('{"') else text.split("\n"))


def ids(explanation: Explanation) -> set[str]:
    every = [one for trouble in explanation.troubles for one in (trouble.root, *trouble.follow_ups)]
    return {one.signature.id for one in every if one.signature is not None}


@pytest.mark.parametrize("signature", signatures(), ids=lambda signature: signature.id)
def test_a_signature_explains_its_examples_and_not_its_near_miss(signature: Signature) -> None:
    for example in signature.examples:
        troubles = said(example.text).troubles
        assert troubles[0].root.signature is signature
        if signature.level == "harmless":
            assert not said(example.text + "\nfine" * ASKED).troubles
    assert signature.examples
    assert signature.id not in ids(said(signature.near_miss))


@pytest.mark.parametrize("signature", signatures(), ids=lambda signature: signature.id)
def test_a_signature_is_complete(signature: Signature) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", signature.id)
    assert signature.fix
    assert signature.cause.endswith(".")
    assert all(example.source for example in signature.examples)
    known = {other.id for other in signatures()}
    assert set(signature.after) <= known
    assert all(len(anchor(pattern)) >= 3 or pattern.text == "<10+>s/it" for pattern in signature.patterns)


def test_ids_are_unique() -> None:
    names = [signature.id for signature in signatures()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("text", ["*a", "a*", "a**b", "", " *"])
def test_a_pattern_with_an_empty_piece_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nothing before"):
        Pattern(text)


def test_a_number_counts_from_its_least_on() -> None:
    pattern = Pattern("took <10+> s")
    assert pattern.find("took9.5s") == -1
    assert pattern.find("took9.5stook10.5s") == 8


def test_pieces_come_in_order() -> None:
    assert Pattern("a * b").find("xbayb") == 2
    assert Pattern("a * b").find("ba") == -1


@pytest.mark.skipif(not DOCS.exists(), reason="docs/ is not beside the tests (they run on the wheel)")
def test_the_page_of_errors_is_the_generated_one() -> None:
    command = [sys.executable, "-X", "utf8", "-m", "forgediag.explain.docs"]
    assert render(signatures()) == (DOCS / "errors.md").read_text("utf-8")
    page = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    assert (DOCS / "errors.md").read_text("utf-8") == page.replace("\r\n", "\n"), (
        "python -m forgediag.explain.docs >docs/errors.md"
    )
