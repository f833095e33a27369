"""Forge's answers turned into facts: pure parsing, one function an endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard, cast

from forgediag.model import Checkpoint, CudaMemory, Flags, Gap, Known, Module, Options, Progress, Sysinfo, TorchMemory

SECRET = re.compile(r"auth|password|passwd|token|secret|ngrok|keyfile")
"""Flags whose value never leaves this module: `--api-auth` stands in clear in GET /sdapi/v1/cmd-flags."""

_RESPONSE_LOC = re.compile(r"'loc': \('response', '([^']+)'")


class AnswerError(ValueError):
    """An answer whose JSON is not what this endpoint of a Forge gives. The text names the key."""


def unwrap(status: int, body: Any) -> tuple[Any, tuple[str, ...]]:
    """The values inside an answer and the names of those with a wrong type.

    Forge (FastAPI 0.104) answers 500 ResponseValidationError with all values in `body` when one of them has another
    type than its model: any option set to a wrong type, and `--port N` in cmd-flags. Observed on a real Forge.

    Raises:
        AnswerError: the status is an error and the values are not inside.
    """
    if status == 200:
        return body, ()
    error = _mapping(body, "the error answer")
    if error.get("error") == "ResponseValidationError" and isinstance(error.get("body"), dict):
        return error["body"], tuple(_RESPONSE_LOC.findall(str(error.get("message", ""))))
    raise AnswerError(f"{status} {error.get('error') or error.get('detail') or 'without a reason'}")


def parse_options(body: Any, broken: tuple[str, ...] = ()) -> Options:
    """GET /sdapi/v1/options: an object of some 330 values."""
    return Options(_mapping(body, "options"), broken)


def parse_flags(body: Any, _broken: tuple[str, ...] = ()) -> Flags:
    """GET /sdapi/v1/cmd-flags, with every secret replaced by True where it was set."""
    values = _mapping(body, "cmd-flags")
    return Flags({key: bool(value) if SECRET.search(key) else value for key, value in values.items()})


def parse_memory(body: Any, _broken: tuple[str, ...] = ()) -> TorchMemory:
    """GET /sdapi/v1/memory. `ram.used` is Forge's RSS; `cuda.error` stands in place of the numbers on a CPU."""
    answer = _mapping(body, "memory")
    ram = _mapping(answer.get("ram"), "memory.ram")
    if "used" not in ram:
        raise AnswerError(f"memory.ram has no 'used': {str(ram.get('error', ram))[:80]}")
    return TorchMemory(_bytes(ram, "used"), _cuda(_mapping(answer.get("cuda"), "memory.cuda")))


def _cuda(cuda: Mapping[str, Any]) -> Known[CudaMemory]:
    if "system" not in cuda:
        reason = str(cuda.get("error", "no numbers"))[:120]
        unavailable = reason == "unavailable"
        return Gap(f"Forge's torch says of CUDA: {reason}", "unsupported" if unavailable else "failed", unavailable)
    system, events = _mapping(cuda["system"], "cuda.system"), _mapping(cuda.get("events"), "cuda.events")
    pools = {kind: _mapping(cuda.get(kind), f"cuda.{kind}") for kind in ("allocated", "reserved", "active", "inactive")}
    return CudaMemory(
        total=_bytes(system, "total"),
        free=_bytes(system, "free"),
        **{kind: _bytes(pool, "current") for kind, pool in pools.items()},
        **{f"{kind}_peak": _bytes(pool, "peak") for kind, pool in pools.items()},
        retries=_bytes(events, "retries"),
        ooms=_bytes(events, "oom"),
    )


def parse_progress(body: Any, _broken: tuple[str, ...] = ()) -> Progress:
    """GET /sdapi/v1/progress?skip_current_image=true."""
    answer = _mapping(body, "progress")
    state = _mapping(answer.get("state"), "progress.state")
    return Progress(
        job=str(state.get("job") or ""),
        job_count=_bytes(state, "job_count"),
        job_no=_bytes(state, "job_no"),
        job_timestamp=str(state.get("job_timestamp") or ""),
        step=_bytes(state, "sampling_step"),
        steps=_bytes(state, "sampling_steps"),
        ratio=min(1.0, max(0.0, _number(answer, "progress"))),
        interrupted=bool(state.get("interrupted")),
    )


def parse_checkpoints(body: Any, _broken: tuple[str, ...] = ()) -> tuple[Checkpoint, ...]:
    """GET /sdapi/v1/sd-models."""
    return tuple(
        Checkpoint(_text(row, "title"), _text(row, "model_name"), _text(row, "filename"), row.get("sha256") or None)
        for row in _rows(body, "sd-models")
    )


def parse_modules(body: Any, _broken: tuple[str, ...] = ()) -> tuple[Module, ...]:
    """GET /sdapi/v1/sd-modules."""
    return tuple(Module(_text(row, "model_name"), _text(row, "filename")) for row in _rows(body, "sd-modules"))


def parse_samplers(body: Any, _broken: tuple[str, ...] = ()) -> tuple[str, ...]:
    """GET /sdapi/v1/samplers: the names."""
    return tuple(_text(row, "name") for row in _rows(body, "samplers"))


def parse_sysinfo(body: Any, _broken: tuple[str, ...] = ()) -> Sysinfo:
    """GET /internal/sysinfo, of which only versions and the first line of each exception are kept: no settings."""
    answer = _mapping(body, "sysinfo")
    torch = _table(answer.get("Torch env info"))
    packages = (str(row).partition("==") for row in _rows_or_none(answer.get("Packages")))
    exceptions = (_word(_table(row).get("exception")) for row in _rows_or_none(answer.get("Exceptions")))
    commit = _word(answer.get("Commit"))
    return Sysinfo(
        version=_word(answer.get("Version")),
        commit=commit if commit and re.fullmatch(r"[0-9a-f]{40}", commit) else None,
        python=_word(answer.get("Python")),
        torch=_word(torch.get("torch_version")),
        torch_cuda=_word(torch.get("cuda_compiled_version")),
        packages={re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in packages if version},
        exceptions=tuple(text for text in exceptions if text),
    )


def _rows_or_none(value: object) -> list[object]:
    """At most 2000 rows of a list; nothing where it is none."""
    return value[:2000] if _is_list(value) else []


def _table(value: object) -> Mapping[str, Any]:
    """A JSON object; nothing where it is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _word(value: object) -> str | None:
    """The first line of a text, 300 characters at most."""
    return (value.splitlines() or [""])[0][:300] if isinstance(value, str) else None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return cast("Mapping[str, Any]", value)
    raise AnswerError(f"{what} is not a JSON object")


def _rows(value: Any, what: str) -> list[Mapping[str, Any]]:
    if _is_list(value):
        return [_mapping(row, f"a row of {what}") for row in value]
    raise AnswerError(f"{what} is not a JSON list")


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if isinstance(value, str):
        return value
    raise AnswerError(f"{key!r} is not a string")


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:  # no NaN either
        return float(value)
    raise AnswerError(f"{key!r} is not a number")


def _bytes(row: Mapping[str, Any], key: str) -> int:
    return int(_number(row, key))
