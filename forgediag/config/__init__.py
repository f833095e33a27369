"""The configuration: defaults < TOML file < FORGEDIAG_* variables < flags, each value checked once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from forgediag.config.checked import checked
from forgediag.config.values import ConfigError, converted
from forgediag.toml import TomlError, is_list, is_mapping, loads

DEFAULT_URLS = ("http://127.0.0.1:7860", "http://127.0.0.1:7861")
"""Where Forge listens by default: with the web UI, and API-only (`--nowebui`)."""


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds between two reads of each source; the `busy` ones apply while a job runs.

    A generation shorter than `progress` is not missed: the next answer still tells how it ended.
    """

    progress: float = 2.0
    progress_busy: float = 0.25
    memory: float = 10.0
    memory_busy: float = 2.0
    options: float = 10.0
    models: float = 60.0
    flags: float = 300.0
    host: float = 5.0
    files: float = 60.0
    tick: float = 1.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How often NVML memory is read, in hertz, and the peak windows kept, in seconds."""

    idle_hz: float = 1.0
    busy_hz: float = 100.0
    windows: tuple[int, ...] = (15, 60, 300)


@dataclass(frozen=True, slots=True)
class Verifying:
    """The background verification: every file is read once in `days`, at most `rate` MB a second."""

    days: float = 7.0
    rate: float = 50.0


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    """How much is remembered on disk: days (0 remembers nothing) and megabytes."""

    days: float = 90.0
    megabytes: int = 20


@dataclass(frozen=True, slots=True)
class NoticeConfig:
    """When and where a notice goes: below so many MB of available system memory (0: never), at most every so often."""

    ram_below_mb: int = 0
    webhook: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = ()
    every: float = 3600.0


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One Forge. `url` None tries the two default addresses. `auth_file` holds USER:PASS in its first line.

    `labels` are what service discovery tells Prometheus of it.

    Its console is followed from a file (`log`), a systemd unit's journal or a command's output, where one is named.
    =======
    Its console is followed from a file (`log`), a systemd unit's journal or a command's output, where one is named.
    `lock` is the lock file its model files are verified against.
    >>>>>>> main
    """

    name: str = "forge"
    url: str | None = None
    auth: str | None = field(default=None, repr=False)
    auth_file: str | None = None
    directory: str | None = None
    gpu: str | None = None
    timeout: float = 4.0
    log: str | None = None
    log_unit: str | None = None
    log_command: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    lock: str | None = None

    def credentials(self) -> tuple[str, str] | None:
        """User and password, the file before the value.

        Raises:
            ConfigError: the file cannot be read, or there is no colon in it.
        """
        text = self.auth
        if self.auth_file is not None:
            try:
                text = Path(self.auth_file).read_text("utf-8").splitlines()[0]
            except (OSError, UnicodeDecodeError, IndexError) as error:
                raise ConfigError(f"auth_file {self.auth_file} of {self.name} cannot be read: {error}") from error
        if text is None:
            return None
        user, colon, password = text.strip().partition(":")
        if not colon:
            raise ConfigError(f"auth of {self.name} is not USER:PASS: it has no colon")
        return user, password


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the daemon and the commands need to know."""

    listen: str = "127.0.0.1:9836"
    web_config: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    probes_at_once: int = 128
    state_dir: str | None = None
    log_level: str = "info"
    hash_models: bool = True
    verify_models: bool = True
    targets: tuple[TargetConfig, ...] = (TargetConfig(),)
    pace: Paces = Paces()
    sampling: Sampling = Sampling()
    verification: Verifying = Verifying()
    history: HistoryConfig = HistoryConfig()
    notice: NoticeConfig = NoticeConfig()

    def address(self) -> tuple[str, int]:
        """`listen` as host and port.

        Raises:
            ConfigError: it is not HOST:PORT.
        """
        host, colon, port = self.listen.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise ConfigError(f"listen is {self.listen!r}, not HOST:PORT (for example 127.0.0.1:9836)")
        return host.strip("[]"), int(port)


T = TypeVar("T")

SECTIONS: Mapping[str, type] = {
    "pace": Paces,
    "sampling": Sampling,
    "verification": Verifying,
    "history": HistoryConfig,
    "notice": NoticeConfig,
}
TARGET_FLAGS = {
    "forge": "url",
    "forge_dir": "directory",
    "auth": "auth",
    "auth_file": "auth_file",
    "gpu": "gpu",
    "timeout": "timeout",
    "log": "log",
}
"""Command-line and FORGEDIAG_* names that set a field of the first target."""


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, str | None]) -> Config:
    """The configuration from a file, the environment and the command line.

    Args:
        path: a TOML file, or None; then FORGEDIAG_CONFIG names it, if set.
        environ: os.environ or a part of it.
        flags: command-line options by name; None means not given.

    Raises:
        ConfigError: a file that cannot be read, an unknown key, a value of a wrong type or out of range.
    """
    path = path or environ.get("FORGEDIAG_CONFIG") or None
    config = _from_document(_read(path), path or "") if path else Config()
    config = _override(config, {name: environ.get(_variable(name)) for name in _overridable()}, _variable)
    config = _override(config, flags, lambda name: "--" + name.replace("_", "-"))
    return checked(config)


def _variable(name: str) -> str:
    return f"FORGEDIAG_{name.upper()}"


def _read(path: str) -> Mapping[str, Any]:
    try:
        return loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"config file {path} cannot be read: {error.strerror or error}") from error
    except (TomlError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} is not TOML: {error}") from error


def _from_document(document: Mapping[str, Any], path: str) -> Config:
    values = dict(document)
    file = f"config file {path}"
    for section, kind in SECTIONS.items():
        values[section] = _fill(kind, values.get(section, {}), f"{file}: [{section}]")
    rows = values.pop("forge", [{}])
    if not is_list(rows):
        raise ConfigError(f"{file}: write each Forge as a [[forge]] table, with two brackets")
    values["targets"] = tuple(_fill(TargetConfig, row, f"{file}: [[forge]]") for row in rows)
    return _fill(Config, values, file)


def _fill(kind: type[T], values: object, where: str) -> T:
    """A dataclass from a TOML table; keys it does not have are refused with those it has."""
    if not is_mapping(values):
        raise ConfigError(f"{where} is not a table")
    annotations = {item.name: str(item.type) for item in fields(cast("Any", kind))}
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in annotations:
            known = sorted({*annotations, "forge"} - {"targets"}) if kind is Config else sorted(annotations)
            raise ConfigError(f"{where}: unknown key {key!r}; known keys: {', '.join(known)}")
        arguments[key] = converted(annotations[key], value, f"{where}: {key}")
    return kind(**arguments)


def _overridable() -> list[str]:
    plain = [item.name for item in fields(Config) if item.name not in {"targets", *SECTIONS}]
    inner = [f"{section}_{item.name}" for section, kind in SECTIONS.items() for item in fields(cast("Any", kind))]
    return [*plain, *inner, *TARGET_FLAGS]


def _override(config: Config, values: Mapping[str, str | None], label: Callable[[str], str]) -> Config:
    for name, value in values.items():
        section, _, rest = name.partition("_")
        if value is None:
            continue
        if name in TARGET_FLAGS:
            base = config.targets[0] if config.targets else TargetConfig()
            first = _with(base, TARGET_FLAGS[name], value, label(name))
            config = replace(config, targets=(first, *config.targets[1:]))
        elif section in SECTIONS:
            config = replace(config, **{section: _with(getattr(config, section), rest, value, label(name))})
        else:
            config = _with(config, name, value, label(name))
    return config


def _with(item: T, key: str, value: str, label: str) -> T:
    annotation = next(str(entry.type) for entry in fields(cast("Any", item)) if entry.name == key)
    return cast("T", replace(cast("Any", item), **{key: converted(annotation, value, label)}))


def state_dir(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Where caches are kept: `state_dir`, else the platform's place for a user's cache."""
    if config.state_dir:
        return Path(config.state_dir)
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "forgediag"
