"""Forge down, hung, closed, open: each told in its own words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.model import Flags, Gap, GapKind, Severity
from forgediag.testing.facts import TARGET, problems
from forgediag_checks.service import forge_reachable, secrets_exposed


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("refused", "does not run"),
        ("timeout", "hangs"),
        ("unauthorized", "wants a user and password"),
        ("not_forge", "not Forge's API"),
        ("invalid", "cannot be read"),
        ("failed", "cannot be read"),
    ],
)
def test_each_way_of_not_answering_has_its_own_words_and_way_out(kind: GapKind, words: str) -> None:
    (problem,) = problems(forge_reachable, replace(TARGET, forge=Gap("http://h:1 said this", kind)))
    assert words in problem.message
    assert "http://h:1 said this" in problem.message
    assert problem.evidence == {"kind": kind}
    assert problem.fix


def test_a_wrong_password_is_told_apart_from_none() -> None:
    gap = Gap("http://h:1 wants a user and password: Incorrect username or password", "unauthorized")
    (problem,) = problems(forge_reachable, replace(TARGET, forge=gap))
    assert "does not accept the user and password" in problem.message


def test_a_forge_not_asked_yet_is_unknown() -> None:
    (problem,) = problems(forge_reachable, replace(TARGET, forge=Gap("not asked", "starting")))
    assert problem.severity is Severity.UNKNOWN


@pytest.mark.parametrize(
    ("flags", "how"),
    [
        ({"nowebui": True}, "--nowebui without --server-name"),
        ({"listen": True}, "--listen"),
        ({"share": True}, "--share"),
        ({"server_name": "0.0.0.0", "nowebui": True}, "--server-name"),
        ({"listen": True, "api_auth": True}, "--listen"),
    ],
)
def test_an_open_forge_without_passwords_is_warned_of(flags: dict[str, object], how: str) -> None:
    (problem,) = problems(secrets_exposed, Flags(flags))
    assert problem.subject == how


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"nowebui": True, "server_name": "127.0.0.1"},
        {"server_name": "localhost", "api_auth": True, "gradio_auth": True},
    ],
)
def test_a_forge_that_is_closed_to_others_is_fine(flags: dict[str, object]) -> None:
    assert problems(secrets_exposed, Flags(flags)) == []


def test_only_the_door_that_is_open_is_named() -> None:
    (problem,) = problems(secrets_exposed, Flags({"listen": True, "api_auth": True}))
    assert problem.evidence["unprotected"] == ["its web page"]


@pytest.mark.parametrize(
    "flags", [{"nowebui": True, "api_auth": True}, {"listen": True, "api_auth": True, "gradio_auth": True}]
)
def test_what_a_password_does_not_protect_is_named(flags: dict[str, object]) -> None:
    (problem,) = problems(secrets_exposed, Flags(flags))
    assert "/internal/sysinfo" in problem.message
    assert problem.fix is not None
    assert "reverse proxy" in problem.fix[0]


def test_a_password_that_the_api_shows_in_clear_is_warned_of() -> None:
    (problem,) = problems(secrets_exposed, Flags({"server_name": "127.0.0.1", "gradio_auth": True}))
    assert "cmd-flags shows the user and password" in problem.message
