"""Is Forge there, does it let us in, and is it open to others?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forgediag.check import Problem, check
from forgediag.model import Flags, Gap, GapKind, Severity, Target

_START = "Start Forge with --api (or --nowebui for the API alone) and wait until its console says it is running."
_URL = "Check the address forgediag asks: 7860 is Forge's port with the web UI, 7861 with --nowebui."

_DOWN: Mapping[GapKind, tuple[str, tuple[str, ...]]] = {
    "refused": (
        "Forge does not run, or not at this address",
        (_START, _URL, "In a container: publish the port and start Forge with --listen."),
    ),
    "timeout": (
        "Forge hangs: something accepts the connection but does not answer in time",
        (
            "Look at Forge's console: a model load under memory pressure can stall everything for minutes.",
            "If the process is stopped or deadlocked, end it and start Forge again.",
            "Behind a slow network, raise timeout in the config.",
        ),
    ),
    "unauthorized": (
        "Forge wants a user and password",
        (
            "Give forgediag the USER:PASS that Forge was started with in --api-auth: auth_file = FILE in the config.",
            "Or set the variable FORGEDIAG_AUTH; --auth on the command line is visible to other users.",
        ),
    ),
    "not_forge": (
        "what answers there is not Forge's API",
        ("If it is Forge's web page: start Forge with --api.", _URL, "Check that no other program uses that port."),
    ),
    "invalid": (
        "Forge's answers cannot be read",
        (
            "Ask http://HOST:PORT/sdapi/v1/progress in a browser and see what it says.",
            "A proxy in between may cut or change the answers: ask Forge directly.",
            "Restart Forge.",
        ),
    ),
    "starting": ("Forge was not asked yet", ()),
}


@check(
    "forge-reachable",
    title="Forge answers",
    why="Nothing can be generated or observed while Forge is down, hangs or turns its clients away.",
    severity=Severity.FAILURE,
    fix=(_START, _URL),
)
def forge_reachable(target: Target) -> Iterator[Problem]:
    """Each way of not answering has its own message and its own way out."""
    gap = target.forge
    if not isinstance(gap, Gap):
        return
    message, fix = _DOWN.get(gap.kind, ("Forge cannot be read", (_START, _URL)))
    if gap.kind == "unauthorized" and "incorrect" in gap.reason.lower():
        message = "Forge does not accept the user and password that forgediag sends"
    yield Problem(
        subject=target.name,
        message=f"{message}: {gap.reason}",
        evidence={"kind": gap.kind},
        severity=Severity.UNKNOWN if gap.kind == "starting" else None,
        fix=fix,
    )


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@check(
    "secrets-exposed",
    title="Forge is not open to strangers",
    why=(
        "Forge listens on every network interface with --nowebui alone or --listen. Without a password anyone who"
        " reaches the port can read and change its options, run jobs and load files, pickles among them."
    ),
    severity=Severity.WARNING,
    fix=(
        "Forge and its clients on one machine: start it with --server-name 127.0.0.1.",
        "Clients elsewhere: start it with --api-auth USER:PASS (and --gradio-auth for the web page), behind HTTPS.",
        "In a container that publishes the port on 127.0.0.1 only, this is fine as it is.",
    ),
)
def secrets_exposed(flags: Flags) -> Iterator[Problem]:
    """The flags decide: where Forge binds and what asks for a password (observed on Forge dfdcbab)."""
    how = _open_by(flags)
    if flags.on("gradio_auth") and not flags.on("api_auth"):
        yield Problem(
            subject="--gradio-auth",
            message=(
                "GET /sdapi/v1/cmd-flags shows the user and password of --gradio-auth in clear to anyone who reaches"
                " the port: it protects the web page, not the API"
            ),
            evidence={"flag": "--gradio-auth", "shown_by": "/sdapi/v1/cmd-flags"},
            fix=("Start Forge with --api-auth USER:PASS too, with another password.",),
        )
    if how is None:
        return
    unprotected = [name for name, on in _doors(flags) if not on]
    if unprotected:
        yield Problem(
            subject=how,
            message=(
                f"Forge listens beyond this machine ({how}) and {' and '.join(unprotected)} need no password:"
                " anyone who reaches the port can use it"
            ),
            evidence={"flag": how, "unprotected": unprotected},
        )
    else:
        yield Problem(
            subject=how,
            message=(
                f"Forge listens beyond this machine ({how}) and its password does not protect everything:"
                f" {', '.join(NEVER_PROTECTED)} answer anyone"
            ),
            evidence={"flag": how, "unprotected": list(NEVER_PROTECTED)},
            fix=("Put a reverse proxy with a password of its own before the whole port.",),
        )


NEVER_PROTECTED = ("/sdapi/v1/loras", "/sdapi/v1/refresh-loras", "/controlnet/*", "/internal/sysinfo", "/openapi.json")
"""Routes that --api-auth leaves open; sysinfo tells every option that was set (observed on Forge dfdcbab)."""


def _open_by(flags: Flags) -> str | None:
    for flag in ("share", "ngrok", "listen"):
        if flags.on(flag):
            return f"--{flag}"
    name = flags.values.get("server_name")
    if name:
        return None if str(name) in _LOOPBACK else "--server-name"
    return "--nowebui without --server-name" if flags.on("nowebui") else None


def _doors(flags: Flags) -> Iterator[tuple[str, bool]]:
    yield "its API", flags.on("api_auth")
    if not flags.on("nowebui"):
        yield "its web page", flags.on("gradio_auth") or flags.on("gradio_auth_path")
