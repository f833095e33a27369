"""Every write to Forge: only when it is idle, read back, told with old and new values and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import httpx

from forgediag.forge.selection import base_name
from forgediag.model import Advice, Gap, Options, Progress
from forgediag.sources.forge import ENDPOINTS, ForgeClient, http_client

Value: TypeAlias = Any
"""A value of an option, as JSON has it."""

INFERENCE = "forge_inference_memory"
MEMORY_KEYS = frozenset({INFERENCE, "forge_async_loading", "forge_pin_shared_memory", "forge_swap"})
"""Options whose change Forge hands to its memory manager (Forge dfdcbab, modules/sysinfo.py, set_config)."""

BY_NAME = frozenset({"sd_model_checkpoint", "forge_additional_modules"})
"""Options Forge stores in a spelling of its own: full paths, or the name the file was selected by before."""


class NotAppliedError(Exception):
    """Forge was not written to, or has not taken what was written: one line that says what is so now."""


@dataclass(frozen=True, slots=True)
class Change:
    """One option: what it was, and what Forge answered for it afterwards."""

    key: str
    old: Value
    new: Value


@dataclass(frozen=True, slots=True)
class Applied:
    """What a write did, as read back. `nudged`: nothing had to change, but Forge was made to use what it shows."""

    changes: tuple[Change, ...]
    nudged: bool = False

    @property
    def undo(self) -> Mapping[str, Value]:
        """The body of the POST /sdapi/v1/options that puts everything back."""
        return {change.key: change.old for change in self.changes if change.old != change.new}


@dataclass(frozen=True, slots=True)
class Address:
    """Where Forge answers, and how to be let in. `timeout` in seconds for each request."""

    url: str
    auth: tuple[str, str] | None = None
    timeout: float = 5.0
    transport: httpx.AsyncBaseTransport | None = None


def settings_for(advice: Advice, options: Options) -> dict[str, Value]:
    """The options that make a Forge do what is advised. Presets it does not have are left out.

    ersatzForge has one option for both parts of the swap (`forge_swap`, "CPU + Queue").

    Raises:
        NotAppliedError: this fork has no such option.
    """
    known = options.values
    if INFERENCE not in known and not options.broken:
        flags = " ".join(advice.flags) or "--reserve-vram GB"
        raise NotAppliedError(
            f"this fork has no {INFERENCE}, and sending it is an error 500: start it with {flags} instead; "
            "nothing was written"
        )
    wanted = advice.recommended
    swap: dict[str, Value] = {
        "forge_async_loading": wanted.forge_async_loading,
        "forge_pin_shared_memory": wanted.forge_pin_shared_memory,
    }
    if "forge_swap" in known:
        swap = {"forge_swap": f"{wanted.forge_pin_shared_memory} + {wanted.forge_async_loading}"}
    presets = {key: mb for key, mb in advice.also_set.items() if key in known}
    return {INFERENCE: wanted.forge_inference_memory, **swap, **presets}


async def apply_advice(address: Address, advice: Advice) -> Applied:
    """Set what is advised; see `apply`.

    Raises:
        NotAppliedError: as `apply`, and where the fork has no such option.
    """
    return await _apply(address, lambda options: settings_for(advice, options))


async def apply(address: Address, wanted: Mapping[str, Value], *, busy: bool = False) -> Applied:
    """Set options in one POST and read them back. `busy`: even while a job runs (to put back what was there).

    An unchanged value is ignored by Forge, and after a restart the value it shows is not the one it uses (1024 MB,
    observed). So a memory value that is already shown is written once as 1 MB more first, which makes Forge use it.

    Raises:
        NotAppliedError: a job runs, Forge cannot be reached, refuses, or answers another value afterwards.
    """
    return await _apply(address, lambda _: wanted, busy=busy)


async def _apply(address: Address, choose: Callable[[Options], Mapping[str, Value]], *, busy: bool = False) -> Applied:
    reader = ForgeClient(address.url, address.auth, timeout=address.timeout, transport=address.transport)
    writer = http_client(address.url, address.auth, address.timeout, address.transport)
    try:
        write = _Write(reader, writer, address)
        before = await write.before(busy=busy)
        return await write.apply(before, choose(before))
    finally:
        await reader.close()
        await writer.aclose()


@dataclass(frozen=True, slots=True)
class _Write:
    reader: ForgeClient
    writer: httpx.AsyncClient
    address: Address

    async def apply(self, before: Options, asked: Mapping[str, Value]) -> Applied:
        for key, value in asked.items():
            _refuse(before, key, value)
        nudge = INFERENCE in asked and not _changed(before, asked)
        if nudge:
            await self._nudge(before, asked)
        else:
            await self._post(before, asked)
        after = await self._after(asked)
        changes = tuple(Change(key, before.values.get(key), after.values.get(key)) for key in asked)
        if different := [change for change in changes if not _same(change.key, asked[change.key], change.new)]:
            told = ", ".join(f"{change.key} is {change.new!r}, not {asked[change.key]!r}" for change in different)
            raise NotAppliedError(f"Forge has not taken everything: {told}{_also(changes)}")
        return Applied(changes, nudge)

    async def _nudge(self, before: Options, asked: Mapping[str, Value]) -> None:
        """Write the memory value as 1 MB more and then as it is, for an unchanged one is ignored."""
        more = asked[INFERENCE] + 1
        await self._post(before, {INFERENCE: more})
        try:
            await self._post(before, asked)
        except NotAppliedError as error:
            raise NotAppliedError(f"{error}; {INFERENCE} was written as {more:g} first: set it again") from error

    async def before(self, *, busy: bool) -> Options:
        """The options, of a Forge that is idle unless `busy` allows a job."""
        progress: Progress | Gap = await self.reader.read(ENDPOINTS["progress"])
        if isinstance(progress, Gap):
            raise NotAppliedError(f"{progress.reason}; nothing was written")
        if progress.running and not busy:
            raise NotAppliedError(
                f"a job is running on {self.address.url}, and a write would make it load its model again; "
                "nothing was written: try again when it is done"
            )
        options: Options | Gap = await self.reader.read(ENDPOINTS["options"])
        if isinstance(options, Gap):
            raise NotAppliedError(f"{options.reason}; nothing was written")
        return options

    async def _post(self, before: Options, body: Mapping[str, Value]) -> None:
        try:
            sent = self.writer.post(f"{self.address.url}/sdapi/v1/options", json=body)
            response = await asyncio.wait_for(sent, self.address.timeout)
        except httpx.ConnectError as error:
            gone = f"{self.address.url} has gone ({error}) before it could be written to"
            raise NotAppliedError(f"{gone}: of {', '.join(body)} nothing was written") from error
        except (httpx.HTTPError, asyncio.TimeoutError) as error:
            raise NotAppliedError(await self._lost(before, error)) from error
        if response.status_code == 401:
            raise NotAppliedError(f"{self.address.url} lets nobody write without its user and password (401)")
        if response.status_code != 200:
            raise NotAppliedError(f"Forge refused: {_refusal(response)}{await self._half(before, body)}")

    async def _lost(self, before: Options, error: Exception) -> str:
        """What to say of a write nobody answered."""
        why = str(error) or type(error).__name__
        after: Options | Gap = await self.reader.read(ENDPOINTS["options"])
        if isinstance(after, Gap):
            return f"Forge went away while it was written to ({why}): whether it took the values is not known"
        return f"Forge did not answer the write ({why}){_also(_differences(before, after))}"

    async def _half(self, before: Options, body: Mapping[str, Value]) -> str:
        """What a refused write has changed all the same: Forge sets options in turn until one fails (observed)."""
        after: Options | Gap = await self.reader.read(ENDPOINTS["options"])
        if isinstance(after, Gap):
            return f"; what it set of {', '.join(body)} is not known: {after.reason}"
        return _also(_differences(before, after)) or "; nothing was changed"

    async def _after(self, asked: Mapping[str, Value]) -> Options:
        after: Options | Gap = await self.reader.read(ENDPOINTS["options"])
        if isinstance(after, Gap):
            raise NotAppliedError(
                f"{', '.join(asked)} {'was' if len(asked) == 1 else 'were'} written, "
                f"but whether Forge has taken it is not known: {after.reason}"
            )
        return after


def _refuse(before: Options, key: str, value: Value) -> None:
    """Refuse what would leave Forge's options broken.

    A wrong type is taken with a 200, and every later GET of the options is a 500 until it is set right (observed).

    Raises:
        NotAppliedError: an option Forge does not have, or a value of another type than the present one.
    """
    if key in before.broken:
        return
    if key not in before.values:
        why = "this Forge has no option"
        if before.broken:
            why = f"{before.broken[0]} has a value of a wrong type, so Forge does not tell whether it has an option"
        raise NotAppliedError(f"{why} {key!r}: sending one it does not have is an error 500; nothing was written")
    kind, given = _kind(before.values[key]), _kind(value)
    if kind not in {"null", given}:
        raise NotAppliedError(f"{key} is a {kind}, {value!r} is a {given}: Forge would take it; nothing was written")


def _kind(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "switch (true or false)"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "table"


def _changed(before: Options, asked: Mapping[str, Value]) -> bool:
    """Whether a memory setting changes: then Forge takes all of them anew."""
    return any(not _same(key, value, before.values.get(key)) for key, value in asked.items() if key in MEMORY_KEYS)


def _differences(before: Options, after: Options) -> tuple[Change, ...]:
    keys = [key for key in after.values if key in before.values]
    return tuple(Change(key, before.values[key], after.values[key]) for key in keys)


def _also(changes: Sequence[Change]) -> str:
    made = [f"{change.key} {change.old!r} -> {change.new!r}" for change in changes if change.old != change.new]
    return f"; it has changed {', '.join(made)}" if made else ""


def _same(key: str, wanted: Value, answered: Value) -> bool:
    """Whether an answered value is the one wanted; files count by their base names."""
    return bool(_names(wanted) == _names(answered) if key in BY_NAME else wanted == answered)


def _names(value: Value) -> Value:
    if isinstance(value, (list, tuple)):
        return [_names(item) for item in cast("Sequence[Value]", value)]
    return base_name(value).split(" [", maxsplit=1)[0] if isinstance(value, str) else value


def _refusal(response: httpx.Response) -> str:
    try:
        body: Value = response.json()
    except ValueError:
        return f"{response.status_code} without a reason"
    if not isinstance(body, dict):
        return f"{response.status_code} without a reason"
    said = cast("Mapping[str, Value]", body)
    text = f"{said.get('error') or ''} {said.get('message') or said.get('detail') or ''}".strip()
    return f"{response.status_code} {text[:200]}"
