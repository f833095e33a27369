"""What is said of a file is held against its bytes, and nothing is called a difference that is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.forge.claims import judge, outcome
from forgediag.forge.known_files import known_files
from forgediag.model.claim import Claim, IdentityKind, Trust
from forgediag.model.identity import Identity

OURS = Identity(1000, "a" * 64, autov1="b" * 8, autov3="c" * 64, blake3="d" * 64, crc32="e" * 8)
OTHER = "0123456789abcdef" * 4


def claim(kind: IdentityKind, value: str, trust: Trust = "published", source: str = "site", **more: object) -> Claim:
    return replace(Claim(source, kind, value, trust), **more)  # type: ignore[arg-type]  # fields by name


def verdicts(*claims: Claim, identity: Identity = OURS) -> list[str]:
    return [each.verdict for each in judge("model.safetensors", identity, claims)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("sha256", "a" * 64),
        ("sha256", "a" * 10),
        ("autov3", "c" * 12),
        ("autov3", "c" * 64),
        ("autov1", "b" * 8),
        ("blake3", "d" * 64),
        ("crc32", "e" * 8),
    ],
)
def test_an_identity_agrees_as_long_as_it_is_given(kind: IdentityKind, value: str) -> None:
    assert verdicts(claim(kind, value)) == ["agrees"]


@pytest.mark.parametrize("kind", ["sha256", "autov1", "autov3", "blake3", "crc32"])
def test_another_identity_differs(kind: IdentityKind) -> None:
    (judged,) = judge("model.safetensors", OURS, [claim(kind, OTHER[:8])])
    assert (judged.verdict, judged.wrong) == ("differs", True)
    assert outcome([judged])[0] == "differs"


def test_what_was_not_taken_cannot_be_compared() -> None:
    bare = Identity(1000, "a" * 64)
    assert verdicts(claim("blake3", OTHER), claim("git-blob", OTHER[:40]), identity=bare) == ["not comparable"] * 2


def test_a_stale_claim_says_nothing() -> None:
    (judged,) = judge("m", OURS, [claim("sha256", OTHER, stale="the file was changed after this download")])
    assert (judged.verdict, judged.why) == ("not comparable", "the file was changed after this download")


def test_a_stale_claim_that_agrees_proves_nothing_either() -> None:
    judged = judge("m", OURS, [claim("sha256", "a" * 64, stale="old"), claim("blake3", OTHER)])
    assert [each.verdict for each in judged] == ["not comparable", "differs"]


def test_seven_digits_tell_no_files_apart() -> None:
    assert verdicts(claim("sha256", "a" * 7)) == ["not comparable"]


def test_a_hint_that_differs_says_nothing() -> None:
    assert verdicts(claim("autov3", OTHER, "hint")) == ["not comparable"]
    assert verdicts(claim("autov3", "c" * 64, "hint")) == ["agrees"]


def test_one_of_several_files_of_a_source_is_enough() -> None:
    judged = judge("m", OURS, [claim("sha256", OTHER, about="x"), claim("sha256", "a" * 64, about="y")])
    assert [each.verdict for each in judged] == ["not comparable", "agrees"]
    assert "another one" in judged[0].why
    assert outcome(judged) == ("genuine", "as published: site")


def test_the_same_tensors_under_an_edited_header_are_no_difference() -> None:
    judged = judge("m", OURS, [claim("sha256", OTHER), claim("autov3", "c" * 12)])
    assert "only the header was edited" in judged[0].why
    assert outcome(judged)[0] == "genuine"


def test_64_kib_that_agree_excuse_nothing() -> None:
    judged = judge("m", OURS, [claim("sha256", OTHER), claim("autov1", "b" * 8), claim("crc32", "e" * 8)])
    assert [each.verdict for each in judged] == ["differs", "agrees", "agrees"]
    assert outcome(judged)[0] == "differs"


@pytest.mark.parametrize(
    ("size", "trust", "kind", "words"),
    [
        (2000, "published", "sha256", "cut short"),
        (500, "published", "sha256", "1,000: another variant"),
        (1000, "published", "sha256", "damaged, edited, or another file"),
        (None, "believed", "sha256", "changed since it looked"),
        (None, "recorded", "autov3", "the tensors were damaged"),
    ],
)
def test_a_difference_says_what_it_can_mean(size: int | None, trust: Trust, kind: IdentityKind, words: str) -> None:
    (judged,) = judge("m", OURS, [claim(kind, OTHER, trust, size=size)])
    assert words in judged.why


def test_what_a_tool_believes_is_no_verdict_on_the_file() -> None:
    judged = judge("m", OURS, [claim("sha256", OTHER, "believed")])
    assert outcome(judged) == ("unknown", "nothing on this machine says what it should be")


def test_agreeing_with_what_was_recorded_is_less_than_genuine() -> None:
    verdict, why = outcome(judge("m", OURS, [claim("autov3", "c" * 64, "recorded", "its own header")]))
    assert (verdict, why) == ("as recorded", "agrees with its own header; nothing published was found here")


def test_a_published_file_with_a_sidecar_about_another_is_still_genuine() -> None:
    judged = judge("m", OURS, [claim("sha256", "a" * 64), claim("sha256", OTHER, source="sidecar")])
    assert outcome(judged) == ("genuine", "as published: site; but sidecar speaks of another file")


def test_a_known_file_is_genuine_under_any_name() -> None:
    known = next(iter(known_files().values()))
    judged = judge("renamed.safetensors", Identity(known.size or 1, known.sha256), [])
    assert outcome(judged)[0] == "genuine"
    assert known.repository in judged[0].claim.source


def test_a_damaged_known_file_differs_and_one_of_the_same_size_does_not() -> None:
    base = next(known for known in known_files().values() if "sd_xl_base_1.0.safetensors" in known.names)
    assert base.size is not None
    damaged = judge("sd_xl_base_1.0.safetensors", Identity(base.size, OTHER), [])
    assert outcome(damaged)[0] == "differs"
    other = next(known for known in known_files().values() if "sd_xl_base_1.0_0.9vae.safetensors" in known.names)
    assert other.size == base.size
    assert outcome(judge("sd_xl_base_1.0.safetensors", Identity(base.size, other.sha256), []))[0] == "genuine"
